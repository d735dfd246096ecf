package routing

import "sync"

// Lookup finds what a name stands for. The first of these that knows the name
// decides:
//
//  1. a model of this name
//  2. an alias of this name
//  3. an alias that announces it
//  4. @<upstream>/<upstream model>, where the upstream exists: one upstream model, if
//     clients may know of it
//  5. an alias whose pattern it matches, the one with the most literal characters
//     first, and then by name
//  6. the upstreams that expose a model of this name, all alike
//
// Who may ask for it is not looked at: see Names. What is not enabled is not found.
func (s *Snapshot) Lookup(name string) (*Entry, bool) {
	if e, ok := s.models[name]; ok {
		return e, e.known()
	}
	if e, ok := s.resolved.get(name); ok {
		return e, true
	}
	e := s.resolve(name)
	if e == nil || !e.known() {
		return nil, false
	}
	return s.resolved.put(name, e), true
}

// Defines says whether a model or an alias in use has exactly this name.
func (s *Snapshot) Defines(name string) bool {
	if _, ok := s.models[name]; ok {
		return true
	}
	_, ok := s.aliases.exact[name]
	return ok
}

// resolve finds what a name stands for that is no model's; nil if that is nothing.
func (s *Snapshot) resolve(name string) *Entry {
	if a, ok := s.aliases.named(name); ok {
		return s.target(a)
	}
	if upstream, model, ok := PinnedName(name); ok && s.upstreams[upstream] != nil {
		if source, ok := s.pinned(pin{upstream, model}); ok {
			return s.passing(name, source)
		}
		return s.exposed(name) // no pattern takes the place of an upstream that was named
	}
	if a, ok := s.aliases.matching(name); ok {
		return s.target(a)
	}
	return s.exposed(name)
}

// target is what an alias stands for.
func (s *Snapshot) target(a *alias) *Entry {
	if e, ok := s.models[a.Model]; ok {
		return e
	}
	upstream, model, _ := PinnedName(a.Model) // checked with the alias
	return s.passing(a.Model, Source{Upstream: upstream, Model: model})
}

// pin is an upstream model.
type pin struct{ upstream, model string }

// pinned is the source for an upstream model that a client has named together with
// its upstream. Clients may know of it if the upstream exposes it, or if it serves
// a model that they can ask for.
func (s *Snapshot) pinned(p pin) (Source, bool) {
	if source, ok := s.sourced()[p]; ok {
		return Source{Upstream: p.upstream, Model: p.model, Format: source.Format, ForceStream: source.ForceStream}, true
	}
	for i := range s.exposing {
		if s.exposing[i].name == p.upstream && s.exposing[i].has(p.model) {
			return Source{Upstream: p.upstream, Model: p.model}, true
		}
	}
	return Source{}, false
}

// listSourced collects the upstream models that serve public models.
func (s *Snapshot) listSourced() map[pin]*Source {
	all := make(map[pin]*Source)
	for _, name := range sortedNames(s.models) {
		e := s.models[name]
		if !e.known() || e.internal() {
			continue
		}
		for i := range e.Model.Sources {
			source := &e.Model.Sources[i]
			p := pin{source.Upstream, source.Model}
			if _, ok := all[p]; !ok && !source.Disabled {
				all[p] = source
			}
		}
	}
	return all
}

// exposed is the entry for a model of catalogues; nil if no upstream exposes it.
func (s *Snapshot) exposed(name string) *Entry {
	var sources []Source
	for i := range s.exposing {
		if s.exposing[i].has(name) {
			sources = append(sources, Source{Upstream: s.exposing[i].name, Model: name})
		}
	}
	if len(sources) == 0 {
		return nil
	}
	return s.passing(name, sources...)
}

// passing makes an entry for upstream models that no model has.
func (s *Snapshot) passing(name string, sources ...Source) *Entry {
	return s.newEntry(name, &Model{Sources: sources}, s.state.passing(name))
}

// maxResolved bounds how many names a snapshot remembers: clients choose them.
const maxResolved = 4096

// resolved remembers what names stand for that are no models'. The zero value is
// empty. It is safe for concurrent use.
type resolved struct {
	mu      sync.RWMutex
	entries map[string]*Entry
}

func (r *resolved) get(name string) (*Entry, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, ok := r.entries[name]
	return e, ok
}

// put remembers an entry, unless somebody was quicker, and returns the one that is
// remembered. When there are too many, any other is forgotten.
func (r *resolved) put(name string, e *Entry) *Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, ok := r.entries[name]; ok {
		return first
	}
	if r.entries == nil {
		r.entries = make(map[string]*Entry)
	}
	if len(r.entries) >= maxResolved {
		dropAny(r.entries)
	}
	r.entries[name] = e
	return e
}
