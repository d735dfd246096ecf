package routing

import (
	"slices"
	"sync"
	"time"
)

// unnamedAtMost is how long a circuit is kept that no snapshot names: for so long a
// definition may be away, as by mistake, and find its circuits as it left them.
const unnamedAtMost = 24 * time.Hour

// name tells which circuits the newest snapshot names. The function is asked when
// that matters first, because there may be very many.
func (s *Circuits) name(keys func() map[CircuitKey]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named = sync.OnceValue(keys)
}

// Prune drops circuits that no snapshot has named for 24 hours, in memory and in
// the store. What a person opened stays, as long as it is open: it would bar an
// upstream of that name again. It is called now and then; until the first snapshot
// it does nothing. Requests that still use such a circuit are not disturbed.
func (s *Circuits) Prune(now time.Time) error {
	s.mu.Lock()
	if s.named == nil {
		s.mu.Unlock()
		return nil
	}
	named := s.named()
	var gone []CircuitKey
	for key, c := range s.circuits {
		if named[key] || c.holds(now) {
			delete(s.unnamed, key)
			continue
		}
		since, known := s.unnamed[key]
		switch {
		case !known:
			s.unnamed[key] = now
		case now.Sub(since) >= unnamedAtMost:
			s.dropLocked(key, c)
			gone = append(gone, key)
		}
	}
	writer := s.writer
	s.mu.Unlock()
	if writer == nil || len(gone) == 0 {
		return nil
	}
	slices.SortFunc(gone, compareKeys)
	return writer.Delete(gone)
}

// dropLocked takes a circuit out of memory, with what is known of an upstream that
// has no other.
func (s *Circuits) dropLocked(key CircuitKey, c *Circuit) {
	delete(s.circuits, key)
	delete(s.unnamed, key)
	if key.Scope == ScopeUpstreamModel {
		s.models[key.Upstream] = slices.DeleteFunc(s.models[key.Upstream], func(m *Circuit) bool { return m == c })
	}
	for other := range s.circuits {
		if other.Upstream == key.Upstream {
			return
		}
	}
	delete(s.models, key.Upstream)
	if !s.namedLocked(key.Upstream) {
		delete(s.identities, key.Upstream)
	}
}

// namedLocked says whether the newest snapshot names an upstream.
func (s *Circuits) namedLocked(upstream string) bool {
	return s.named != nil && s.named()[CircuitKey{Scope: ScopeUpstream, Upstream: upstream}]
}

// holds says that a person holds the circuit open.
func (c *Circuit) holds(now time.Time) bool {
	return c.phase().state() == CircuitForcedOpen && c.until.Load() > c.moment(now)
}

// circuitKeys are the keys of all circuits that a snapshot can use: whatever is
// disabled or not configured at the moment keeps its own.
func (s *Snapshot) circuitKeys() map[CircuitKey]bool {
	keys := make(map[CircuitKey]bool)
	for name, c := range s.upstreams {
		keys[CircuitKey{Scope: ScopeUpstream, Upstream: name}] = true
		keys[CircuitKey{Scope: ScopeCredential, Upstream: name, Credential: noKey}] = true
		for _, ref := range c.upstream.Credentials() {
			keys[CircuitKey{Scope: ScopeCredential, Upstream: name, Credential: ref.ID}] = true
		}
	}
	for _, e := range s.models {
		for i := range e.Model.Sources {
			source := &e.Model.Sources[i]
			keys[CircuitKey{Scope: ScopeUpstreamModel, Upstream: source.Upstream, Model: source.Model}] = true
		}
	}
	for name, c := range s.catalogues {
		for _, model := range c.Models { // clients can ask for these by their own names
			keys[CircuitKey{Scope: ScopeUpstreamModel, Upstream: name, Model: model}] = true
		}
	}
	return keys
}
