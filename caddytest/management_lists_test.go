package caddytest

import (
	"fmt"
	"strings"
	"testing"
)

// TestListPages shows that lists are cut into pages after they were filtered and sorted.
func TestListPages(t *testing.T) {
	g := startManaged(t, "", "upstream declared http://127.0.0.1:9")
	for i := range 25 {
		g.create("upstreams", fmt.Sprintf("u%02d", i), serviceAt("http://127.0.0.1:9"))
	}
	g.do("POST", "/upstreams/u24/circuit/open", `{"reason":"maintenance"}`).is(200)
	g.do("POST", "/upstreams/u03/circuit/open", `{"reason":"maintenance"}`).is(200)
	for query, want := range map[string]string{
		"status=circuit_open&page_size=1":        "u03",
		"status=circuit_open&page_size=1&page=2": "u24",
		"sort=-name&page_size=3":                 "u24 u23 u22",
		"page_size=10&page=3":                    "u19 u20 u21 u22 u23 u24",
		"page_size=10&page=4":                    "",
		"page=999999999999":                      "",
		"origin=declared":                        "declared",
		"origin=managed&page_size=2":             "u00 u01",
		"q=U0&page_size=2&sort=created":          "u00 u01",
		"q=DECL":                                 "declared",
		"q=nobody":                               "",
		"sort=-created&page_size=2":              "u24 u23",
		"sort=-status&page_size=2":               "u24 u03",
	} {
		if got := g.read("/upstreams?" + query).names(); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	got := g.read("/upstreams?status=circuit_open&page_size=1&page=2")
	sameJSON(t, got.at("{total,page,page_size}").Raw, `{"total":2,"page":2,"page_size":1}`)
	if size := g.read("/upstreams?page_size=5000").at("page_size").Int(); size != 1000 {
		t.Errorf("the largest page has %d", size)
	}
	for _, query := range []string{"page=0", "page=-1", "page_size=0", "page_size=x", "sort=colour", "status=purple", "origin=mars", "sort=order"} {
		field, _, _ := strings.Cut(query, "=")
		g.refused(400, "invalid_request", field, "GET", "/upstreams?"+query, "")
	}
}

// TestListFilters shows what each list can be searched by.
func TestListFilters(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "groq", `{"disabled":true}`)
	g.create("upstreams", "fast", `{"provider":"groq","tags":["eu","cheap"]}`)
	g.create("upstreams", "claude", `{"base_url":"http://messages.example","formats":["anthropic_messages"],"tags":["us"]}`)
	g.create("models", "writer", `{"vendor":"acme","order":5,"description":"Drafts letters","sources":[{"upstream":"claude","model":"sonnet"}]}`)
	g.create("models", "titles", `{"vendor":"other","access":"internal","display_name":"Headlines","sources":[{"upstream":"fast","model":"llama"},{"upstream":"claude","model":"haiku"}]}`)
	g.create("models", "empty", `{"disabled":true,"order":-1}`)
	g.create("aliases", "gpt-4o", `{"model":"writer"}`)
	g.create("aliases", "o*", `{"model":"titles","announce":["o1-preview"]}`)
	for path, want := range map[string]string{
		"/upstreams?provider=groq":                        "fast groq",
		"/upstreams?provider=groq&status=disabled":        "groq",
		"/upstreams?format=anthropic_messages":            "claude",
		"/upstreams?format=openai_chat":                   "fast groq",
		"/upstreams?tag=eu":                               "fast",
		"/upstreams?tag=e":                                "",
		"/upstreams?q=cheap":                              "fast",
		"/upstreams?q=Messages.EXAMPLE":                   "claude",
		"/models":                                         "empty titles writer",
		"/models?upstream=claude":                         "titles writer",
		"/models?upstream=claude&vendor=acme":             "writer",
		"/models?access=internal":                         "titles",
		"/models?access=public":                           "empty writer",
		"/models?q=llama":                                 "titles",
		"/models?q=letters":                               "writer",
		"/models?q=headl":                                 "titles",
		"/models?sort=order":                              "empty titles writer",
		"/models?sort=-order":                             "writer titles empty",
		"/models?status=disabled":                         "empty",
		"/models?status=active":                           "titles writer",
		"/aliases?model=writer":                           "gpt-4o",
		"/aliases?q=preview":                              "o*",
		"/aliases?status=shadowed":                        "",
		"/aliases?status=broken&q=gpt&sort=-name&model=x": "",
	} {
		if got := g.read(path).names(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// TestDeclaredAndManaged shows which of two definitions of one name counts: the declared
// one, as a whole, as long as the config has it. The other is kept.
func TestDeclaredAndManaged(t *testing.T) {
	const app = "upstream both http://127.0.0.1:9/declared {\n tags declared\n }\n model m {\n source both declared\n }\n alias a m"
	g := startManaged(t, "", "")
	g.create("upstreams", "both", `{"base_url":"http://127.0.0.1:9/managed","retries":0,"tags":["managed"]}`)
	g.create("upstreams", "u2", serviceAt("http://127.0.0.1:9"))
	g.create("models", "m", from("both"))
	g.create("models", "mine", from("both", "u2"))
	g.create("aliases", "a", `{"model":"m"}`)
	before := g.everything()

	g.reconfigure(app, "")
	declared := g.read("/upstreams/both")
	sameJSON(t, declared.at("spec").Raw, `{"base_url":"http://127.0.0.1:9/declared","tags":["declared"]}`)
	sameJSON(t, declared.at("{origin,shadowed,revision,place}").Raw, `{"origin":"declared","shadowed":false,"revision":0,"place":"apps/ai_gateway/upstreams/both"}`)
	shadowed := g.read("/upstreams/both?origin=managed")
	if !shadowed.at("shadowed").Bool() || shadowed.at("spec.tags.0").String() != "managed" || shadowed.at("status.usable").Bool() {
		t.Errorf("the managed one: %s", shadowed.body)
	}
	for kind, name := range map[string]string{"upstreams": "both", "models": "m", "aliases": "a"} {
		if got := g.read("/" + kind + "?status=shadowed").names(); got != name {
			t.Errorf("shadowed %s: %s", kind, got)
		}
		if got := g.read("/" + kind + "?q=" + name); got.at(`items.#(name=="`+name+`")#.origin`).Raw != `["declared","managed"]` {
			t.Errorf("%s lists %s", kind, got.body)
		}
		for method, path := range map[string]string{"POST": "/" + kind, "PUT": "/" + kind + "/" + name, "PATCH": "/" + kind + "/" + name} {
			body := map[string]string{"POST": named(name, `{}`), "PUT": `{"spec":{}}`, "PATCH": `{"spec":{"disabled":true}}`}[method]
			got := g.refused(409, "declared", "name", method, path, body)
			if !strings.Contains(got.body, "apps/ai_gateway/"+kind+"/"+name) {
				t.Errorf("%s %s does not name the place: %s", method, path, got.body)
			}
		}
	}
	g.refused(409, "declared", "name", "POST", "/models/m/sources", `{"upstream":"both","model":"y"}`)
	g.refused(409, "declared", "name", "POST", "/models/m/activate", `{"source":"both:declared"}`)
	if got := g.read("/models/mine"); !got.at("status.usable").Bool() {
		t.Errorf("a managed model at a declared upstream: %s", got.body)
	}

	g.reconfigure(strings.Replace(app, "/declared {", "/changed {", 1), "")
	if got := g.read("/upstreams/both").at("spec.base_url").String(); got != "http://127.0.0.1:9/changed" {
		t.Errorf("after the change of the config: %s", got)
	}
	g.options = app
	g.restart()
	if got := g.read("/upstreams?origin=managed").names(); got != "both u2" {
		t.Errorf("after a restart: %s", got)
	}
	g.reconfigure("", "")
	if after := g.everything(); after != before {
		t.Errorf("the config's definitions have left something:\n%s\n%s", before, after)
	}
	if got := g.read("/upstreams/both"); got.at("origin").String() != "managed" || !got.at("status.usable").Bool() {
		t.Errorf("without the declared one: %s", got.body)
	}
}

// TestDeclaredIsDeletedByTheConfigOnly shows that a declared definition cannot be deleted,
// and that the managed one of its name can.
func TestDeclaredIsDeletedByTheConfigOnly(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	g.create("models", "m", from("u"))
	g.reconfigure("", "upstream u http://127.0.0.1:10\nupstream alone http://127.0.0.1:10")
	got := g.refused(409, "declared", "name", "DELETE", "/upstreams/alone", "")
	if !strings.Contains(got.body, "site") {
		t.Errorf("the message does not name the place: %s", got.body)
	}
	g.do("DELETE", "/upstreams/u", "").is(200) // the declared one stays, and the model with it
	if got := g.read("/upstreams").at("items.#.origin").Raw; got != `["declared","declared"]` {
		t.Errorf("upstreams: %s", got)
	}
	if got := g.read("/models/m"); !got.at("status.usable").Bool() {
		t.Errorf("the model: %s", got.body)
	}
	g.reconfigure("", "upstream alone http://127.0.0.1:10")
	broken := g.read("/models/m")
	if broken.at("status.usable").Bool() || !strings.Contains(broken.at("status.reason").String(), `unknown upstream "u"`) {
		t.Errorf("without its upstream: %s", broken.body)
	}
	if got := g.read("/models?status=broken").names(); got != "m" {
		t.Errorf("broken: %s", got)
	}
	g.asks(404, "m")
	g.patch("/models/m", from("alone"))
	g.asks(502, "m")
}

// TestObserveOnly shows a config that is the only source of definitions: every write is
// refused, managed ones are kept and not used, and circuits can still be opened.
func TestObserveOnly(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	g.create("models", "m", from("u"))
	g.create("aliases", "a", `{"model":"m"}`)
	before := g.everything()
	g.reconfigure("manage observe", "upstream d http://127.0.0.1:9\nmodel declared {\n source d x\n}")
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/upstreams", named("new", serviceAt("http://127.0.0.1:9"))},
		{"PUT", "/upstreams/u", unnamed(serviceAt("http://127.0.0.1:9"))},
		{"PATCH", "/models/m", `{"spec":{"disabled":true}}`},
		{"DELETE", "/aliases/a", ""},
		{"POST", "/models/m/sources", `{"upstream":"u","model":"y"}`},
		{"PATCH", "/models/m/sources/u:x", `{"weight":2}`},
		{"DELETE", "/models/m/sources/u:x", ""},
		{"POST", "/models/m/activate", `{"source":"u:x"}`},
		{"POST", "/models/order", `{"names":["m"]}`},
		{"PATCH", "/upstreams/d", `{"spec":{"disabled":true}}`},
		{"DELETE", "/upstreams/u?dry_run=true", ""},
	} {
		g.refused(403, "read_only", "", c.method, c.path, c.body)
	}
	if got := g.do("POST", "/models/batch", `{"op":"delete","names":["m"]}`).is(200); got.at("failed").Int() != 1 || got.at("results.0.error.code").String() != "read_only" {
		t.Errorf("batch: %s", got.body)
	}
	if got := g.read("/models/m"); got.at("status.usable").Bool() || !strings.Contains(got.at("status.reason").String(), "manage observe") {
		t.Errorf("a managed model: %s", got.body)
	}
	g.asks(404, "m")
	g.do("POST", "/upstreams/d/circuit/open", `{"reason":"maintenance"}`).is(200)
	g.asks(503, "declared")
	g.reconfigure("", "")
	if after := g.everything(); after != before {
		t.Errorf("changed:\n%s\n%s", before, after)
	}
	g.asks(502, "m")
}

// TestBrokenChainMends shows that everything that hangs on a missing upstream is in use
// again with the upstream, in one step.
func TestBrokenChainMends(t *testing.T) {
	g := startManaged(t, "", "upstream u http://127.0.0.1:9")
	for i := range 10 {
		g.create("models", fmt.Sprintf("m%d", i), from("u"))
		g.create("aliases", fmt.Sprintf("a%d", i), fmt.Sprintf(`{"model":"m%d"}`, i))
	}
	g.reconfigure("", "")
	if got := g.read("/aliases?status=broken").at("total").Int(); got != 10 {
		t.Errorf("%d aliases are broken, want 10", got)
	}
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	for _, kind := range []string{"models", "aliases"} {
		if got := g.read("/" + kind + "?status=active").at("total").Int(); got != 10 {
			t.Errorf("%d %s are in use again, want 10", got, kind)
		}
	}
}
