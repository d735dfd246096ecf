package routing

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// CircuitStore keeps the records of circuits across restarts. Only a CircuitWriter
// writes to it, one call at a time. A call may be slow or fail; it must not change
// the records it is given.
type CircuitStore interface {
	// LoadCircuits returns all records, in any order.
	LoadCircuits() ([]CircuitRecord, error)
	// SaveCircuits writes records, each in place of that of the same key, all or
	// none. When it returns nil they outlive the process.
	SaveCircuits([]CircuitRecord) error
	// DeleteCircuits removes the records of keys; those that have none are no error.
	DeleteCircuits([]CircuitKey) error
}

// The pauses of a writer.
const (
	// writePause is between two writes, so that a key is written once in it however
	// often its circuit changes.
	writePause = time.Second
	// retryPauseAtMost is between two attempts to write to a store that fails.
	retryPauseAtMost = 30 * time.Second
)

// errWriterClosed is what a closed writer says of what it can no longer write.
var errWriterClosed = errors.New("the store of the circuits is closed")

// CircuitWriter writes the transitions of circuits, and when they are throttled, to
// a store, in the background
// and at most once a second. A store that fails or hangs holds up no request: what
// could not be written is kept, the newest of each circuit, and tried again. It is
// made with NewCircuitWriter and safe for concurrent use.
type CircuitWriter struct {
	store  CircuitStore
	report func(error)
	wake   chan struct{} // holds one token when there is something to write
	stop   chan struct{} // closed by Close
	done   chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	pending map[CircuitKey]CircuitRecord
	newest  map[CircuitKey]uint64 // the generation of each circuit that is known
	closed  bool

	// writing is held during a call to the store. It is taken before mu.
	writing sync.Mutex
	broken  bool // the last call failed
}

// NewCircuitWriter starts a writer; Close ends it. Report is told, from the
// goroutine that wrote, when the store begins to fail, and nil when it has
// recovered; it may be nil.
func NewCircuitWriter(store CircuitStore, report func(error)) *CircuitWriter {
	if report == nil {
		report = func(error) {}
	}
	w := &CircuitWriter{
		store:   store,
		report:  report,
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		pending: map[CircuitKey]CircuitRecord{},
		newest:  map[CircuitKey]uint64{},
	}
	go w.run()
	return w
}

// Changed has a record written soon. It never waits for the store. A record that is
// older than one it was given before is dropped, and so is one that comes after
// Close.
func (w *CircuitWriter) Changed(r CircuitRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || r.Generation < w.newest[r.Key] {
		return
	}
	w.newest[r.Key] = r.Generation
	w.pending[r.Key] = r
	select {
	case w.wake <- struct{}{}:
	default: // it knows already
	}
}

// Flush writes all that is not yet written, and waits for it. After Close it is an
// error.
func (w *CircuitWriter) Flush() error {
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return errWriterClosed
	}
	return w.write()
}

// Delete removes the records of circuits that are gone.
func (w *CircuitWriter) Delete(keys []CircuitKey) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	for _, key := range keys {
		delete(w.pending, key)
		delete(w.newest, key)
	}
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return errWriterClosed
	}
	return w.judge(w.store.DeleteCircuits(keys))
}

// Close writes what is not yet written and ends the writer. The error is that of
// the last write; a second call does nothing. The store may be closed after it.
func (w *CircuitWriter) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		<-w.done
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	<-w.done
	return w.write()
}

// run writes until the writer is closed.
func (w *CircuitWriter) run() {
	defer close(w.done)
	pause := writePause
	for {
		select {
		case <-w.stop:
			return
		case <-w.wake:
		}
		err := w.write() // which has reported it
		if err == nil {
			pause = writePause
		} else {
			w.again()
			pause = min(2*pause, retryPauseAtMost)
		}
		if !w.rest(pause) {
			return
		}
	}
}

// again has what could not be written tried once more.
func (w *CircuitWriter) again() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// rest waits; it is false if the writer was closed meanwhile.
func (w *CircuitWriter) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.stop:
		return false
	case <-t.C:
		return true
	}
}

// write writes what is pending.
func (w *CircuitWriter) write() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	batch := slices.Collect(maps.Values(w.pending))
	clear(w.pending)
	w.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	slices.SortFunc(batch, func(a, b CircuitRecord) int { return compareKeys(a.Key, b.Key) })
	err := w.judge(w.store.SaveCircuits(batch))
	if err != nil {
		w.keep(batch)
	}
	return err
}

// keep puts back what could not be written, unless there is something newer.
func (w *CircuitWriter) keep(batch []CircuitRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range batch {
		if _, newer := w.pending[r.Key]; !newer {
			w.pending[r.Key] = r
		}
	}
}

// judge reports when the store begins to fail and when it has recovered.
func (w *CircuitWriter) judge(err error) error {
	if failed := err != nil; failed != w.broken {
		w.broken = failed
		w.report(err)
	}
	return err
}
