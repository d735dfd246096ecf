package aigateway

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// catalogueTable keeps catalogues in the store: catalogue.Store. Without a store
// they are kept in memory, as everything that is observed.
type catalogueTable struct {
	*storage.Table[storedCatalogue]
	store *storage.Store
	// read says that what is stored was read once, so that writing loses nothing.
	read *atomic.Bool
}

func newCatalogueTable(store *storage.Store) catalogueTable {
	return catalogueTable{storage.NewTable[storedCatalogue](store, "catalogues"), store, new(atomic.Bool)}
}

// storedCatalogue is a catalogue as it is stored: a hundred thousand entries would
// be too large for a record as they are.
type storedCatalogue struct {
	catalogue.Catalogue
	// Packed are the entries as JSON, compressed with gzip.
	Packed []byte `json:"packed"`
}

// pack makes the record of a catalogue.
func pack(c catalogue.Catalogue) (storedCatalogue, error) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if err := errors.Join(json.NewEncoder(z).Encode(c.Entries), z.Close()); err != nil {
		return storedCatalogue{}, fmt.Errorf("packing the catalogue of upstream %q: %w", c.Upstream, err)
	}
	c.Entries = nil
	return storedCatalogue{c, packed.Bytes()}, nil
}

// unpack makes the catalogue of a record.
func (s *storedCatalogue) unpack() (catalogue.Catalogue, error) {
	c := s.Catalogue
	z, err := gzip.NewReader(bytes.NewReader(s.Packed))
	if err == nil {
		err = json.NewDecoder(z).Decode(&c.Entries)
	}
	if err != nil {
		return c, fmt.Errorf("unpacking the catalogue of upstream %q: %w", c.Upstream, err)
	}
	return c, nil
}

// LoadCatalogues implements catalogue.Store.
func (t catalogueTable) LoadCatalogues() ([]catalogue.Catalogue, error) {
	if !t.store.Status().Available {
		return nil, nil // the store's own status tells why
	}
	var all []catalogue.Catalogue
	var errs []error
	for row, err := range t.All() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c, err := row.Value.unpack()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, c)
	}
	t.read.Store(true)
	return all, errors.Join(errs...)
}

// SaveCatalogue implements catalogue.Store.
func (t catalogueTable) SaveCatalogue(c catalogue.Catalogue) error {
	if !t.read.Load() || !t.store.Status().Available {
		return catalogue.ErrNoStore
	}
	record, err := pack(c)
	if err != nil {
		return err
	}
	_, err = t.Put(c.Upstream, record, storage.Any)
	if errors.Is(err, storage.ErrTooLarge) {
		return &registry.Error{Code: registry.CodeInvalid, Message: "what the service lists is too large for the store"}
	}
	return storeError(err)
}

// DeleteCatalogue implements catalogue.Store.
func (t catalogueTable) DeleteCatalogue(upstream string) error {
	if !t.store.Status().Available {
		return nil
	}
	if err := t.Delete(upstream, storage.Any); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return storeError(err)
	}
	return nil
}

// offers is what snapshots are to know of the catalogues: registry.Catalogues.
type offers struct {
	syncer  *catalogue.Syncer
	version atomic.Uint64

	mu   sync.Mutex
	made map[string]offer
}

// offer is what was made of a catalogue for an upstream that exposes it, or not.
type offer struct {
	entries []catalogue.Entry
	exposed bool
	routing *routing.Catalogue
}

// of says whether it was made of these entries. Those of a catalogue never change in
// place; revisions begin anew with a catalogue that was deleted or restored.
func (o *offer) of(entries []catalogue.Entry, exposed bool) bool {
	same := len(entries) == len(o.entries) && (len(entries) == 0 || &entries[0] == &o.entries[0])
	return same && exposed == o.exposed
}

// Version implements registry.Catalogues.
func (o *offers) Version() uint64 { return o.version.Load() }

// Catalogue implements registry.Catalogues.
func (o *offers) Catalogue(u *upstream.Upstream) *routing.Catalogue {
	c, ok := o.syncer.Get(u.Name())
	if !ok {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if made, ok := o.made[u.Name()]; ok && made.of(c.Entries, u.Expose) {
		return made.routing
	}
	made := offer{entries: c.Entries, exposed: u.Expose, routing: offered(&c, u.Expose)}
	if o.made == nil {
		o.made = make(map[string]offer)
	}
	o.made[u.Name()] = made
	return made.routing
}

// offered is what requests are to know of a catalogue; nil if that is nothing.
func offered(c *catalogue.Catalogue, exposed bool) *routing.Catalogue {
	known := &routing.Catalogue{Disabled: make(map[string]bool)}
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.Disabled {
			known.Disabled[e.Name] = true
		}
		if exposed && e.Active() {
			known.Models = append(known.Models, e.Name)
		}
	}
	if len(known.Disabled) == 0 && len(known.Models) == 0 {
		return nil
	}
	return known
}
