package routing

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Change is what another snapshot is to have in the place of a snapshot's
// definitions, by name; nil removes a name.
type Change struct {
	Upstreams  map[string]*upstream.Upstream
	Models     map[string]*Model
	Aliases    map[string]*Alias
	Catalogues map[string]*Catalogue
}

// With checks that a change fits and makes the snapshot that has it. Only what the
// change can concern is checked and made anew; the rest is shared. Neither this
// snapshot nor its state changes: see Adopt. An error begins with the path of the
// field it is about.
func (s *Snapshot) With(c Change) (*Snapshot, error) {
	n := &Snapshot{
		state: s.state, circuit: s.circuit,
		upstreams: s.upstreams, catalogues: s.catalogues, exposing: s.exposing,
		models: s.models, aliases: s.aliases,
	}
	if !s.adopted.Load() {
		n.pending = s.pending.clone()
	}
	stale, err := n.takeUpstreams(c)
	if err != nil {
		return nil, err
	}
	if err := n.takeModels(c.Models, stale); err != nil {
		return nil, err
	}
	if err := n.takeAliases(c.Aliases); err != nil {
		return nil, err
	}
	if err := n.checkNames(c.Models); err != nil {
		return nil, err
	}
	n.prepare()
	return n, nil
}

// takeUpstreams connects the changed upstreams. It returns the connections that
// models must not use any more.
func (s *Snapshot) takeUpstreams(c Change) (stale map[*connection]bool, err error) {
	if len(c.Upstreams) == 0 && len(c.Catalogues) == 0 {
		return nil, nil
	}
	s.takeCatalogues(c.Catalogues)
	stale = make(map[*connection]bool)
	upstreams := cloned(s.upstreams, len(c.Upstreams))
	for _, name := range sortedNames(c.Upstreams) {
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("upstreams: name %q %w", name, err)
		}
		s.pending.upstreams = append(s.pending.upstreams, name)
		if old, ok := upstreams[name]; ok {
			stale[old] = true
		}
		if u := c.Upstreams[name]; u != nil {
			upstreams[name] = s.connect(name, u)
			continue
		}
		delete(upstreams, name)
	}
	for name := range c.Catalogues {
		old, ok := upstreams[name]
		if !ok || maps.Equal(old.disabled, s.disabled(name)) {
			continue
		}
		stale[old] = true
		upstreams[name] = s.connect(name, old.upstream)
	}
	s.upstreams = upstreams
	s.expose()
	return stale, nil
}

func (s *Snapshot) takeCatalogues(changed map[string]*Catalogue) {
	if len(changed) == 0 {
		return
	}
	s.catalogues = cloned(s.catalogues, len(changed))
	for name, c := range changed {
		if c == nil {
			delete(s.catalogues, name)
			continue
		}
		s.catalogues[name] = c
	}
}

// connect makes the connection of an upstream.
func (s *Snapshot) connect(name string, u *upstream.Upstream) *connection {
	return &connection{upstream: u, policy: u.Circuit.Inherit(s.circuit), disabled: s.disabled(name)}
}

// disabled are the models of an upstream that a person has switched off.
func (s *Snapshot) disabled(name string) map[string]bool {
	if c := s.catalogues[name]; c != nil {
		return c.Disabled
	}
	return nil
}

// expose finds the upstreams whose models clients may ask for.
func (s *Snapshot) expose() {
	s.exposing = nil
	for _, name := range sortedNames(s.catalogues) {
		c, ok := s.upstreams[name]
		models := s.catalogues[name].Models
		if !ok || len(models) == 0 {
			continue
		}
		if !slices.IsSorted(models) {
			models = slices.Sorted(slices.Values(models))
		}
		s.exposing = append(s.exposing, exposer{name, c, models})
	}
}

// takeModels makes the entries of the changed models, and anew those of the models
// that use a stale connection.
func (s *Snapshot) takeModels(changed map[string]*Model, stale map[*connection]bool) error {
	due := maps.Clone(changed)
	for name, e := range s.models {
		if _, ok := changed[name]; !ok && e.uses(stale) {
			if due == nil {
				due = make(map[string]*Model)
			}
			due[name] = e.Model
		}
	}
	if len(due) == 0 {
		return nil
	}
	old := s.models
	s.models = cloned(old, len(changed))
	for _, name := range sortedNames(due) {
		m := due[name]
		if err := CheckName(name); err != nil {
			return fmt.Errorf("models: name %q %w", name, err)
		}
		s.pending.models = append(s.pending.models, name)
		if m == nil {
			delete(s.models, name)
			continue
		}
		if err := m.check(s.upstreams); err != nil {
			return fmt.Errorf("models.%s%w", name, err)
		}
		var observed *modelState
		if e, ok := old[name]; ok {
			observed = e.observed
		} else {
			observed = s.state.observed(name)
		}
		s.models[name] = s.newEntry(name, m, observed)
	}
	return nil
}

// uses says whether a source of the model has one of the connections.
func (e *Entry) uses(connections map[*connection]bool) bool {
	if len(connections) == 0 {
		return false
	}
	return slices.ContainsFunc(e.through, func(c *connection) bool { return connections[c] })
}

// cloned copies a map that is about to get more entries.
func cloned[V any](m map[string]V, more int) map[string]V {
	own := make(map[string]V, len(m)+more)
	maps.Copy(own, m)
	return own
}

// pending is what a state has not been told yet of a snapshot.
type pending struct {
	all               bool // it is told everything
	upstreams, models []string
}

func (p pending) clone() pending {
	return pending{p.all, slices.Clone(p.upstreams), slices.Clone(p.models)}
}

// Adopt makes the snapshot the one that its state is about, before it is used for
// requests. Upstreams that have become others lose what their circuits found out
// about the old ones; models and sources that are no longer named are forgotten.
// Requests that still use any of these are not disturbed. A snapshot that was never
// adopted leaves no trace. It is called by one goroutine at a time; a second call
// does nothing.
func (s *Snapshot) Adopt() {
	if s.adopted.Swap(true) {
		return
	}
	p := s.pending
	s.pending = pending{}
	if p.all {
		p.upstreams, p.models = sortedNames(s.upstreams), sortedNames(s.models)
		s.state.drop(func(name string) bool { return s.models[name] == nil })
	}
	for _, name := range p.models {
		if e, ok := s.models[name]; ok {
			s.state.keep(e)
			continue
		}
		s.state.forget(name)
	}
	if s.state.Circuits != nil {
		s.adoptCircuits(p)
	}
}

// adoptCircuits tells the circuits which upstreams they are about now, and gives
// them their policies. Those of upstreams and credentials are there from now on;
// those of upstream models, of which there may be very many, from the first request.
func (s *Snapshot) adoptCircuits(p pending) {
	s.state.Circuits.name(s.circuitKeys)
	now := time.Now()
	for _, name := range p.upstreams {
		c, ok := s.upstreams[name]
		if !ok {
			continue
		}
		s.state.Circuits.Identify(now, name, c.upstream.Identity())
		if c.upstream.Unavailable() == "" {
			c.circuit(s.state, CircuitKey{Scope: ScopeUpstream})
			c.keys(s.state)
		}
	}
	for _, name := range p.models {
		e, ok := s.models[name]
		if !ok {
			continue
		}
		for i := range e.Model.Sources {
			key := CircuitKey{Scope: ScopeUpstreamModel, Upstream: e.Model.Sources[i].Upstream, Model: e.Model.Sources[i].Model}
			s.state.Circuits.adjust(key, e.through[i].policy)
		}
	}
}
