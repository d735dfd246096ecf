package catalogue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Result is what a sync has done, or would do.
type Result struct {
	Catalogue Catalogue `json:"catalogue"`
	Diff      Diff      `json:"diff"`
	// Refused says that a sync which is not forced would be refused; nil if not. Only
	// Preview sets it.
	Refused *DisappearanceError `json:"refused,omitempty"`
}

// flight is one list that is asked for. All who want it at the time share it.
type flight struct {
	// number counts the flights in the order in which they began.
	number uint64
	cancel context.CancelFunc
	// done is closed when listing, at and err are set; they do not change any more.
	done    chan struct{}
	listing upstream.Listing
	at      time.Time
	err     error

	// waiters is guarded by the Syncer's mu.
	waiters int

	// The outcome of the syncs that share the flight, guarded by the state's writing.
	// A refusal is not the last word: one of them may force the list.
	settled bool
	result  Result
	failed  error
}

// Sync asks an upstream for its models and takes the list in, by the rules of
// Merge. Syncs and previews of an upstream at the same time share one list. An
// error is a *upstream.ListError, a *DisappearanceError, what the store said,
// ErrDeleted, ErrOvertaken, or that of the context, which ends the wait, and the call
// too if nobody else waits.
//
// The first three are noted in the catalogue, which stays as it is otherwise.
func (s *Syncer) Sync(ctx context.Context, u *upstream.Upstream, force bool) (Result, error) {
	st, f, err := s.fetch(ctx, u)
	if err != nil {
		return Result{}, err
	}
	st.writing.Lock()
	defer st.writing.Unlock()
	if st.deleted {
		return Result{}, ErrDeleted
	}
	if f.settled && (f.failed == nil || !force || !errors.Is(f.failed, ErrMassDisappearance)) {
		return f.result, f.failed
	}
	if f.number < st.taken {
		return Result{}, fmt.Errorf("catalogue of upstream %q: %w", u.Name(), ErrOvertaken)
	}
	st.taken = f.number
	result, err := s.settle(st, u, f, force)
	f.settled, f.result, f.failed = true, result, err
	s.count(st, u.Identity(), err)
	return result, err
}

// Preview asks an upstream for its models and says what a sync would do. Nothing is
// stored, not even an error.
func (s *Syncer) Preview(ctx context.Context, u *upstream.Upstream) (Result, error) {
	st, f, err := s.fetch(ctx, u)
	if err != nil {
		return Result{}, err
	}
	if f.err != nil {
		return Result{}, f.err
	}
	var r Result
	old := st.catalogue(u.Name())
	if _, _, err := f.merge(old, u, false); err != nil && !errors.As(err, &r.Refused) {
		return Result{}, err
	}
	r.Catalogue, r.Diff, err = f.merge(old, u, true)
	return r, err
}

// merge merges the list of the flight into a catalogue.
func (f *flight) merge(old Catalogue, u *upstream.Upstream, force bool) (Catalogue, Diff, error) {
	return Merge(old, f.listing, f.at, Options{Force: force, Identity: u.Identity()})
}

// settle takes in what the flight has brought. writing is held.
func (s *Syncer) settle(st *state, u *upstream.Upstream, f *flight, force bool) (Result, error) {
	if f.err != nil {
		return Result{}, s.note(st, u, f, f.err)
	}
	next, diff, err := f.merge(st.catalogue(u.Name()), u, force)
	if err != nil {
		return Result{Catalogue: next, Diff: diff}, s.note(st, u, f, err)
	}
	stored, err := s.publish(st, next, diff)
	if err != nil {
		// The list may be too large for the store; the old catalogue is not. A store that
		// does not take that either has nothing to add to what it has said.
		_ = s.note(st, u, f, err)
		return Result{}, err
	}
	return Result{Catalogue: stored, Diff: diff}, nil
}

// note writes into the catalogue why a sync has failed, and returns that. writing is
// held.
func (s *Syncer) note(st *state, u *upstream.Upstream, f *flight, failure error) error {
	noted := st.catalogue(u.Name())
	noted.Error, noted.ErrorAt = failure.Error(), f.at
	if _, err := s.publish(st, noted, Diff{}); err != nil {
		return errors.Join(failure, err)
	}
	return failure
}

// count counts the failures in a row of what the upstream is.
func (s *Syncer) count(st *state, identity string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || st.failing != identity {
		st.failures, st.failing = 0, identity
	}
	if err != nil {
		st.failures++
	}
}

// fetch waits for the upstream's list. An error is that of the wait; that of the
// list is in the flight.
func (s *Syncer) fetch(ctx context.Context, u *upstream.Upstream) (*state, *flight, error) {
	st := s.state(u.Name())
	f := s.join(st, u)
	select {
	case <-f.done:
		return st, f, nil
	case <-ctx.Done():
		s.leave(st, u.Identity(), f)
		return nil, nil, fmt.Errorf("waiting for the models of upstream %q: %w", u.Name(), ctx.Err())
	}
}

// join returns the flight to wait for, a new one if there is none.
func (s *Syncer) join(st *state, u *upstream.Upstream) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := u.Identity()
	if f, ok := st.flights[key]; ok {
		f.waiters++
		return f
	}
	// The flight is nobody's own: it goes on as long as anybody waits for it.
	ctx, cancel := context.WithCancel(context.Background())
	s.flights++
	f := &flight{number: s.flights, cancel: cancel, done: make(chan struct{}), waiters: 1}
	st.flights[key] = f
	go s.fly(ctx, st, u, f)
	return f
}

// fly asks for the list. It ends soon after nobody waits any more, and within the
// time that ListModels takes at most.
func (s *Syncer) fly(ctx context.Context, st *state, u *upstream.Upstream, f *flight) {
	defer f.cancel()
	listing, err := u.ListModels(ctx)
	f.listing, f.err, f.at = listing, err, time.Now().UTC().Truncate(time.Millisecond)
	s.mu.Lock()
	st.remove(u.Identity(), f)
	s.mu.Unlock()
	close(f.done)
}

// leave ends a wait. The last one to leave ends the flight.
func (s *Syncer) leave(st *state, identity string, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.cancel()
		st.remove(identity, f)
	}
}

// remove takes a flight out, so that the next one who wants the list asks anew. The
// Syncer's mu is held.
func (st *state) remove(identity string, f *flight) {
	if st.flights[identity] == f {
		delete(st.flights, identity)
	}
}
