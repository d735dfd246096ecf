package aigateway

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// circuitTable keeps circuits in the store.
type circuitTable struct {
	*storage.Table[routing.CircuitRecord]
	store *storage.Store
}

// circuitKey is the key of a circuit's record.
func circuitKey(k routing.CircuitKey) string {
	return strings.Join([]string{string(k.Scope), k.Upstream, k.Model, k.Credential}, "\x00")
}

// LoadCircuits implements routing.CircuitStore. Records that cannot be read are
// left out, and told with the error.
func (t circuitTable) LoadCircuits() ([]routing.CircuitRecord, error) {
	var records []routing.CircuitRecord
	var errs []error
	for row, err := range t.All() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records = append(records, row.Value)
	}
	return records, errors.Join(errs...)
}

// SaveCircuits implements routing.CircuitStore.
func (t circuitTable) SaveCircuits(records []routing.CircuitRecord) error {
	var b storage.Batch
	for _, r := range records {
		t.PutIn(&b, circuitKey(r.Key), r, storage.Any)
	}
	_, err := t.store.Commit(&b)
	return err
}

// DeleteCircuits implements routing.CircuitStore. Most circuits never changed and
// have no record, which a batch would refuse to delete. Nobody else writes them
// meanwhile.
func (t circuitTable) DeleteCircuits(keys []routing.CircuitKey) error {
	for part := range slices.Chunk(keys, deletedAtOnce) {
		var b storage.Batch
		deletes := false
		for _, k := range part {
			if _, _, err := t.Get(circuitKey(k)); errors.Is(err, storage.ErrNotFound) {
				continue
			}
			t.DeleteIn(&b, circuitKey(k), storage.Any)
			deletes = true
		}
		if !deletes {
			continue
		}
		if _, err := t.store.Commit(&b); err != nil {
			return err
		}
	}
	return nil
}

// deletedAtOnce keeps a batch within what the store takes.
const deletedAtOnce = 256
