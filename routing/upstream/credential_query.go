package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(QueryCredential{}) }

// QueryCredential sends a key as a parameter of the address, with every request to
// the upstream. Prefer a header where the service takes one: addresses stand in the
// logs of servers and proxies on the way, keys in headers do not.
type QueryCredential struct {
	// The name of the parameter, such as `key`. Required; there is no default.
	Name string `json:"name,omitempty"`
	// The value of the parameter, without escapes; global placeholders such as
	// `{env.NAME}` are resolved when the configuration is loaded. Required; there is
	// no default.
	Value string `json:"value,omitempty"`

	secret
	pair string // name and value, escaped
}

// CaddyModule returns the Caddy module information.
func (QueryCredential) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "ai_gateway.credentials.query",
		New: func() caddy.Module { return new(QueryCredential) },
	}
}

// ownParameters are those that the gateway sends itself: for streams and for the
// pages of lists of models.
var ownParameters = []string{"alt", "limit", "after", "after_id", "pageSize", "pageToken"}

// Provision checks the name and resolves the value.
func (c *QueryCredential) Provision(caddy.Context) error {
	if err := checkFieldName(c.Name, ownParameters); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if err := c.resolveText(c.Value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	c.pair = c.parameter(c.text)
	return nil
}

// Apply sets the parameter.
func (c *QueryCredential) Apply(_ context.Context, r *http.Request, _ []byte) error {
	c.put(r, c.pair)
	return nil
}

// Carry sends the key in the place of the value.
func (c *QueryCredential) Carry(r *http.Request, key string) { c.put(r, c.parameter(key)) }

// parameter is the parameter with a value, escaped.
func (c *QueryCredential) parameter(value string) string {
	return escapeQuery(c.Name) + "=" + escapeQuery(value)
}

// put gives the request the parameter, in the place of all of that name. Requests
// share their URL, so a copy of it is changed.
func (c *QueryCredential) put(r *http.Request, pair string) {
	u := *r.URL
	u.RawQuery = pair
	if r.URL.RawQuery != "" {
		others := slices.DeleteFunc(strings.Split(r.URL.RawQuery, "&"), func(other string) bool {
			escaped, _, _ := strings.Cut(other, "=")
			name, err := url.QueryUnescape(escaped)
			return err == nil && name == c.Name
		})
		u.RawQuery = strings.Join(append(others, pair), "&")
	}
	r.URL = &u
}

// escapeQuery escapes a name or a value of a query. A space becomes %20, which all
// servers understand; not all take a plus sign for one.
func escapeQuery(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// UnmarshalCaddyfile reads:
//
//	query <name> <value>
func (c *QueryCredential) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshalPair(d, "query", &c.Name, &c.Value)
}

// maxFieldName is the length of the longest name of a parameter or field, in bytes.
const maxFieldName = 128

// checkFieldName refuses what is no name of a parameter or field, or one of those
// that requests have themselves.
func checkFieldName(name string, own []string) error {
	switch {
	case name == "":
		return errors.New("required")
	case len(name) > maxFieldName:
		return fmt.Errorf("is longer than %d bytes", maxFieldName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("holds a control character, or is not UTF-8")
	case strings.ContainsAny(name, "{}"):
		return errors.New("must not hold braces; placeholders are for the value")
	case slices.Contains(own, name):
		return fmt.Errorf("%s is a part of requests themselves, which a credential must not replace", name)
	default:
		return nil
	}
}

// Interface guards
var (
	_ Credential            = (*QueryCredential)(nil)
	_ caddy.Provisioner     = (*QueryCredential)(nil)
	_ caddyfile.Unmarshaler = (*QueryCredential)(nil)
	_ missingTeller         = (*QueryCredential)(nil)
	_ secretTeller          = (*QueryCredential)(nil)
	_ secretFielder         = (*QueryCredential)(nil)
	_ keyCarrier            = (*QueryCredential)(nil)
)
