package routing

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotPersisted means that a manual action is in force but could not be written,
// so that it would not outlive the process. It is tried again.
var ErrNotPersisted = errors.New("the circuit is changed, but the change could not be stored")

// Precondition decides about a manual action from the generation of the circuit
// that it is about, or the sum of the generations of several. Nothing changes
// between its answer and the action. An error keeps the action from being done; nil
// in its place stands for no condition. It is called under locks: it must be quick
// and must not ask circuits anything.
type Precondition func(generation uint64) error

// Open forces a circuit open; see Circuit.Force. It is made if it is not known.
// When it returns nil the state is in force and, if the circuits are persisted,
// written. The error wraps ErrNotPersisted.
func (s *Circuits) Open(now time.Time, key CircuitKey, until time.Time, reason, actor string) (CircuitView, error) {
	return s.OpenIf(nil, now, key, until, reason, actor)
}

// OpenIf is Open under a condition, whose error it returns as it is.
func (s *Circuits) OpenIf(holds Precondition, now time.Time, key CircuitKey, until time.Time, reason, actor string) (CircuitView, error) {
	c := s.Get(key, nil)
	err := manually(holds, now, []*Circuit{c}, func(c *Circuit, at int64) { c.force(at, now, until, reason, actor) })
	if err != nil {
		return CircuitView{}, err
	}
	return c.View(now), s.flush()
}

// ResetAll resets the circuit of an upstream model, or all circuits of the upstream
// if the model is "". It returns how they are then, none if none is known. When the
// error is nil they are reset and, if the circuits are persisted, that is written.
// The error wraps ErrNotPersisted.
func (s *Circuits) ResetAll(now time.Time, upstream, model, actor string) ([]CircuitView, error) {
	return s.ResetAllIf(nil, now, upstream, model, actor)
}

// ResetAllIf is ResetAll under a condition, whose error it returns as it is. The
// circuit of a model that is not known has the generation 1, as a new one.
func (s *Circuits) ResetAllIf(holds Precondition, now time.Time, upstream, model, actor string) ([]CircuitView, error) {
	var concerned []*Circuit
	for _, c := range s.of(upstream) {
		if upstream == "" || model != "" && (c.key.Scope != ScopeUpstreamModel || c.key.Model != model) {
			continue
		}
		concerned = append(concerned, c)
	}
	if len(concerned) == 0 && model != "" && holds != nil {
		return nil, holds(1)
	}
	if err := manually(holds, now, concerned, func(c *Circuit, at int64) { c.reset(at, actor) }); err != nil {
		return nil, err
	}
	return s.views(now, concerned), s.flush()
}

// manually does something to circuits, if their generations satisfy a condition, in
// one step: it holds the locks of all of them meanwhile. They are in the order of
// lists, in which everybody who holds several takes them.
func manually(holds Precondition, now time.Time, circuits []*Circuit, act func(c *Circuit, at int64)) error {
	var sum uint64
	for _, c := range circuits {
		c.mu.Lock()
		sum += c.phase().generation()
	}
	var err error
	if holds != nil {
		err = holds(sum)
	}
	records, brought := make([]CircuitRecord, len(circuits)), make([]news, len(circuits))
	for i, c := range circuits {
		if err == nil {
			records[i], brought[i] = c.act(now, func(at int64) { act(c, at) })
		}
		c.mu.Unlock()
	}
	for i, c := range circuits {
		c.tell(now, &records[i], brought[i])
	}
	return err
}

// flush writes what is not yet written.
func (s *Circuits) flush() error {
	s.mu.RLock()
	writer := s.writer
	s.mu.RUnlock()
	if writer == nil {
		return nil
	}
	if err := writer.Flush(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotPersisted, err)
	}
	return nil
}
