package caddytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestPreviewStoresNothing: a preview tells what a sync would do, and which models
// are bound already; the catalogue is as it was.
func TestPreviewStoresNothing(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b", "c"), provider.Say("hi")))
	g := startManaged(t, "", "upstream u "+p.URL()+"\nmodel bound {\nsource u b\n}")
	r := g.do("POST", "/upstreams/u/catalogue/preview", "").is(200)
	r.has("listed", "3", "added", `["a","b","c"]`, "endpoint", `"openai_models"`, "entries.1.models", `["bound"]`)
	g.read("/upstreams/u/catalogue").has("total", "0", "synced_at", "")
	g.do("POST", "/upstreams/u/catalogue/sync", "{}").is(200).has("listed", "3", "added", `["a","b","c"]`)
	if got := g.read("/upstreams/u/catalogue").has("total", "3", "items.1.models", `["bound"]`).names(); got != "a b c" {
		t.Errorf("after the sync the catalogue has %s", got)
	}
	g.do("POST", "/upstreams/u/catalogue/preview", "{}").is(200).has("added", "", "entries.0.present", "true")
}

// TestSyncKeepsDecisions: what a person has disabled, described or entered outlives
// syncs; what is no longer listed is gone, and comes back.
func TestSyncKeepsDecisions(t *testing.T) {
	p := provider.New(t)
	names := []string{"a", "b", "c", "vendor/m1"}
	p.Choose(lists(listing(names...), provider.Say("hi")))
	g := startManaged(t, "", "upstream u "+p.URL())
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	g.do("PATCH", "/upstreams/u/catalogue/models/a", `{"disabled":true,"display_name":"Mine"}`).is(200).has("disabled", "true", "origin", `"sync"`)
	g.do("PATCH", "/upstreams/u/catalogue/models/vendor%2Fm1", `{"context_window":1000}`).is(200).has("context_window", "1000")
	g.do("POST", "/upstreams/u/catalogue/models", `{"name":"hand","display_name":"By hand"}`).is(201).has("origin", `"manual"`)
	g.refused(409, "conflict", "model", "POST", "/upstreams/u/catalogue/models", `{"name":"hand"}`)
	g.refused(400, "invalid_request", "name", "POST", "/upstreams/u/catalogue/models", `{"name":"bad\u0000"}`)
	g.refused(404, "not_found", "model", "PATCH", "/upstreams/u/catalogue/models/none", `{"disabled":true}`)
	g.refused(400, "invalid_request", "context_window", "PATCH", "/upstreams/u/catalogue/models/a", `{"context_window":-1}`)

	// The next list has the manual one, and lacks b.
	p.Choose(lists(listing("a", "c", "hand", "vendor/m1"), provider.Say("hi")))
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200).has("gone", `["b"]`)
	entries := g.read("/upstreams/u/catalogue")
	entries.has(
		`items.#(name=="a").disabled`, "true", `items.#(name=="a").display_name`, `"Mine"`,
		`items.#(name=="b").present`, "false",
		`items.#(name=="hand").origin`, `"manual"`, `items.#(name=="hand").display_name`, `"By hand"`,
		`items.#(name=="vendor/m1").context_window`, "1000",
	)
	for status, want := range map[string]string{"active": "c hand vendor/m1", "disabled": "a", "gone": "b"} {
		if got := g.read("/upstreams/u/catalogue?status=" + status).names(); got != want {
			t.Errorf("%s are %q, want %q", status, got, want)
		}
	}
	if got := g.read("/upstreams/u/catalogue?q=mine").names(); got != "a" {
		t.Errorf("a search by the name for people finds %q", got)
	}
	if got := g.read("/upstreams/u/catalogue?page=2&page_size=2").has("total", "5").names(); got != "c hand" {
		t.Errorf("the second page has %q", got)
	}
	g.refused(400, "invalid_request", "status", "GET", "/upstreams/u/catalogue?status=open", "")

	g.refused(409, "conflict", "model", "DELETE", "/upstreams/u/catalogue/models/c", "")
	g.do("DELETE", "/upstreams/u/catalogue/models/hand", "").is(200)
	p.Choose(lists(listing("a", "b", "c", "vendor/m1"), provider.Say("hi")))
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200).has("returned", `["b"]`)
}

// TestSyncRefusesToInactivateAll: an empty list, and one that lacks most models, is
// refused, and taken in when it is forced.
func TestSyncRefusesToInactivateAll(t *testing.T) {
	p := provider.New(t)
	many := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	p.Choose(lists(listing(many...), provider.Say("hi")))
	g := startManaged(t, "", "upstream u "+p.URL())
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	p.Choose(lists(listing(), provider.Say("hi")))
	g.do("POST", "/upstreams/u/catalogue/preview", "").is(200).has("refused.code", `"would_inactivate_all"`, "refused.gone", "8")
	g.do("POST", "/upstreams/u/catalogue/sync", "").fails(409, "would_inactivate_all", "force")
	p.Choose(lists(listing("a", "b"), provider.Say("hi")))
	g.do("POST", "/upstreams/u/catalogue/sync", `{"force":false}`).fails(409, "would_inactivate_many", "force")
	r := g.read("/upstreams/u/catalogue?status=active").has("total", "8")
	if !strings.Contains(r.at("error").String(), "would_inactivate_many") {
		t.Errorf("the catalogue tells nothing of the refusal: %s", r.body)
	}
	g.do("POST", "/upstreams/u/catalogue/sync", `{"force":true}`).is(200)
	g.read("/upstreams/u/catalogue?status=active").has("total", "2", "error", "")
	g.refused(400, "invalid_request", "forced", "POST", "/upstreams/u/catalogue/sync", `{"forced":true}`)
}

// TestSyncFollowsPages: all pages are read, in the way of each service.
func TestSyncFollowsPages(t *testing.T) {
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		switch {
		case strings.Contains(r.Path, "/v1beta/models") && !strings.Contains(r.Path, "pageToken"):
			return provider.Status(200, `{"models":[{"name":"models/g1"}],"nextPageToken":"more"}`)
		case strings.Contains(r.Path, "/v1beta/models"):
			return provider.Status(200, `{"models":[{"name":"models/g2"}]}`)
		case !strings.Contains(r.Path, "after_id"):
			return provider.Status(200, `{"data":[{"id":"c1"},{"id":"c2"}],"has_more":true,"last_id":"c2"}`)
		default:
			return provider.Status(200, `{"data":[{"id":"c3"}],"has_more":false}`)
		}
	})
	g := startManaged(t, "", "upstream claude "+p.URL()+" {\nformats anthropic_messages\n}\nupstream google "+p.URL()+" {\nformats gemini\n}")
	g.do("POST", "/upstreams/claude/catalogue/sync", "").is(200).has("added", `["c1","c2","c3"]`, "endpoint", `"anthropic_models"`)
	g.do("POST", "/upstreams/google/catalogue/sync", "").is(200).has("added", `["g1","g2"]`, "endpoint", `"gemini_models"`)
}

// TestSyncFallsBackToOpenAIList: a service without the list of its format has that of
// OpenAI.
func TestSyncFallsBackToOpenAIList(t *testing.T) {
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		if r.Header.Get("Anthropic-Version") != "" {
			return provider.Status(404, "")
		}
		return provider.Status(200, listing("x", "y"))
	})
	g := startManaged(t, "", "upstream u "+p.URL()+" {\nformats anthropic_messages\n}")
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200).has("listed", "2", "endpoint", `"openai_models"`)
}

// TestSyncWithoutKey: a local server that wants no key is synced and tested; one that
// refuses, or is no API, is told of.
func TestSyncWithoutKey(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("local"), provider.Say("hi")))
	g := startManaged(t, "", "upstream page "+startProvider(t, provider.HTML()).URL()+"\nupstream locked "+startProvider(t, provider.Status(401, `{}`)).URL()+"\nupstream away "+provider.Refused(t))
	g.create("upstreams", "keyless", `{"base_url":"`+p.URL()+`"}`)
	g.do("POST", "/upstreams/keyless/catalogue/sync", "").is(200).has("added", `["local"]`)
	if got := last(t, p).Header.Get("Authorization"); got != "" {
		t.Errorf("the list was asked for with %q", got)
	}
	for _, name := range []string{"page", "locked", "away"} {
		for _, action := range []string{"preview", "sync"} {
			r := g.do("POST", "/upstreams/"+name+"/catalogue/"+action, "").is(502)
			if !strings.HasPrefix(r.at("error.code").String(), "upstream_") {
				t.Errorf("%s of %s: %s", action, name, r.body)
			}
		}
	}
	g.refused(404, "not_found", "name", "POST", "/upstreams/none/catalogue/sync", "")
}

// TestImportCreatesOnce: an import makes models and sources, and a second one finds
// all of them.
func TestImportCreatesOnce(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b", "vendor/c"), provider.Say("Hello.")))
	g := startManaged(t, "", "upstream u "+p.URL()+"\nmodel fixed {\nsource u a\n}")
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	const items = `{"models":["a",{"upstream_model":"b","model":"nice","source":{"priority":2,"weight":7}},{"upstream_model":"vendor/c","model":"nice"}]}`
	g.do("POST", "/upstreams/u/catalogue/import", items).is(200).has("total", "3", "created", "3", "existing", "0", "failed", "0")
	g.read("/models/nice").has("spec.sources.#", "2", "spec.sources.0.priority", "2", "spec.sources.0.weight", "7")
	if status, body := g.chat("a"); status != 200 {
		t.Errorf("an imported model answers %d: %s", status, body)
	}
	g.do("POST", "/upstreams/u/catalogue/import", items).is(200).has("created", "0", "existing", "3", "failed", "0")
	g.read("/upstreams/u/catalogue").has(`items.#(name=="a").origin`, `"import"`, `items.#(name=="a").models`, `["a","fixed"]`)

	// Some fail, and the others do not mind; what failed has left nothing behind.
	r := g.do("POST", "/upstreams/u/catalogue/import", `{"models":["new",{"upstream_model":"lost","model":"fixed"},{"model":"x"},{"upstream_model":"bad","source":{"weight":-1}}]}`).is(200)
	r.has("created", "1", "failed", "3", "results.1.error.code", `"declared"`, "results.2.error.field", `"upstream_model"`)
	for _, name := range []string{"lost", "bad"} {
		if g.read("/upstreams/u/catalogue").at(`items.#(name=="` + name + `")`).Exists() {
			t.Errorf("the import of %s has failed, and yet it is in the catalogue", name)
		}
	}
	g.refused(400, "invalid_request", "models", "POST", "/upstreams/u/catalogue/import", `{"models":[]}`)
	g.do("POST", "/upstreams/u/catalogue/import", `{"models":[5]}`).is(400)
}

// TestExposedModelsFollowTheCatalogue: with expose, clients see the names of the
// catalogue as soon as they are known, and no longer when they are disabled.
func TestExposedModelsFollowTheCatalogue(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("e1", "e2"), provider.Say("Hello.")))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", `{"base_url":"`+p.URL()+`","expose":true}`)
	if got := g.offered(); got != "" {
		t.Errorf("before the sync clients see %q", got)
	}
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	if got := g.offered(); got != "e1 e2" {
		t.Errorf("after the sync clients see %q", got)
	}
	if status, body := g.chat("e1"); status != 200 {
		t.Errorf("an exposed model answers %d: %s", status, body)
	}
	g.do("PATCH", "/upstreams/u/catalogue/models/e1", `{"disabled":true}`).is(200)
	if got := g.offered(); got != "e2" {
		t.Errorf("with e1 disabled clients see %q", got)
	}
	if status, _ := g.chat("e1"); status != 404 {
		t.Errorf("a disabled model answers %d", status)
	}
	// Expose itself is switched at once, without a sync.
	g.patch("/upstreams/u", `{"expose":false}`)
	if got := g.offered(); got != "" {
		t.Errorf("not exposed, clients see %q", got)
	}
	g.patch("/upstreams/u", `{"expose":true}`)
	if got := g.offered(); got != "e2" {
		t.Errorf("exposed again, clients see %q", got)
	}
	g.restart()
	if got := g.offered(); got != "e2" {
		t.Errorf("after a restart clients see %q", got)
	}
	// Another upstream of the same name begins anew.
	g.do("DELETE", "/upstreams/u", "").is(200)
	g.create("upstreams", "u", `{"base_url":"`+p.URL()+`","expose":true}`)
	g.read("/upstreams/u/catalogue").has("total", "0")
	g.do("POST", "/upstreams/u/catalogue/models", `{"name":"other"}`).is(201)
	if got := g.offered(); got != "other" {
		t.Errorf("the new upstream shows %q", got)
	}
}

// TestShadowedDeleteKeepsTheCatalogue: the catalogue belongs to the name, and the
// declared upstream of that name still has it.
func TestShadowedDeleteKeepsTheCatalogue(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a"), provider.Say("hi")))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", `{"base_url":"`+p.URL()+`"}`)
	g.block = "upstream u " + p.URL()
	g.reload()
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	g.do("DELETE", "/upstreams/u", "").is(200)
	g.read("/upstreams/u/catalogue").has("total", "1")
	g.restart()
	g.read("/upstreams/u/catalogue").has("total", "1")
}

// TestIntervalSync: an upstream with an interval is asked again and again. When it is
// down the catalogue stays, and says so.
func TestIntervalSync(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("hi")))
	g := startManaged(t, "", "upstream u "+p.URL()+" {\nsync every 1s\n}")
	eventually(t, "a second list", func() bool { return gets(p) >= 2 })
	g.read("/upstreams/u/catalogue").has("total", "2", "error", "")
	p.Choose(lists("", provider.Say("hi")))
	p.Choose(func(*provider.Request) provider.Step { return provider.Status(503, `{}`) })
	eventually(t, "a failed sync", func() bool { return g.read("/upstreams/u/catalogue").at("error").String() != "" })
	g.read("/upstreams/u/catalogue?status=active").has("total", "2")

	// A managed upstream is followed as soon as it is there, and left alone when it is gone.
	q := provider.New(t)
	q.Choose(lists(listing("m"), provider.Say("hi")))
	g.create("upstreams", "managed", `{"base_url":"`+q.URL()+`","sync":"1s"}`)
	eventually(t, "the sync of a managed upstream", func() bool { return g.read("/upstreams/managed/catalogue").at("total").Int() == 1 })
}

// TestCatalogueSurvivesRestart: what was synced, disabled and entered is there.
func TestCatalogueSurvivesRestart(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("hi")))
	g := startManaged(t, "", "upstream u "+p.URL())
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	g.do("PATCH", "/upstreams/u/catalogue/models/a", `{"disabled":true}`).is(200)
	g.do("POST", "/upstreams/u/catalogue/models", `{"name":"hand"}`).is(201)
	before := g.read("/upstreams/u/catalogue").body
	g.restart()
	if after := g.read("/upstreams/u/catalogue").body; after != before {
		t.Errorf("before the restart: %s\nafter: %s", before, after)
	}
}

// TestFault86HugeHostileList: a list of 100,000 entries is stored whole, its hostile
// names left out; a larger one is refused whole, and the old one stays.
func TestFault86HugeHostileList(t *testing.T) {
	p := provider.New(t)
	hostile := []string{"", "a\x00b", "line\nbreak", strings.Repeat("x", 300), "turn\u202earound", "same", "same"}
	entries := append(make([]string, 0, 100_000), hostile...)
	for i := len(entries); i < 100_000; i++ {
		entries = append(entries, fmt.Sprintf("<b>%d</b>/../%%2f", i))
	}
	p.Choose(lists(listing(entries...), provider.Say("hi")))
	g := startManaged(t, "", "upstream u "+p.URL())
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200).has("skipped", "5", "listed", "99994")
	g.read("/upstreams/u/catalogue?page_size=2").has("total", "99994", "items.#", "2", "skipped", "5")
	g.do("PATCH", "/upstreams/u/catalogue/models/%3Cb%3E50000%3C%2Fb%3E%2F..%2F%252f", `{"disabled":true}`).is(200).has("disabled", "true")
	g.restart()
	g.read("/upstreams/u/catalogue?status=disabled").has("total", "1")
	g.read("/upstreams/u/catalogue?page_size=1").has("total", "99994")

	more, err := json.Marshal(append(entries, "one", "two"))
	if err != nil {
		t.Fatal(err)
	}
	p.Choose(lists(string(more), provider.Say("hi")))
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(http.StatusBadGateway)
	r := g.read("/upstreams/u/catalogue?page_size=1").has("total", "99994")
	if r.at("error").String() == "" {
		t.Error("the catalogue does not tell that the list was refused")
	}
}
