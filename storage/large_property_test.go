package storage

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelled is a store beside a model of it, whose process ends now and then.
type modelled struct {
	t     *testing.T
	opt   Options
	sys   system
	st    *steps
	free  *atomic.Int64
	s     *Store
	model map[string]modelRecord
}

type modelRecord struct {
	n   int
	rev Revision
}

// ended is what a process ends with.
type ended struct{}

func (m *modelled) open(t *rapid.T) {
	s, err := openWith(m.t.Context(), m.opt, m.sys)
	if err != nil {
		t.Fatal(err)
	}
	m.s = s
}

// end leaves the store as a kill would, and opens it again.
func (m *modelled) end(t *rapid.T) {
	m.st.watch(nil)
	m.free.Store(0)
	if err := m.s.Close(); err == nil {
		t.Error("the store was closed in an orderly way: the test does not test")
	}
	m.free.Store(1 << 40)
	m.open(t)
}

// drawn is a batch, what the store becomes of it, and whether it is refused.
func (m *modelled) drawn(t *rapid.T, number int) (b *Batch, after map[string]modelRecord, refused bool) {
	b, after = new(Batch), maps.Clone(m.model)
	notes := NewTable[note](m.s, "notes")
	for range rapid.IntRange(1, 14).Draw(t, "writes") {
		key := fmt.Sprint("k", rapid.IntRange(0, 9).Draw(t, "key"))
		now, there := after[key]
		when := Any
		switch rapid.IntRange(0, 9).Draw(t, "condition") {
		case 0:
			when, refused = Absent, refused || there
		case 1, 2, 3:
			if !there {
				when = Absent
			} else if now.rev != 0 { // not of this batch, whose revision nobody knows
				when = now.rev
			}
		case 4:
			if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
				when, refused = 1<<40, true
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
			refused = refused || !there || when == Absent
			notes.DeleteIn(b, key, when)
			delete(after, key)
			continue
		}
		notes.PutIn(b, key, note{N: number}, when)
		after[key] = modelRecord{n: number}
	}
	return b, after, refused
}

// commit commits a batch in a process that ends before the given transaction, if that
// comes, and says whether it ended.
func (m *modelled) commit(b *Batch, end int) (rev Revision, killed bool, err error) {
	m.st.watch(func(step int) {
		if step == end {
			killed = true
			panic(ended{})
		}
	})
	defer m.st.watch(nil)
	defer func() {
		if r := recover(); r != nil && r != any(ended{}) {
			panic(r)
		}
	}()
	rev, err = m.s.Commit(b)
	return rev, killed, err
}

// check compares the store with the model.
func (m *modelled) check(t *rapid.T) {
	got := make(map[string]modelRecord)
	notes := NewTable[note](m.s, "notes")
	for row, err := range notes.All() {
		one, _, getErr := notes.Get(row.Key)
		if err != nil || getErr != nil || one != row.Value {
			t.Errorf("row %q is %+v (%v), and read alone %+v (%v)", row.Key, row.Value, err, one, getErr)
		}
		got[row.Key] = modelRecord{row.Value.N, row.Revision}
	}
	if !maps.Equal(got, m.model) {
		t.Fatalf("the store has\n%v, want\n%v", got, m.model)
	}
	if n := m.s.engine.records.Load(); n != int64(len(m.model)) {
		t.Errorf("the store counts %d records, want %d", n, len(m.model))
	}
}

// learn takes over the revisions that a batch has given its records.
func (m *modelled) learn(after map[string]modelRecord, rev Revision) {
	for key, r := range after {
		if r.rev == 0 {
			after[key] = modelRecord{r.n, rev}
		}
	}
	m.model = after
}

// TestBatchesAgainstAModel commits batches that take one transaction or several, with
// conditions that hold and others, in processes that end at any of the transactions.
func TestBatchesAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &modelled{t: t, st: new(steps), free: new(atomic.Int64), model: map[string]modelRecord{}}
		m.opt = Options{Dir: t.TempDir(), LockWait: -1}
		m.free.Store(1 << 40)
		m.sys = system{
			part: rapid.SampledFrom([]int{1, 250, 600}).Draw(rt, "part"), keepEvery: time.Hour,
			committing: m.st.committing, free: func(string) (int64, error) { return m.free.Load(), nil },
		}
		m.open(rt)
		defer func() {
			if err := m.s.Close(); err != nil {
				rt.Error(err)
			}
		}()
		ends := 0
		for number := range rapid.IntRange(1, 12).Draw(rt, "batches") {
			b, after, refused := m.drawn(rt, number+1)
			large := fitting(b.writes, m.sys.part) < len(b.writes)
			end := 0
			if ends < 3 && rapid.Bool().Draw(rt, "ends") {
				end = rapid.IntRange(1, 8).Draw(rt, "before")
			}
			next := Revision(m.s.engine.last.Load()) + 1
			rev, killed, err := m.commit(b, end)
			switch {
			case refused && (err == nil || killed):
				rt.Fatalf("a batch that had to be refused is of revision %d, %v", rev, err)
			case killed:
				ends++
				if m.end(rt); large && end > 1 {
					m.learn(after, next)
				}
			case !refused && (err != nil || rev != next):
				rt.Fatalf("the batch is of revision %d (%v), want %d", rev, err, next)
			case !refused:
				m.learn(after, rev)
			}
			m.check(rt)
		}
		awaitVerified(m.s)
		if st := m.s.Status(); st.Degraded {
			rt.Errorf("status: %+v", st)
		}
		if names, err := m.s.engine.names(); err != nil || slices.Contains(names, journalName) {
			rt.Errorf("there is a journal among %v, %v", names, err)
		}
	})
}
