package routing

import (
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Model is what clients ask for by name.
type Model struct {
	// The name shown to people. Default: the model's name.
	DisplayName string `json:"display_name,omitempty"`
	// Who made the model, as shown to clients. Default: none.
	Vendor string `json:"vendor,omitempty"`
	// Takes the model out of use: clients see it as unknown. Default: false.
	Disabled bool `json:"disabled,omitempty"`
	// The ways to serve the model; at least one. Default: none.
	Sources []Source `json:"sources,omitempty"`
}

// maxName is the longest name in bytes.
const maxName = 256

// maxWeight is the largest weight.
const maxWeight = 1000

// checkName refuses names that cannot be used in logs, headers and requests.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("must not be empty")
	case len(name) > maxName:
		return fmt.Errorf("must not be longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return errors.New("is not UTF-8")
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return errors.New("must not hold control characters")
		}
	}
	return nil
}

// check refuses a model that cannot be served. Errors start with the field's
// path below the model.
func (m *Model) check(upstreams map[string]*upstream.Upstream) error {
	if len(m.Sources) == 0 {
		return errors.New(".sources: a model needs at least one source")
	}
	for i := range m.Sources {
		if err := m.Sources[i].check(upstreams); err != nil {
			return fmt.Errorf(".sources[%d]%w", i, err)
		}
		same := func(s Source) bool { return s.ID() == m.Sources[i].ID() }
		if first := slices.IndexFunc(m.Sources, same); first != i {
			return fmt.Errorf(".sources[%d]: source %s stands twice, first as sources[%d]", i, m.Sources[i].ID(), first)
		}
	}
	return nil
}

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
	// Takes the source out of use. Default: false.
	Disabled bool `json:"disabled,omitempty"`
}

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
func (s *Source) check(upstreams map[string]*upstream.Upstream) error {
	if s.Upstream == "" {
		return fmt.Errorf(".upstream: required; known: %s", known(upstreams))
	}
	u, ok := upstreams[s.Upstream]
	if !ok {
		return fmt.Errorf(".upstream: unknown upstream %q; known: %s", s.Upstream, known(upstreams))
	}
	if err := checkName(s.Model); err != nil {
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
	return nil
}
