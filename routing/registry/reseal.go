package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// resealedAtOnce keeps a commit within what the store takes.
const resealedAtOnce = 100

// Reseal seals anew what is sealed with an earlier secret key, in commits of their own,
// and returns how many definitions that were. Secrets that cannot be opened are left as
// they are, with an error.
func (m *Managed) Reseal() (int, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	current := m.records()
	var writes []Write
	var errs []error
	for name, record := range current.of(Upstreams) {
		id := ID{Upstreams, name}
		spec, stale, err := m.resealed(id, record.Spec)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
			continue
		}
		if stale {
			next := record
			next.Spec = spec
			writes = append(writes, Write{ID: id, Record: &next, If: record.Revision})
		}
	}
	done := 0
	for part := range slices.Chunk(writes, resealedAtOnce) {
		revision, err := m.store.Commit(part)
		if err != nil {
			return done, errors.Join(append(errs, err, m.uncertain(err))...)
		}
		m.current.Store(m.records().with(part, revision))
		done += len(part)
	}
	if len(errs) > 0 {
		return done, errors.Join(errs...)
	}
	return done, m.store.ForgetKeys()
}

// resealed is a definition with all its secrets sealed with the newest key, if any
// is not.
func (m *Managed) resealed(id ID, spec json.RawMessage) (json.RawMessage, bool, error) {
	fields, credentials, err := credentialsOf(spec)
	if err != nil {
		return nil, false, err
	}
	stale := false
	for i, c := range credentials {
		for name := range c {
			s, ok := c.sealedIn(name)
			if !ok || !m.store.Stale(s.Sealed) {
				continue
			}
			field := c.text("id") + "/" + name
			plain, err := m.store.Unseal(id.String(), field, s.Sealed)
			if err != nil {
				return nil, false, fmt.Errorf("credentials[%d].%s: %w", i, name, err)
			}
			if s.Sealed, err = m.store.Seal(id.String(), field, plain); err != nil {
				return nil, false, fmt.Errorf("credentials[%d].%s: %w", i, name, err)
			}
			c[name] = mustJSON(s)
			stale = true
		}
	}
	if !stale {
		return spec, false, nil
	}
	text, err := withCredentials(fields, credentials)
	return text, true, err
}
