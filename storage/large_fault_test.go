package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

func init() { children["large"] = runLarge }

// runLarge commits a large batch and stops before the transaction of the given
// number, until it is killed.
func runLarge(dir string, args []string) error {
	stop, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var st steps
	s, err := openWith(context.Background(), Options{Dir: dir}, system{committing: st.committing, part: partsOfMany})
	if err != nil {
		return err
	}
	if err := putMany(s); err != nil {
		return err
	}
	st.watch(func(step int) {
		if step == stop {
			fmt.Println("reached")
			_, _ = os.Stdin.Read(make([]byte, 1)) // until the kill
		}
	})
	rev, err := s.Commit(largeBatch(s))
	if err != nil {
		return err
	}
	fmt.Println("done", st.count(), rev)
	return nil
}

// TestFault68KilledWithinALargeBatch kills a process before each transaction of a large
// batch: nothing of the batch is there after the first kill, and all after the others.
func TestFault68KilledWithinALargeBatch(t *testing.T) {
	for stop := 1; ; stop++ {
		dir := t.TempDir()
		c := startChild(t, "large", dir, nil, strconv.Itoa(stop))
		line := c.line(t)
		c.kill(t)
		if line != "reached" {
			if stop < 6 {
				t.Errorf("kill %d: the child said %q: the test does not test", stop, line)
			}
			return
		}
		s := openAny(t, Options{Dir: dir}, system{part: partsOfMany})
		wantNotes(t, s, manyNotes(stop > 1))
		wantWhole(t, s)
		_, rev, err := NewTable[note](s, "notes").Get("k00")
		if err != nil {
			t.Fatal(err)
		}
		if next, err := s.Commit(largeBatch2(s)); err != nil || next <= rev {
			t.Errorf("kill %d: the next batch is of revision %d after %d, %v", stop, next, rev, err)
		}
		wantWhole(t, s)
		closeStore(t, s)
	}
}

// largeBatch2 writes records of its own.
func largeBatch2(s *Store) *Batch {
	var b Batch
	for i := range 60 {
		NewTable[note](s, "others").PutIn(&b, strconv.Itoa(i), note{N: i}, Absent)
	}
	return &b
}

// imagesOfABatch returns the data directory as it was before each transaction of a
// large batch, and after it: what kills would have left.
func imagesOfABatch(t *testing.T) (images [][]image) {
	t.Helper()
	dir := t.TempDir()
	var st steps
	s := openAny(t, Options{Dir: dir}, system{committing: st.committing, part: partsOfMany, keepEvery: time.Hour})
	if err := putMany(s); err != nil {
		t.Fatal(err)
	}
	st.watch(func(int) { images = append(images, readTree(t, dir)) })
	if _, err := s.Commit(largeBatch(s)); err != nil {
		t.Fatal(err)
	}
	return append(images, readTree(t, dir))
}

// journalIn finds the journal in an image of a data directory.
func journalIn(t *testing.T, files []image) image {
	t.Helper()
	for _, file := range files {
		if filepath.Base(file.path) == journalName {
			return file
		}
	}
	t.Fatal("there is no journal")
	return image{}
}

// TestFault68WhatKillsLeaveOfAJournal opens stores with a journal that is not in force,
// cut, done, or killed while it was being finished.
func TestFault68WhatKillsLeaveOfAJournal(t *testing.T) {
	images := imagesOfABatch(t)
	journal := journalIn(t, images[0])
	cut := image{path: journal.path + ".tmp", contents: journal.contents[:100], size: 100}
	for name, c := range map[string]struct {
		files []image
		after bool
	}{
		"not in force":               {images[0], false},
		"cut":                        {append(images[0][:len(images[0]):len(images[0])], cut), false},
		"in force":                   {images[1], true},
		"half done":                  {images[3], true},
		"done, and not removed":      {append(images[len(images)-1][:len(images[len(images)-1]):len(images[len(images)-1])], journal), true},
		"done, and the next was cut": {append(images[len(images)-1][:len(images[len(images)-1]):len(images[len(images)-1])], cut), true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeTree(t, dir, c.files)
			// It is killed once more, in the middle of the opening.
			var st steps
			var again []image
			st.watch(func(step int) {
				if step == 2 {
					again = readTree(t, dir)
				}
			})
			check := func(s *Store) {
				t.Helper()
				wantNotes(t, s, manyNotes(c.after))
				wantWhole(t, s)
			}
			check(openAny(t, Options{Dir: dir}, system{committing: st.committing, part: partsOfMany}))
			if again != nil {
				dir := t.TempDir()
				writeTree(t, dir, again)
				check(openAny(t, Options{Dir: dir}, system{part: partsOfMany}))
			}
		})
	}
}

// TestFault73DamagedJournal: a store whose journal is damaged is put aside as a whole,
// so that nobody sees half a batch.
func TestFault73DamagedJournal(t *testing.T) {
	images := imagesOfABatch(t)
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeTree(t, dir, images[2])
			journal := journalIn(t, images[2])
			if err := damage(filepath.Join(dir, journal.path), append([]byte(nil), journal.contents...)); err != nil {
				t.Fatal(err)
			}
			s := openAny(t, Options{Dir: dir}, system{part: partsOfMany})
			wantNotes(t, s, nil)
			if st := s.Status(); !st.Available || !st.Degraded || st.Quarantined == "" {
				t.Errorf("status: %+v", st)
			}
		})
	}
}

// TestFault70NoSpaceWithinALargeBatch: a disk that gets full before the mark costs a
// refusal. After it the batch is in force, is read, and is finished with room again, by
// the next commit, the keeper, a backup or an opening.
func TestFault70NoSpaceWithinALargeBatch(t *testing.T) {
	for name, finish := range map[string]func(*testing.T, *Store) *Store{
		"the next commit": func(t *testing.T, s *Store) *Store {
			mustPut(t, NewTable[note](s, "others"), "k", note{})
			return s
		},
		"the keeper": func(_ *testing.T, s *Store) *Store { s.tick(s.opt.Now()); return s },
		"a backup": func(t *testing.T, s *Store) *Store {
			b, err := s.Backup()
			if err != nil || b.Records != int64(len(manyNotes(true))) {
				t.Errorf("the backup is %+v, %v", b, err)
			}
			return s
		},
		"an opening": func(t *testing.T, s *Store) *Store {
			closeStore(t, s)
			return openAny(t, Options{Dir: s.opt.Dir}, s.sys)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var free atomic.Int64
			free.Store(1 << 30)
			var st steps
			sys := system{
				committing: st.committing, part: partsOfMany, keepEvery: time.Hour,
				free: func(string) (int64, error) { return free.Load(), nil },
			}
			s := openAny(t, Options{Dir: t.TempDir()}, sys)
			notes := NewTable[note](s, "notes")
			if err := putMany(s); err != nil {
				t.Fatal(err)
			}
			free.Store(defaultMinFree + 5000)
			_, err := s.Commit(largeBatch(s))
			wantError(t, err, ErrNoSpace)
			wantNotes(t, s, manyNotes(false))
			wantJournal(t, s, false)

			free.Store(1 << 30)
			st.watch(func(step int) {
				if step == 3 {
					free.Store(0)
				}
			})
			rev, err := s.Commit(largeBatch(s))
			if err != nil {
				t.Fatalf("a batch in force: %v", err)
			}
			st.watch(nil)
			wantNotes(t, s, manyNotes(true))
			wantJournal(t, s, true)
			if _, at, err := notes.Get("k59"); err != nil || at != rev {
				t.Errorf("a record is at revision %d (%v), want %d", at, err, rev)
			}
			_, err = notes.Put("k00", note{}, Any)
			wantError(t, err, ErrNoSpace)
			_, err = s.Backup()
			wantError(t, err, ErrNoSpace)
			if st.count() > 0 {
				t.Errorf("%d transactions without room", st.count())
			}

			free.Store(1 << 30)
			s = finish(t, s)
			wantNotes(t, s, manyNotes(true))
			wantWhole(t, s)
			closeStore(t, s)
			s = openAny(t, Options{Dir: s.opt.Dir}, system{})
			wantNotes(t, s, manyNotes(true))
			wantWhole(t, s)
		})
	}
}

// TestFault70CloseWithinALargeBatch closes a store without room before its batch is
// finished; the next opening finds no room to finish it either, and reads it.
func TestFault70CloseWithinALargeBatch(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	var st steps
	sys := system{
		committing: st.committing, part: partsOfMany, keepEvery: time.Hour,
		free: func(string) (int64, error) { return free.Load(), nil },
	}
	opt := Options{Dir: t.TempDir(), LockWait: -1}
	full := func(step int) {
		if step == 3 {
			free.Store(0)
		}
	}
	s, err := openWith(t.Context(), opt, sys)
	if err != nil {
		t.Fatal(err)
	}
	if err := putMany(s); err != nil {
		t.Fatal(err)
	}
	st.watch(full)
	if _, err := s.Commit(largeBatch(s)); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Close(), ErrNoSpace)
	free.Store(1 << 30)
	st.watch(full)
	s = openAny(t, opt, sys)
	wantNotes(t, s, manyNotes(true))
	wantJournal(t, s, true)
	if st := s.Status(); !st.Available || st.Quarantined != "" {
		t.Errorf("status: %+v", st)
	}
	free.Store(1 << 30)
	mustPut(t, NewTable[note](s, "others"), "k", note{})
	wantNotes(t, s, manyNotes(true))
	wantWhole(t, s)
}

// TestBackupWithinALargeBatch asks for a backup before each transaction of a batch:
// what it has is the store before it or after it, and loads as such.
func TestBackupWithinALargeBatch(t *testing.T) {
	dir := t.TempDir()
	var st steps
	s := openAny(t, Options{Dir: dir}, system{committing: st.committing, part: partsOfMany, keepEvery: time.Hour})
	if err := putMany(s); err != nil {
		t.Fatal(err)
	}
	made := make(chan Backup, 20)
	st.watch(func(int) {
		go func() {
			b, err := s.Backup()
			if err != nil {
				t.Error(err)
			}
			made <- b
		}()
	})
	if _, err := s.Commit(largeBatch(s)); err != nil {
		t.Fatal(err)
	}
	backups := make(map[string]Backup)
	for range st.count() {
		b := <-made
		backups[b.Path] = b
	}
	for _, b := range backups {
		if err := s.Restore(b.Path); err != nil {
			t.Fatal(err)
		}
		wantNotes(t, s, manyNotes(true))
		wantWhole(t, s)
		if b.Records != int64(len(manyNotes(true))) {
			t.Errorf("the backup says %+v", b)
		}
	}
}

// TestBackupOfHalfABatchIsNotRestored: should one ever be made.
func TestBackupOfHalfABatchIsNotRestored(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, imagesOfABatch(t)[3])
	e, err := openEngine(filepath.Join(dir, "store"), schemaVersion, openStore(t, t.TempDir()).log)
	if err != nil {
		t.Fatal(err)
	}
	other := openStore(t, t.TempDir())
	path := filepath.Join(dir, "half")
	if err := other.writeBackup(e, path, Backup{Schema: schemaVersion}); err != nil {
		t.Fatal(err)
	}
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	mustPut(t, NewTable[note](other, "notes"), "k", note{N: 1})
	wantError(t, other.Restore(path), ErrDamaged)
	if got := mustGet(t, NewTable[note](other, "notes"), "k"); got.N != 1 {
		t.Errorf("got %+v", got)
	}
}
