package caddytest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestManagedAliases shows names and patterns that lead to models, and names that
// would stand for two things, which are refused.
func TestManagedAliases(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt(p.URL()))
	g.create("models", "m", from("u"))
	made := g.create("aliases", "fast", `{"model":"m"}`)
	if !made.at("status.usable").Bool() || made.at("status.model").String() != "m" {
		t.Errorf("created: %s", made.body)
	}
	g.create("aliases", "claude-*", `{"model":"m","announce":["claude-pro"]}`)
	g.create("aliases", "many", `{"model":"m","pattern":"o[0-9]","announce":["o1"]}`)
	g.create("aliases", "direct", `{"model":"@u/other"}`)
	for _, name := range []string{"fast", "claude-x", "claude-pro", "o7", "direct"} {
		g.asks(200, name)
	}
	g.asks(404, "o10")
	if got := g.offered(); got != "m claude-pro direct fast o1" {
		t.Errorf("clients see %s", got)
	}
	for _, c := range []struct{ field, name, spec string }{
		{"spec.model", "new", `{"model":"none"}`},
		{"spec.model", "new", `{"model":"fast"}`},
		{"spec.model", "new", `{}`},
		{"spec.model", "new", `{"model":"@nobody/x"}`},
		{"spec.pattern", "new", `{"model":"m","pattern":"("}`},
		{"spec.announce", "new", `{"model":"m","announce":["x"]}`},
		{"spec.announce[0]", "new", `{"model":"m","pattern":"x.*","announce":["y"]}`},
		{"spec.announce[0]", "new", `{"model":"m","pattern":".*","announce":["m"]}`},
		{"spec.announce[0]", "new", `{"model":"m","pattern":".*","announce":["fast"]}`},
		{"spec.announce[0]", "new", `{"model":"m","pattern":".*","announce":["o1"]}`},
		{"", "m", `{"model":"m"}`},
	} {
		g.refused(400, "invalid_request", c.field, "POST", "/aliases", named(c.name, c.spec))
	}
	g.refused(400, "invalid_request", "", "POST", "/models", named("fast", from("u")))
	g.refused(400, "invalid_request", "", "POST", "/models", named("o1", from("u")))
	g.patch("/aliases/fast", `{"disabled":true}`)
	g.asks(404, "fast")
	g.do("DELETE", "/aliases/many", "").is(200)
	g.asks(404, "o1")
	if got := g.read("/aliases?model=m&status=disabled").names(); got != "fast" {
		t.Errorf("disabled aliases: %s", got)
	}
}

// TestExposedModelIsBalanced shows that a model that several upstreams expose, and
// nobody has defined, is served by all of them.
func TestExposedModelIsBalanced(t *testing.T) {
	first, second := startProvider(t, provider.Say("first")), startProvider(t, provider.Say("second"))
	g := startManaged(t, "", "")
	for name, p := range map[string]*provider.Provider{"u1": first, "u2": second} {
		g.create("upstreams", name, fmt.Sprintf(`{"base_url":%q,"expose":true}`, p.URL()))
		g.do("POST", "/upstreams/"+name+"/catalogue/models", `{"name":"shared"}`).is(201)
	}
	for range 60 {
		g.asks(200, "shared")
	}
	if a, b := len(first.Requests()), len(second.Requests()); a == 0 || b == 0 || a+b != 60 {
		t.Errorf("%d requests to the first, %d to the second", a, b)
	}
	if got := g.offered(); got != "shared" {
		t.Errorf("clients see %s", got)
	}
}

// TestUnknownModel shows that a model that is not there, or no more, is told in the shape
// of the client's format.
func TestUnknownModel(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	g.create("models", "gone", from("u"))
	g.do("DELETE", "/models/gone", "").is(200)
	for path, body := range asked("gone") {
		resp, answer := g.post(path, body)
		status(t, resp, answer, 404)
		if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
			t.Errorf("%s: content type %s", path, kind)
		}
		switch {
		case strings.HasPrefix(path, "/v1/messages"):
			sameJSONField(t, answer, "type", "error")
			sameJSONField(t, answer, "error.type", "not_found_error")
		case strings.HasPrefix(path, "/v1beta"):
			sameJSONField(t, answer, "error.status", "NOT_FOUND")
		default:
			sameJSONField(t, answer, "error.type", "invalid_request_error")
			sameJSONField(t, answer, "error.code", "model_not_found")
		}
		if !strings.Contains(answer, "gone") {
			t.Errorf("%s: the name is not told: %s", path, answer)
		}
	}
}
