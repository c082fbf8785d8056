// Package gcsblob stands in for states in gs://, which this build of Pulumi leaves out.
package gcsblob

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

// Scheme of the URLs.
const Scheme = "gs"

type opener struct{}

func (opener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this pulumi was built for the embedded stack, without Google Cloud: install Pulumi to keep states in gs://")
}

func init() { blob.DefaultURLMux().RegisterBucket(Scheme, opener{}) }
