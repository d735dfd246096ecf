package registry_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"sync"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// memory is a store in memory. Its seals can be told apart by what they are for,
// and are no encryption.
type memory struct {
	mu       sync.Mutex
	records  map[registry.ID]registry.Record
	revision uint64
	noKey    bool
	refuses  error // of Commit
}

func newMemory() *memory { return &memory{records: make(map[registry.ID]registry.Record)} }

func (m *memory) Load() (map[registry.ID]registry.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.records), nil
}

func (m *memory) Commit(writes []registry.Write) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuses != nil {
		return 0, m.refuses
	}
	for _, w := range writes {
		if m.records[w.ID].Revision != w.If {
			return 0, errors.New("a write at a revision that the record is not at")
		}
	}
	m.revision++
	for _, w := range writes {
		if w.Record == nil {
			delete(m.records, w.ID)
			continue
		}
		record := *w.Record
		record.Revision = m.revision
		m.records[w.ID] = record
	}
	return m.revision, nil
}

func (m *memory) Seal(record, field string, plain []byte) (string, error) {
	if m.noKey {
		return "", &registry.Error{Code: registry.CodeNoSecretKey, Message: "no secret key is set"}
	}
	return base64.StdEncoding.EncodeToString([]byte(record + "|" + field + "|" + string(plain))), nil
}

func (m *memory) Unseal(record, field, sealed string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(sealed)
	prefix := record + "|" + field + "|"
	if err != nil || len(text) < len(prefix) || string(text[:len(prefix)]) != prefix {
		return nil, errors.New("sealed for another place")
	}
	return text[len(prefix):], nil
}

func (m *memory) Stale(string) bool { return false }

func (m *memory) ForgetKeys() error { return nil }
