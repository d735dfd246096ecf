package routing

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// State is what is observed of models and sources while requests run. It lives
// across reloads, in which the snapshots change: what belongs to a name that is
// still there stays, and what belongs to names that are gone is dropped, so that
// it never holds more than the newest snapshot names. It is safe for concurrent
// use.
type State struct {
	// Circuits holds the circuits of all upstreams. If it is nil, no circuit bars
	// anything. It is set before the first snapshot is made.
	Circuits *Circuits

	mu     sync.Mutex
	models map[string]*modelState
	passed map[string]*modelState // of names that stand for an upstream model
}

// NewState returns a state that has seen nothing, with circuits that are all
// closed.
func NewState() *State { return &State{Circuits: NewCircuits()} }

// NewSnapshot is like the function NewSnapshot; the snapshot's plans are drawn by
// what this state has observed, and add to it. The state itself changes only when
// the snapshot is adopted: see Snapshot.Adopt.
func (s *State) NewSnapshot(d Definitions) (*Snapshot, error) { return newSnapshot(s, d) }

// Source is the state of a source of a model. It is made if it is not known; of
// a source that no snapshot names it is dropped with the next snapshot.
func (s *State) Source(model, sourceID string) *SourceState { return s.model(model).source(sourceID) }

// Budget is the retry budget of a model. It is made, full, if it is not known.
func (s *State) Budget(model string) *RetryBudget { return &s.model(model).budget }

// model is the state of a model, which is made if it is not known.
func (s *State) model(name string) *modelState {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.models[name]
	if !ok {
		m = new(modelState)
		s.keepLocked(name, m)
	}
	return m
}

// observed is the state of a model as far as it is known, else a new one, which is
// kept when a snapshot that uses it is adopted.
func (s *State) observed(name string) *modelState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.models[name]; ok {
		return m
	}
	return new(modelState)
}

func (s *State) keepLocked(name string, m *modelState) {
	if s.models == nil {
		s.models = make(map[string]*modelState)
	}
	s.models[name] = m
}

// maxPassing bounds the names without a model of their own of which something is
// observed: clients choose them.
const maxPassing = 4096

// passing is the state of a name without a model of its own: an upstream model that
// is exposed or pinned. When there are too many, any other is forgotten.
func (s *State) passing(name string) *modelState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.passed[name]; ok {
		return m
	}
	if s.passed == nil {
		s.passed = make(map[string]*modelState)
	}
	if len(s.passed) >= maxPassing {
		dropAny(s.passed)
	}
	m := new(modelState)
	s.passed[name] = m
	return m
}

// dropAny takes one entry out of a map.
func dropAny[V any](m map[string]V) {
	for key := range m {
		delete(m, key)
		return
	}
}

// keep makes an entry's state that of its name, without the sources and the
// priorities that the entry no longer has.
func (s *State) keep(e *Entry) {
	s.mu.Lock()
	s.keepLocked(e.Name, e.observed)
	s.mu.Unlock()
	e.observed.trim(e.Model)
}

// drop forgets the models whose names match.
func (s *State) drop(match func(name string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.models {
		if match(name) {
			delete(s.models, name)
		}
	}
}

// forget drops what was observed of a model.
func (s *State) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.models, name)
}

// modelState is what is observed of one model.
type modelState struct {
	budget RetryBudget
	// best is when a request was last sent to a source whose circuit is open, in
	// nanoseconds since 1970.
	best atomic.Int64

	// mu guards the maps.
	mu      sync.Mutex
	sources map[string]*SourceState
	turns   map[int]*turns // by priority
}

// source is the state of a source, which is made if it is not known.
func (m *modelState) source(id string) *SourceState {
	m.mu.Lock()
	defer m.mu.Unlock()
	source, ok := m.sources[id]
	if !ok {
		if m.sources == nil {
			m.sources = make(map[string]*SourceState)
		}
		source = new(SourceState)
		m.sources[id] = source
	}
	return source
}

// turnsOf is whose turn it is in one priority.
func (m *modelState) turnsOf(priority int) *turns {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.turns[priority]
	if !ok {
		if m.turns == nil {
			m.turns = make(map[int]*turns)
		}
		t = new(turns)
		m.turns[priority] = t
	}
	return t
}

// trim drops what belongs to nothing that the model has.
func (m *modelState) trim(model *Model) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sources) == 0 && len(m.turns) == 0 {
		return
	}
	ids, priorities := make(map[string]bool), make(map[int]bool)
	for i := range model.Sources {
		ids[model.Sources[i].ID()] = true
		priorities[model.Sources[i].priority()] = true
	}
	maps.DeleteFunc(m.sources, func(id string, _ *SourceState) bool { return !ids[id] })
	maps.DeleteFunc(m.turns, func(priority int, _ *turns) bool { return !priorities[priority] })
}

// bestAgain is how long after an attempt at an open source of a model the next
// may follow.
const bestAgain = time.Second

// takeBest says whether an attempt at an open source may be made now; if so, the
// next may not before a second has passed.
func (m *modelState) takeBest(now time.Time) bool {
	last, at := m.best.Load(), now.UnixNano()
	if last != 0 && at-last < int64(bestAgain) && at >= last {
		return false
	}
	return m.best.CompareAndSwap(last, at)
}

// SourceState is what is observed of one source of a model. The zero value has
// seen nothing. It is safe for concurrent use.
type SourceState struct {
	inFlight atomic.Int64
	// latency is the moving average of the time to the first content in
	// nanoseconds; 0 if nothing was measured.
	latency atomic.Int64
	// unmeasured counts the attempts since the last that was measured.
	unmeasured atomic.Int64
	// credit is how much the source is behind its share of the turns of its
	// priority; the lock of these guards it.
	credit int
}

// latencyShare is the part that a new measurement has in the average: 1 in 5.
const latencyShare = 5

// Begin notes that an attempt begins. Each Begin is followed by one End.
func (s *SourceState) Begin() { s.inFlight.Add(1) }

// End notes that an attempt has ended: a stream with its last event. The latency
// is the time to the first content; 0 or less if there was none, or if it was
// told before.
func (s *SourceState) End(latency time.Duration) {
	s.inFlight.Add(-1)
	s.Measure(latency)
}

// Measure adds the time to the first content of an attempt to the average. One
// that is 0 or less is no measurement.
func (s *SourceState) Measure(latency time.Duration) {
	if latency <= 0 {
		s.unmeasured.Add(1)
		return
	}
	s.unmeasured.Store(0)
	for {
		old := s.latency.Load()
		next := int64(latency)
		if old > 0 {
			next = max(1, old+(next-old)/latencyShare)
		}
		if s.latency.CompareAndSwap(old, next) {
			return
		}
	}
}

// InFlight is how many attempts are under way; a stream counts until its end.
func (s *SourceState) InFlight() int64 { return s.inFlight.Load() }

// Latency is the moving average of the time to the first content; 0 if it is not
// known.
func (s *SourceState) Latency() time.Duration { return time.Duration(s.latency.Load()) }

// RetryBudget bounds the attempts beyond the first ones of all requests for a
// model, so that an outage is not multiplied: every request earns a fifth of an
// attempt, and 10 attempts are the most that can be saved. The zero value is
// full. It is safe for concurrent use.
type RetryBudget struct {
	spent atomic.Int64 // in tenths of a token; 0 is a full bucket
}

// The budget counts in tenths.
const (
	budgetToken = 10
	budgetMost  = 10 * budgetToken
	budgetEarn  = budgetToken / 5
)

// Earn is called once for every request.
func (b *RetryBudget) Earn() {
	for {
		spent := b.spent.Load()
		if spent == 0 || b.spent.CompareAndSwap(spent, max(0, spent-budgetEarn)) {
			return
		}
	}
}

// Spend pays for an attempt beyond the first; it is false, and nothing is paid,
// if the budget does not suffice.
func (b *RetryBudget) Spend() bool {
	for {
		spent := b.spent.Load()
		if spent+budgetToken > budgetMost {
			return false
		}
		if b.spent.CompareAndSwap(spent, spent+budgetToken) {
			return true
		}
	}
}

// Left is how many attempts the budget would pay for now.
func (b *RetryBudget) Left() float64 {
	return float64(budgetMost-b.spent.Load()) / budgetToken
}
