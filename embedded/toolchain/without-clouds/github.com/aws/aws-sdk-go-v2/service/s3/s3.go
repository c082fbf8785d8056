// Package s3 stands in for AWS' client, of which the engine names one type.
package s3

// CopyObjectInput is what a driver for s3:// would hand to the engine.
type CopyObjectInput struct{ CopySource *string }
