package storage

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

func listBackups(t *testing.T, s *Store) []Backup {
	t.Helper()
	all, err := s.Backups()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	notes := NewTable[note](s, "notes")
	for i := range 50 {
		mustPut(t, notes, strconv.Itoa(i), note{N: i})
	}
	mustPut(t, notes, "large", note{N: 7, Text: strings.Repeat("x", 2<<20)})
	if err := notes.Delete("3", Any); err != nil {
		t.Fatal(err)
	}
	b, err := s.Backup()
	if err != nil {
		t.Fatal(err)
	}
	if b.Records != 50 || b.Revision != 52 || b.Schema != schemaVersion || b.Bytes == 0 {
		t.Errorf("the backup says %+v", b)
	}
	mustPut(t, notes, "1", note{N: 100})
	mustPut(t, notes, "new", note{})
	if err := notes.Delete("2", Any); err != nil {
		t.Fatal(err)
	}
	_, staleRev, err := notes.Get("1")
	if err != nil {
		t.Fatal(err)
	}

	if err := s.Restore(b.Path); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for i := range 50 {
			v, _, err := notes.Get(strconv.Itoa(i))
			if i == 3 {
				wantError(t, err, ErrNotFound)
			} else if err != nil || v.N != i {
				t.Errorf("record %d: %+v, %v", i, v, err)
			}
		}
		if got := mustGet(t, notes, "large"); len(got.Text) != 2<<20 {
			t.Errorf("the large record has %d bytes", len(got.Text))
		}
		_, _, err := notes.Get("new")
		wantError(t, err, ErrNotFound)
		awaitVerified(s)
		if st := s.Status(); st.Degraded {
			t.Errorf("status: %+v", st)
		}
	}
	check()
	_, err = notes.Put("1", note{N: 5}, staleRev)
	wantError(t, err, ErrConflict)
	if replaced := glob(t, dir, "store.replaced-*"); len(replaced) != 1 {
		t.Errorf("put aside: %q", replaced)
	}
	closeStore(t, s)
	s = openStore(t, dir)
	notes = NewTable[note](s, "notes")
	check()
}

func TestRestoreOfABadBackupChangesNothing(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	mustPut(t, notes, "k", note{N: 1})
	b, err := s.Backup()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, notes, "k", note{N: 2})
	bad := filepath.Join(t.TempDir(), "bad")
	try := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(bad, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Restore(bad); err == nil {
			t.Errorf("%s was restored", what)
		} else {
			wantError(t, err, ErrDamaged)
		}
	}
	for i := range data {
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 0x40
		try(fmt.Sprintf("a backup with byte %d flipped", i), flipped)
	}
	for _, n := range []int{0, 1, backupEnding, len(data) / 2, len(data) - 1} {
		try(fmt.Sprintf("a backup of %d bytes", n), data[:n])
	}
	wantError(t, s.Restore(filepath.Join(t.TempDir(), "missing")), os.ErrNotExist)
	if got := mustGet(t, notes, "k"); got.N != 2 {
		t.Errorf("got %+v", got)
	}
	if st := s.Status(); st.Degraded || st.Restored != "" {
		t.Errorf("status: %+v", st)
	}
}

func TestBackupsOfAnotherVersionAreRefused(t *testing.T) {
	later := openAny(t, Options{Dir: t.TempDir()}, system{schema: schemaVersion + 1})
	mustPut(t, NewTable[note](later, "notes"), "k", note{})
	b, err := later.Backup()
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, t.TempDir())
	wantError(t, s.Restore(b.Path), ErrVersion)
}

func TestSevenBackupsAreKept(t *testing.T) {
	c := newClock()
	s := openAny(t, Options{Dir: t.TempDir(), Now: c.Now}, system{})
	notes := NewTable[note](s, "notes")
	stray := filepath.Join(s.BackupDir(), "mine.txt")
	for i := range 10 {
		mustPut(t, notes, "k", note{N: i})
		c.add(time.Hour)
		if _, err := s.Backup(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(stray, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := listBackups(t, s)
	if len(all) != keptBackups {
		t.Fatalf("%d backups are kept", len(all))
	}
	if !all[0].Made.Equal(c.Now()) || !s.Status().LastBackup.Equal(c.Now()) {
		t.Errorf("the newest is of %s, status says %s, want %s", all[0].Made, s.Status().LastBackup, c.Now())
	}
	if _, err := os.Stat(stray); err != nil {
		t.Errorf("a file that is no backup was touched: %v", err)
	}
	s.found("something is amiss")
	c.add(time.Hour)
	if _, err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	if n := len(listBackups(t, s)); n != keptBackups+1 {
		t.Errorf("%d backups are kept while something is amiss, want all", n)
	}
}

func TestBackupsAreMadeWhenDue(t *testing.T) {
	c := newClock()
	s := openAny(t, Options{Dir: t.TempDir(), Now: c.Now}, system{})
	notes := NewTable[note](s, "notes")
	after := func(d time.Duration, want int, why string) {
		t.Helper()
		s.tick(c.add(d))
		if got := len(listBackups(t, s)); got != want {
			t.Errorf("%s: %d backups, want %d", why, got, want)
		}
	}
	after(time.Minute, 0, "an empty store")
	mustPut(t, notes, "k", note{N: 1})
	after(time.Second, 1, "no backup at all")
	mustPut(t, notes, "k", note{N: 2})
	after(time.Hour, 1, "a change that nobody asked to back up")
	s.BackupSoon()
	after(29*time.Second, 1, "not yet")
	s.BackupSoon()
	after(29*time.Second, 1, "changed once more")
	after(time.Second, 2, "30 s after the last change")
	after(time.Hour, 2, "nothing more to do")
	mustPut(t, notes, "k", note{N: 3})
	for range 29 {
		s.BackupSoon()
		s.tick(c.add(10 * time.Second))
	}
	if got := len(listBackups(t, s)); got != 2 {
		t.Errorf("changes for 290 s: %d backups, want 2", got)
	}
	s.BackupSoon()
	after(10*time.Second, 3, "changes for 5 minutes")
	after(23*time.Hour, 3, "less than a day")
	after(2*time.Hour, 3, "a day without a change")
	mustPut(t, notes, "k", note{N: 4})
	after(time.Second, 4, "a day later, with a change")
	mustPut(t, notes, "k", note{N: 5})
	after(-48*time.Hour, 5, "the clock was put back by two days")
}

func TestBackupThatFailsIsTriedLater(t *testing.T) {
	c := newClock()
	s := openAny(t, Options{Dir: t.TempDir(), Now: c.Now}, system{})
	mustPut(t, NewTable[note](s, "notes"), "k", note{N: 1})
	if err := os.WriteFile(s.BackupDir(), []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.tick(c.Now())
	if err := os.Remove(s.BackupDir()); err != nil {
		t.Fatal(err)
	}
	s.tick(c.add(time.Minute))
	if n := len(listBackups(t, s)); n != 0 {
		t.Errorf("%d backups before the pause is over", n)
	}
	s.tick(c.add(backupRetryIn))
	if n := len(listBackups(t, s)); n != 1 {
		t.Errorf("%d backups after the pause", n)
	}
}

func TestCollectionAndBackupTakeTurns(t *testing.T) {
	s := openStore(t, t.TempDir())
	notes := NewTable[note](s, "notes")
	e, err := s.use()
	if err != nil {
		t.Fatal(err)
	}
	defer e.leave()

	e.maintenance.Lock() // as a backup does
	s.collect(e)         // returns at once
	e.maintenance.Unlock()

	const rounds = 15
	var group sync.WaitGroup
	group.Go(func() {
		for i := range rounds {
			mustPut(t, notes, strconv.Itoa(i%3), note{N: i, Text: strings.Repeat("x", 2<<20)})
		}
	})
	group.Go(func() {
		for range rounds {
			s.collect(e)
		}
	})
	group.Go(func() {
		for range rounds {
			if _, err := s.Backup(); err != nil {
				t.Errorf("a backup beside collections: %v", err)
			}
		}
	})
	group.Wait()
	for i := rounds - 3; i < rounds; i++ {
		if got := mustGet(t, notes, strconv.Itoa(i%3)); got.N != i || len(got.Text) != 2<<20 {
			t.Errorf("record %d holds %d, %d bytes", i%3, got.N, len(got.Text))
		}
	}
	for _, b := range listBackups(t, s) {
		if _, err := checkBackup(b.Path); err != nil {
			t.Errorf("%s: %v", b.Path, err)
		}
	}
}

func TestBackupStopsBeforeTheDiskIsFull(t *testing.T) {
	free := int64(1 << 40)
	s := openAny(t, Options{Dir: t.TempDir()}, system{free: func(string) (int64, error) { return free, nil }})
	mustPut(t, NewTable[note](s, "notes"), "k", note{Text: strings.Repeat("x", 1<<20)})
	free = defaultMinFree + 1000
	_, err := s.Backup()
	wantError(t, err, ErrNoSpace)
	if left, err := os.ReadDir(s.BackupDir()); err != nil || len(left) != 0 {
		t.Errorf("the failed backup left %v, %v", left, err)
	}
}

func FuzzBackup(f *testing.F) {
	s := openStore(f, f.TempDir())
	mustPut(f, NewTable[note](s, "notes"), "k", note{N: 1})
	b, err := s.Backup()
	if err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(b.Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	path := filepath.Join(f.TempDir(), "fuzzed")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := checkBackup(path); err == nil && b.Bytes != int64(len(data)) {
			t.Errorf("a backup of %d bytes says %d", len(data), b.Bytes)
		}
	})
}

// TestBackupIsOfOneMoment makes backups beside commits that write to both ends of the
// database: none has one end of a commit only.
func TestBackupIsOfOneMoment(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	var b Batch
	for i := range 500 { // a table whose parts could be read each on its own
		NewTable[note](s, "m").PutIn(&b, strconv.Itoa(i), note{Text: strings.Repeat("x", 100)}, Any)
	}
	if _, err := s.Commit(&b); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = openAny(t, Options{Dir: dir}, system{keepEvery: time.Hour})
	first, last := NewTable[note](s, "a"), NewTable[note](s, "z")
	path := filepath.Join(dir, "backup")
	for range 15 {
		begun, stop := make(chan struct{}), make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() {
			for n := 0; ; n++ {
				var b Batch
				first.PutIn(&b, "k", note{N: n}, Any)
				last.PutIn(&b, "k", note{N: n}, Any)
				if _, err := s.Commit(&b); err != nil {
					t.Error(err)
				}
				if n == 0 {
					close(begun)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		<-begun
		err := s.writeBackup(s.engine, path, Backup{})
		close(stop)
		writer.Wait()
		if err != nil {
			t.Fatal(err)
		}
		one, other := revisionIn(t, path, "a\x00k"), revisionIn(t, path, "z\x00k")
		if one != other {
			t.Errorf("a backup has revision %d at one end and %d at the other", one, other)
		}
	}
}

// revisionIn is that of a record in a backup.
func revisionIn(t *testing.T, path, key string) Revision {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, stream, err := readBackup(f)
	if err != nil {
		t.Fatal(err)
	}
	db, err := badger.Open(badger.DefaultOptions("").WithInMemory(true).WithMemTableSize(memTableSize).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Load(io.NewSectionReader(f, 0, stream), pendingLoads); err != nil {
		t.Fatal(err)
	}
	txn := db.NewTransaction(false)
	defer txn.Discard()
	rev, err := currentRevision(txn, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}
