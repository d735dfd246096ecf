package upstream

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
)

// secretFielder is a credential that tells which of its fields hold secrets.
type secretFielder interface {
	// SecretFields lists the names of these fields in JSON.
	SecretFields() []string
}

// SecretFields lists the fields of a credential of a kind that hold secrets. Of a
// kind that is not known, or does not tell, these are all that are present but the
// type, the id and the weight.
func SecretFields(kind string, present []string) []string {
	if info, err := caddy.GetModule("ai_gateway.credentials." + kind); err == nil {
		if t, ok := info.New().(secretFielder); ok {
			return t.SecretFields()
		}
	}
	return slices.DeleteFunc(slices.Clone(present), func(name string) bool {
		return name == "type" || name == "id" || name == "weight"
	})
}

// SecretFields implements secretFielder.
func (*BearerCredential) SecretFields() []string { return []string{"token"} }

// SecretFields implements secretFielder.
func (*HeaderCredential) SecretFields() []string { return []string{"value"} }

// SecretFields implements secretFielder.
func (*QueryCredential) SecretFields() []string { return []string{"value"} }

// SecretFields implements secretFielder.
func (*BodyCredential) SecretFields() []string { return []string{"value"} }
