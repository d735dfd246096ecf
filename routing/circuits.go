package routing

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Circuits holds all circuits of the process. It lives across reloads: a reload
// neither resets a circuit nor forgets what it counted. It is made with
// NewCircuits and safe for concurrent use.
type Circuits struct {
	// Random returns a number in [0,1) by which open times are spread. It must be
	// safe for concurrent use and is set before the first circuit is made. Default:
	// that of math/rand/v2.
	Random func() float64

	origin time.Time

	mu         sync.RWMutex
	circuits   map[CircuitKey]*Circuit
	models     map[string][]*Circuit      // the circuits of an upstream's models
	identities map[string]string          // of the upstreams
	unnamed    map[CircuitKey]time.Time   // since when no snapshot names them, see Prune
	named      func() map[CircuitKey]bool // by the newest snapshot; nil before the first
	listeners  []func(CircuitRecord)
	writer     *CircuitWriter
}

// NewCircuits returns a registry without circuits.
func NewCircuits() *Circuits {
	return &Circuits{
		origin:     time.Now(),
		circuits:   map[CircuitKey]*Circuit{},
		models:     map[string][]*Circuit{},
		identities: map[string]string{},
		unnamed:    map[CircuitKey]time.Time{},
	}
}

// OnChange adds a function that is told of every transition of every circuit, with
// the record of the state that was entered. It is called by whoever made the
// transition, mostly a request, so it must be quick and must not call back; two
// transitions of one circuit may arrive in the wrong order, and their generations
// tell. It is called before the first circuit is made.
func (s *Circuits) OnChange(listener func(CircuitRecord)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, listener)
}

// Persist has the writer keep every transition, and every manual action before it
// returns. It begins with the circuits that have changed until now. Records of an
// earlier process are loaded first; see Load.
func (s *Circuits) Persist(now time.Time, w *CircuitWriter) {
	s.mu.Lock()
	s.writer = w
	s.mu.Unlock()
	for _, c := range s.of("") {
		c.mu.Lock()
		r := c.record(now)
		c.mu.Unlock()
		if r.Generation > 1 || !r.ThrottledUntil.IsZero() {
			w.Changed(r)
		}
	}
}

// Get returns the circuit of a key, which is made if it is not known. A policy
// replaces the one it had; nil leaves that, and stands for the defaults in a new
// circuit. Snapshots should keep what they got rather than ask for each request.
func (s *Circuits) Get(key CircuitKey, policy *upstream.CircuitPolicy) *Circuit {
	s.mu.RLock()
	c, ok := s.circuits[key]
	s.mu.RUnlock()
	if !ok {
		s.mu.Lock()
		c = s.getLocked(key, policy)
		s.mu.Unlock()
	}
	c.setPolicy(policy)
	return c
}

// adjust gives a circuit that is known another policy, as Get does.
func (s *Circuits) adjust(key CircuitKey, policy *upstream.CircuitPolicy) {
	s.mu.RLock()
	c, ok := s.circuits[key]
	s.mu.RUnlock()
	if ok {
		c.setPolicy(policy)
	}
}

func (s *Circuits) getLocked(key CircuitKey, policy *upstream.CircuitPolicy) *Circuit {
	if c, ok := s.circuits[key]; ok {
		return c
	}
	c := s.newCircuit(key, policy)
	s.circuits[key] = c
	if key.Scope == ScopeUpstreamModel {
		s.models[key.Upstream] = append(s.models[key.Upstream], c)
	}
	return c
}

func (s *Circuits) newCircuit(key CircuitKey, policy *upstream.CircuitPolicy) *Circuit {
	c := &Circuit{key: key, origin: s.origin, random: s.Random, identity: s.identities[key.Upstream]}
	if c.random == nil {
		c.random = rand.Float64
	}
	c.changed = func(now time.Time, r CircuitRecord) { s.changed(now, c, r) }
	c.marked = s.marked
	c.limits.Store(newLimits(policy))
	c.history.keep(keptEvents)
	c.failures.keep(keptFailures)
	c.word.Store(uint64(newPhase(1, CircuitClosed, false)))
	return c
}

// changed tells of a transition.
func (s *Circuits) changed(now time.Time, c *Circuit, r CircuitRecord) {
	s.mu.RLock()
	listeners, writer := s.listeners, s.writer
	s.mu.RUnlock()
	if writer != nil {
		writer.Changed(r)
	}
	for _, listener := range listeners {
		listener(r)
	}
	if r.Key.Scope == ScopeUpstreamModel && r.State == CircuitOpen {
		s.escalate(now, r)
	}
}

// marked tells the writer of a circuit that is throttled. It is no transition, so
// that nobody else is told.
func (s *Circuits) marked(r CircuitRecord) {
	s.mu.RLock()
	writer := s.writer
	s.mu.RUnlock()
	if writer != nil {
		writer.Changed(r)
	}
}

// escalate opens the circuit of an upstream when two or more of its models had
// traffic and at least half of those are open. A model that the upstream does not
// know says nothing about the others, and neither does what a person opened.
func (s *Circuits) escalate(now time.Time, r CircuitRecord) {
	if r.Class == ClassMissing {
		return
	}
	s.mu.RLock()
	models := slices.Clone(s.models[r.Key.Upstream])
	s.mu.RUnlock()
	var busy, open int
	for _, c := range models {
		tried, broken := c.weigh(now)
		busy += tried
		open += broken
	}
	if busy < 2 || 2*open < busy {
		return
	}
	c := s.Get(CircuitKey{Scope: ScopeUpstream, Upstream: r.Key.Upstream}, nil)
	c.escalate(now, Outcome{Class: r.Class, Status: r.Status})
}

// weigh says whether the circuit counts for an escalation, 0 or 1: as one that had
// traffic in the window, and as one of those that is open.
func (c *Circuit) weigh(now time.Time) (busy, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	attempts, _, _ := c.window.counts(c.moment(now) / c.limits.Load().width)
	state := c.phase().state()
	if attempts == 0 || state == CircuitForcedOpen {
		return 0, 0
	}
	if state == CircuitOpen && c.opened.Class != ClassMissing {
		return 1, 1
	}
	return 1, 0
}

// Identify tells what an upstream is now, in any words that differ when it is
// another one: address, formats, credentials. What circuits found out about another
// upstream of that name is dropped; what a person decided stays.
func (s *Circuits) Identify(now time.Time, upstream, identity string) {
	s.mu.Lock()
	old, known := s.identities[upstream]
	s.identities[upstream] = identity
	s.mu.Unlock()
	if known && old == identity {
		return // all its circuits know
	}
	for _, c := range s.of(upstream) {
		c.identify(now, identity)
	}
}

// of lists the circuits of an upstream; "" lists all.
func (s *Circuits) of(upstream string) []*Circuit {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*Circuit
	for key, c := range s.circuits {
		if upstream == "" || key.Upstream == upstream {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *Circuit) int { return compareKeys(a.key, b.key) })
	return all
}

// All tells how all circuits are, sorted by upstream, the upstream's own before
// those of its models, and those before its credentials'.
func (s *Circuits) All(now time.Time) []CircuitView {
	return s.views(now, s.of(""))
}

// Upstream tells how the circuits of one upstream are, sorted as All does.
func (s *Circuits) Upstream(now time.Time, name string) []CircuitView {
	if name == "" {
		return nil
	}
	return s.views(now, s.of(name))
}

func (s *Circuits) views(now time.Time, circuits []*Circuit) []CircuitView {
	views := make([]CircuitView, len(circuits))
	for i, c := range circuits {
		views[i] = c.View(now)
	}
	return views
}

// Load gives circuits the states they had before a restart. A circuit that has
// changed since then keeps its state, save that what a person decided beats what it
// found out. Circuits that are there already have their open times cut to what
// their policies allow, others to what the default policy allows. A record that no
// circuit can have written is left out; the error tells of all such.
func (s *Circuits) Load(now time.Time, records []CircuitRecord) error {
	var errs []error
	for _, r := range records {
		if err := r.check(); err != nil {
			errs = append(errs, err)
			continue
		}
		s.load(now, r)
	}
	return errors.Join(errs...)
}

func (s *Circuits) load(now time.Time, r CircuitRecord) {
	s.mu.Lock()
	known := s.identities[r.Key.Upstream]
	c := s.getLocked(r.Key, nil)
	s.mu.Unlock()
	c.restore(now, r)
	if known != "" {
		c.identify(now, known)
	}
}
