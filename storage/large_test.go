package storage

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// steps lets a test look at each transaction of a store just before it.
type steps struct {
	mu     sync.Mutex
	taken  int
	before func(step int) // from 1 on
}

func (s *steps) committing() {
	s.mu.Lock()
	s.taken++
	step, before := s.taken, s.before
	s.mu.Unlock()
	if before != nil {
		before(step)
	}
}

// watch counts anew, and calls a function with the number of each transaction.
func (s *steps) watch(before func(step int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken, s.before = 0, before
}

// count is how many there were since.
func (s *steps) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// manyNotes are the records of a store before and after largeBatch.
func manyNotes(after bool) map[string]int {
	all := make(map[string]int)
	for i := range 60 {
		key := fmt.Sprintf("k%02d", i)
		switch {
		case !after && i < 40: // those from 40 on are new
			all[key] = 1
		case after && i%10 != 7: // every tenth is deleted
			all[key] = 2
		}
	}
	return all
}

// partsOfMany is what one transaction takes, so that largeBatch needs five.
const partsOfMany = 3000

// putMany makes the records that largeBatch changes.
func putMany(s *Store) error {
	for key, n := range manyNotes(false) {
		if _, err := NewTable[note](s, "notes").Put(key, note{N: n}, Absent); err != nil {
			return err
		}
	}
	return nil
}

// largeBatch changes, makes and deletes records.
func largeBatch(s *Store) *Batch {
	var b Batch
	notes, after := NewTable[note](s, "notes"), manyNotes(true)
	for i := range 60 {
		key := fmt.Sprintf("k%02d", (i*37)%60) // not in their order
		switch n, stays := after[key]; {
		case stays:
			notes.PutIn(&b, key, note{N: n, Text: strings.Repeat("x", 100)}, Any)
		case key < "k40":
			notes.DeleteIn(&b, key, Any)
		}
	}
	return &b
}

// wantNotes checks that a store has these records, however it is asked.
func wantNotes(t testing.TB, s *Store, want map[string]int) {
	t.Helper()
	notes, got := NewTable[note](s, "notes"), make(map[string]int)
	last := ""
	for row, err := range notes.All() {
		if err != nil || row.Key <= last {
			t.Errorf("row %q after %q: %v", row.Key, last, err)
		}
		last, got[row.Key] = row.Key, row.Value.N
	}
	if !maps.Equal(got, want) {
		t.Errorf("the records are\n%v, want\n%v", got, want)
	}
	for i := range 60 {
		key := fmt.Sprintf("k%02d", i)
		v, _, err := notes.Get(key)
		if n, there := want[key]; !there {
			wantError(t, err, ErrNotFound)
		} else if err != nil || v.N != n {
			t.Errorf("record %s reads %d (%v), want %d", key, v.N, err, n)
		}
	}
}

// wantJournal checks whether a store has a journal.
func wantJournal(t testing.TB, s *Store, want bool) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, journalName+"*"))
	if err != nil || (len(names) > 0) != want {
		t.Errorf("there are the journals %q (%v), want one: %v", names, err, want)
	}
}

// wantWhole checks that a store finds nothing missing in itself.
func wantWhole(t testing.TB, s *Store) {
	t.Helper()
	awaitVerified(s)
	if st := s.Status(); st.Degraded || st.Lost > 0 || st.Damaged > 0 {
		t.Errorf("status: %+v", st)
	}
	wantJournal(t, s, false)
}

// TestBatchesAroundTheLimit commits the largest batches that one transaction takes, by
// our reckoning, and the next larger ones: the database refuses none.
func TestBatchesAroundTheLimit(t *testing.T) {
	dir := t.TempDir()
	var st steps
	s := openAny(t, Options{Dir: dir}, system{committing: st.committing})
	notes := NewTable[string](s, "notes")
	fill := 2 + recordHeader // what a value has beside its text
	for _, size := range []int{0, 100, 5000, valueThreshold - fill - 1, valueThreshold - fill, 7 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var more Batch
			text := strings.Repeat("x", size)
			for n := 0; fitting(more.writes, partBytes) == len(more.writes); n++ {
				notes.PutIn(&more, fmt.Sprintf("%d %d", size, n), text, Any)
			}
			b := Batch{writes: more.writes[:len(more.writes)-1]}
			for _, c := range []struct {
				batch *Batch
				steps int
			}{{&b, 1}, {&more, 3}} {
				st.watch(nil)
				rev, err := s.Commit(c.batch)
				if err != nil {
					t.Fatalf("%d writes: %v", len(c.batch.writes), err)
				}
				if st.count() != c.steps {
					t.Errorf("%d writes took %d transactions, want %d", len(c.batch.writes), st.count(), c.steps)
				}
				for _, w := range []write{c.batch.writes[0], c.batch.writes[len(c.batch.writes)-1]} {
					if v, at, err := notes.Get(w.name); err != nil || at != rev || v != text {
						t.Errorf("record %q has %d bytes at %d (%v), want %d at %d", w.name, len(v), at, err, size, rev)
					}
				}
			}
		})
	}
	closeStore(t, s)
	wantWhole(t, openStore(t, dir))
}

// TestBatchOfManyWrites commits a hundred thousand writes at once, and deletes a fifth.
func TestBatchOfManyWrites(t *testing.T) {
	const many = 100_000
	dir := t.TempDir()
	quiet := system{keepEvery: time.Hour} // merging tables may hold up Close
	s := openAny(t, Options{Dir: dir}, quiet)
	notes := NewTable[note](s, "notes")
	var b Batch
	for i := range many {
		notes.PutIn(&b, strconv.Itoa(i), note{N: i, Text: strings.Repeat("x", 200)}, Absent)
	}
	rev, err := s.Commit(&b)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = openAny(t, Options{Dir: dir}, quiet)
	wantWhole(t, s)
	notes = NewTable[note](s, "notes")
	found := 0
	for row, err := range notes.All() {
		if err != nil || row.Revision != rev || row.Key != strconv.Itoa(row.Value.N) {
			t.Fatalf("row %q: %d at %d, %v", row.Key, row.Value.N, row.Revision, err)
		}
		found++
	}
	if found != many {
		t.Errorf("%d records, want %d", found, many)
	}
	var gone Batch
	for i := range many / 5 {
		notes.DeleteIn(&gone, strconv.Itoa(i), rev)
	}
	if _, err := s.Commit(&gone); err != nil {
		t.Fatal(err)
	}
	for row, err := range notes.All() {
		if err != nil || row.Value.N < many/5 {
			t.Fatalf("row %q is left, %v", row.Key, err)
		}
		found--
	}
	if found != many/5 {
		t.Errorf("%d records are gone, want %d", found, many/5)
	}
}

// TestLastOfManyWritesIsRefused: a condition that fails in the last of many writes
// leaves nothing of the others.
func TestLastOfManyWritesIsRefused(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	rev := mustPut(t, notes, "there", note{N: 1})
	for name, c := range map[string]struct {
		last func(*Batch)
		want error
	}{
		"another revision": {func(b *Batch) { notes.PutIn(b, "there", note{}, rev+7) }, ErrConflict},
		"there already":    {func(b *Batch) { notes.PutIn(b, "there", note{}, Absent) }, ErrConflict},
		"there by then":    {func(b *Batch) { notes.PutIn(b, "0", note{}, Absent) }, ErrConflict},
		"not there":        {func(b *Batch) { notes.DeleteIn(b, "missing", Any) }, ErrNotFound},
		"gone by then":     {func(b *Batch) { notes.DeleteIn(b, "there", Any); notes.DeleteIn(b, "there", Any) }, ErrNotFound},
		"not a key":        {func(b *Batch) { notes.PutIn(b, "", note{}, Any) }, ErrBadKey},
	} {
		t.Run(name, func(t *testing.T) {
			var b Batch
			for i := range 20_000 {
				notes.PutIn(&b, strconv.Itoa(i), note{N: i, Text: strings.Repeat("x", 100)}, Absent)
			}
			c.last(&b)
			_, err := s.Commit(&b)
			wantError(t, err, c.want)
			for row, err := range notes.All() {
				if row.Key != "there" || row.Value.N != 1 || row.Revision != rev || err != nil {
					t.Fatalf("row %q: %+v at %d, %v", row.Key, row.Value, row.Revision, err)
				}
			}
			wantJournal(t, s, false)
		})
	}
}

// TestReadersSeeABatchWhole looks at the store before each transaction of a batch: it
// is there from its second one on, and whoever began to read before sees nothing of it.
func TestReadersSeeABatchWhole(t *testing.T) {
	var st steps
	s := openAny(t, Options{Dir: t.TempDir()}, system{committing: st.committing, part: partsOfMany})
	if err := putMany(s); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for row, err := range NewTable[note](s, "notes").All() {
		if err != nil {
			t.Fatal(err)
		}
		seen[row.Key] = row.Value.N
		if len(seen) > 1 {
			continue
		}
		st.watch(func(step int) {
			t.Logf("before transaction %d", step)
			wantNotes(t, s, manyNotes(step > 1))
		})
		if _, err := s.Commit(largeBatch(s)); err != nil {
			t.Fatal(err)
		}
	}
	if st.count() < 5 {
		t.Errorf("%d transactions: the test does not test", st.count())
	}
	if !maps.Equal(seen, manyNotes(false)) {
		t.Errorf("a reader that had begun before saw %v", seen)
	}
	wantNotes(t, s, manyNotes(true))
	wantWhole(t, s)
}

// TestReadersBesideLargeBatches reads while batches are done one after the other.
func TestReadersBesideLargeBatches(t *testing.T) {
	s := openAny(t, Options{Dir: t.TempDir()}, system{part: 2000})
	notes := NewTable[note](s, "notes")
	put := func(n int) {
		var b Batch
		for i := range 50 {
			notes.PutIn(&b, strconv.Itoa(i), note{N: n}, Any)
		}
		if _, err := s.Commit(&b); err != nil {
			t.Error(err)
		}
	}
	put(0)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for newest := 0; ; {
				found, n := 0, -1
				for row, err := range notes.All() {
					if n < 0 {
						n = row.Value.N
					}
					if err != nil || row.Value.N != n {
						t.Errorf("row %q is of batch %d beside %d, %v", row.Key, row.Value.N, n, err)
					}
					found++
				}
				if found != 50 || n < newest {
					t.Errorf("%d records of batch %d, after %d was seen", found, n, newest)
				}
				newest = n
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := range 10 {
		put(n + 1)
	}
	close(done)
	readers.Wait()
	wantWhole(t, s)
}

// TestJournalInTheWay: a journal that cannot be written is a refusal like any other.
func TestJournalInTheWay(t *testing.T) {
	s := openAny(t, Options{Dir: t.TempDir()}, system{part: partsOfMany})
	if err := putMany(s); err != nil {
		t.Fatal(err)
	}
	obstacle := filepath.Join(s.dir, journalName+".tmp")
	if err := os.MkdirAll(filepath.Join(obstacle, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(largeBatch(s)); err == nil {
		t.Fatal("the batch was done without a journal")
	}
	wantNotes(t, s, manyNotes(false))
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(largeBatch(s)); err != nil {
		t.Fatal(err)
	}
	wantNotes(t, s, manyNotes(true))
	wantWhole(t, s)
}
