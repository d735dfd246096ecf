package caddytest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// oddNames are names that paths, queries and routes could misread.
var oddNames = []string{
	"a/b", "//", "/x", "a b", "ü 日本", "100%", "%2F", ".", "..", "../x", "batch", "test", "order",
	"a?b=c#d", "x:y", "+", `back\slash`, `"quoted"`, "a&b", "{name}", "@at",
}

// TestNamesWithSlashes shows that every name that is allowed works in every path, and in
// clients' requests.
func TestNamesWithSlashes(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	for _, name := range oddNames {
		up, model := at("upstreams", name), at("models", name)
		made := g.create("upstreams", name, serviceAt(p.URL()))
		g.create("models", name, from(name))
		g.create("aliases", "alias of "+name, fmt.Sprintf(`{"model":%q}`, name))
		if got := g.do("GET", "/"+made.header.Get("Location"), "").is(200); got.at("name").String() != name {
			t.Errorf("%q: the location leads to %s", name, got.body)
		}
		for _, path := range []string{up, model} {
			if got := g.read(path); got.at("name").String() != name || got.at("spec").Raw == "" {
				t.Errorf("%s reads %s", path, got.body)
			}
		}
		if got := g.read(up + "/sources"); got.at("items.0.model").String() != name {
			t.Errorf("%s/sources: %s", up, got.body)
		}
		if got := g.read(model + "/sources" + at("", name+":x")[1:]); got.at("upstream").String() != name {
			t.Errorf("the source of %s: %s", model, got.body)
		}
		g.patch(at("aliases", "alias of "+name), `{"disabled":true}`)
		g.do("PUT", up, named(name, serviceAt(p.URL()+"/v1"))).is(200)
		if name[0] != '@' { // that names an upstream model
			g.asks(200, name)
		}
		batch := fmt.Sprintf(`{"op":"disable","names":[%q]}`, name)
		if got := g.do("POST", "/models/batch", batch).is(200); got.at("succeeded").Int() != 1 {
			t.Errorf("batch: %s", got.body)
		}
	}
	if got := g.read("/upstreams?page_size=1000").at("total").Int(); got != int64(len(oddNames)) {
		t.Errorf("%d upstreams, want %d", got, len(oddNames))
	}
	for _, name := range oddNames {
		g.do("DELETE", at("upstreams", name)+"?cascade=true", "").is(200)
		g.do("DELETE", at("models", name)+"?cascade=true", "").is(200)
		g.do("GET", at("models", name), "").is(404)
	}
	if got := g.everything(); got != "" {
		t.Errorf("left are %s", got)
	}
	g.refused(400, "invalid_request", "name", "POST", "/models", named("/", "{}")) // no path can name it
}

// TestPrecondition shows that of two people who have read the same revision only the
// first changes it, and what tags can say.
func TestPrecondition(t *testing.T) {
	g := startManaged(t, "", "upstream declared http://127.0.0.1:9")
	made := g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	first := g.patch("/upstreams/u", `{"retries":0}`, "If-Match", made.tag())
	for method, body := range map[string]string{"PATCH": `{"spec":{"retries":1}}`, "PUT": named("u", serviceAt("http://127.0.0.1:10")), "DELETE": ""} {
		g.refused(412, "stale", "", method, "/upstreams/u", body, "If-Match", made.tag())
		g.refused(412, "stale", "", method, "/upstreams/u", body, "If-Match", `"nonsense"`)
		g.refused(412, "stale", "", method, "/upstreams/u?dry_run=true", body, "If-Match", made.tag())
	}
	if got := g.read("/upstreams/u"); got.tag() != first.tag() || got.at("spec.retries").Raw != "0" {
		t.Errorf("after the refusals: %s", got.body)
	}
	g.patch("/upstreams/u", `{"retries":1}`, "If-Match", "*")
	g.refused(412, "stale", "", "PUT", "/upstreams/none", unnamed(serviceAt("http://127.0.0.1:9")), "If-Match", "*")
	g.refused(412, "stale", "", "PUT", "/upstreams/none", unnamed(serviceAt("http://127.0.0.1:9")), "If-Match", first.tag())

	declared := g.read("/upstreams/declared")
	if !strings.HasPrefix(declared.tag(), `"declared-`) {
		t.Errorf("the tag of a declared upstream is %s", declared.tag())
	}
	g.refused(409, "declared", "name", "PATCH", "/upstreams/declared", `{"spec":{"retries":1}}`, "If-Match", declared.tag())
}

// TestPatchKeepsTheRest shows that a patch changes what it names and nothing else: with
// nothing in it, nothing.
func TestPatchKeepsTheRest(t *testing.T) {
	g := startManaged(t, "", "")
	made := g.create("upstreams", "u", `{"base_url":"http://127.0.0.1:9","headers":{"X-A":["1"],"X-B":["2"]},"timeouts":{"idle":"30s","total":"5m"},"retries":0,"tags":["a","b"]}`)
	for _, body := range []string{`{}`, `{"spec":{}}`, `{"spec":{"retries":0}}`, `{"spec":{"headers":{}}}`, `{"spec":{"quirks":null}}`} {
		got := g.do("PATCH", "/upstreams/u", body).is(200)
		if got.tag() != made.tag() || got.at("revision").Int() != made.at("revision").Int() || got.at("updated").String() != made.at("updated").String() {
			t.Errorf("%s has changed something: %s", body, got.body)
		}
	}
	got := g.patch("/upstreams/u", `{"headers":{"X-A":["3"],"X-B":null},"timeouts":{"idle":"20s"},"tags":["c"]}`)
	want := g.create("upstreams", "same", `{"base_url":"http://127.0.0.1:9","headers":{"X-A":["3"]},"timeouts":{"idle":"20s","total":"5m"},"retries":0,"tags":["c"]}`)
	sameJSON(t, got.at("spec").Raw, want.at("spec").Raw)
	if put := g.do("PUT", "/upstreams/same", unnamed(want.at("spec").Raw)).is(200); put.tag() != want.tag() {
		t.Errorf("what is the same has changed: %s", put.body)
	}
	for _, body := range []string{`{"spec":null}`, `{"spec":[]}`, `{"spec":"x"}`} {
		g.refused(400, "invalid_request", "spec", "PATCH", "/upstreams/u", body)
		g.refused(400, "invalid_request", "spec", "PUT", "/upstreams/u", body)
	}
	g.refused(400, "invalid_request", "spec", "PUT", "/upstreams/u", `{}`)
	g.refused(400, "invalid_request", "spec", "PUT", "/models/u", ``, "Content-Type", "application/json")
}

// TestDryRun shows that every write can be tried without any effect.
func TestDryRun(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	g.create("models", "m", from("u"))
	g.create("models", "other", `{}`)
	g.create("aliases", "a", `{"model":"m"}`)
	before := g.everything()
	for _, c := range []struct{ method, path, body, shows, want string }{
		{"POST", "/upstreams", named("new", serviceAt("http://127.0.0.1:9")), "name", "new"},
		{"PUT", "/upstreams/new", unnamed(serviceAt("http://127.0.0.1:9")), "name", "new"},
		{"PUT", "/upstreams/u", unnamed(serviceAt("http://127.0.0.1:10")), "spec.base_url", "http://127.0.0.1:10"},
		{"PATCH", "/models/m", `{"spec":{"vendor":"acme"}}`, "spec.vendor", "acme"},
		{"DELETE", "/aliases/a", "", "deleted", "false"},
		{"DELETE", "/models/m", "", "impact.0.name", "a"},
		{"DELETE", "/upstreams/u", "", "impact.0.effect", "left_without_source"},
		{"POST", "/models/m/sources", `{"upstream":"u","model":"y"}`, "id", "u:y"},
		{"PUT", "/models/m/sources/u:x", `{"upstream":"u","model":"y"}`, "id", "u:y"},
		{"PATCH", "/models/m/sources/u:x", `{"weight":7}`, "weight", "7"},
		{"DELETE", "/models/m/sources/u:x", "", "deleted", "false"},
		{"POST", "/models/m/activate", `{"source":"u:x"}`, "spec.active", "u:x"},
		{"POST", "/models/order", `{"names":["other","m"]}`, "names.0", "other"},
		{"POST", "/models/batch", `{"op":"disable","names":["m","none"]}`, "succeeded", "1"},
		{"POST", "/aliases/batch", `{"op":"delete","names":["a"]}`, "results.0.status", "deleted"},
	} {
		for _, word := range []string{"dry_run=true", "dry_run=1", "dry_run"} {
			got := g.do(c.method, c.path+"?"+word, c.body).is(200)
			if got.at(c.shows).String() != c.want || got.tag() != "" || got.header.Get("Location") != "" {
				t.Errorf("%s %s: want %s at %s: %s", c.method, c.path, c.want, c.shows, got.body)
			}
		}
		g.refused(400, "invalid_request", "dry_run", c.method, c.path+"?dry_run=maybe", c.body)
		if after := g.everything(); after != before {
			t.Fatalf("%s %s has changed something:\n%s\n%s", c.method, c.path, before, after)
		}
	}
	g.refused(400, "invalid_request", "spec.base_url", "PATCH", "/upstreams/u?dry_run=true", `{"spec":{"base_url":"ftp://x"}}`)
	g.refused(409, "exists", "name", "POST", "/upstreams?dry_run=true", named("u", serviceAt("http://127.0.0.1:9")))
}

// TestBatchKeepsTheOthers shows that each name of a batch is done on its own.
func TestBatchKeepsTheOthers(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "upstream declared "+p.URL())
	for _, name := range []string{"u1", "u2", "used"} {
		g.create("upstreams", name, serviceAt(p.URL()))
	}
	g.create("models", "m", from("used"))
	got := g.do("POST", "/upstreams/batch", `{"op":"delete","names":["u1","nope","used","declared","u1","u2"]}`).is(200)
	sameJSON(t, got.at("{total,succeeded,not_found,failed}").Raw, `{"total":6,"succeeded":2,"not_found":2,"failed":2}`)
	sameJSON(t, got.at("results.#.status").Raw, `["deleted","not_found","failed","failed","not_found","deleted"]`)
	if got.at("results.2.error.code").String() != "in_use" || got.at("results.3.error.code").String() != "declared" {
		t.Errorf("errors: %s", got.body)
	}
	if left := g.read("/upstreams").names(); left != "declared used" {
		t.Errorf("left are %s", left)
	}
	g.do("POST", "/upstreams/batch", `{"op":"disable","names":["used"]}`).is(200)
	g.asks(404, "m")
	g.do("POST", "/upstreams/batch", `{"op":"enable","names":["used","used"]}`).is(200)
	g.asks(200, "m")
	cascade := g.do("POST", "/upstreams/batch", `{"op":"delete","names":["used"],"cascade":true}`).is(200)
	if cascade.at("succeeded").Int() != 1 || g.read("/models/m").at("spec.sources").Exists() {
		t.Errorf("cascade: %s", cascade.body)
	}
	g.refused(400, "invalid_request", "names", "POST", "/upstreams/batch", `{"op":"delete","names":[]}`)
	g.refused(400, "invalid_request", "names", "POST", "/upstreams/batch", `{"op":"delete"}`)
	g.refused(400, "invalid_request", "op", "POST", "/upstreams/batch", `{"op":"explode","names":["x"]}`)
	g.refused(400, "invalid_request", "names", "POST", "/upstreams/batch", `{"op":"delete","names":["x"`+strings.Repeat(`,"x"`, 1000)+`]}`)
}

// TestDeleteWithDependents shows what a deletion means for others before it is made, that
// it is refused as long as there are others, and what a cascade leaves.
func TestDeleteWithDependents(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u1", serviceAt(p.URL()))
	g.create("upstreams", "u2", serviceAt(p.URL()))
	g.create("models", "alone", from("u1"))
	g.create("models", "both", `{"mode":"pinned","active":"u1:x","sources":[{"upstream":"u1","model":"x"},{"upstream":"u1","model":"y"},{"upstream":"u2","model":"x"}]}`)
	g.create("aliases", "direct", `{"model":"@u1/z"}`)
	g.create("aliases", "indirect", `{"model":"alone"}`)
	const impact = `[
		{"kind":"model","name":"alone","effect":"left_without_source","sources":["u1:x"]},
		{"kind":"model","name":"both","effect":"loses_source","sources":["u1:x","u1:y"]},
		{"kind":"alias","name":"direct","effect":"deleted"}]`
	refused := g.refused(409, "in_use", "", "DELETE", "/upstreams/u1", "")
	sameJSON(t, refused.at("error.impact").Raw, impact)
	for _, name := range []string{"alone", "both", "direct"} {
		if !strings.Contains(refused.at("error.message").String(), name) {
			t.Errorf("the message does not name %s: %s", name, refused.body)
		}
	}
	sameJSON(t, g.do("DELETE", "/upstreams/u1?dry_run=true", "").is(200).at("impact").Raw, impact)
	done := g.do("DELETE", "/upstreams/u1?cascade=true", "").is(200)
	sameJSON(t, done.at("impact").Raw, impact)
	if !done.at("deleted").Bool() {
		t.Errorf("deleted: %s", done.body)
	}
	sameJSON(t, g.read("/models/both").at("spec").Raw, from("u2"))
	if got := g.read("/models/alone"); got.at("spec.sources").Exists() || got.at("status.reason").String() != "it has no source" {
		t.Errorf("alone: %s", got.body)
	}
	if got := g.read("/aliases").names(); got != "indirect" {
		t.Errorf("aliases: %s", got)
	}
	g.asks(200, "both")
	g.asks(404, "alone")
	g.asks(404, "indirect")
	g.refused(409, "in_use", "", "DELETE", "/models/alone", "")
	g.do("DELETE", "/models/alone?cascade=true", "").is(200)
	if got := g.read("/aliases").names(); got != "" {
		t.Errorf("aliases: %s", got)
	}
}

// TestSourcesOfAnUpstream shows who depends on an upstream, and who would be left without
// a source if it went.
func TestSourcesOfAnUpstream(t *testing.T) {
	g := startManaged(t, "", "upstream u0 http://127.0.0.1:9\nmodel declared {\n source u0 x\n}")
	g.create("upstreams", "u1", serviceAt("http://127.0.0.1:9"))
	g.create("models", "m1", from("u0"))
	g.create("models", "m2", from("u0", "u1"))
	g.create("models", "m3", from("u1"))
	shown := func() string {
		var all []string
		g.read("/upstreams/u0/sources").at("items").ForEach(func(_, item gjson.Result) bool {
			all = append(all, fmt.Sprint(item.Get("model"), " ", item.Get("origin"), " ", item.Get("source.id"), " ", item.Get("would_be_unavailable")))
			return true
		})
		return strings.Join(all, ", ")
	}
	if got, want := shown(), "declared declared u0:x true, m1 managed u0:x true, m2 managed u0:x false"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	g.do("POST", "/upstreams/u1/circuit/open", `{"reason":"maintenance"}`).is(200)
	if got, want := shown(), "declared declared u0:x true, m1 managed u0:x true, m2 managed u0:x true"; got != want {
		t.Errorf("with the other one open: got %s", got)
	}
	if got := g.read("/upstreams/u0/sources?page=2&page_size=2"); got.at("total").Int() != 3 || got.at("items.#").Int() != 1 {
		t.Errorf("a page: %s", got.body)
	}
	g.refused(404, "not_found", "name", "GET", "/upstreams/none/sources", "")
}
