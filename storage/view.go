package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// pending is a batch that is in force, and of which the database may have but a
// part. It does not change.
type pending struct {
	rev Revision
	// writes in the order of their keys, one for each.
	writes []write
}

// find returns the write of a key.
func (p *pending) find(key []byte) (*write, bool) {
	if p == nil {
		return nil, false
	}
	i, ok := slices.BinarySearchFunc(p.writes, key, func(w write, key []byte) int { return bytes.Compare(w.key, key) })
	if !ok {
		return nil, false
	}
	return &p.writes[i], true
}

// below returns the writes of keys that begin with a prefix.
func (p *pending) below(prefix []byte) []write {
	if p == nil {
		return nil
	}
	from, _ := slices.BinarySearchFunc(p.writes, prefix, func(w write, prefix []byte) int { return bytes.Compare(w.key, prefix) })
	rest := p.writes[from:]
	n := slices.IndexFunc(rest, func(w write) bool { return !bytes.HasPrefix(w.key, prefix) })
	if n < 0 {
		return rest
	}
	return rest[:n]
}

// setPending shows a batch to readers, or nil when the database has all of it.
func (e *engine) setPending(p *pending) {
	e.viewing.Lock()
	defer e.viewing.Unlock()
	e.pending = p
}

// unfinished tells whether a batch is pending.
func (e *engine) unfinished() bool {
	e.viewing.RLock()
	defer e.viewing.RUnlock()
	return e.pending != nil
}

// view is the records of one moment: the database's, and over them those of the
// batch that was pending.
type view struct {
	txn     *badger.Txn
	pending *pending
}

// view shows the records as they are now; close must be called on it.
func (e *engine) view() *view {
	// No batch begins or ends in between: the database alone then holds a batch
	// as a whole, or not at all.
	e.viewing.RLock()
	defer e.viewing.RUnlock()
	return &view{e.db.NewTransaction(false), e.pending}
}

func (v *view) close() { v.txn.Discard() }

// entry is a record as a view has it: in the database, or in the pending batch.
type entry struct {
	key     []byte
	item    *badger.Item
	pending []byte // JSON, if there is no item
	rev     Revision
}

// get finds a record. It fails with ErrNotFound.
func (v *view) get(key []byte) (entry, error) {
	if w, ok := v.pending.find(key); ok {
		if w.value == nil {
			return entry{}, ErrNotFound
		}
		return entry{key: key, pending: w.value, rev: v.pending.rev}, nil
	}
	item, err := v.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return entry{}, ErrNotFound
	}
	if err != nil {
		return entry{}, readError(err)
	}
	return entry{key: key, item: item}, nil
}

// decodeEntry decodes a record.
func decodeEntry[T any](e entry) (value T, rev Revision, err error) {
	if e.item != nil {
		return decodeItem[T](e.key, e.item)
	}
	if err := json.Unmarshal(e.pending, &value); err != nil {
		return value, 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return value, e.rev, nil
}

// entries iterates over the records below a prefix.
type entries struct {
	rows *rows
	// item is the next one of the database; nil: it has no more, if it was asked.
	item  *badger.Item
	asked bool
	left  []write // of the pending batch
	rev   Revision
}

func (v *view) entries(prefix []byte) *entries {
	it := &entries{rows: rowsOf(v.txn, prefix), left: v.pending.below(prefix)}
	if v.pending != nil {
		it.rev = v.pending.rev
	}
	return it
}

// next moves to the next record, if there is one. It is good until the next call.
func (it *entries) next() (e entry, more bool, err error) {
	defer panicked(&err)
	for {
		if !it.asked {
			item, more, err := it.rows.next()
			if err != nil {
				return entry{}, false, err
			}
			if it.asked, it.item = true, item; !more {
				it.item = nil
			}
		}
		if it.item == nil && len(it.left) == 0 {
			return entry{}, false, nil
		}
		order := it.order()
		if order <= 0 {
			it.asked = false // what is asked for next
		}
		if order < 0 {
			return entry{key: it.item.KeyCopy(nil), item: it.item}, true, nil
		}
		w := it.left[0]
		it.left = it.left[1:]
		if w.value != nil {
			return entry{key: w.key, pending: w.value, rev: it.rev}, true, nil
		}
	}
}

// order tells which comes next, where there is one: negative, the database's;
// positive, the batch's; 0, the batch's in place of the database's.
func (it *entries) order() int {
	switch {
	case it.item == nil:
		return 1
	case len(it.left) == 0:
		return -1
	}
	return bytes.Compare(it.item.Key(), it.left[0].key)
}

// close ends the iteration. The view goes on.
func (it *entries) close() { it.rows.it.Close() }
