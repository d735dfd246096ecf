package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestTableKeepsRecords(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	notes := NewTable[note](s, "notes")
	keys := []string{"a/b/c", "a", "\x00\xff", "ü", "a\x00b", strings.Repeat("k", maxKey)}
	for i, key := range keys {
		mustPut(t, notes, key, note{N: i})
	}
	mustPut(t, NewTable[note](s, "notes2"), "a", note{N: 99})
	closeStore(t, s)

	s = openStore(t, dir)
	notes = NewTable[note](s, "notes")
	for i, key := range keys {
		if got := mustGet(t, notes, key); got.N != i {
			t.Errorf("record %q: got %d, want %d", key, got.N, i)
		}
	}
	var got []string
	for row, err := range notes.All() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.Key)
		if keys[row.Value.N] != row.Key {
			t.Errorf("row %q holds value %d", row.Key, row.Value.N)
		}
	}
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("got keys %q, want %q", got, keys)
	}
	awaitVerified(s)
	if st := s.Status(); st.Degraded || st.Bytes == 0 || st.FreeBytes == 0 || !st.Writable {
		t.Errorf("status after a clean restart: %+v", st)
	}
}

func TestTableRevisions(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	first, err := notes.Put("k", note{N: 1}, Absent)
	if err != nil {
		t.Fatal(err)
	}
	second, err := notes.Put("k", note{N: 2}, first)
	if err != nil || second <= first {
		t.Fatalf("got revision %d after %d, %v", second, first, err)
	}
	for name, attempt := range map[string]func() error{
		"a stale put":                func() error { _, err := notes.Put("k", note{N: 3}, first); return err },
		"creating what exists":       func() error { _, err := notes.Put("k", note{N: 3}, Absent); return err },
		"a stale delete":             func() error { return notes.Delete("k", first) },
		"changing what never was":    func() error { _, err := notes.Put("other", note{}, first); return err },
		"deleting what never was":    func() error { return notes.Delete("other", second) },
		"deleting without condition": func() error { return notes.Delete("other", Any) },
	} {
		err := attempt()
		if name == "deleting without condition" {
			wantError(t, err, ErrNotFound)
			continue
		}
		wantError(t, err, ErrConflict)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			t.Errorf("%s: no ConflictError in %v", name, err)
		} else if conflict.Key == "k" && conflict.Current != second || conflict.Key == "other" && conflict.Current != Absent {
			t.Errorf("%s: conflict says %+v", name, conflict)
		}
	}
	if got := mustGet(t, notes, "k"); got.N != 2 {
		t.Errorf("a refused write changed the record to %d", got.N)
	}
	if err := notes.Delete("k", second); err != nil {
		t.Fatal(err)
	}
	_, _, err = notes.Get("k")
	wantError(t, err, ErrNotFound)
	third := mustPut(t, notes, "k", note{N: 4})
	if third <= second {
		t.Errorf("a record made anew has revision %d, not above %d", third, second)
	}
}

func TestCommitIsAllOrNothing(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes, names := NewTable[note](s, "notes"), NewTable[string](s, "names")
	mustPut(t, notes, "old", note{N: 1})
	var b Batch
	notes.PutIn(&b, "new", note{N: 2}, Absent)
	notes.DeleteIn(&b, "old", Any)
	names.PutIn(&b, "x", "y", 77)
	_, err := s.Commit(&b)
	wantError(t, err, ErrConflict)
	if got := mustGet(t, notes, "old"); got.N != 1 {
		t.Errorf("a refused batch changed a record: %+v", got)
	}
	_, _, err = notes.Get("new")
	wantError(t, err, ErrNotFound)

	b = Batch{}
	notes.PutIn(&b, "new", note{N: 2}, Absent)
	notes.DeleteIn(&b, "old", Any)
	names.PutIn(&b, "x", "y", Absent)
	rev, err := s.Commit(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, get := range []func() (Revision, error){
		func() (Revision, error) { _, r, err := notes.Get("new"); return r, err },
		func() (Revision, error) { _, r, err := names.Get("x"); return r, err },
	} {
		if got, err := get(); err != nil || got != rev {
			t.Errorf("got revision %d, %v, want %d", got, err, rev)
		}
	}
}

func TestTableRefusesBadInput(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	_, _, err := notes.Get("")
	wantError(t, err, ErrBadKey)
	_, err = notes.Put(strings.Repeat("k", maxKey+1), note{}, Any)
	wantError(t, err, ErrTooLarge)
	_, err = notes.Put("k", note{Text: strings.Repeat("x", maxValue)}, Any)
	wantError(t, err, ErrTooLarge)
	for _, name := range []string{"", "Notes", "no tes", "9", "_a", "a\x00b", "a/b", strings.Repeat("a", 65)} {
		bad := NewTable[note](s, name)
		_, _, err := bad.Get("k")
		wantError(t, err, ErrBadKey)
		_, err = bad.Put("k", note{}, Any)
		wantError(t, err, ErrBadKey)
		wantError(t, bad.Delete("k", Any), ErrBadKey)
		for _, err := range bad.All() {
			wantError(t, err, ErrBadKey)
		}
	}
	if _, err := NewTable[func()](s, "functions").Put("k", func() {}, Any); err == nil {
		t.Error("a value without JSON was stored")
	}
	for row, err := range notes.All() {
		t.Errorf("refused input left row %q, %v", row.Key, err)
	}
}

func TestLoopMayWriteAndStop(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	for i := range 10 {
		mustPut(t, notes, fmt.Sprint(i), note{N: i})
	}
	seen := 0
	for row, err := range notes.All() {
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, notes, row.Key+"-copy", row.Value)
		if seen++; seen == 5 {
			break
		}
	}
	total := 0
	for range notes.All() {
		total++
	}
	if total != 15 {
		t.Errorf("got %d records, want 10 and 5 copies", total)
	}
}

func TestConcurrentWritersCountEveryStep(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	mustPut(t, notes, "counter", note{})
	const writers, steps = 8, 20
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for done := 0; done < steps; {
				v, rev, err := notes.Get("counter")
				if err != nil {
					t.Error(err)
					return
				}
				v.N++
				_, err = notes.Put("counter", v, rev)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if got := mustGet(t, notes, "counter").N; got != writers*steps {
		t.Errorf("got %d, want %d: an update was lost", got, writers*steps)
	}
}

func TestClosedStoreAnswers(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	rev := mustPut(t, notes, "k", note{N: 1})
	closeStore(t, s)
	closeStore(t, s)
	_, _, err := notes.Get("k")
	wantError(t, err, ErrClosed)
	_, err = notes.Put("k", note{}, rev)
	wantError(t, err, ErrClosed)
	wantError(t, notes.Delete("k", Any), ErrClosed)
	rows := 0
	for _, err := range notes.All() {
		wantError(t, err, ErrClosed)
		rows++
	}
	if rows != 1 {
		t.Errorf("a closed table has %d rows, want one error", rows)
	}
	_, err = s.Backup()
	wantError(t, err, ErrClosed)
	wantError(t, s.Reopen(t.Context()), ErrClosed)
	wantError(t, s.Restore("x"), ErrClosed)
	s.BackupSoon()
	s.tick(s.opt.Now())
	if st := s.Status(); st.Available || st.Writable || !st.Degraded {
		t.Errorf("status of a closed store: %+v", st)
	}
}

func TestCloseWaitsForReaders(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	mustPut(t, notes, "a", note{N: 1})
	mustPut(t, notes, "b", note{N: 2})
	closed := make(chan error, 1)
	sum := 0
	for row, err := range notes.All() {
		if err != nil {
			t.Fatal(err)
		}
		if sum == 0 {
			go func() { closed <- s.Close() }()
			<-s.kept // Close has begun.
		}
		sum += row.Value.N
	}
	if err := <-closed; err != nil || sum != 3 {
		t.Errorf("the loop saw %d, want 3; close: %v", sum, err)
	}
}

func TestOpenNeedsADirectory(t *testing.T) {
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("a store without a directory was opened")
	}
}

// BenchmarkOpenStore reports what an open store with 1,000 small records
// keeps on the heap.
func BenchmarkOpenStore(b *testing.B) {
	dir := b.TempDir()
	s := openStore(b, dir)
	notes := NewTable[note](s, "notes")
	var batch Batch
	for i := range 1000 {
		notes.PutIn(&batch, fmt.Sprint(i), note{N: i, Text: strings.Repeat("x", 200)}, Any)
	}
	if _, err := s.Commit(&batch); err != nil {
		b.Fatal(err)
	}
	closeStore(b, s)
	before := heap()
	for b.Loop() {
		s = openStore(b, dir)
		awaitVerified(s)
		b.StopTimer()
		b.ReportMetric(float64(heap()-before)/(1<<20), "heap-MiB")
		closeStore(b, s)
		b.StartTimer()
	}
}

// BenchmarkPut measures one acknowledged write.
func BenchmarkPut(b *testing.B) {
	notes := NewTable[note](openStore(b, b.TempDir()), "notes")
	for b.Loop() {
		mustPut(b, notes, "k", note{N: 1})
	}
}

// BenchmarkGet measures one read.
func BenchmarkGet(b *testing.B) {
	notes := NewTable[note](openStore(b, b.TempDir()), "notes")
	mustPut(b, notes, "k", note{N: 1})
	for b.Loop() {
		mustGet(b, notes, "k")
	}
}
