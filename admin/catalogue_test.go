package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// fragile is a store of catalogues that saves so many times, and then no more.
type fragile struct{ left int }

var errNoSpace = errors.New("there is no space")

func (*fragile) LoadCatalogues() ([]catalogue.Catalogue, error) { return nil, nil }
func (*fragile) DeleteCatalogue(string) error                   { return nil }

func (f *fragile) SaveCatalogue(catalogue.Catalogue) error {
	if f.left == 0 {
		return errNoSpace
	}
	f.left--
	return nil
}

// withCatalogue is a gateway whose upstream house has the synced models small and
// large, and the store of its catalogues, which saves whatever comes.
func withCatalogue(t *testing.T) (*memory, *fragile, *API) {
	t.Helper()
	g, store := newMemory(t), &fragile{left: -1}
	g.syncer = catalogue.New(store)
	a, _ := newAPI(g)
	if w := call(a, "POST", "/upstreams/house/catalogue/sync", "{}"); w.Code != http.StatusOK {
		t.Fatalf("sync: %d: %s", w.Code, w.Body)
	}
	return g, store, a
}

// patch sends a PATCH of a model of house.
func patch(a http.Handler, model, body string) *httptest.ResponseRecorder {
	return call(a, "PATCH", "/upstreams/house/catalogue/models/"+model, body, "Content-Type", "application/json")
}

// A PATCH that cannot be stored changes nothing, not the half of it.
func TestEditOfAnEntryIsAllOrNothing(t *testing.T) {
	for saves := range 2 {
		g, store, a := withCatalogue(t)
		store.left = saves
		w := patch(a, "small", `{"display_name":"Mine","disabled":true}`)
		c, _ := g.syncer.Get("house")
		e, _ := c.Entry("small")
		if edited := e.DisplayName == "Mine"; edited != e.Disabled || edited != (w.Code == http.StatusOK) {
			t.Errorf("with %d writes: answered %d, display name %q, disabled %t", saves, w.Code, e.DisplayName, e.Disabled)
		}
	}
}

func TestEditOfAnEntryIsChecked(t *testing.T) {
	g, _, a := withCatalogue(t)
	w := patch(a, "small", `{"operations":["chat","dance"]}`)
	if e := refusal(t, w); w.Code != http.StatusBadRequest || e.Field != "operations" {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
	if w := patch(a, "small", `{"operations":["embed"],"disabled":true}`); w.Code != http.StatusOK || !gjson.Get(w.Body.String(), "disabled").Bool() {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
	c, _ := g.syncer.Get("house")
	if e, _ := c.Entry("small"); len(e.Operations) != 1 || e.Operations[0] != "embed" {
		t.Errorf("got %+v", e)
	}
}

// origins are the entries of house with their origins.
func origins(g *memory) (all []string) {
	c, _ := g.syncer.Get("house")
	for _, e := range c.Entries {
		all = append(all, e.Name+" "+string(e.Origin))
	}
	return all
}

// importOf imports a model of house and returns what became of it.
func importOf(t *testing.T, a http.Handler, name string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"models": []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	w := call(a, "POST", "/upstreams/house/catalogue/import", string(body))
	if w.Code != http.StatusOK {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	return gjson.Get(w.Body.String(), "results.0.status").String()
}

// An import whose model cannot be stored leaves no mark in the catalogue, which nobody
// could take out again.
func TestImportThatIsNotStoredLeavesNoMark(t *testing.T) {
	g, _, a := withCatalogue(t)
	before := origins(g)
	g.store.Refuse(errNoSpace)
	for _, name := range []string{"large", "unlisted"} {
		if got := importOf(t, a, name); got != "failed" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if after := origins(g); !slices.Equal(after, before) {
		t.Errorf("got %q, want %q", after, before)
	}
	g.store.Refuse(nil)
	for _, name := range []string{"large", "unlisted"} {
		if got := importOf(t, a, name); got != "created" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if after := origins(g); !slices.Equal(after, []string{"large import", "small sync", "unlisted import"}) {
		t.Errorf("got %q", after)
	}
}

// An import whose mark could not be stored is whole when it is made again.
func TestImportThatIsMadeAgainIsWhole(t *testing.T) {
	g, store, a := withCatalogue(t)
	store.left = 0
	if got := importOf(t, a, "large"); got != "failed" {
		t.Errorf("without space: got %s", got)
	}
	store.left = -1
	importOf(t, a, "large")
	if got := importOf(t, a, "large"); got != "existing" {
		t.Errorf("the third time: got %s", got)
	}
	if after := origins(g); !slices.Equal(after, []string{"large import", "small sync"}) {
		t.Errorf("got %q", after)
	}
	if _, ok := g.registry.View().Get(registry.ID{Kind: registry.Models, Name: "large"}, ""); !ok {
		t.Error("there is no such model")
	}
}

// A name that no catalogue takes makes no model.
func TestImportOfABadName(t *testing.T) {
	g, _, a := withCatalogue(t)
	for _, name := range []string{"bad\x1bname", strings.Repeat("x", 257)} {
		if got := importOf(t, a, name); got != "failed" {
			t.Errorf("%.10q: got %s", name, got)
		}
	}
	if all := g.registry.View().List(registry.Models); len(all) != 1 {
		t.Errorf("got %d models", len(all))
	}
}

// A sync that was overtaken by that of what the upstream has become is a conflict.
func TestOvertakenSyncIsAConflict(t *testing.T) {
	if e, ok := errors.AsType[*Error](catalogueError(catalogue.ErrOvertaken)); !ok || e.Status != http.StatusConflict {
		t.Errorf("got %+v", e)
	}
}
