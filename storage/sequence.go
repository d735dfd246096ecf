package storage

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// systemKey makes the keys of the store's own records. They begin with a byte
// that no table's name begins with.
func systemKey(name string) []byte { return []byte("\x00" + name) }

// sequenceKey holds the revision of the newest commit and a sequence, and is
// written with every commit.
var sequenceKey = systemKey("sequence")

// sequence is what is known about the store after a commit. With the head it
// tells whether all is there that was acknowledged.
type sequence struct {
	// Records is the number of records in all tables.
	Records int64 `json:"records"`
}

// setSequence writes the store's own record into a transaction.
func setSequence(txn *badger.Txn, version byte, rev Revision, s sequence) error {
	v, err := encodeSequence(version, rev, s)
	if err != nil {
		return err
	}
	if err := txn.Set(sequenceKey, v); err != nil {
		return writeError("the sequence", err)
	}
	return nil
}

// encodeSequence makes the store's own record.
func encodeSequence(version byte, rev Revision, s sequence) ([]byte, error) {
	v, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing the sequence: %w", err)
	}
	return encodeVersion(version, sequenceKey, rev, v), nil
}

// readNewest reads the revision of the newest commit, and whether it is marked: then
// the database has but a part of it. It sets the number of records.
func (e *engine) readNewest() (rev Revision, marked bool, err error) {
	defer panicked(&err)
	txn := e.db.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get(sequenceKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the sequence: %w", readError(err))
	}
	s, rev, marked, err := decodeSequence(item)
	if err != nil {
		return 0, false, fmt.Errorf("reading the sequence: %w", err)
	}
	e.records.Store(s.Records)
	return rev, marked, nil
}

// decodeSequence checks and decodes the store's own record. It is marked if it is
// of the mark's version.
func decodeSequence(item *badger.Item) (s sequence, rev Revision, marked bool, err error) {
	defer panicked(&err)
	err = item.Value(func(b []byte) error {
		version := byte(recordVersion)
		if marked = len(b) > 0 && b[0] == markVersion; marked {
			version = markVersion
		}
		var v []byte
		if rev, v, err = decodeVersion(version, sequenceKey, b); err != nil {
			return err
		}
		if err := json.Unmarshal(v, &s); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil
	})
	return s, rev, marked, readError(err)
}
