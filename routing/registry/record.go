package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Record is a managed definition as it is stored.
type Record struct {
	// Spec is the definition: the JSON of the config, with sealed secrets.
	Spec json.RawMessage `json:"spec"`
	// Created and Updated are when it was first and last written.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	// Actor is who wrote it last.
	Actor string `json:"actor,omitempty"`
	// Revision is that of the store's commit that wrote it.
	Revision uint64 `json:"-"`
}

// Write is one write of a commit.
type Write struct {
	ID ID
	// Record to store; nil deletes.
	Record *Record
	// If is the revision that the record must be at; 0 says that there must be none.
	If uint64
}

// Store keeps records. Its methods may be called concurrently.
type Store interface {
	// Load returns all records. Those that cannot be read are left out, and told
	// with the error; a nil map says that there is no store to read from.
	Load() (map[ID]Record, error)
	// Commit does all writes, synced to the disk, or none, and returns their
	// revision. A *Error tells why not.
	Commit(writes []Write) (uint64, error)
	// Seal encrypts a secret for one field of one record.
	Seal(record, field string, plain []byte) (string, error)
	// Unseal decrypts what Seal has made for the same field of the same record.
	Unseal(record, field, sealed string) ([]byte, error)
	// Stale says whether a secret was sealed with an earlier key.
	Stale(sealed string) bool
	// ForgetKeys ends the need for earlier keys, after everything was sealed anew.
	ForgetKeys() error
}

// Managed is the managed definitions of a data directory. It outlives configs and
// is safe for concurrent use.
type Managed struct {
	store   Store
	now     func() time.Time
	writing sync.Mutex // one change at a time, over all configs
	current atomic.Pointer[records]
	changed func([]Event)

	mu sync.Mutex
	// registries are those that show the definitions, the newest last.
	registries []*Registry
}

// Event is a change of a managed definition that was stored.
type Event struct {
	ID
	// What was done: created, changed or deleted.
	What Verb
	// Revision of the definition now; of a deletion, that of the deletion.
	Revision uint64
	Actor    string
	Time     time.Time
	// Gone says that nothing has the name any more: it was deleted, and the config
	// declares none.
	Gone bool
}

// records are all managed definitions at one moment. They do not change.
type records struct{ all map[ID]Record }

// of goes through the definitions of a kind, in any order.
func (r *records) of(kind Kind) iter.Seq2[string, Record] {
	return func(yield func(string, Record) bool) {
		for id, record := range r.all {
			if id.Kind == kind && !yield(id.Name, record) {
				return
			}
		}
	}
}

// with are the records after some writes, at the revision of their commit.
func (r *records) with(writes []Write, revision uint64) *records {
	next := &records{make(map[ID]Record, len(r.all)+len(writes))}
	maps.Copy(next.all, r.all)
	for _, w := range writes {
		if w.Record == nil {
			delete(next.all, w.ID)
			continue
		}
		record := *w.Record
		record.Revision = revision
		next.all[w.ID] = record
	}
	return next
}

// NewManaged reads the managed definitions of a store. The function is told of
// changes, one call at a time and in their order; it must not block. Records that
// cannot be read are told with the error, and the others are there.
func NewManaged(store Store, changed func([]Event)) (*Managed, error) {
	m := &Managed{store: store, now: time.Now, changed: changed}
	m.current.Store(new(records))
	return m, m.load()
}

// Reload reads the definitions again, after the store was opened anew or restored,
// and tells of those that are different.
func (m *Managed) Reload() error {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.reload()
}

// reload is Reload with writing held.
func (m *Managed) reload() error {
	before := m.records()
	err := m.load()
	if changes := differences(before, m.records(), m.now().UTC()); len(changes) > 0 {
		m.tell(changes)
	}
	return err
}

// uncertain reads the definitions again after a commit that has failed in such a way
// that it may be in the store all the same, or that the store has others than we
// know: nobody could change these until the next start. writing is held.
func (m *Managed) uncertain(failure error) error {
	if e, refused := errors.AsType[*Error](failure); refused && e.Code != CodeStale {
		return nil
	}
	return m.reload()
}

// load takes the definitions out of the store. What cannot be read is left out.
func (m *Managed) load() error {
	all, err := m.store.Load()
	if all != nil {
		m.current.Store(&records{all})
	}
	if err != nil {
		return fmt.Errorf("reading the managed definitions: %w", err)
	}
	return nil
}

// differences are the changes that make other records of some, by their ids.
func differences(before, after *records, now time.Time) []Event {
	var all []Event
	for id, record := range after.all {
		switch was, ok := before.all[id]; {
		case !ok:
			all = append(all, Event{ID: id, What: Create, Revision: record.Revision, Actor: record.Actor, Time: now})
		case was.Revision != record.Revision:
			all = append(all, Event{ID: id, What: Edit, Revision: record.Revision, Actor: record.Actor, Time: now})
		}
	}
	for id, record := range before.all {
		if _, ok := after.all[id]; !ok {
			all = append(all, Event{ID: id, What: Delete, Revision: record.Revision, Time: now})
		}
	}
	slices.SortFunc(all, func(a, b Event) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return all
}

// join notes the registry of a config that was loaded.
func (m *Managed) join(r *Registry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registries = append(m.registries, r)
}

// leave forgets a registry. If it was the newest it returns the one before.
func (m *Managed) leave(r *Registry) (before *Registry) {
	newest := m.newest() == r
	m.mu.Lock()
	m.registries = slices.DeleteFunc(m.registries, func(other *Registry) bool { return other == r })
	m.mu.Unlock()
	if !newest {
		return nil
	}
	return m.newest()
}

// newest is the registry of the config that was loaded last; nil if there is none.
func (m *Managed) newest() *Registry {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.registries) == 0 {
		return nil
	}
	return m.registries[len(m.registries)-1]
}

func (m *Managed) records() *records { return m.current.Load() }
