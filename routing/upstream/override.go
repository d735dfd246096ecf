package upstream

import (
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// ErrOverride is in the error of a call with a credential of the client's that
// cannot be sent.
var ErrOverride = errors.New("the client's credential cannot be used")

// keyCarrier is a credential that can send another key in the place of its own.
type keyCarrier interface {
	Carry(r *http.Request, key string)
}

// AllowsOverride says whether a client's own credential may take the place of
// the upstream's: see Call.Override.
func (u *Upstream) AllowsOverride() bool { return u.AllowOverride }

// checkOverride refuses allow_override where no key could be replaced.
func (u *Upstream) checkOverride() error {
	if !u.AllowOverride || len(u.pool) == 0 {
		return nil
	}
	if _, ok := u.pool[0].credential.(keyCarrier); !ok {
		return errors.New("allow_override: the first credential is of a type that sends no key, so that a client's cannot take its place")
	}
	return nil
}

// override sends the client's key where the upstream's own would stand.
func (u *Upstream) override(r *http.Request, call *Call) error {
	switch {
	case !u.AllowOverride:
		return fmt.Errorf("%w: upstream %q does not allow it", ErrOverride, u.name)
	case !httpguts.ValidHeaderFieldValue(call.Override):
		return fmt.Errorf("%w: it holds a forbidden character", ErrOverride)
	}
	u.carrier(call.Format).Carry(r, call.Override)
	return nil
}

// carrier is where a key stands: where that of the first credential does, or
// without one where the provider, or else the format, has it.
func (u *Upstream) carrier(f format.ID) keyCarrier {
	if len(u.pool) > 0 {
		if c, ok := u.pool[0].credential.(keyCarrier); ok {
			return c
		}
	}
	switch {
	case u.keyHeader != "":
		return &HeaderCredential{name: u.keyHeader}
	case u.hasProvider:
		return new(BearerCredential)
	}
	if header := keyHeaderOf(f); header != "" {
		return &HeaderCredential{name: header}
	}
	return new(BearerCredential)
}

// keyHeaderOf is the header in which a format has the key; "" for a bearer token.
func keyHeaderOf(f format.ID) string {
	switch f {
	case format.AnthropicMessages:
		return "X-Api-Key"
	case format.Gemini, format.GeminiEmbeddings:
		return "X-Goog-Api-Key"
	default:
		return ""
	}
}

// Carry sends the key in the place of the token.
func (*BearerCredential) Carry(r *http.Request, key string) {
	r.Header["Authorization"] = []string{"Bearer " + key}
}

// Carry sends the key in the place of the value.
func (c *HeaderCredential) Carry(r *http.Request, key string) {
	if c.name == "Authorization" {
		key = "Bearer " + key
	}
	r.Header[c.name] = []string{key}
}

// Interface guards
var (
	_ keyCarrier = (*BearerCredential)(nil)
	_ keyCarrier = (*HeaderCredential)(nil)
)
