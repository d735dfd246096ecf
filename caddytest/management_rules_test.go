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
	m := startManaged(t, "")
	for _, name := range oddNames {
		up, model := at("upstreams", name), at("models", name)
		made := m.create("upstreams", name, serviceAt(p.URL()))
		m.create("models", name, from(name))
		m.create("aliases", "alias of "+name, fmt.Sprintf(`{"model":%q}`, name))
		if got := m.call(200, "GET", "/"+made.header.Get("Location"), ""); got.at("name").String() != name {
			t.Errorf("%q: the location leads to %s", name, got.body)
		}
		for _, path := range []string{up, model} {
			if got := m.read(path); got.at("name").String() != name || got.at("spec").Raw == "" {
				t.Errorf("%s reads %s", path, got.body)
			}
		}
		if got := m.read(up + "/sources"); got.at("items.0.model").String() != name {
			t.Errorf("%s/sources: %s", up, got.body)
		}
		if got := m.read(model + "/sources" + at("", name+":x")[1:]); got.at("upstream").String() != name {
			t.Errorf("the source of %s: %s", model, got.body)
		}
		m.patch(at("aliases", "alias of "+name), `{"disabled":true}`)
		m.call(200, "PUT", up, named(name, serviceAt(p.URL()+"/v1")))
		if name[0] != '@' { // that names an upstream model
			m.asks(200, name)
		}
		batch := fmt.Sprintf(`{"op":"disable","names":[%q]}`, name)
		if got := m.call(200, "POST", "/models/batch", batch); got.at("succeeded").Int() != 1 {
			t.Errorf("batch: %s", got.body)
		}
	}
	if got := m.read("/upstreams?page_size=1000").at("total").Int(); got != int64(len(oddNames)) {
		t.Errorf("%d upstreams, want %d", got, len(oddNames))
	}
	for _, name := range oddNames {
		m.call(200, "DELETE", at("upstreams", name)+"?cascade=true", "")
		m.call(200, "DELETE", at("models", name)+"?cascade=true", "")
		m.call(404, "GET", at("models", name), "")
	}
	if got := m.everything(); got != "" {
		t.Errorf("left are %s", got)
	}
	m.refused(400, "invalid_request", "name", "POST", "/models", named("/", "{}")) // no path can name it
}

// TestPrecondition shows that of two people who have read the same revision only the
// first changes it, and what tags can say.
func TestPrecondition(t *testing.T) {
	m := startManaged(t, "upstream declared http://127.0.0.1:9")
	made := m.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	first := m.patch("/upstreams/u", `{"retries":0}`, "If-Match", made.tag())
	for method, body := range map[string]string{"PATCH": `{"spec":{"retries":1}}`, "PUT": named("u", serviceAt("http://127.0.0.1:10")), "DELETE": ""} {
		m.refused(412, "stale", "", method, "/upstreams/u", body, "If-Match", made.tag())
		m.refused(412, "stale", "", method, "/upstreams/u", body, "If-Match", `"nonsense"`)
		m.refused(412, "stale", "", method, "/upstreams/u?dry_run=true", body, "If-Match", made.tag())
	}
	if got := m.read("/upstreams/u"); got.tag() != first.tag() || got.at("spec.retries").Raw != "0" {
		t.Errorf("after the refusals: %s", got.body)
	}
	m.patch("/upstreams/u", `{"retries":1}`, "If-Match", "*")
	m.refused(412, "stale", "", "PUT", "/upstreams/none", `{"spec":`+serviceAt("http://127.0.0.1:9")+`}`, "If-Match", "*")
	m.refused(412, "stale", "", "PUT", "/upstreams/none", `{"spec":`+serviceAt("http://127.0.0.1:9")+`}`, "If-Match", first.tag())

	declared := m.read("/upstreams/declared")
	if !strings.HasPrefix(declared.tag(), `"declared-`) {
		t.Errorf("the tag of a declared upstream is %s", declared.tag())
	}
	m.refused(409, "declared", "name", "PATCH", "/upstreams/declared", `{"spec":{"retries":1}}`, "If-Match", declared.tag())
}

// TestPatchKeepsTheRest shows that a patch changes what it names and nothing else: with
// nothing in it, nothing.
func TestPatchKeepsTheRest(t *testing.T) {
	m := startManaged(t, "")
	made := m.create("upstreams", "u", `{"base_url":"http://127.0.0.1:9","headers":{"X-A":["1"],"X-B":["2"]},"timeouts":{"idle":"30s","total":"5m"},"retries":0,"tags":["a","b"]}`)
	for _, body := range []string{`{}`, `{"spec":{}}`, `{"spec":{"retries":0}}`, `{"spec":{"headers":{}}}`, `{"spec":{"quirks":null}}`} {
		got := m.call(200, "PATCH", "/upstreams/u", body)
		if got.tag() != made.tag() || got.at("revision").Int() != made.at("revision").Int() || got.at("updated").String() != made.at("updated").String() {
			t.Errorf("%s has changed something: %s", body, got.body)
		}
	}
	got := m.patch("/upstreams/u", `{"headers":{"X-A":["3"],"X-B":null},"timeouts":{"idle":"20s"},"tags":["c"]}`)
	want := m.create("upstreams", "same", `{"base_url":"http://127.0.0.1:9","headers":{"X-A":["3"]},"timeouts":{"idle":"20s","total":"5m"},"retries":0,"tags":["c"]}`)
	sameJSON(t, got.at("spec").Raw, want.at("spec").Raw)
	if put := m.call(200, "PUT", "/upstreams/same", `{"spec":`+want.at("spec").Raw+`}`); put.tag() != want.tag() {
		t.Errorf("what is the same has changed: %s", put.body)
	}
	for _, body := range []string{`{"spec":null}`, `{"spec":[]}`, `{"spec":"x"}`} {
		m.refused(400, "invalid_request", "spec", "PATCH", "/upstreams/u", body)
		m.refused(400, "invalid_request", "spec", "PUT", "/upstreams/u", body)
	}
	m.refused(400, "invalid_request", "spec", "PUT", "/upstreams/u", `{}`)
	m.refused(400, "invalid_request", "spec", "PUT", "/models/u", ``, "Content-Type", "application/json")
}

// TestDryRun shows that every write can be tried without any effect.
func TestDryRun(t *testing.T) {
	m := startManaged(t, "")
	m.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	m.create("models", "m", from("u"))
	m.create("models", "other", `{}`)
	m.create("aliases", "a", `{"model":"m"}`)
	before := m.everything()
	for _, c := range []struct{ method, path, body, shows, want string }{
		{"POST", "/upstreams", named("new", serviceAt("http://127.0.0.1:9")), "name", "new"},
		{"PUT", "/upstreams/new", `{"spec":` + serviceAt("http://127.0.0.1:9") + `}`, "name", "new"},
		{"PUT", "/upstreams/u", `{"spec":` + serviceAt("http://127.0.0.1:10") + `}`, "spec.base_url", "http://127.0.0.1:10"},
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
			got := m.call(200, c.method, c.path+"?"+word, c.body)
			if got.at(c.shows).String() != c.want || got.tag() != "" || got.header.Get("Location") != "" {
				t.Errorf("%s %s: want %s at %s: %s", c.method, c.path, c.want, c.shows, got.body)
			}
		}
		m.refused(400, "invalid_request", "dry_run", c.method, c.path+"?dry_run=maybe", c.body)
		if after := m.everything(); after != before {
			t.Fatalf("%s %s has changed something:\n%s\n%s", c.method, c.path, before, after)
		}
	}
	m.refused(400, "invalid_request", "spec.base_url", "PATCH", "/upstreams/u?dry_run=true", `{"spec":{"base_url":"ftp://x"}}`)
	m.refused(409, "exists", "name", "POST", "/upstreams?dry_run=true", named("u", serviceAt("http://127.0.0.1:9")))
}

// TestBatchKeepsTheOthers shows that each name of a batch is done on its own.
func TestBatchKeepsTheOthers(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	m := startManaged(t, "upstream declared "+p.URL())
	for _, name := range []string{"u1", "u2", "used"} {
		m.create("upstreams", name, serviceAt(p.URL()))
	}
	m.create("models", "m", from("used"))
	got := m.call(200, "POST", "/upstreams/batch", `{"op":"delete","names":["u1","nope","used","declared","u1","u2"]}`)
	sameJSON(t, got.at("{total,succeeded,not_found,failed}").Raw, `{"total":6,"succeeded":2,"not_found":2,"failed":2}`)
	sameJSON(t, got.at("results.#.status").Raw, `["deleted","not_found","failed","failed","not_found","deleted"]`)
	if got.at("results.2.error.code").String() != "in_use" || got.at("results.3.error.code").String() != "declared" {
		t.Errorf("errors: %s", got.body)
	}
	if left := m.read("/upstreams").names(); left != "declared used" {
		t.Errorf("left are %s", left)
	}
	m.call(200, "POST", "/upstreams/batch", `{"op":"disable","names":["used"]}`)
	m.asks(404, "m")
	m.call(200, "POST", "/upstreams/batch", `{"op":"enable","names":["used","used"]}`)
	m.asks(200, "m")
	cascade := m.call(200, "POST", "/upstreams/batch", `{"op":"delete","names":["used"],"cascade":true}`)
	if cascade.at("succeeded").Int() != 1 || m.read("/models/m").at("spec.sources").Exists() {
		t.Errorf("cascade: %s", cascade.body)
	}
	m.refused(400, "invalid_request", "names", "POST", "/upstreams/batch", `{"op":"delete","names":[]}`)
	m.refused(400, "invalid_request", "names", "POST", "/upstreams/batch", `{"op":"delete"}`)
	m.refused(400, "invalid_request", "op", "POST", "/upstreams/batch", `{"op":"explode","names":["x"]}`)
	m.refused(400, "invalid_request", "names", "POST", "/upstreams/batch", `{"op":"delete","names":["x"`+strings.Repeat(`,"x"`, 1000)+`]}`)
}

// TestDeleteWithDependents shows what a deletion means for others before it is made, that
// it is refused as long as there are others, and what a cascade leaves.
func TestDeleteWithDependents(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	m := startManaged(t, "")
	m.create("upstreams", "u1", serviceAt(p.URL()))
	m.create("upstreams", "u2", serviceAt(p.URL()))
	m.create("models", "alone", from("u1"))
	m.create("models", "both", `{"mode":"pinned","active":"u1:x","sources":[{"upstream":"u1","model":"x"},{"upstream":"u1","model":"y"},{"upstream":"u2","model":"x"}]}`)
	m.create("aliases", "direct", `{"model":"@u1/z"}`)
	m.create("aliases", "indirect", `{"model":"alone"}`)
	const impact = `[
		{"kind":"model","name":"alone","effect":"left_without_source","sources":["u1:x"]},
		{"kind":"model","name":"both","effect":"loses_source","sources":["u1:x","u1:y"]},
		{"kind":"alias","name":"direct","effect":"deleted"}]`
	refused := m.refused(409, "in_use", "", "DELETE", "/upstreams/u1", "")
	sameJSON(t, refused.at("error.impact").Raw, impact)
	for _, name := range []string{"alone", "both", "direct"} {
		if !strings.Contains(refused.at("error.message").String(), name) {
			t.Errorf("the message does not name %s: %s", name, refused.body)
		}
	}
	sameJSON(t, m.call(200, "DELETE", "/upstreams/u1?dry_run=true", "").at("impact").Raw, impact)
	done := m.call(200, "DELETE", "/upstreams/u1?cascade=true", "")
	sameJSON(t, done.at("impact").Raw, impact)
	if !done.at("deleted").Bool() {
		t.Errorf("deleted: %s", done.body)
	}
	sameJSON(t, m.read("/models/both").at("spec").Raw, from("u2"))
	if got := m.read("/models/alone"); got.at("spec.sources").Exists() || got.at("status.reason").String() != "it has no source" {
		t.Errorf("alone: %s", got.body)
	}
	if got := m.read("/aliases").names(); got != "indirect" {
		t.Errorf("aliases: %s", got)
	}
	m.asks(200, "both")
	m.asks(404, "alone")
	m.asks(404, "indirect")
	m.refused(409, "in_use", "", "DELETE", "/models/alone", "")
	m.call(200, "DELETE", "/models/alone?cascade=true", "")
	if got := m.read("/aliases").names(); got != "" {
		t.Errorf("aliases: %s", got)
	}
}

// TestSourcesOfAnUpstream shows who depends on an upstream, and who would be left without
// a source if it went.
func TestSourcesOfAnUpstream(t *testing.T) {
	m := startManaged(t, "upstream u0 http://127.0.0.1:9\nmodel declared {\n source u0 x\n}")
	m.create("upstreams", "u1", serviceAt("http://127.0.0.1:9"))
	m.create("models", "m1", from("u0"))
	m.create("models", "m2", from("u0", "u1"))
	m.create("models", "m3", from("u1"))
	shown := func() string {
		var all []string
		m.read("/upstreams/u0/sources").at("items").ForEach(func(_, item gjson.Result) bool {
			all = append(all, fmt.Sprint(item.Get("model"), " ", item.Get("origin"), " ", item.Get("source.id"), " ", item.Get("would_be_unavailable")))
			return true
		})
		return strings.Join(all, ", ")
	}
	if got, want := shown(), "declared declared u0:x true, m1 managed u0:x true, m2 managed u0:x false"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m.call(200, "POST", "/upstreams/u1/circuit/open", `{"reason":"maintenance"}`)
	if got, want := shown(), "declared declared u0:x true, m1 managed u0:x true, m2 managed u0:x true"; got != want {
		t.Errorf("with the other one open: got %s", got)
	}
	if got := m.read("/upstreams/u0/sources?page=2&page_size=2"); got.at("total").Int() != 3 || got.at("items.#").Int() != 1 {
		t.Errorf("a page: %s", got.body)
	}
	m.refused(404, "not_found", "name", "GET", "/upstreams/none/sources", "")
}
