package catalogue

import (
	"errors"
	"slices"
	"testing"
)

// absent is a store that is not there for a while.
type absent struct {
	memory
	away bool
}

func (a *absent) LoadCatalogues() ([]Catalogue, error) {
	if a.away {
		return nil, nil
	}
	return a.memory.LoadCatalogues()
}

func (a *absent) SaveCatalogue(c Catalogue) error {
	if a.away {
		return ErrNoStore
	}
	return a.memory.SaveCatalogue(c)
}

// stored is a store that was away from the start and holds a catalogue of "one".
func stored(entries ...string) *absent {
	c := known(entries...)
	c.Upstream, c.Revision, c.Identity = "one", 2, ""
	return &absent{away: true, memory: memory{kept: map[string]Catalogue{"one": c}}}
}

// back lets the store come back.
func (a *absent) back(t *testing.T, s *Syncer) {
	t.Helper()
	a.away = false
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
}

// What people decided before the start outlives a start without the store, however
// many syncs are made until it comes back, and so does what they decide in between.
func TestDecisionsOutliveAStartWithoutTheStore(t *testing.T) {
	store := stored("a disabled", "b", "c import", "e", "m manual")
	edited := store.kept["one"]
	edited.Entries[1].DisplayName, edited.Entries[1].Edited = "The B", []string{"display_name"}
	s := New(store)
	service, u := newService(t, "one", "")
	service.says("a", "b", "d", "m")
	for range 5 {
		mustSync(t, s, u)
	}
	if err := s.Edit("one", "d", nil, Edit{OwnedBy: new("me")}); err != nil {
		t.Fatal(err)
	}
	disable(t, s, "b")
	if err := s.AddManual("one", Entry{Name: "n", MaxOutput: 7}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddManual("other", Entry{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	store.back(t, s)

	want := []string{"a disabled", "b disabled", "c import gone", "d", "e gone", "m manual listed", "n manual"}
	again := New(store)
	if err := again.Load(); err != nil {
		t.Fatal(err)
	}
	for name, syncer := range map[string]*Syncer{"in memory": s, "after a restart": again} {
		if got := entriesOf(syncer, "one"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		c, _ := syncer.Get("one")
		b, _ := c.Entry("b")
		d, _ := c.Entry("d")
		n, _ := c.Entry("n")
		if b.DisplayName != "The B" || len(b.Edited) != 1 || d.OwnedBy != "me" || len(d.Edited) != 1 || n.MaxOutput != 7 || !b.FirstSeen.Equal(yesterday) {
			t.Errorf("%s: got %+v, %+v and %+v", name, b, d, n)
		}
		if got := entriesOf(syncer, "other"); !slices.Equal(got, []string{"x manual"}) {
			t.Errorf("%s: got %q of an upstream that the store did not know", name, got)
		}
	}
	mustSync(t, s, u)
	if got := entriesOf(s, "one"); !slices.Equal(got, want) {
		t.Errorf("after a sync: got %q, want %q", got, want)
	}
}

// A list that would have been refused beside what is stored does not get its way by
// being asked for while the store is away.
func TestListTakenWithoutTheStoreIsCheckedLater(t *testing.T) {
	store := stored("a", "b", "c", "d", "e", "f", "g", "h")
	s := New(store)
	service, u := newService(t, "one", "")
	service.says("a")
	mustSync(t, s, u)
	store.back(t, s)
	c, _ := s.Get("one")
	if got := brief(c); !slices.Equal(got, []string{"a", "b", "c", "d", "e", "f", "g", "h"}) {
		t.Errorf("got %q", got)
	}
	if c.Error == "" || c.ErrorAt.IsZero() || !c.SyncedAt.Equal(yesterday) {
		t.Errorf("got %q at %s, synced at %s", c.Error, c.ErrorAt, c.SyncedAt)
	}
}

// A failure that was noted without the store hides nothing of what is stored.
func TestFailureNotedWithoutTheStore(t *testing.T) {
	store := stored("a disabled", "b")
	s := New(store)
	service, u := newService(t, "one", "")
	service.answers(503, "")
	for range 5 {
		if _, err := s.Sync(t.Context(), u, false); err == nil {
			t.Fatal("the sync has not failed")
		}
	}
	store.back(t, s)
	c, _ := s.Get("one")
	if got := brief(c); !slices.Equal(got, []string{"a disabled", "b"}) || c.Error == "" {
		t.Errorf("got %q, error %q", got, c.Error)
	}
}

// What was changed while the store was away for a while is stored when it is back,
// and nothing that was taken back comes back.
func TestChangesWithoutTheStoreAreStoredLater(t *testing.T) {
	store := stored("a disabled", "b")
	store.away = false
	s := New(store)
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	store.away = true
	if err := s.Edit("one", "a", new(false), Edit{}); err != nil {
		t.Fatal(err)
	}
	disable(t, s, "b")
	store.back(t, s)
	again := New(store)
	if err := again.Load(); err != nil {
		t.Fatal(err)
	}
	if got := entriesOf(again, "one"); !slices.Equal(got, []string{"a", "b disabled"}) {
		t.Errorf("after a restart: got %q", got)
	}
}

// A store that comes back but takes nothing is told of, and loses no decision.
func TestStoreThatComesBackReadOnly(t *testing.T) {
	store := stored("a disabled", "b")
	s := New(store)
	service, u := newService(t, "one", "")
	service.says("a", "b")
	for range 5 {
		mustSync(t, s, u)
	}
	full := &readOnly{store}
	store.away = false
	s.store = full
	if err := s.Load(); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a disabled", "b"}) {
		t.Errorf("got %q", got)
	}
	s.store = store
	mustSync(t, s, u)
	if got := brief(store.kept["one"]); !slices.Equal(got, []string{"a disabled", "b"}) {
		t.Errorf("stored %q", got)
	}
}

// readOnly is a store that saves nothing.
type readOnly struct{ *absent }

func (readOnly) SaveCatalogue(Catalogue) error { return errBroken }

// disable disables a model of the upstream "one".
func disable(t *testing.T, s *Syncer, model string) {
	t.Helper()
	if err := s.Edit("one", model, new(true), Edit{}); err != nil {
		t.Fatal(err)
	}
}
