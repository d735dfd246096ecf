package aigateway

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// definitionStore keeps managed definitions in the store: registry.Store.
type definitionStore struct {
	store  *storage.Store
	tables map[registry.Kind]*storage.Table[registry.Record]
}

func newDefinitionStore(store *storage.Store) *definitionStore {
	d := &definitionStore{store: store, tables: make(map[registry.Kind]*storage.Table[registry.Record])}
	for _, kind := range registry.Kinds {
		d.tables[kind] = storage.NewTable[registry.Record](store, string(kind))
	}
	return d
}

// Load implements registry.Store.
func (d *definitionStore) Load() (map[registry.ID]registry.Record, error) {
	if !d.store.Status().Available {
		return nil, nil // the store's own status tells why
	}
	all := make(map[registry.ID]registry.Record)
	var errs []error
	for kind, table := range d.tables {
		for row, err := range table.All() {
			if err != nil && row.Key == "" { // nothing can be read: what is known stays
				return nil, err
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			row.Value.Revision = uint64(row.Revision)
			all[registry.ID{Kind: kind, Name: row.Key}] = row.Value
		}
	}
	return all, errors.Join(errs...)
}

// Commit implements registry.Store.
func (d *definitionStore) Commit(writes []registry.Write) (uint64, error) {
	var b storage.Batch
	for _, w := range writes {
		when := storage.Revision(w.If)
		if w.If == 0 {
			when = storage.Absent
		}
		if w.Record == nil {
			d.tables[w.ID.Kind].DeleteIn(&b, w.ID.Name, when)
		} else {
			d.tables[w.ID.Kind].PutIn(&b, w.ID.Name, *w.Record, when)
		}
	}
	// The store needs a key only for secrets that are in it.
	if err := d.store.NoteKeys(sealedIn(writes)...); err != nil {
		return 0, storeError(err)
	}
	revision, err := d.store.Commit(&b)
	if errors.Is(err, storage.ErrTooLarge) && len(writes) > 1 {
		return 0, &registry.Error{
			Code:    registry.CodeInvalid,
			Message: fmt.Sprintf("these %d definitions are more than the store takes at once, which is 64 MiB; nothing was changed: make the change in parts", len(writes)),
		}
	}
	if err != nil {
		return 0, storeError(err)
	}
	d.store.BackupSoon()
	return uint64(revision), nil
}

// sealedValue is a sealed secret in a definition.
var sealedValue = regexp.MustCompile(`"sealed":"([^"]*)"`)

// sealedIn lists the sealed secrets that are about to be written.
func sealedIn(writes []registry.Write) []string {
	var all []string
	for _, w := range writes {
		if w.Record == nil || w.ID.Kind != registry.Upstreams {
			continue
		}
		for _, found := range sealedValue.FindAllSubmatch(w.Record.Spec, -1) {
			all = append(all, string(found[1]))
		}
	}
	return all
}

// Seal implements registry.Store. Commit notes the key: what is only tried is not
// stored.
func (d *definitionStore) Seal(record, field string, plain []byte) (string, error) {
	sealed, err := d.store.TrySeal(record, field, plain)
	if err != nil {
		return "", storeError(err)
	}
	return sealed, nil
}

// Unseal implements registry.Store.
func (d *definitionStore) Unseal(record, field, sealed string) ([]byte, error) {
	return d.store.Unseal(record, field, sealed)
}

// Stale implements registry.Store.
func (d *definitionStore) Stale(sealed string) bool { return d.store.Stale(sealed) }

// ForgetKeys implements registry.Store. A store that is not there, or has no key,
// has none to forget.
func (d *definitionStore) ForgetKeys() error {
	err := d.store.ForgetKeys()
	if errors.Is(err, storage.ErrNoSecretKey) || errors.Is(err, storage.ErrDegraded) {
		return nil
	}
	return err
}

// storeError tells a caller of the management API what the store has against a
// write.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrNoSpace):
		return &registry.Error{Code: registry.CodeNoSpace, Message: "there is too little free space for the store; nothing was changed"}
	case errors.Is(err, storage.ErrDegraded): // whatever the reason is, a missing key included
		return &registry.Error{Code: registry.CodeStore, Message: "the store takes no writes now: " + err.Error()}
	case errors.Is(err, storage.ErrNoSecretKey):
		return &registry.Error{
			Code:    registry.CodeNoSecretKey,
			Message: "a secret can only be stored with a secret key; set secret_key in the global option ai_gateway, such as {env.AI_GATEWAY_SECRET_KEY}: 32 random bytes in base64 (openssl rand -base64 32)",
		}
	case errors.Is(err, storage.ErrConflict):
		return &registry.Error{Code: registry.CodeStale, Message: "another process has changed the definition; nothing was changed"}
	case errors.Is(err, storage.ErrTooLarge):
		return &registry.Error{Code: registry.CodeInvalid, Message: "the definition is too large for the store"}
	case errors.Is(err, storage.ErrReadOnly), errors.Is(err, storage.ErrClosed),
		errors.Is(err, storage.ErrLocked), errors.Is(err, storage.ErrDamaged), errors.Is(err, storage.ErrVersion), errors.Is(err, storage.ErrWrongSecretKey):
		return &registry.Error{Code: registry.CodeStore, Message: "the store takes no writes now: " + err.Error()}
	default:
		return err
	}
}
