package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

func init() { caddy.RegisterModule(BodyCredential{}) }

// ErrNoPlace is in the error of a call whose credential belongs into the body, where
// the body has no place for it. The configuration is at fault: such requests need an
// upstream with another credential.
var ErrNoPlace = errors.New("the credential has no place in the request")

// memberTeller is a credential that stands in the body.
type memberTeller interface {
	// Member is the name and the value of the member of the body's JSON object.
	Member() (name, value string)
}

// BodyCredential sends a key as a string in the JSON object that is the body of a
// request, in the place of what a client may have put there. Requests without a body,
// such as those for the list of models, go without; those whose body is no JSON
// object, such as forms, cannot be sent.
type BodyCredential struct {
	// The name of the field, such as `api_key`. Required; there is no default.
	Name string `json:"name,omitempty"`
	// The value of the field, without escapes; global placeholders such as
	// `{env.NAME}` are resolved when the configuration is loaded. Required; there is
	// no default.
	Value string `json:"value,omitempty"`

	secret
}

// CaddyModule returns the Caddy module information.
func (BodyCredential) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "ai_gateway.credentials.body",
		New: func() caddy.Module { return new(BodyCredential) },
	}
}

// ownFields are those that say what is asked, and of which model.
var ownFields = []string{"model", "messages", "input", "contents", "prompt", "stream", "query", "documents"}

// Provision checks the name and resolves the value.
func (c *BodyCredential) Provision(caddy.Context) error {
	if err := checkFieldName(c.Name, ownFields); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if err := c.resolveText(c.Value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if !utf8.ValidString(c.text) {
		return errors.New("value: is not UTF-8, as all JSON must be")
	}
	return nil
}

// Apply does nothing: the field is there when it is called.
func (*BodyCredential) Apply(context.Context, *http.Request, []byte) error { return nil }

// Carry does nothing, as Apply.
func (*BodyCredential) Carry(*http.Request, string) {}

// Member is the name and the value of the field.
func (c *BodyCredential) Member() (name, value string) { return c.Name, c.text }

// UnmarshalCaddyfile reads:
//
//	body <name> <value>
func (c *BodyCredential) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshalPair(d, "body", &c.Name, &c.Value)
}

// body is the body of a call, with its credential if that is where it stands.
func (u *Upstream) body(call *Call) (*format.Body, error) {
	if !u.keyInBody {
		return call.Body, nil
	}
	name, value, err := u.member(call)
	if err != nil || name == "" {
		return call.Body, err
	}
	body, err := call.Body.WithMember(name, value)
	if err != nil {
		return nil, fmt.Errorf("%w: upstream %q wants it in the field %q of a JSON object, but %w", ErrNoPlace, u.name, name, err)
	}
	return body, nil
}

// member is what a call's credential, or the client's own key in its place, adds to
// the body; the name is "" for one that stands elsewhere.
func (u *Upstream) member(call *Call) (name, value string, err error) {
	if call.Override != "" {
		if t, ok := u.carrier(call.Format).(memberTeller); ok {
			name, _ = t.Member()
		}
		return name, call.Override, nil
	}
	credential, err := u.credential(call.Credential)
	if err != nil {
		return "", "", err
	}
	if t, ok := credential.(memberTeller); ok {
		name, value = t.Member()
	}
	return name, value, nil
}

// Interface guards
var (
	_ Credential            = (*BodyCredential)(nil)
	_ caddy.Provisioner     = (*BodyCredential)(nil)
	_ caddyfile.Unmarshaler = (*BodyCredential)(nil)
	_ missingTeller         = (*BodyCredential)(nil)
	_ secretTeller          = (*BodyCredential)(nil)
	_ secretFielder         = (*BodyCredential)(nil)
	_ keyCarrier            = (*BodyCredential)(nil)
	_ memberTeller          = (*BodyCredential)(nil)
)
