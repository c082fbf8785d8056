// Package s3blob stands in for states in s3://, which this build of Pulumi leaves out.
package s3blob

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

type opener struct{}

func (opener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this pulumi was built for the embedded stack, without AWS: install Pulumi to keep states in s3://")
}

func init() { blob.DefaultURLMux().RegisterBucket("s3", opener{}) }
