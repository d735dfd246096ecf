package aigateway

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// openStore opens the store in a directory. It does not wait for the lock.
func openStore(t *testing.T, dir string) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Options{Dir: dir, LockWait: -1, MinFree: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// entryOf is a model of a catalogue.
func entryOf(t *testing.T, s *catalogue.Syncer, name string) catalogue.Entry {
	t.Helper()
	c, _ := s.Get("u")
	e, ok := c.Entry(name)
	if !ok {
		t.Fatalf("there is no %s among %+v", name, c.Entries)
	}
	return e
}

// What people decided of models outlives a start at which another process still has
// the store, whatever became known until it lets go.
func TestCataloguesOutliveAStartWithoutTheStore(t *testing.T) {
	dir := t.TempDir()
	other := openStore(t, dir)
	before := catalogue.New(newCatalogueTable(other))
	if err := errors.Join(
		before.Load(),
		before.AddManual("u", catalogue.Entry{Name: "a"}),
		before.Edit("u", "a", new(true), catalogue.Edit{}),
	); err != nil {
		t.Fatal(err)
	}

	store := openStore(t, dir)
	table := newCatalogueTable(store)
	s := catalogue.New(table)
	if store.Status().Available {
		t.Fatal("the store is open twice")
	}
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "c", "d"} {
		if err := s.AddManual("u", catalogue.Entry{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(other.Close(), store.Reopen(t.Context())); err != nil {
		t.Fatal(err)
	}
	// Nothing is written over what was not read yet.
	if err := table.SaveCatalogue(catalogue.Catalogue{Upstream: "u"}); !errors.Is(err, catalogue.ErrNoStore) {
		t.Errorf("before it was read: got %v", err)
	}
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	again := catalogue.New(newCatalogueTable(store))
	if err := again.Load(); err != nil {
		t.Fatal(err)
	}
	for _, syncer := range []*catalogue.Syncer{s, again} {
		if !entryOf(t, syncer, "a").Disabled || entryOf(t, syncer, "d").Origin != catalogue.OriginManual {
			t.Errorf("got %+v", syncer.All())
		}
	}
}

// A list that no record can hold is refused in words that are about it.
func TestCatalogueThatIsTooLarge(t *testing.T) {
	table := newCatalogueTable(openStore(t, t.TempDir()))
	if _, err := table.LoadCatalogues(); err != nil {
		t.Fatal(err)
	}
	random, letters := rand.NewChaCha8([32]byte{}), make([]byte, 180)
	text := func() string {
		_, _ = random.Read(letters) // cannot fail
		return base64.StdEncoding.EncodeToString(letters)
	}
	var many []catalogue.Entry
	for range 30_000 {
		many = append(many, catalogue.Entry{Name: text(), DisplayName: text(), OwnedBy: text()})
	}
	err := table.SaveCatalogue(catalogue.Catalogue{Upstream: "u", Entries: many})
	if e, ok := errors.AsType[*registry.Error](err); !ok || strings.Contains(e.Message, "definition") || !strings.Contains(e.Message, "too large") {
		t.Errorf("got %v", err)
	}
	if all, err := table.LoadCatalogues(); len(all) != 0 || err != nil {
		t.Errorf("got %d catalogues, %v", len(all), err)
	}
}
