// Package registrytest has the store that tests of managed definitions use.
package registrytest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// Store is a registry.Store in memory, as strict as the one on a disk: it does no write
// whose condition does not hold, and opens a secret only for the record and the field
// for which it was sealed. Its seals are no encryption; they only do not read as what is
// in them.
//
// The zero value is empty and has a secret key. Its methods may be called concurrently.
type Store struct {
	mu       sync.Mutex
	records  map[registry.ID]registry.Record
	revision uint64
	refusal  error
	keyless  bool
}

// Refuse lets each Commit from now on fail with an error; nil ends that.
func (s *Store) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = err
}

// LoseKey lets Seal fail from now on, as without a secret key.
func (s *Store) LoseKey() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyless = true
}

// Put stores a record at the revision that it has, whatever was there: the way to begin
// with records, and to change them behind the back of who has loaded them.
func (s *Store) Put(id registry.ID, record registry.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, record)
	s.revision = max(s.revision, record.Revision)
}

// Delete takes a record away as Put stores one.
func (s *Store) Delete(id registry.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, id)
}

// Record is a record as it is stored; the zero value if there is none.
func (s *Store) Record(id registry.ID) registry.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return copied(s.records[id])
}

// Load implements registry.Store.
func (s *Store) Load() (map[registry.ID]registry.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[registry.ID]registry.Record, len(s.records)) // nil would say that there is no store
	for id, record := range s.records {
		all[id] = copied(record)
	}
	return all, nil
}

// Commit implements registry.Store.
func (s *Store) Commit(writes []registry.Write) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return 0, s.refusal
	}
	for _, w := range writes {
		if at := s.records[w.ID].Revision; at != w.If {
			return 0, fmt.Errorf("a write of %s at revision %d, but it is at %d", w.ID, w.If, at)
		}
	}
	s.revision++
	for _, w := range writes {
		if w.Record == nil {
			delete(s.records, w.ID)
			continue
		}
		record := *w.Record
		record.Revision = s.revision
		s.put(w.ID, record)
	}
	return s.revision, nil
}

func (s *Store) put(id registry.ID, record registry.Record) {
	if s.records == nil {
		s.records = make(map[registry.ID]registry.Record)
	}
	s.records[id] = copied(record)
}

// copied shares no memory with the record, as what was read from a disk.
func copied(record registry.Record) registry.Record {
	record.Spec = slices.Clone(record.Spec)
	return record
}

// Seal implements registry.Store.
func (s *Store) Seal(record, field string, plain []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keyless {
		return "", &registry.Error{Code: registry.CodeNoSecretKey, Message: "no secret key is set"}
	}
	return base64.StdEncoding.EncodeToString([]byte(place(record, field) + string(plain))), nil
}

// Unseal implements registry.Store.
func (s *Store) Unseal(record, field, sealed string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening a secret: %w", err)
	}
	plain, ok := strings.CutPrefix(string(text), place(record, field))
	if !ok {
		return nil, errors.New("a secret that was sealed for another place")
	}
	return []byte(plain), nil
}

// place is what a seal is bound to. Names have no NUL.
func place(record, field string) string { return record + "\x00" + field + "\x00" }

// Stale implements registry.Store: there is one key only.
func (s *Store) Stale(string) bool { return false }

// ForgetKeys implements registry.Store.
func (s *Store) ForgetKeys() error { return nil }

// Interface guard
var _ registry.Store = (*Store)(nil)
