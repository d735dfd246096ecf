package storage

import (
	"encoding/json"
	"fmt"
	"iter"

	"github.com/dgraph-io/badger/v4"
)

// Table is the records of one kind, each a T under a key that may hold any
// bytes. It may be used by several goroutines at once. T is stored as JSON.
type Table[T any] struct {
	store  *Store
	prefix []byte
	err    error // the name cannot be used
}

// Row is one record of a table.
type Row[T any] struct {
	Key      string
	Value    T
	Revision Revision
}

// NewTable returns the table of that name: lower-case letters, digits and
// underscores, beginning with a letter. With another name every method of the
// table answers ErrBadKey. Tables need not be made before use, and several
// values may stand for the same table.
func NewTable[T any](s *Store, name string) *Table[T] {
	t := &Table[T]{store: s, prefix: append([]byte(name), 0)}
	if !usableName(name) {
		t.err = fmt.Errorf("table %q: %w", name, ErrBadKey)
	}
	return t
}

func usableName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// Get returns a record's value and revision. It fails with ErrNotFound, with
// ErrDamaged if the stored bytes are not what was written, and with what
// keeps the store from reading.
func (t *Table[T]) Get(key string) (value T, rev Revision, err error) {
	k, err := t.key(key)
	if err != nil {
		return value, 0, err
	}
	e, err := t.store.use()
	if err != nil {
		return value, 0, err
	}
	defer e.leave()
	defer panicked(&err)
	v := e.view()
	defer v.close()
	found, err := v.get(k)
	if err == nil {
		value, rev, err = decodeEntry[T](found)
	}
	if err != nil {
		return value, 0, fmt.Errorf("record %q: %w", key, err)
	}
	return value, rev, nil
}

// Put stores a value and returns the record's new revision. ifRevision is the
// revision that the record must be at, or Any, or Absent to create it. It
// fails as Commit does.
func (t *Table[T]) Put(key string, value T, ifRevision Revision) (Revision, error) {
	var b Batch
	t.PutIn(&b, key, value, ifRevision)
	return t.store.Commit(&b)
}

// Delete removes a record. ifRevision is the revision that it must be at, or
// Any. It fails as Commit does.
func (t *Table[T]) Delete(key string, ifRevision Revision) error {
	var b Batch
	t.DeleteIn(&b, key, ifRevision)
	_, err := t.store.Commit(&b)
	return err
}

// PutIn is Put as part of a batch: what cannot be stored fails in Commit.
func (t *Table[T]) PutIn(b *Batch, key string, value T, ifRevision Revision) {
	k, err := t.key(key)
	if err != nil {
		b.add(write{}, err)
		return
	}
	v, err := encodeValue(key, value)
	b.add(write{key: k, name: key, value: v, when: ifRevision}, err)
}

// DeleteIn is Delete as part of a batch.
func (t *Table[T]) DeleteIn(b *Batch, key string, ifRevision Revision) {
	k, err := t.key(key)
	b.add(write{key: k, name: key, when: ifRevision}, err)
}

// All returns the records in the order of their keys' bytes, as they are at
// one moment; the loop may write to the store. A record that cannot be read
// comes as its key and an error, and the rest follows. If there is nothing to
// read from, the only row is an error.
func (t *Table[T]) All() iter.Seq2[Row[T], error] {
	return func(yield func(Row[T], error) bool) {
		if t.err != nil {
			yield(Row[T]{}, t.err)
			return
		}
		e, err := t.store.use()
		if err != nil {
			yield(Row[T]{}, err)
			return
		}
		defer e.leave()
		v := e.view()
		defer v.close()
		it := v.entries(t.prefix)
		defer it.close()
		for {
			found, more, err := it.next()
			if err != nil {
				yield(Row[T]{}, err)
				return
			}
			if !more || !yield(rowOf[T](t.prefix, found)) {
				return
			}
		}
	}
}

// rowOf reads the row that an iterator stands at.
func rowOf[T any](prefix []byte, found entry) (Row[T], error) {
	row := Row[T]{Key: string(found.key[len(prefix):])}
	var err error
	row.Value, row.Revision, err = decodeEntry[T](found)
	if err != nil {
		return row, fmt.Errorf("record %q: %w", row.Key, err)
	}
	return row, nil
}

// decodeItem checks and decodes what the database holds under key.
func decodeItem[T any](key []byte, item *badger.Item) (value T, rev Revision, err error) {
	defer panicked(&err)
	err = item.Value(func(b []byte) error {
		var v []byte
		if rev, v, err = decodeRecord(key, b); err != nil {
			return err
		}
		if err := json.Unmarshal(v, &value); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil
	})
	return value, rev, readError(err)
}

// key is the key of a record as the database has it.
func (t *Table[T]) key(key string) ([]byte, error) {
	switch {
	case t.err != nil:
		return nil, t.err
	case key == "":
		return nil, fmt.Errorf("%w: it is empty", ErrBadKey)
	case len(key) > maxKey:
		return nil, fmt.Errorf("%w: a key of %d bytes, at most %d", ErrTooLarge, len(key), maxKey)
	}
	return append(t.prefix[:len(t.prefix):len(t.prefix)], key...), nil
}

// rows iterates over what the database holds below a prefix in a snapshot.
type rows struct {
	it    *badger.Iterator
	begun bool
}

func rowsOf(txn *badger.Txn, prefix []byte) *rows {
	opt := badger.DefaultIteratorOptions
	opt.Prefix = prefix
	opt.PrefetchValues = false // prefetching reads in goroutines where a panic could not be caught
	return &rows{it: txn.NewIterator(opt)}
}

// next moves to the next record, if there is one.
func (r *rows) next() (item *badger.Item, more bool, err error) {
	defer panicked(&err)
	if r.begun {
		r.it.Next()
	} else {
		r.it.Rewind()
		r.begun = true
	}
	if !r.it.Valid() {
		return nil, false, nil
	}
	return r.it.Item(), true, nil
}
