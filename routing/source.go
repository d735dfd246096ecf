package routing

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Source is one way to serve a model.
type Source struct {
	// The name of the upstream. Required; there is no default.
	Upstream string `json:"upstream"`
	// The model's name at the upstream. Required; there is no default.
	Model string `json:"model"`
	// The format to speak to the upstream. Default: the client's own if the
	// upstream speaks it, otherwise the first of the upstream.
	Format format.ID `json:"format,omitempty"`
	// Sources with a lower number are tried first. Default: 1.
	Priority int `json:"priority,omitempty"`
	// The share of the requests inside one priority, 0 to 1000. A source with
	// weight 0 is used only when nothing else of its priority is left. Default: 1.
	Weight *int `json:"weight,omitempty"`
	// How many tokens the upstream model takes, where that is not what the model's
	// `capability` or the built-in table says, such as on a server of one's own. A
	// request that is too long for one source is sent to another only if both windows
	// are known and the other's is larger. Default: that of the model's capability, else
	// of the built-in table; not known if neither says it.
	ContextWindow int `json:"context_window,omitempty"`
	// Asks the upstream for a stream even if the client wants none, and gathers it:
	// for upstreams that serve nothing else. Default: false.
	ForceStream bool `json:"force_stream,omitempty"`
	// Headers sent with every request to this source, in the place of the upstream's
	// of the same name. They are sent as they are written, without placeholders;
	// headers that belong to the connection, to the gateway or to the credential are
	// refused. Default: none.
	Headers http.Header `json:"headers,omitempty"`
	// Takes the source out of use. Default: false.
	Disabled bool `json:"disabled,omitempty"`

	sent http.Header // Headers in canonical form; set in snapshots
}

// Header is what is sent besides the upstream's own headers. It is there for the
// sources of snapshots, and must not be changed.
func (s *Source) Header() http.Header { return s.sent }

// ID identifies the source within its model:
// <upstream>:<upstream model>[:<format>].
func (s *Source) ID() string {
	id := s.Upstream + ":" + s.Model
	if s.Format != "" {
		id += ":" + string(s.Format)
	}
	return id
}

// priority is the effective priority.
func (s *Source) priority() int {
	if s.Priority == 0 {
		return 1
	}
	return s.Priority
}

// weight is the effective weight.
func (s *Source) weight() int {
	if s.Weight == nil {
		return 1
	}
	return *s.Weight
}

// check refuses a source that can never serve. Errors start with the field's
// path below the source.
func (s *Source) check(upstreams map[string]*connection) error {
	if s.Upstream == "" {
		return fmt.Errorf(".upstream: required; known: %s", known(upstreams))
	}
	c, ok := upstreams[s.Upstream]
	if !ok {
		return fmt.Errorf(".upstream: unknown upstream %q; known: %s", s.Upstream, known(upstreams))
	}
	u := c.upstream
	if err := CheckName(s.Model); err != nil {
		return fmt.Errorf(".model: %w", err)
	}
	if s.Format != "" && !u.Speaks(s.Format) {
		return fmt.Errorf(".format: upstream %s does not speak %q; it speaks %s", s.Upstream, s.Format, joined(u.Spoken()))
	}
	if s.Priority < 0 {
		return errors.New(".priority: must not be negative")
	}
	if w := s.weight(); w < 0 || w > maxWeight {
		return fmt.Errorf(".weight: must be between 0 and %d", maxWeight)
	}
	if s.ContextWindow < 0 || s.ContextWindow > MaxContextWindow {
		return fmt.Errorf(".context_window: must be a number of tokens up to %d", MaxContextWindow)
	}
	if _, err := upstream.PlainHeaders("headers", s.Headers); err != nil {
		return fmt.Errorf(".%w", err)
	}
	return nil
}
