package storage

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Closing without room leaves the store as a kill would, and the directory free,
// also for this process.
func TestFault70CloseWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	var free atomic.Int64
	free.Store(1 << 40)
	sys := system{free: func(string) (int64, error) { return free.Load(), nil }}
	opt := Options{Dir: dir, LockWait: -1}
	for round := range 3 {
		s, err := openWith(t.Context(), opt, sys)
		if err != nil {
			t.Fatal(err)
		}
		notes := NewTable[note](s, "notes")
		for n := range round {
			if got := mustGet(t, notes, strconv.Itoa(n)); got.N != n {
				t.Errorf("round %d reads %+v, want %d", round, got, n)
			}
		}
		mustPut(t, notes, strconv.Itoa(round), note{N: round, Text: strings.Repeat("x", 100_000)})
		free.Store(0)
		wantError(t, s.Close(), ErrNoSpace)
		if err := s.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		free.Store(1 << 40)
	}
	s := openAny(t, opt, sys)
	awaitVerified(s)
	if st := s.Status(); st.Degraded {
		t.Errorf("status: %+v", st)
	}
}

// What commits write into has all its room before they do.
func TestRoomIsReserved(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	check := func(when string) {
		t.Helper()
		names, err := s.engine.logs()
		if err != nil || len(names) != 3 {
			t.Fatalf("%s there are the files %v, %v", when, names, err)
		}
		for _, name := range names {
			info, err := os.Stat(filepath.Join(s.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if runtime.GOOS == "linux" && allocated(info) < info.Size() {
				t.Errorf("%s %s has %d of %d bytes", when, name, allocated(info), info.Size())
			}
		}
	}
	check("at first")
	first, err := s.engine.logs()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		mustPut(t, notes, strconv.Itoa(n), note{Text: strings.Repeat("x", 1_000_000)})
	}
	check("after a memtable was full")
	if last, err := s.engine.logs(); err != nil || last[0] == first[0] {
		t.Errorf("the log is still %s (%v): the test does not test", first[0], err)
	}
}

// Tables are merged with room to spare only.
func TestTablesAreMergedWithRoomToSpare(t *testing.T) {
	var free atomic.Int64
	free.Store(2 * defaultMinFree)
	// The keeper's own looks are far apart: the test calls it.
	s := openAny(t, Options{Dir: t.TempDir()}, system{
		free: func(string) (int64, error) { return free.Load(), nil }, keepEvery: time.Hour,
	})
	notes := NewTable[note](s, "notes")
	for n := range 50 {
		mustPut(t, notes, strconv.Itoa(n), note{N: n, Text: strings.Repeat("x", 1_000_000)})
	}
	waiting, size := s.engine.tables()
	if waiting < compactAt {
		t.Fatalf("%d tables wait: the test does not test", waiting)
	}
	s.tick(time.Now())
	if again, _ := s.engine.tables(); again != waiting {
		t.Errorf("without room to spare %d tables became %d", waiting, again)
	}
	free.Store(2*defaultMinFree + size)
	s.tick(time.Now())
	if again, _ := s.engine.tables(); again >= compactAt {
		t.Errorf("with room to spare %d tables became %d", waiting, again)
	}
	for n := range 50 {
		if got := mustGet(t, notes, strconv.Itoa(n)); got.N != n {
			t.Errorf("record %d reads %d", n, got.N)
		}
	}
}

func TestBatchBeyondTheLimit(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	var b Batch
	for n := range 1 + maxBatch>>22 {
		notes.PutIn(&b, strconv.Itoa(n), note{Text: strings.Repeat("x", 4<<20)}, Any)
	}
	_, err := s.Commit(&b)
	wantError(t, err, ErrTooLarge)
	_, _, err = notes.Get("0")
	wantError(t, err, ErrNotFound)
}
