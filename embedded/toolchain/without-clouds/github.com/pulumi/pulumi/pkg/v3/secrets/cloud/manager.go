// Package cloud stands in for secrets that a key of a cloud protects, which this build of Pulumi leaves out.
package cloud

import (
	"encoding/json"
	"errors"

	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// Type is what a stack's state calls such a provider of secrets.
const Type = "cloud"

var errLeftOut = errors.New("this pulumi was built for the embedded stack, without keys of clouds: install Pulumi to use them")

// NewCloudSecretsManager knows no key.
func NewCloudSecretsManager(*workspace.ProjectStack, string, bool) (secrets.Manager, error) {
	return nil, errLeftOut
}

// NewCloudSecretsManagerFromState knows no key.
func NewCloudSecretsManagerFromState(json.RawMessage) (secrets.Manager, error) {
	return nil, errLeftOut
}

// EditProjectStack knows no key.
func EditProjectStack(*workspace.ProjectStack, json.RawMessage) error {
	return errLeftOut
}
