package caddytest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestModelCRUD shows the life of a managed model, from one that has no source yet to
// one that is gone, with requests that follow at once.
func TestModelCRUD(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt(p.URL()))
	made := g.create("models", "writer", `{"display_name":"Writer","vendor":"acme","operations":["image_generate","image_edit"]}`)
	if made.at("spec.operations").Raw != `["image_generate","image_edit"]` || made.at("status.usable").Bool() || made.at("status.reason").String() != "it has no source" {
		t.Errorf("created: %s", made.body)
	}
	g.asks(404, "writer")
	g.refused(409, "exists", "name", "POST", "/models", named("writer", `{}`))
	g.patch("/models/writer", `{"operations":null,"sources":[{"upstream":"u","model":"x"}]}`)
	if text := g.asks(200, "writer"); text != "hello" || g.offered() != "writer" {
		t.Errorf("the answer is %q, clients see %s", text, g.offered())
	}
	put := g.do("PUT", "/models/writer", unnamed(from("u"))).is(200)
	sameJSON(t, put.at("spec").Raw, from("u"))
	for field, spec := range map[string]string{
		"spec.sources[0].upstream": from("nobody"),
		"spec.sources[0].weight":   `{"sources":[{"upstream":"u","model":"x","weight":1001}]}`,
		"spec.sources[0].priority": `{"sources":[{"upstream":"u","model":"x","priority":-1}]}`,
		"spec.sources[1]":          from("u", "u"),
		"spec.access":              `{"access":"secret"}`,
		"spec.operations[0]":       `{"operations":["video_generate"]}`,
		"spec.description":         fmt.Sprintf(`{"description":%q}`, strings.Repeat("x", 10_001)),
		"spec.mode":                `{"mode":"odd"}`,
		"spec.active":              `{"mode":"pinned"}`,
		"spec.policy":              `{"policy":{"policy":"semantic"}}`,
		"spec.bogus":               `{"bogus":1}`,
		"spec.sources[0].bogus":    `{"sources":[{"upstream":"u","model":"x","bogus":1}]}`,
		"spec":                     `[]`,
	} {
		g.refused(400, "invalid_request", field, "PUT", "/models/writer", unnamed(spec))
	}
	g.do("DELETE", "/models/writer", "").is(200)
	g.asks(404, "writer")
	for _, name := range []string{"", strings.Repeat("x", 257), "a\nb"} {
		g.refused(400, "invalid_request", "name", "POST", "/models", named(name, `{}`))
	}
}

// TestModelRow shows what a list tells of a model: its sources, how many of them can
// be used, and that open circuits leave none.
func TestModelRow(t *testing.T) {
	g := startManaged(t, "", "")
	for _, name := range []string{"u1", "u2", "u3"} {
		g.create("upstreams", name, serviceAt("http://127.0.0.1:9"))
	}
	g.create("models", "m", from("u1", "u2"))
	g.create("models", "other", from("u3"))
	g.create("aliases", "a", `{"model":"m"}`)
	row := func() *apiReply { return g.read("/models/m") }
	open := func(upstream, body string) { g.do("POST", "/upstreams/"+upstream+"/circuit/open", body).is(200) }

	open("u1", `{"reason":"maintenance"}`)
	if got := row(); got.at("status.sources").Int() != 2 || got.at("status.usable_sources").Int() != 1 || !got.at("status.usable").Bool() {
		t.Errorf("one of two: %s", got.body)
	}
	open("u2", `{"upstream_model":"x","reason":"maintenance"}`)
	if got := row(); got.at("status.usable_sources").Int() != 0 || got.at("status.usable").Bool() || !strings.Contains(got.at("status.reason").String(), "u2:x circuit forced open: maintenance") {
		t.Errorf("none of two: %s", got.body)
	}
	if got := g.read("/models?status=circuit_open"); got.names() != "m" || got.at("total").Int() != 1 {
		t.Errorf("open: %s", got.body)
	}
	if got := g.read("/upstreams?status=circuit_open").names(); got != "u1" {
		t.Errorf("open upstreams: %s", got)
	}
	if got := g.read("/upstreams/u2"); got.at("status.circuit.open_models.0").String() != "x" || got.at("status.models").Int() != 1 || got.at("status.usable_models").Int() != 0 {
		t.Errorf("u2: %s", got.body)
	}
	if got := g.read("/aliases/a"); got.at("status.usable").Bool() {
		t.Errorf("the alias: %s", got.body)
	}
	g.do("POST", "/upstreams/u1/circuit/reset", "{}").is(200)
	if got := g.read("/models?status=active").names(); got != "m other" {
		t.Errorf("active: %s", got)
	}
	g.patch("/models/m", `{"disabled":true}`)
	if got := g.read("/upstreams/u1"); got.at("status.models").Int() != 1 || got.at("status.usable_models").Int() != 0 {
		t.Errorf("a disabled model counts as usable: %s", got.body)
	}
}

// TestModelsShareACircuit shows that two models on the same upstream model have one
// circuit.
func TestModelsShareACircuit(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	g.create("models", "one", from("u"))
	g.create("models", "two", from("u"))
	g.do("POST", "/upstreams/u/circuit/open", `{"upstream_model":"x","reason":"why not"}`).is(200)
	for _, name := range []string{"one", "two"} {
		if got := g.read("/models/" + name); got.at("status.usable").Bool() {
			t.Errorf("%s: %s", name, got.body)
		}
		g.asks(503, name)
	}
}

// TestSourceCRUD shows the life of a source inside its model.
func TestSourceCRUD(t *testing.T) {
	first, second := startProvider(t, provider.Say("first")), startProvider(t, provider.Say("second"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u1", serviceAt(first.URL()))
	g.create("upstreams", "org/u2", serviceAt(second.URL()))
	g.create("models", "team/m", `{}`)
	const sources = "/models/team%2Fm/sources"
	made := g.do("POST", sources, `{"upstream":"u1","model":"x"}`).is(201)
	if made.at("id").String() != "u1:x" || !made.at("status.usable").Bool() || made.tag() == "" {
		t.Errorf("created: %s", made.body)
	}
	g.refused(409, "exists", "", "POST", sources, `{"upstream":"u1","model":"x","weight":5}`)
	g.refused(400, "invalid_request", "upstream", "POST", sources, `{"upstream":"nobody","model":"x"}`)
	g.refused(400, "invalid_request", "model", "POST", sources, `{"upstream":"u1"}`)
	g.refused(400, "invalid_request", "weight", "POST", sources, `{"upstream":"u1","model":"y","weight":-1}`)
	g.refused(400, "invalid_request", "bogus", "POST", sources, `{"upstream":"u1","model":"y","bogus":1}`)
	g.refused(400, "invalid_request", "", "POST", sources, `{"upstream":"u1","model":"y"} {}`)
	g.refused(404, "not_found", "", "POST", "/models/none/sources", `{"upstream":"u1","model":"x"}`)

	g.do("POST", sources, `{"upstream":"org/u2","model":"meta/llama 3","priority":2}`).is(201)
	const other = sources + "/org%2Fu2:meta%2Fllama%203"
	if got := g.read(other); got.at("priority").Int() != 2 {
		t.Errorf("the second source: %s", got.body)
	}
	if got := g.read(sources); got.at("total").Int() != 2 || got.at("items.#.id").Raw != `["u1:x","org/u2:meta/llama 3"]` {
		t.Errorf("sources: %s", got.body)
	}
	if text := g.asks(200, "team/m"); text != "first" {
		t.Errorf("the answer is from %s", text)
	}
	patched := g.do("PATCH", sources+"/u1:x", `{"priority":3,"weight":0}`).is(200)
	if patched.at("priority").Int() != 3 || patched.at("weight").Raw != "0" || patched.at("upstream").String() != "u1" {
		t.Errorf("patched: %s", patched.body)
	}
	if text := g.asks(200, "team/m"); text != "second" {
		t.Errorf("the answer is from %s", text)
	}
	cleared := g.do("PATCH", sources+"/u1:x", `{"priority":null,"weight":null}`).is(200)
	if cleared.at("priority").Exists() || cleared.at("weight").Exists() {
		t.Errorf("cleared: %s", cleared.body)
	}
	g.refused(409, "exists", "", "PUT", sources+"/u1:x", `{"upstream":"org/u2","model":"meta/llama 3"}`)
	g.refused(400, "invalid_request", "weight", "PATCH", sources+"/u1:x", `{"weight":"heavy"}`)
	g.refused(400, "invalid_request", "", "PATCH", sources+"/u1:x", `{"weight":`)
	renamed := g.do("PUT", sources+"/u1:x", `{"upstream":"u1","model":"y","format":"openai_chat"}`).is(200)
	if renamed.at("id").String() != "u1:y:openai_chat" || renamed.at("model").String() != "y" {
		t.Errorf("replaced: %s", renamed.body)
	}
	for _, method := range []string{"GET", "DELETE", "PATCH", "PUT"} {
		body := map[string]string{"PATCH": "{}", "PUT": `{"upstream":"u1","model":"z"}`}[method]
		g.refused(404, "not_found", "source", method, sources+"/u1:x", body)
	}
	g.do("DELETE", sources+"/u1:y:openai_chat?dry_run=true", "").is(200)
	g.do("DELETE", sources+"/u1:y:openai_chat", "", "If-Match", renamed.tag()).is(200)
	if text := g.asks(200, "team/m"); text != "second" || g.read(sources).at("total").Int() != 1 {
		t.Errorf("the answer is from %s, sources %s", text, g.read(sources).body)
	}
	if got := g.do("DELETE", other, "", "If-Match", renamed.tag()).is(412); got.at("error.code").String() != "stale" {
		t.Errorf("an old tag: %s", got.body)
	}
}

// TestActivate shows the switch from one source to another with one call.
func TestActivate(t *testing.T) {
	first, second := startProvider(t, provider.Say("first")), startProvider(t, provider.Say("second"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u1", serviceAt(first.URL()))
	g.create("upstreams", "u2", serviceAt(second.URL()))
	g.create("models", "m", from("u1", "u2"))
	for _, name := range []string{"u2", "u1", "u2"} {
		got := g.do("POST", "/models/m/activate", `{"source":"`+name+`:x"}`).is(200)
		if got.at("spec.mode").String() != "pinned" || got.at("spec.active").String() != name+":x" {
			t.Errorf("activated: %s", got.body)
		}
		want := map[string]string{"u1": "first", "u2": "second"}[name]
		for range 5 {
			if text := g.asks(200, "m"); text != want {
				t.Errorf("%s is active, and the answer is from the %s", name, text)
			}
		}
	}
	g.refused(400, "invalid_request", "source", "POST", "/models/m/activate", `{"source":"u3:x"}`)
	g.refused(400, "invalid_request", "spec.active", "PATCH", "/models/m", `{"spec":{"active":"u3:x"}}`)
	g.refused(404, "not_found", "", "POST", "/models/none/activate", `{"source":"u1:x"}`)

	// The active source keeps its part when it is changed, and leaves none behind.
	if g.do("PUT", "/models/m/sources/u2:x", `{"upstream":"u2","model":"y"}`).is(200); g.read("/models/m").at("spec.active").String() != "u2:y" {
		t.Errorf("after the change: %s", g.read("/models/m").body)
	}
	g.do("DELETE", "/models/m/sources/u2:y", "").is(200)
	if got := g.read("/models/m"); got.at("spec.active").Exists() || got.at("spec.mode").Exists() {
		t.Errorf("after the removal: %s", got.body)
	}
	if text := g.asks(200, "m"); text != "first" {
		t.Errorf("the answer is from the %s", text)
	}
	g.do("POST", "/models/m/activate", `{"source":"u1:x"}`).is(200)
	if got := g.do("POST", "/models/m/activate", `{}`).is(200); got.at("spec.active").Exists() || got.at("spec.mode").Exists() {
		t.Errorf("balanced again: %s", got.body)
	}
}

// TestDisplayOrder shows that clients see models in the order that is set, all of it or
// nothing.
func TestDisplayOrder(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "demo", `{"provider":"demo"}`)
	for _, name := range []string{"a", "b", "c", "d"} {
		g.create("models", name, `{"sources":[{"upstream":"demo","model":"echo"}]}`)
	}
	g.patch("/models/d", `{"order":150}`)
	g.do("POST", "/models/order", `{"names":["c","b","a"]}`).is(200)
	if got := g.offered(); got != "c d b a" {
		t.Errorf("clients see %s", got)
	}
	if got := g.read("/models?sort=order").names(); got != "c d b a" {
		t.Errorf("the list has %s", got)
	}
	g.refused(400, "invalid_request", "names[2]", "POST", "/models/order", `{"names":["a","b","a"]}`)
	g.refused(404, "not_found", "names[1]", "POST", "/models/order", `{"names":["a","none"]}`)
	g.refused(400, "invalid_request", "names", "POST", "/models/order", `{"names":[]}`)
	before := g.everything()
	g.do("POST", "/models/order?dry_run=true", `{"names":["a","b"]}`).is(200)
	if g.everything() != before {
		t.Error("a dry run has changed the order")
	}
}

// TestInternalModels shows that a model that becomes internal is unknown to clients at
// once, and that the management API still has it.
func TestInternalModels(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt(p.URL()))
	g.create("models", "m", from("u"))
	g.asks(200, "m")
	g.patch("/models/m", `{"access":"internal"}`)
	g.asks(404, "m")
	if g.offered() != "" || g.read("/models?access=internal").names() != "m" || g.read("/models?access=public").names() != "" {
		t.Errorf("clients see %s, the list has %s", g.offered(), g.read("/models").body)
	}
}

// TestTaskOfAModel shows that a model's operations are in force with the next request,
// and that nothing is sent upstream for others.
func TestTaskOfAModel(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", fmt.Sprintf(`{"base_url":%q,"formats":["openai_chat","openai_images"]}`, p.URL()))
	g.create("models", "m", `{"operations":["chat"],"sources":[{"upstream":"u","model":"x"}]}`)
	resp, body := g.post("/v1/images/generations", `{"model":"m","prompt":"a cat"}`)
	status(t, resp, body, 400)
	sameJSONField(t, body, "error.code", "task_not_supported")
	if n := len(p.Requests()); n != 0 {
		t.Errorf("%d requests were sent upstream", n)
	}
	g.asks(200, "m")
}
