package catalogue

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Store keeps catalogues across restarts. There is one call at a time for each
// upstream, and calls for different ones may run at once. A call may be slow or
// fail; it must not change what it is given.
type Store interface {
	// LoadCatalogues returns all catalogues, in any order. Those that could be read
	// are returned with the error that tells of the others.
	LoadCatalogues() ([]Catalogue, error)
	// SaveCatalogue writes a catalogue in place of that of the same upstream. When it
	// returns nil the catalogue outlives the process. ErrNoStore is no failure: the
	// catalogue is kept in memory until Load is called again. It is returned as long as
	// LoadCatalogues has not read what is there, or else that would be lost.
	SaveCatalogue(Catalogue) error
	// DeleteCatalogue removes the catalogue of an upstream; that there is none is no
	// error.
	DeleteCatalogue(upstream string) error
}

// Errors that callers branch on.
var (
	// ErrUnknownModel: the catalogue has no such model.
	ErrUnknownModel = errors.New("the catalogue has no such model")
	// ErrExists: a person has put that model into the catalogue already.
	ErrExists = errors.New("the model is in the catalogue already")
	// ErrNotManual: the model was not put into the catalogue by a person, so that
	// none can take it out.
	ErrNotManual = errors.New("the model comes from the service; it can only be disabled")
	// ErrDeleted: the catalogue was deleted while its models were asked for.
	ErrDeleted = errors.New("the catalogue was deleted in the meantime")
	// ErrOvertaken: a sync that began later, of what the upstream has become, has
	// ended already.
	ErrOvertaken = errors.New("the upstream has changed in the meantime and was synced anew")
	// ErrNoStore: there is no store for the time being. Stores answer with it.
	ErrNoStore = errors.New("there is no store for the time being")
)

// Syncer holds the catalogues of all upstreams, asks the services for their models,
// and keeps what they answer. It outlives configurations. It is made with New, and
// safe for concurrent use. A change that could not be stored is an error and has
// not happened.
type Syncer struct {
	store    Store
	onChange func(upstream string, d Diff)
	onError  func(upstream string, err error)

	mu      sync.Mutex
	states  map[string]*state
	flights uint64 // how many there were
}

// state is what is known of one upstream's catalogue.
type state struct {
	// current is the catalogue; nil if there is none yet.
	current atomic.Pointer[Catalogue]

	// writing is held while the catalogue is changed and stored. It is taken before
	// the Syncer's mu.
	writing sync.Mutex
	deleted bool // guarded by writing: the state is no longer that of its upstream
	// unstored says that the store lacks what is current, and rooted that what is
	// current has come from what is stored. Both are guarded by writing.
	unstored, rooted bool
	// taken is the number of the newest flight that was taken in, guarded by writing.
	taken uint64

	// The rest is guarded by the Syncer's mu.

	// flights are the lists that are being asked for, by the upstream's identity.
	flights map[string]*flight
	// failures is how many syncs have failed in a row, and failing the identity of
	// the upstream that they were of.
	failures int
	failing  string
}

// New returns a Syncer without any catalogue: see Load.
func New(store Store) *Syncer {
	return &Syncer{store: store, states: make(map[string]*state)}
}

// OnChange has f called after each change of a catalogue but that of times: one
// call at a time for an upstream, in the order of the changes. f must return soon;
// it may read the Syncer, but not change anything. It is set before first use.
func (s *Syncer) OnChange(f func(upstream string, d Diff)) { s.onChange = f }

// OnError has f called when a sync that Run made has failed; other callers get their
// errors themselves. It is set before first use.
func (s *Syncer) OnError(f func(upstream string, err error)) { s.onError = f }

// Get returns the catalogue of an upstream; false if there is none.
func (s *Syncer) Get(upstream string) (Catalogue, bool) {
	s.mu.Lock()
	st, ok := s.states[upstream]
	s.mu.Unlock()
	if !ok {
		return Catalogue{}, false
	}
	c := st.current.Load()
	if c == nil {
		return Catalogue{}, false
	}
	return *c, true
}

// All returns all catalogues, sorted by upstream.
func (s *Syncer) All() []Catalogue {
	s.mu.Lock()
	states := make([]*state, 0, len(s.states))
	for _, st := range s.states {
		states = append(states, st)
	}
	s.mu.Unlock()
	var all []Catalogue
	for _, st := range states {
		if c := st.current.Load(); c != nil {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b Catalogue) int { return cmp.Compare(a.Upstream, b.Upstream) })
	return all
}

// Delete removes the catalogue of an upstream that is gone. A sync that is under way
// ends with ErrDeleted and leaves nothing behind.
func (s *Syncer) Delete(upstream string) error {
	st := s.lock(upstream)
	defer st.writing.Unlock()
	if err := s.store.DeleteCatalogue(upstream); err != nil {
		return fmt.Errorf("deleting the catalogue of upstream %q: %w", upstream, err)
	}
	st.deleted = true
	s.mu.Lock()
	delete(s.states, upstream)
	s.mu.Unlock()
	return nil
}

// state returns the state of an upstream, a new one if there is none.
func (s *Syncer) state(upstream string) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.states[upstream]
	if !ok {
		st = &state{flights: make(map[string]*flight)}
		s.states[upstream] = st
	}
	return st
}

// lock returns the state of an upstream with its writing held.
func (s *Syncer) lock(upstream string) *state {
	for {
		st := s.state(upstream)
		st.writing.Lock()
		if !st.deleted {
			return st
		}
		st.writing.Unlock()
	}
}

// catalogue is the catalogue of the state; an empty one if there is none.
func (st *state) catalogue(upstream string) Catalogue {
	if c := st.current.Load(); c != nil {
		return *c
	}
	return Catalogue{Upstream: upstream}
}

// publish stores a catalogue, makes it the current one and tells of it. writing is
// held.
func (s *Syncer) publish(st *state, next Catalogue, d Diff) (Catalogue, error) {
	next.Revision++
	err := s.store.SaveCatalogue(next)
	if err != nil && !errors.Is(err, ErrNoStore) {
		return Catalogue{}, fmt.Errorf("storing the catalogue of upstream %q: %w", next.Upstream, err)
	}
	// What has not met what is stored yet stays unstored even if it was written: Load
	// may have read that before.
	st.unstored = err != nil || st.unstored && !st.rooted
	st.current.Store(&next)
	if s.onChange != nil && !d.Empty() {
		s.onChange(next.Upstream, d)
	}
	return next, nil
}
