// Package azureblob stands in for states in azblob://, which this build of Pulumi leaves out.
package azureblob

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

// Scheme of the URLs.
const Scheme = "azblob"

// ServiceURLOptions is empty.
type ServiceURLOptions struct{}

// NewDefaultServiceURLOptions has nothing to choose.
func NewDefaultServiceURLOptions() *ServiceURLOptions { return &ServiceURLOptions{} }

// NewDefaultClient is not called.
func NewDefaultClient() {}

// URLOpener opens no bucket.
type URLOpener struct {
	MakeClient        func()
	ServiceURLOptions ServiceURLOptions
}

// OpenBucketURL says that the driver is left out.
func (*URLOpener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this pulumi was built for the embedded stack, without Azure: install Pulumi to keep states in azblob://")
}

func init() { blob.DefaultURLMux().RegisterBucket(Scheme, &URLOpener{}) }
