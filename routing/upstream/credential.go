package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"
)

func init() {
	caddy.RegisterModule(BearerCredential{})
	caddy.RegisterModule(HeaderCredential{})
}

// Credential authorises requests. Modules of the namespace
// ai_gateway.credentials implement it.
//
// Apply is called once for each attempt, when everything else of the request is
// in place, concurrently for different requests. It may set headers and put
// another URL in the place of the request's; it must not change what is there, for
// that is shared. The body is what a signature covers; it is nil for now. An error
// must not hold the secret.
//
// A credential that stands in the body has besides a method Member() (name, value
// string), which tells the string that is put into the body's JSON object; Apply is
// called for it all the same.
type Credential interface {
	Apply(ctx context.Context, r *http.Request, body []byte) error
}

// A Credential may also tell that it is not configured, and what it keeps secret.
type (
	missingTeller interface {
		// Missing is the placeholder that came out empty, as it was written; "" if
		// the credential is configured.
		Missing() string
	}
	secretTeller interface {
		// Secrets lists the texts that must never be shown to anybody.
		Secrets() []string
	}
)

// checkSecretTypes refuses secrets that are no strings before the decoder does:
// its message would repeat them.
func checkSecretTypes(raw json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return errors.New(": must be an object")
	}
	for _, name := range []string{"type", "token", "name", "value"} {
		if value, ok := fields[name]; ok && (len(value) == 0 || value[0] != '"') {
			return fmt.Errorf(".%s: must be a string", name)
		}
	}
	return nil
}

// BearerCredential sends a token as `Authorization: Bearer`.
type BearerCredential struct {
	// The token; global placeholders such as `{env.NAME}` are resolved when the
	// configuration is loaded. Required; there is no default.
	Token string `json:"token,omitempty"`

	secret
	value []string
}

// CaddyModule returns the Caddy module information.
func (BearerCredential) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "ai_gateway.credentials.bearer",
		New: func() caddy.Module { return new(BearerCredential) },
	}
}

// Provision resolves the token.
func (c *BearerCredential) Provision(caddy.Context) error {
	if err := c.resolve(c.Token); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	c.value = []string{"Bearer " + c.text}
	return nil
}

// Apply sets the Authorization header.
func (c *BearerCredential) Apply(_ context.Context, r *http.Request, _ []byte) error {
	r.Header["Authorization"] = c.value
	return nil
}

// UnmarshalCaddyfile reads:
//
//	bearer <token>
func (c *BearerCredential) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the credential's type
	if n := d.CountRemainingArgs(); n != 1 {
		// Not ArgErr, which repeats the last argument.
		return d.Errf("bearer takes one token, but has %d arguments", n)
	}
	d.AllArgs(&c.Token)
	return noBlock(d, "bearer")
}

// HeaderCredential sends a key in a header of its own.
type HeaderCredential struct {
	// The name of the header, such as `x-api-key`. Required; there is no default.
	Name string `json:"name,omitempty"`
	// The value of the header; global placeholders such as `{env.NAME}` are
	// resolved when the configuration is loaded. Required; there is no default.
	Value string `json:"value,omitempty"`

	secret
	name  string
	value []string
}

// CaddyModule returns the Caddy module information.
func (HeaderCredential) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "ai_gateway.credentials.header",
		New: func() caddy.Module { return new(HeaderCredential) },
	}
}

// Provision checks the name and resolves the value.
func (c *HeaderCredential) Provision(caddy.Context) error {
	if !httpguts.ValidHeaderFieldName(c.Name) {
		return errors.New("name: must be the name of a header")
	}
	c.name = textproto.CanonicalMIMEHeaderKey(c.Name)
	if reason := refusal(c.name, true); reason != "" {
		return fmt.Errorf("name: %s cannot be set: %s", c.Name, reason)
	}
	if err := c.resolve(c.Value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	c.value = []string{c.text}
	return nil
}

// Apply sets the header.
func (c *HeaderCredential) Apply(_ context.Context, r *http.Request, _ []byte) error {
	r.Header[c.name] = c.value
	return nil
}

// UnmarshalCaddyfile reads:
//
//	header <name> <value>
func (c *HeaderCredential) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshalPair(d, "header", &c.Name, &c.Value)
}

// unmarshalPair reads a credential of a kind that has a name and a value.
func unmarshalPair(d *caddyfile.Dispenser, kind string, name, value *string) error {
	d.Next() // the credential's type
	if n := d.CountRemainingArgs(); n != 2 {
		return d.Errf("%s takes a name and a value, but has %d arguments", kind, n)
	}
	d.AllArgs(name, value)
	return noBlock(d, kind)
}

// noBlock refuses a block. What it holds is not repeated: it may be a secret.
func noBlock(d *caddyfile.Dispenser, name string) error {
	if d.NextBlock(0) {
		return d.Errf("%s takes no block", name)
	}
	return nil
}

// secret is a configured text that is not to be shown.
type secret struct {
	text    string
	missing string
}

// resolve replaces the placeholders in raw and checks that what comes out can stand
// in a header.
func (s *secret) resolve(raw string) error {
	if err := s.resolveText(raw); err != nil {
		return err
	}
	if !httpguts.ValidHeaderFieldValue(s.text) {
		return errors.New("holds a line break or another forbidden character")
	}
	return nil
}

// resolveText replaces the placeholders in raw. What comes out is any text.
func (s *secret) resolveText(raw string) error {
	value, err := resolve(caddy.NewReplacer(), raw)
	switch {
	case err != nil:
		return err
	case value.text == "" && !value.dynamic:
		return errors.New("required")
	}
	s.text = value.text
	if s.text == "" {
		s.missing = value.missing
	}
	return nil
}

// Missing is the placeholder that came out empty; "" if none did.
func (s *secret) Missing() string { return s.missing }

// Secrets lists the text.
func (s *secret) Secrets() []string { return []string{s.text} }

// Interface guards
var (
	_ Credential            = (*BearerCredential)(nil)
	_ caddy.Provisioner     = (*BearerCredential)(nil)
	_ caddyfile.Unmarshaler = (*BearerCredential)(nil)
	_ missingTeller         = (*BearerCredential)(nil)
	_ secretTeller          = (*BearerCredential)(nil)
	_ Credential            = (*HeaderCredential)(nil)
	_ caddy.Provisioner     = (*HeaderCredential)(nil)
	_ caddyfile.Unmarshaler = (*HeaderCredential)(nil)
	_ missingTeller         = (*HeaderCredential)(nil)
	_ secretTeller          = (*HeaderCredential)(nil)
)
