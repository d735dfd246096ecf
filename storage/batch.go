package storage

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

// Revision numbers the commits of a store, from 1 on. A record's revision is
// that of the commit that wrote it last, so no two states of a record share
// one, not even across deletions and restores.
type Revision uint64

const (
	// Any as a condition is no condition.
	Any Revision = 0
	// Absent as a condition demands that there is no such record.
	Absent Revision = 1<<64 - 1
)

const (
	// maxKey is the longest key of a record in bytes.
	maxKey = 4096
	// maxValue is the longest value in bytes of JSON.
	maxValue = 8 << 20
	// maxBatch is the largest sum of the keys and values of a batch in bytes: as
	// much memory as it takes until it is in the database.
	maxBatch = 64 << 20
)

// Batch gathers writes to any tables of a store, which Commit then does
// together or not at all. The zero value is an empty batch. It is used by one
// goroutine.
type Batch struct {
	writes []write
	bytes  int   // of all keys and values
	err    error // the first write that cannot be done
}

// write is one write of a batch.
type write struct {
	key   []byte // as in the database
	name  string // as the caller knows it, for errors
	value []byte // JSON; nil deletes
	when  Revision
}

// add appends a write, or remembers why it cannot be done.
func (b *Batch) add(w write, err error) {
	b.bytes += len(w.key) + len(w.value)
	if err == nil && b.bytes > maxBatch {
		err = fmt.Errorf("a batch of %d bytes: %w: at most %d", b.bytes, ErrTooLarge, maxBatch)
	}
	if b.err == nil {
		b.err = err
	}
	if err == nil {
		b.writes = append(b.writes, w)
	}
}

// Commit does all writes of a batch, synced to the disk, or none. It returns
// the revision that the written records now have. Readers see all of them or
// none. It fails with a ConflictError, with ErrNotFound where a record to delete
// is missing, with ErrTooLarge if they have more than 64 MiB, and with what keeps
// the store from writing.
func (s *Store) Commit(b *Batch) (Revision, error) {
	if b.err != nil {
		return 0, b.err
	}
	e, err := s.use()
	if err != nil {
		return 0, err
	}
	defer e.leave()
	if err := s.checkRoom(); err != nil {
		return 0, err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	if e.settling.again {
		if err := e.settle(); err != nil {
			return 0, err
		}
	}
	if err := s.finishHeld(e); err != nil {
		return 0, err
	}
	rev, err := s.commit(e, b)
	if err := e.settle(); err != nil {
		s.log.Warn("the store has no room for the next write", zap.Error(err))
	}
	if err != nil {
		return 0, err
	}
	if err := e.head.write(rev); err != nil {
		// The commit itself is safe; only the notice of a later loss suffers.
		s.log.Warn("the newest revision could not be noted", zap.Error(err))
	}
	return rev, nil
}

// commit does a batch in one transaction or, if it is too large, in several.
func (s *Store) commit(e *engine, b *Batch) (Revision, error) {
	if fitting(b.writes, s.sys.part) < len(b.writes) {
		return s.commitLarge(e, b)
	}
	return e.commit(b, s.sys.committing)
}

// commit does the writes in one transaction. The caller holds writing.
func (e *engine) commit(b *Batch, before func()) (rev Revision, err error) {
	defer panicked(&err)
	txn := e.db.NewTransaction(true)
	defer txn.Discard()
	rev = Revision(e.last.Load() + 1)
	records := e.records.Load()
	for i := range b.writes {
		added, err := b.writes[i].apply(txn, rev)
		if err != nil {
			return 0, err
		}
		records += added
	}
	if err := setSequence(txn, recordVersion, rev, sequence{Records: records}); err != nil {
		return 0, err
	}
	before()
	// Whether a commit that failed is in the database after all is unknown, so
	// its revision is not given out again.
	e.last.Store(uint64(rev))
	if err := txn.Commit(); err != nil {
		return 0, writeError("the batch", err)
	}
	e.records.Store(records)
	return rev, nil
}

// apply checks the write's condition and puts it into the transaction. It
// returns by how much the number of records changes.
func (w *write) apply(txn *badger.Txn, rev Revision) (added int64, err error) {
	current, err := currentRevision(txn, w.key)
	if err := w.check(current, err); err != nil {
		return 0, err
	}
	return w.put(txn, rev, current)
}

// check checks the write's condition against the record's revision, or against why
// that cannot be read.
func (w *write) check(current Revision, err error) error {
	switch {
	// A damaged record has no revision; it can be replaced and deleted without
	// a condition, or nobody could ever get rid of it.
	case err != nil && (!errors.Is(err, ErrDamaged) || w.when != Any):
		return fmt.Errorf("record %q: %w", w.name, err)
	case w.when != Any && w.when != current:
		return &ConflictError{Key: w.name, Current: current}
	case w.value == nil && current == Absent:
		return fmt.Errorf("record %q: %w", w.name, ErrNotFound)
	}
	return nil
}

// put puts the write into the transaction. What is to be deleted may be gone.
func (w *write) put(txn *badger.Txn, rev, current Revision) (added int64, err error) {
	switch {
	case w.value == nil && current == Absent:
		return 0, nil
	case w.value == nil:
		added, err = -1, txn.Delete(w.key)
	case current == Absent:
		added, err = 1, txn.Set(w.key, encodeRecord(w.key, rev, w.value))
	default:
		err = txn.Set(w.key, encodeRecord(w.key, rev, w.value))
	}
	if err != nil {
		return 0, writeError(fmt.Sprintf("record %q", w.name), err)
	}
	return added, nil
}

// currentRevision is the revision of a record, or Absent.
func currentRevision(txn *badger.Txn, key []byte) (rev Revision, err error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return Absent, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	err = item.Value(func(b []byte) (err error) {
		rev, _, err = decodeRecord(key, b)
		return err
	})
	return rev, readError(err)
}

// readError makes an error of the database's while reading a value, which can
// only be damage, an ErrDamaged. Ours stay as they are.
func readError(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrDamaged), errors.Is(err, ErrVersion), errors.Is(err, ErrClosed):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

// writeError names what was being written, in the errors of this package.
func writeError(what string, err error) error {
	switch {
	case errors.Is(err, badger.ErrTxnTooBig):
		err = ErrTooLarge
	case errors.Is(err, badger.ErrBlockedWrites), errors.Is(err, badger.ErrDBClosed):
		err = ErrClosed
	}
	return fmt.Errorf("writing %s: %w", what, err)
}

// encodeValue is the JSON of a value to be stored.
func encodeValue(name string, value any) ([]byte, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("record %q: %w", name, err)
	}
	if len(b) > maxValue {
		return nil, fmt.Errorf("record %q: %w: %d bytes, at most %d", name, ErrTooLarge, len(b), maxValue)
	}
	return b, nil
}
