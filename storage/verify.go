package storage

import (
	"errors"
	"fmt"
	"os"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

// lost is the number of acknowledged commits that an opened database does not
// hold.
func (e *engine) lost() uint64 {
	last := e.last.Load()
	if uint64(e.noted) <= last {
		return 0
	}
	return uint64(e.noted) - last
}

// checkHead tells an operator if acknowledged commits were lost.
func (s *Store) checkHead(e *engine) {
	lost := e.lost()
	if lost == 0 {
		return
	}
	e.last.Store(uint64(e.noted)) // Revisions that were given out do not come again.
	s.mu.Lock()
	s.status.Lost = lost
	s.mu.Unlock()
	s.log.Error("acknowledged writes were lost", zap.Uint64("commits", lost), zap.String("directory", s.dir))
	s.found(fmt.Sprintf("the newest %d acknowledged commits were lost", lost))
}

// verify reads everything once: the checksums of all blocks, every record,
// and whether as many are there as there should be. It runs beside normal use
// and ends early when the engine closes.
func (s *Store) verify(e *engine) {
	defer close(e.verified)
	if err := e.verifyBlocks(); err != nil {
		s.log.Error("a table of the store is damaged", zap.Error(err))
		s.found(fmt.Sprintf("a table is damaged: %v", err))
	}
	count, err := e.count()
	switch {
	case errors.Is(err, errClosing):
		return
	case err != nil:
		s.log.Error("the store could not be read through", zap.Error(err))
		s.found(fmt.Sprintf("the store could not be read through: %v", err))
		return
	}
	s.mu.Lock()
	s.status.Damaged = count.damaged
	s.mu.Unlock()
	if count.damaged > 0 {
		s.log.Error("records of the store are damaged", zap.Int("records", count.damaged))
		s.found(fmt.Sprintf("%d records are damaged", count.damaged))
	}
	if count.records != count.expected {
		s.log.Error("records of the store are missing or back",
			zap.Int64("found", count.records), zap.Int64("expected", count.expected))
		s.found(fmt.Sprintf("%d records were found where %d should be", count.records, count.expected))
	}
	if err := s.settleOrphans(); err != nil {
		s.log.Warn("tables that were set aside could not be dealt with", zap.Error(err))
	}
}

// errClosing ends a long read because the engine closes.
var errClosing = errors.New("the database closes")

// verifyBlocks checks the checksums of all blocks.
func (e *engine) verifyBlocks() (err error) {
	defer panicked(&err)
	return e.db.VerifyChecksum()
}

// tally is what count finds.
type tally struct {
	records, expected int64
	damaged           int
}

// count reads all records of one moment.
func (e *engine) count() (t tally, err error) {
	// The database alone: what each part of a batch says of their number fits it.
	txn := e.db.NewTransaction(false)
	defer txn.Discard()
	it := rowsOf(txn, nil)
	defer it.it.Close()
	for {
		select {
		case <-e.closing:
			return t, errClosing
		default:
		}
		item, more, err := it.next()
		if err != nil || !more {
			return t, err
		}
		key := item.KeyCopy(nil)
		if string(key) == string(sequenceKey) {
			s, _, _, err := decodeSequence(item)
			if err != nil {
				t.damaged++
			}
			t.expected = s.Records
			continue
		}
		t.records++
		if checkItem(key, item) != nil {
			t.damaged++
		}
	}
}

// checkItem checks what the database holds under a key.
func checkItem(key []byte, item *badger.Item) (err error) {
	defer panicked(&err)
	return item.Value(func(b []byte) error {
		_, _, err := decodeRecord(key, b)
		return err
	})
}

// settleOrphans removes the tables that were set aside if nothing is missing,
// and otherwise keeps them where an operator can find them.
func (s *Store) settleOrphans() error {
	empty, err := isEmpty(s.orphansDir())
	if err != nil || empty {
		return err
	}
	s.mu.Lock()
	whole := s.finding == ""
	s.mu.Unlock()
	if whole {
		return os.RemoveAll(s.orphansDir())
	}
	path := fmt.Sprintf("%s.corrupt-%s-tables", s.dir, s.opt.Now().UTC().Format("20060102T150405Z"))
	if err := os.Rename(s.orphansDir(), path); err != nil {
		return err
	}
	s.mu.Lock()
	if s.status.Quarantined == "" {
		s.status.Quarantined = path
	}
	s.mu.Unlock()
	return nil
}
