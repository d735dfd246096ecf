package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"
)

const (
	// valueThreshold is the size in bytes from which on a record lies in the value
	// log.
	valueThreshold = 1 << 20
	// partBytes is how much one transaction takes, without what goes to the value
	// log: less than the 15 % of a memtable at which the database refuses it.
	partBytes = 1 << 20
	// partLogged is how much of it may go to the value log: with it, a file of
	// values stays within the room that it was given.
	partLogged = 15 << 20
	// writeCost is what a write takes beside its key and value. It also keeps the
	// number of writes below the one at which the database refuses them.
	writeCost = 96
	// largeRoom is how many times a journal's size must be free beyond what must be
	// free anyway: for itself, for the tables of what it holds, and for value logs.
	largeRoom = 3
)

// fitting is how many of the writes, from the first on, one transaction takes that
// takes part bytes: one at least, if there is one.
func fitting(writes []write, part int) int {
	var taken, logged int
	for i := range writes {
		w := &writes[i]
		taken += writeCost + len(w.key)
		if recordHeader+len(w.value) < valueThreshold {
			taken += len(w.value)
		} else {
			logged += len(w.value)
		}
		if i > 0 && (taken > part || logged > partLogged) {
			return i
		}
	}
	return len(writes)
}

// commitLarge does a batch that needs several transactions. Once it is in force it
// does not fail: what is left to do is done later. The caller holds writing, and
// nothing is pending.
func (s *Store) commitLarge(e *engine, b *Batch) (Revision, error) {
	p, err := e.prepare(b)
	if err != nil {
		return 0, err
	}
	if err := s.roomForJournal(journalSize(p.writes)); err != nil {
		return 0, err
	}
	if err := writeJournal(e.dir, p); err != nil {
		return 0, err
	}
	// Neither a backup nor a merging of tables shall meet a part of it.
	e.maintenance.Lock()
	defer e.maintenance.Unlock()
	s.sys.committing()
	if err := e.enforce(p); err != nil {
		return 0, err
	}
	if err := s.finish(e); err != nil {
		s.log.Warn("a large batch is in force but not yet all in the database", zap.Error(err))
	}
	return p.rev, nil
}

// prepare checks the conditions of all writes and returns what is left to do: one
// write for each key.
func (e *engine) prepare(b *Batch) (p *pending, err error) {
	defer panicked(&err)
	txn := e.db.NewTransaction(false)
	defer txn.Discard()
	p = &pending{rev: Revision(e.last.Load() + 1), writes: make([]write, 0, len(b.writes))}
	places := make(map[string]int, len(b.writes))
	for i := range b.writes {
		w := &b.writes[i]
		var current Revision
		var err error
		at, again := places[string(w.key)]
		switch {
		case !again:
			current, err = currentRevision(txn, w.key)
		case p.writes[at].value == nil:
			current = Absent
		default:
			current = p.rev
		}
		if err := w.check(current, err); err != nil {
			return nil, err
		}
		if again {
			p.writes[at] = *w
			continue
		}
		places[string(w.key)] = len(p.writes)
		p.writes = append(p.writes, *w)
	}
	slices.SortFunc(p.writes, func(a, b write) int { return bytes.Compare(a.key, b.key) })
	return p, nil
}

// roomForJournal tells whether a journal of a size can be written and put into the
// database.
func (s *Store) roomForJournal(size int64) error {
	free, err := s.room()
	switch {
	case err != nil:
		return err
	case size > s.sys.fileLimit():
		return fmt.Errorf("%w: this process may not write a file of %s", ErrNoSpace, humanize.IBytes(uint64(size)))
	case free-s.opt.MinFree < largeRoom*size:
		return fmt.Errorf("%w: a batch of %s needs %s beyond what must be free", ErrNoSpace,
			humanize.IBytes(uint64(size)), humanize.IBytes(uint64(largeRoom*size)))
	}
	return nil
}

// enforce writes the mark, and shows the batch to readers. If that fails the batch
// is in force all the same where the mark may be in the database.
func (e *engine) enforce(p *pending) error {
	e.last.Store(uint64(p.rev)) // It is not given out again, whatever follows.
	err := e.putPart(p.rev, nil, false)
	if err != nil {
		if rev, marked, readErr := e.readNewest(); readErr == nil && (!marked || rev != p.rev) {
			return errors.Join(err, removeJournal(e.dir))
		}
	}
	e.setPending(p)
	return err
}

// finish puts what is pending into the database. It may be called again after it
// has failed: nothing is done twice. The caller holds writing and maintenance.
func (s *Store) finish(e *engine) error {
	p := e.pending
	// A transaction that failed may be in the database.
	if _, _, err := e.readNewest(); err != nil {
		return err
	}
	for rest := p.writes; ; {
		if err := s.checkRoom(); err != nil {
			return err
		}
		n := fitting(rest, s.sys.part)
		s.sys.committing()
		last := n == len(rest)
		if err := e.putPart(p.rev, rest[:n], last); err != nil {
			return err
		}
		if last {
			break
		}
		if err := e.settle(); err != nil {
			return err
		}
		rest = rest[n:]
	}
	e.setPending(nil)
	if err := removeJournal(e.dir); err != nil {
		s.log.Warn("a journal that is done could not be removed", zap.Error(err))
	}
	return nil
}

// putPart does some writes of a batch in one transaction, with the mark, or
// without it if they are the last.
func (e *engine) putPart(rev Revision, part []write, last bool) (err error) {
	defer panicked(&err)
	txn := e.db.NewTransaction(true)
	defer txn.Discard()
	records := e.records.Load()
	for i := range part {
		w := &part[i]
		current, err := currentRevision(txn, w.key)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return fmt.Errorf("record %q: %w", w.name, err)
		}
		added, err := w.put(txn, rev, current)
		if err != nil {
			return err
		}
		records += added
	}
	version := byte(markVersion)
	if last {
		version = recordVersion
	}
	if err := setSequence(txn, version, rev, sequence{Records: records}); err != nil {
		return err
	}
	if err := txn.Commit(); err != nil {
		return writeError("a part of a batch", err)
	}
	e.records.Store(records)
	return nil
}

// finishLeft finishes what an earlier commit has left pending. It waits for a
// commit that is under way only if that is a large one.
func (s *Store) finishLeft(e *engine) error {
	if !e.unfinished() {
		return nil
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	return s.finishHeld(e)
}

// finishHeld is finishLeft with writing held.
func (s *Store) finishHeld(e *engine) error {
	if e.pending == nil {
		return nil
	}
	e.maintenance.Lock()
	defer e.maintenance.Unlock()
	err := e.settle()
	if err == nil {
		err = s.finish(e)
	}
	if err != nil {
		return fmt.Errorf("finishing the batch of revision %d: %w", e.pending.rev, err)
	}
	return nil
}

// takeUp reads where an opened database stands, and the journal of a batch that is
// in force. A journal that never came into force is removed.
func (e *engine) takeUp() error {
	rev, marked, err := e.readNewest()
	if err != nil {
		return err
	}
	e.last.Store(uint64(rev))
	if !marked {
		return removeJournal(e.dir)
	}
	e.pending, err = readJournal(e.dir, rev)
	return err
}

// errUnfinished says that the database has but a part of a batch that is in force.
var errUnfinished = errors.New("a batch is not yet all in the database")
