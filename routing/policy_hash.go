package routing

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"
)

// IPHashPolicy sends the requests of a client's address to the same source, as
// long as that can take them. Requests without an address are drawn by weight.
type IPHashPolicy struct{}

// CaddyModule returns the Caddy module information.
func (IPHashPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo("ip_hash") }

// Order implements Selector.
func (IPHashPolicy) Order(candidates []*Candidate, r *Request) { orderByKey(candidates, r, r.ClientIP) }

// UnmarshalCaddyfile parses the policy, which has no options.
func (*IPHashPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// HeaderHashPolicy sends requests with the same value of a header to the same
// source, as long as that can take them. Requests without the header are drawn
// by weight.
type HeaderHashPolicy struct {
	// The name of the header. Required; there is no default.
	Header string `json:"header,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (HeaderHashPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo("header_hash") }

// Provision brings the header's name into its usual form.
func (p *HeaderHashPolicy) Provision(caddy.Context) error {
	p.Header = http.CanonicalHeaderKey(p.Header)
	return nil
}

// Validate refuses a name that no header can have.
func (p *HeaderHashPolicy) Validate() error {
	if err := checkHeaderName(p.Header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	return nil
}

// Order implements Selector.
func (p HeaderHashPolicy) Order(candidates []*Candidate, r *Request) {
	orderByKey(candidates, r, first(r.Header, p.Header))
}

// UnmarshalCaddyfile parses the policy:
//
//	policy header_hash <header>
func (p *HeaderHashPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the policy's name
	if !d.NextArg() {
		return d.Errf("policy header_hash needs the name of a header, such as: policy header_hash X-Session-Id")
	}
	p.Header = d.Val()
	if err := checkHeaderName(p.Header); err != nil {
		return d.Errf("policy header_hash: %v", err)
	}
	if d.NextArg() || d.NextBlock(0) {
		return d.Errf("policy header_hash takes one header; %q is one value too many", d.Val())
	}
	return nil
}

// checkHeaderName refuses names that no header can have.
func checkHeaderName(name string) error {
	switch {
	case name == "":
		return errors.New("the name of a header is required")
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("%q is no name of a header", name)
	default:
		return nil
	}
}

// first is the first value of a header whose name is in its usual form.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// orderByKey orders the sources by the hash of the key, or draws them by weight
// if there is no key.
func orderByKey(candidates []*Candidate, r *Request, key string) {
	if key == "" {
		WeightedPolicy{}.Order(candidates, r)
		return
	}
	hash := hashText(key)
	inParts(candidates, func(part []*Candidate) {
		slices.SortStableFunc(part, func(a, b *Candidate) int {
			switch x, y := rendezvous(hash, a), rendezvous(hash, b); {
			case x > y:
				return -1
			case x < y:
				return 1
			default:
				return 0
			}
		})
	})
}

// rendezvous is how much a source wants the requests of a key. The source that
// wants them most has them; when it cannot take them, they go to the next, and
// the keys of all other sources stay where they are. Sources get keys in
// proportion to their weights. It depends on nothing but the key and the
// source's id, so all instances and all restarts agree.
func rendezvous(key uint64, c *Candidate) float64 {
	const unit = 1.0 / (1 << 53)
	u := (float64(mix(key^c.seed)>>11) + 0.5) * unit // in (0,1)
	return -float64(share(c)) / math.Log(u)
}

// hashText is FNV-1a with 64 bits.
func hashText(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads the bits of a number, as in splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Interface guards.
var (
	_ caddy.Provisioner = (*HeaderHashPolicy)(nil)
	_ caddy.Validator   = (*HeaderHashPolicy)(nil)
)
