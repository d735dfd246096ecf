package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// The database writes its logs through memory maps of files with holes: a page
// that the disk has no room for ends the process, and so does a table, which
// is copied into such a map. So this is done beside it:
//
//   - The files that commits write into get their room as soon as they are
//     made (claim). From then on a commit cannot meet a full disk.
//   - Tables are only written when there is room to spare: those of a full
//     memtable within the commit that found it full (awaitFlush), those of a
//     compaction by the keeper alone (compact), as the database has no
//     compactors of its own.
//
// Between commits and compactions nothing is written, and nothing of the
// database runs that would. A disk that others fill then can only refuse.

const (
	// flushWait is how long a commit waits for the tables that it caused. A
	// reader can keep the log of a memtable that was long written; such a log
	// is waited for once.
	flushWait = 2 * time.Second
	// flushLook is how often it looks.
	flushLook = time.Millisecond
	// compactAt is how many tables wait at the top before they are merged.
	compactAt = 3
	// manyTables says in the database's options that writes never wait for
	// compactions, which are ours to begin.
	manyTables = 1 << 20
)

// settling is what settle knows of the files.
type settling struct {
	// claimed are the files that have all their room.
	claimed map[string]bool
	// kept are logs that were waited for and did not go.
	kept map[string]bool
	// again says that the last time failed.
	again bool
}

// settle ends what a commit has begun: files that were made get their room, and
// tables are waited for. It costs one look at the directory if there is
// nothing to do. It fails with ErrNoSpace; nothing may then be written until
// it succeeds. The caller holds writing.
func (e *engine) settle() error {
	err := e.claim()
	if err == nil {
		_, err = e.awaitFlush(flushWait)
	}
	e.settling.again = err != nil
	return err
}

// claim gives all files that commits write into the room that they may take.
func (e *engine) claim() error {
	names, err := e.logs()
	if err != nil {
		return err
	}
	for _, name := range names {
		if e.settling.claimed[name] {
			continue
		}
		if err := allocate(filepath.Join(e.dir, name)); err != nil {
			return fmt.Errorf("%w: reserving the room of %s: %w", ErrNoSpace, name, err)
		}
		if e.settling.claimed == nil {
			e.settling.claimed = make(map[string]bool)
		}
		e.settling.claimed[name] = true
	}
	return nil
}

// logs lists the files that commits write into: the newest log of either kind,
// and the statistics about the values.
func (e *engine) logs() ([]string, error) {
	names, err := e.names()
	if err != nil {
		return nil, err
	}
	all := make([]string, 0, 3)
	for _, suffix := range []string{".mem", ".vlog"} {
		if own := withSuffix(names, suffix); len(own) > 0 {
			all = append(all, own[len(own)-1])
		}
	}
	if slices.Contains(names, "DISCARD") {
		all = append(all, "DISCARD")
	}
	return all, nil
}

// names lists the files of the database, sorted, which is the order in which
// those of a kind were made.
func (e *engine) names() ([]string, error) {
	f, err := os.Open(e.dir)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, errors.Join(err, f.Close())
}

func withSuffix(names []string, suffix string) []string {
	var own []string
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			own = append(own, name)
		}
	}
	return own
}

// awaitFlush waits until all full memtables are tables, and says whether they
// are: then only the log of the newest is left.
func (e *engine) awaitFlush(limit time.Duration) (rest bool, err error) {
	deadline := time.Now().Add(limit)
	for {
		names, err := e.names()
		if err != nil {
			return false, err
		}
		logs := withSuffix(names, ".mem")
		if len(logs) <= 1 {
			clear(e.settling.kept)
			return true, nil
		}
		older := logs[:len(logs)-1]
		if !slices.ContainsFunc(older, func(name string) bool { return !e.settling.kept[name] }) {
			return false, nil
		}
		if !time.Now().Before(deadline) {
			e.keep(older)
			return false, nil
		}
		time.Sleep(flushLook)
	}
}

// keep notes logs that were waited for in vain.
func (e *engine) keep(names []string) {
	if e.settling.kept == nil {
		e.settling.kept = make(map[string]bool)
	}
	for _, name := range names {
		e.settling.kept[name] = true
	}
}

// roomToSpare tells whether there is so much room that the database may write
// tables of a size beside commits: beyond what commits need, as much again for
// those who fill the disk meanwhile.
func (s *Store) roomToSpare(size int64) bool {
	free, err := s.room()
	return err == nil && free-2*s.opt.MinFree >= size
}

// compact merges tables if enough of them wait and there is room to spare.
func (s *Store) compact(e *engine) {
	waiting, size := e.tables()
	if waiting < compactAt || !s.roomToSpare(size) || !e.maintenance.TryLock() {
		return
	}
	defer e.maintenance.Unlock()
	if err := e.compact(); err != nil {
		s.log.Warn("the store's tables could not be merged", zap.Error(err))
	}
}

// tables is how many tables wait to be merged, and the size of all in bytes.
func (e *engine) tables() (waiting int, size int64) {
	for _, level := range e.db.Levels() {
		if level.Level == 0 {
			waiting = level.NumTables
		}
		size += level.Size
	}
	return waiting, size
}

func (e *engine) compact() (err error) {
	defer panicked(&err)
	return e.db.Flatten(1)
}
