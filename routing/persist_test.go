package routing

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a store that notes what is asked of it.
type memory struct {
	mu      sync.Mutex
	records map[CircuitKey]CircuitRecord
	saves   [][]CircuitRecord
	times   []time.Time
	err     error
	hang    chan struct{} // if set, a write waits for it
	entered chan struct{} // if set, it is told of each write that begins
}

func newMemory() *memory { return &memory{records: map[CircuitKey]CircuitRecord{}} }

func (m *memory) LoadCircuits() ([]CircuitRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []CircuitRecord
	for _, r := range m.records {
		all = append(all, r)
	}
	return all, m.err
}

func (m *memory) SaveCircuits(records []CircuitRecord) error {
	if m.hang != nil {
		m.entered <- struct{}{}
		<-m.hang
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves = append(m.saves, slices.Clone(records))
	m.times = append(m.times, time.Now())
	if m.err != nil {
		return m.err
	}
	for _, r := range records {
		m.records[r.Key] = r
	}
	return nil
}

func (m *memory) DeleteCircuits(keys []CircuitKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.records, key)
	}
	return m.err
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memory) generation(key CircuitKey) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[key].Generation
}

func (m *memory) state(key CircuitKey) CircuitState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[key].State
}

func (m *memory) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.saves)
}

func record(name string, generation uint64) CircuitRecord {
	return CircuitRecord{Key: model("u", name), State: CircuitClosed, Generation: generation}
}

// pass lets time go by, and the writer do what it does then.
func pass(d time.Duration) {
	time.Sleep(d) // the clock of the test's bubble
	synctest.Wait()
}

func closeWriter(t *testing.T, w *CircuitWriter) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// However often a circuit changes, it is written once a second, and the last state
// is there.
func TestWriterCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := NewCircuitWriter(m, nil)
		defer closeWriter(t, w)
		for g := range uint64(1000) {
			w.Changed(record("a", g+2))
			w.Changed(record("b", 2*g+2))
			pass(10 * time.Millisecond) // ten seconds in all
		}
		pass(time.Second)
		if n := m.written(); n < 10 || n > 12 {
			t.Errorf("%d writes in 11 s", n)
		}
		for i := 1; i < len(m.times); i++ {
			if gap := m.times[i].Sub(m.times[i-1]); gap < time.Second {
				t.Errorf("%s between two writes", gap)
			}
		}
		if a, b := m.generation(model("u", "a")), m.generation(model("u", "b")); a != 1001 || b != 2000 {
			t.Errorf("generations are %d and %d", a, b)
		}
	})
}

// The first change after a rest is written at once, and nothing without a change.
func TestWriterIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := NewCircuitWriter(m, nil)
		defer closeWriter(t, w)
		pass(time.Hour)
		w.Changed(record("a", 2))
		synctest.Wait()
		if got := m.generation(model("u", "a")); got != 2 {
			t.Errorf("generation is %d", got)
		}
		pass(time.Hour)
		if n := m.written(); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

// Records may come in any order; the newest stays.
func TestWriterKeepsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := NewCircuitWriter(m, nil)
		defer closeWriter(t, w)
		w.Changed(record("a", 5))
		w.Changed(record("a", 4))
		pass(time.Minute)
		w.Changed(record("a", 3)) // long after it was written
		pass(time.Minute)
		if got := m.generation(model("u", "a")); got != 5 {
			t.Errorf("generation is %d", got)
		}
		if err := w.Delete([]CircuitKey{model("u", "a")}); err != nil {
			t.Fatal(err)
		}
		if len(m.records) != 0 {
			t.Errorf("left: %+v", m.records)
		}
		w.Changed(record("a", 2)) // of a new circuit of that name
		pass(time.Minute)
		if got := m.generation(model("u", "a")); got != 2 {
			t.Errorf("generation is %d", got)
		}
	})
}

// A store that fails is tried again, ever more rarely, and told of once.
func TestWriterSurvivesFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		full := errors.New("disk full")
		m.fail(full)
		var told []error
		w := NewCircuitWriter(m, func(err error) { told = append(told, err) })
		defer closeWriter(t, w)
		w.Changed(record("a", 2))
		w.Changed(record("b", 2))
		pass(10 * time.Minute)
		if n := m.written(); n < 20 || n > 30 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		w.Changed(record("a", 3))
		m.fail(nil)
		pass(retryPauseAtMost)
		if a, b := m.generation(model("u", "a")), m.generation(model("u", "b")); a != 3 || b != 2 {
			t.Errorf("generations are %d and %d", a, b)
		}
		if want := []error{full, nil}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

// A slow disk holds up whoever changes circuits by hand, and nobody else.
func TestFault76SlowDisk(t *testing.T) {
	m := newMemory()
	m.hang, m.entered = make(chan struct{}), make(chan struct{}, 10)
	w := NewCircuitWriter(m, nil)
	defer closeWriter(t, w)
	s := newCircuits()
	s.Persist(noon, w)
	attempts(s, noon, model("u", "a"), 5, Outcome{Class: ClassServer})
	<-m.entered // the writer hangs in the store now
	attempts(s, noon, model("u", "b"), 5, Outcome{Class: ClassServer})
	opened := make(chan error)
	forced := make(chan struct{})
	s.OnChange(func(r CircuitRecord) {
		if r.State == CircuitForcedOpen {
			close(forced)
		}
	})
	go func() {
		_, err := s.Open(noon, whole("u"), time.Time{}, "why", "ann")
		opened <- err
	}()
	<-forced
	if got := stateOf(s, noon, whole("u")); got != CircuitForcedOpen {
		t.Errorf("state is %s before it is written", got)
	}
	select {
	case err := <-opened:
		t.Fatalf("the action is answered before it is written: %v", err)
	default:
	}
	close(m.hang)
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if m.state(whole("u")) != CircuitForcedOpen {
		t.Error("the action is answered, but not written")
	}
}

// What a person does is in force even if it cannot be written, and says so.
func TestManualWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.fail(fmt.Errorf("read only"))
		w := NewCircuitWriter(m, nil)
		defer closeWriter(t, w)
		s := newCircuits()
		s.Persist(time.Now(), w)
		v, err := s.Open(time.Now(), model("u", "a"), time.Time{}, "why", "ann")
		if !errors.Is(err, ErrNotPersisted) || v.State != CircuitForcedOpen {
			t.Errorf("got %+v, %v", v, err)
		}
		m.fail(nil)
		pass(time.Minute)
		if r := m.records[model("u", "a")]; r.State != CircuitForcedOpen || r.Actor != "ann" {
			t.Errorf("it is not written later: %+v", r)
		}
		if _, err := s.ResetAll(time.Now(), "u", "a", "bob"); err != nil {
			t.Error(err)
		}
		if r := m.records[model("u", "a")]; r.State != CircuitClosed || r.Actor != "bob" {
			t.Errorf("the reset is not written: %+v", r)
		}
	})
}

func TestWriterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := NewCircuitWriter(m, nil)
		w.Changed(record("a", 2))
		synctest.Wait()
		w.Changed(record("a", 3)) // would wait for a second
		closeWriter(t, w)
		closeWriter(t, w)
		if got := m.generation(model("u", "a")); got != 3 {
			t.Errorf("generation is %d", got)
		}
		w.Changed(record("a", 4))
		if err := w.Flush(); err == nil {
			t.Error("a closed writer flushes")
		}
		if err := w.Delete([]CircuitKey{model("u", "a")}); err == nil {
			t.Error("a closed writer deletes")
		}
		if got := m.generation(model("u", "a")); got != 3 {
			t.Errorf("generation is %d after Close", got)
		}
		failing := newMemory()
		failing.fail(errors.New("gone"))
		w = NewCircuitWriter(failing, nil)
		w.Changed(record("a", 2))
		if err := w.Close(); err == nil {
			t.Error("a close that loses something is silent")
		}
	})
}

// A restart finds every circuit as it was.
func TestCircuitsSurviveRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := NewCircuitWriter(m, nil)
		s := newCircuits()
		s.Identify(time.Now(), "u", "one")
		attempts(s, time.Now(), model("u", "early"), 5, Outcome{Class: ClassServer, Status: 500}) // before there is a store
		s.Persist(time.Now(), w)
		attempts(s, time.Now(), model("v", "a"), 5, Outcome{Class: ClassServer, Status: 529})
		attempts(s, time.Now(), CircuitKey{Scope: ScopeCredential, Upstream: "u", Credential: "c"}, 1, Outcome{Class: ClassExhausted, Status: 402})
		if _, err := s.Open(time.Now(), whole("w"), time.Now().Add(time.Hour), "why", "ann"); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		before := s.All(time.Now())
		closeWriter(t, w)
		pass(3 * time.Second)

		again := newCircuits()
		records, err := m.LoadCircuits()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Load(time.Now(), records); err != nil {
			t.Fatal(err)
		}
		again.Identify(time.Now(), "u", "one")
		after := again.All(time.Now())
		if len(before) != 4 || len(after) != len(before) {
			t.Fatalf("%d circuits became %d", len(before), len(after))
		}
		for i, was := range before {
			is := after[i]
			if is.Key != was.Key || is.State != was.State || is.State == CircuitClosed || !is.Until.Equal(was.Until) ||
				is.Reason != was.Reason || is.Class != was.Class || is.Generation != was.Generation || is.Openings != was.Openings {
				t.Errorf("was %+v\nis  %+v", was, is)
			}
		}
	})
}

// The records of an upstream that is gone go with it.
func TestPruneDeletesRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := NewCircuitWriter(m, nil)
		defer closeWriter(t, w)
		s := newCircuits()
		s.Persist(time.Now(), w)
		for _, name := range []string{"u", "v"} {
			attempts(s, time.Now(), model(name, "a"), 5, Outcome{Class: ClassServer})
		}
		pass(time.Minute)
		prune := func(names ...CircuitKey) error {
			named := map[CircuitKey]bool{}
			for _, key := range names {
				named[key] = true
			}
			s.name(func() map[CircuitKey]bool { return named })
			now := time.Now()
			if err := s.Prune(now); err != nil {
				return err
			}
			return s.Prune(now.Add(24 * time.Hour))
		}
		if err := prune(model("v", "a")); err != nil {
			t.Fatal(err)
		}
		if _, there := m.records[model("v", "a")]; len(m.records) != 1 || !there {
			t.Errorf("left: %+v", m.records)
		}
		m.fail(errors.New("gone"))
		if err := prune(); err == nil {
			t.Error("records that stay are not told of")
		}
	})
}

// An upstream that asked to be left alone is left alone after a restart too, for as
// long as it had asked; a burst of such answers is one write.
func TestThrottleSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := NewCircuitWriter(m, nil)
		defer closeWriter(t, w)
		s := newCircuits()
		s.Identify(time.Now(), "u", "one")
		s.Persist(time.Now(), w)
		s.Get(model("u", "a"), nil).Throttle(time.Now(), 2*time.Second)
		pass(0)
		before := m.written()
		for n := range 100 {
			s.Get(model("u", "a"), nil).Throttle(time.Now(), time.Minute+time.Duration(n)*time.Millisecond)
		}
		pass(time.Second)
		if got := m.written() - before; got != 1 {
			t.Errorf("a burst was written %d times, want once", got)
		}
		until := s.Get(model("u", "a"), nil).View(time.Now()).ThrottledUntil
		for _, tc := range []struct {
			name, identity string
			after          time.Duration
			throttled      bool
		}{
			{"in time", "one", time.Second, true},
			{"too late", "one", 2 * time.Minute, false},
			{"another upstream", "two", time.Second, false},
		} {
			again := newCircuits()
			records, err := m.LoadCircuits()
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now().Add(tc.after)
			if err := again.Load(now, records); err != nil {
				t.Fatal(err)
			}
			again.Identify(now, "u", tc.identity)
			v := again.Get(model("u", "a"), nil).View(now)
			if tc.throttled != v.ThrottledUntil.Equal(until) || tc.throttled == v.ThrottledUntil.IsZero() {
				t.Errorf("%s: throttled until %s, was %s", tc.name, v.ThrottledUntil, until)
			}
			if v.State != CircuitClosed {
				t.Errorf("%s: %s", tc.name, v.State)
			}
			if _, ok := again.Get(model("u", "a"), nil).Allow(now); ok == tc.throttled {
				t.Errorf("%s: admitted: %v", tc.name, ok)
			}
		}
	})
}

// A clock that was set back does not make the mark longer than it can be.
func TestThrottleOfAnotherClock(t *testing.T) {
	r := CircuitRecord{Key: model("u", "m"), State: CircuitClosed, Generation: 1, ThrottledUntil: noon.Add(24 * time.Hour)}
	s := newCircuits()
	if err := s.Load(noon, []CircuitRecord{r}); err != nil {
		t.Fatal(err)
	}
	if got := s.Get(r.Key, nil).View(noon).ThrottledUntil; !got.Equal(noon.Add(15 * time.Minute)) {
		t.Errorf("throttled until %s, want 15 minutes", got)
	}
}

// What changes a circuit between the look at it and the action keeps the action from
// being done, also when it was no person who changed it.
func TestPrecondition(t *testing.T) {
	s := newCircuits()
	stale := errors.New("stale")
	at := func(want uint64) Precondition {
		return func(got uint64) error {
			if got != want {
				return stale
			}
			return nil
		}
	}
	key := model("u", "a")
	attempts(s, noon, key, 5, Outcome{Class: ClassServer}) // opens by itself
	if _, err := s.OpenIf(at(1), noon, key, time.Time{}, "why", "ann"); !errors.Is(err, stale) {
		t.Errorf("opened on what it was: %v", err)
	}
	if got := stateOf(s, noon, key); got != CircuitOpen {
		t.Errorf("a refused action made it %s", got)
	}
	if v, err := s.OpenIf(at(2), noon, key, time.Time{}, "why", "ann"); err != nil || v.Generation != 3 {
		t.Errorf("opened on what it is: %+v, %v", v, err)
	}
	if _, err := s.ResetAllIf(at(2), noon, "u", "", "ann"); !errors.Is(err, stale) {
		t.Errorf("reset on what it was: %v", err)
	}
	if views, err := s.ResetAllIf(at(3), noon, "u", "", "ann"); err != nil || len(views) != 1 || views[0].State != CircuitClosed {
		t.Errorf("reset on what it is: %+v, %v", views, err)
	}
	if _, err := s.ResetAllIf(at(2), noon, "u", "unknown", "ann"); !errors.Is(err, stale) {
		t.Errorf("reset of a model without a circuit: %v", err)
	}
}
