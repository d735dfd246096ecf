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
	m := startManaged(t, "")
	m.create("upstreams", "u", serviceAt(p.URL()))
	m.create("models", "m", from("u"))
	made := m.create("aliases", "fast", `{"model":"m"}`)
	if !made.at("status.usable").Bool() || made.at("status.model").String() != "m" {
		t.Errorf("created: %s", made.body)
	}
	m.create("aliases", "claude-*", `{"model":"m","announce":["claude-pro"]}`)
	m.create("aliases", "many", `{"model":"m","pattern":"o[0-9]","announce":["o1"]}`)
	m.create("aliases", "direct", `{"model":"@u/other"}`)
	for _, name := range []string{"fast", "claude-x", "claude-pro", "o7", "direct"} {
		m.asks(200, name)
	}
	m.asks(404, "o10")
	if got := m.offered(); got != "m claude-pro direct fast o1" {
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
		m.refused(400, "invalid_request", c.field, "POST", "/aliases", named(c.name, c.spec))
	}
	m.refused(400, "invalid_request", "", "POST", "/models", named("fast", from("u")))
	m.refused(400, "invalid_request", "", "POST", "/models", named("o1", from("u")))
	m.patch("/aliases/fast", `{"disabled":true}`)
	m.asks(404, "fast")
	m.call(200, "DELETE", "/aliases/many", "")
	m.asks(404, "o1")
	if got := m.read("/aliases?model=m&status=disabled").names(); got != "fast" {
		t.Errorf("disabled aliases: %s", got)
	}
}

// TestExposedModelIsBalanced shows that a model that several upstreams expose, and
// nobody has defined, is served by all of them.
func TestExposedModelIsBalanced(t *testing.T) {
	first, second := startProvider(t, provider.Say("first")), startProvider(t, provider.Say("second"))
	m := startManaged(t, "")
	for name, p := range map[string]*provider.Provider{"u1": first, "u2": second} {
		m.create("upstreams", name, fmt.Sprintf(`{"base_url":%q,"expose":true}`, p.URL()))
		m.call(201, "POST", "/upstreams/"+name+"/catalogue/models", `{"name":"shared"}`)
	}
	for range 60 {
		m.asks(200, "shared")
	}
	if a, b := len(first.Requests()), len(second.Requests()); a == 0 || b == 0 || a+b != 60 {
		t.Errorf("%d requests to the first, %d to the second", a, b)
	}
	if got := m.offered(); got != "shared" {
		t.Errorf("clients see %s", got)
	}
}

// TestUnknownModel shows that a model that is not there, or no more, is told in the shape
// of the client's format.
func TestUnknownModel(t *testing.T) {
	m := startManaged(t, "")
	m.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	m.create("models", "gone", from("u"))
	m.call(200, "DELETE", "/models/gone", "")
	for path, body := range asked("gone") {
		resp, answer := m.post(path, body)
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
