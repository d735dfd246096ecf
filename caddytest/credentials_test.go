package caddytest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// places are where a request may carry a key.
func places(t *testing.T, r *provider.Request) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key", "X-Key", "Cookie"} {
		if values := r.Header.Values(name); len(values) > 0 {
			found[name] = strings.Join(values, "|")
		}
	}
	address, err := url.ParseRequestURI(r.Path)
	if err != nil {
		t.Fatalf("path %q: %v", r.Path, err)
	}
	for _, name := range []string{"key", "api_key"} {
		if values := address.Query()[name]; len(values) > 0 {
			found["?"+name] = strings.Join(values, "|")
		}
	}
	var fields map[string]any
	if len(r.Body) > 0 {
		if err := json.Unmarshal(r.Body, &fields); err != nil {
			t.Fatalf("body %s: %v", r.Body, err)
		}
	}
	for _, name := range []string{"key", "api_key"} {
		if value, ok := fields[name]; ok {
			found["body."+name] = fmt.Sprint(value)
		}
	}
	return found
}

// carries fails the test unless a request carries a key in that place and none in
// another.
func carries(t *testing.T, r *provider.Request, place, key string) {
	t.Helper()
	if got, want := fmt.Sprint(places(t, r)), fmt.Sprint(map[string]string{place: key}); got != want {
		t.Errorf("%s %s: the keys are %s, want %s", r.Method, r.Path, got, want)
	}
}

// stray are keys in all places that a client has for one.
var stray = []string{
	"Authorization", "Bearer client-key-123", "X-Api-Key", "client-key-123", "Api-Key", "client-key-123",
	"X-Goog-Api-Key", "client-key-123", "Cookie", "a=client-key-123",
}

// TestSchemeByFormat shows that one key goes to three providers in the place that
// each of their formats has for it, whatever format the client speaks.
func TestSchemeByFormat(t *testing.T) {
	t.Setenv("TEST_KEY", "sk-test-0123456789")
	p := startProvider(t, provider.Say("hello"))
	block := ""
	for _, name := range []string{"openai", "anthropic", "gemini"} {
		block += fmt.Sprintf("upstream to-%s %s {\n provider %s\n credential {env.TEST_KEY}\n}\nmodel m-%s {\n source to-%s real\n}\n", name, p.URL(), name, name, name)
	}
	g := startGateway(t, block)
	for name, want := range map[string]struct{ place, key, path string }{
		"openai":    {"Authorization", "Bearer sk-test-0123456789", "/v1/chat/completions"},
		"anthropic": {"X-Api-Key", "sk-test-0123456789", "/v1/messages"},
		"gemini":    {"X-Goog-Api-Key", "sk-test-0123456789", "/v1beta/models/real:generateContent"},
	} {
		for path, body := range asked("m-" + name) {
			resp, answer := g.post(path, body)
			status(t, resp, answer, 200)
			r := last(t, p)
			carries(t, r, want.place, want.key)
			if name == "openai" && path == "/v1/responses" {
				continue // which it speaks itself
			}
			if r.Path != want.path || (r.Header.Get("Anthropic-Version") != "") != (name == "anthropic") {
				t.Errorf("%s for a client of %s: sent to %s with %v", name, path, r.Path, r.Header)
			}
		}
	}
}

// TestCredentialPlaces shows that a key with a quote in it arrives whole in each of
// the places that a config can choose, for clients of every format and whatever keys
// they send themselves, and for the gateway's own calls.
func TestCredentialPlaces(t *testing.T) {
	const key = `s3cret-"quoted"-&-/+ü-value`
	t.Setenv("TEST_KEY", key)
	p := startProvider(t, provider.Say("hello"))
	p.Choose(func(r *provider.Request) provider.Step {
		if r.Method == "GET" {
			return provider.Status(200, `{"data":[{"id":"real"}]}`)
		}
		return provider.Say("hello")
	})
	for _, tc := range []struct{ credential, place, list string }{
		{"header x-key", "X-Key", "X-Key"},
		{"query key", "?key", "?key"},
		{"body api_key", "body.api_key", ""},
	} {
		t.Run(tc.credential, func(t *testing.T) {
			g := startGateway(t, fmt.Sprintf("upstream one %s {\n credential %s {env.TEST_KEY}\n}\nmodel m {\n source one real\n}", p.URL(), tc.credential))
			for path, body := range asked("m") {
				for _, own := range []string{"", `"api_key":"client-key-123",`, `"key":{"a":1},"api\u005fkey":"client-key-123",`} {
					sent := len(p.Requests())
					resp, answer := g.post(path+"?key=client-key-123", "{"+own+body[1:], stray...)
					status(t, resp, answer, 200)
					r := last(t, p)
					if len(p.Requests()) != sent+1 {
						t.Fatalf("%d requests were sent", len(p.Requests())-sent)
					}
					found := places(t, r)
					delete(found, "body.key") // a field like any other
					if got, want := fmt.Sprint(found), fmt.Sprint(map[string]string{tc.place: key}); got != want {
						t.Errorf("%s with %q: the keys are %s, want %s", path, own, got, want)
					}
					if text := fmt.Sprint(r.Header, r.Path, string(r.Body)); strings.Contains(text, "client-key") {
						t.Errorf("%s with %q: the client's key is in %s", path, own, text)
					}
				}
			}
			u, ok := app(t).Upstreams["one"]
			if !ok {
				t.Fatal("there is no upstream")
			}
			if _, err := u.ListModels(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := last(t, p)
			want := map[string]string{}
			if tc.list != "" {
				want[tc.list] = key
			}
			if got := fmt.Sprint(places(t, r)); got != fmt.Sprint(want) {
				t.Errorf("list: the keys are %s, want %s", got, want)
			}
		})
	}
}

// TestCredentialPlacesAfterFailure shows that every try carries the key: a repeat at
// the same source, and one on a new connection.
func TestCredentialPlacesAfterFailure(t *testing.T) {
	const key = `s3cret-"quoted"-value`
	t.Setenv("TEST_KEY", key)
	pad := strings.Repeat("a long text ", 10_000)
	for credential, place := range map[string]string{"query key": "?key", "body api_key": "body.api_key"} {
		t.Run(credential, func(t *testing.T) {
			p := startProvider(t, provider.Status(503, boom), provider.Say("hello"))
			g := startGateway(t, fmt.Sprintf("upstream one %s {\n credential %s {env.TEST_KEY}\n}\nmodel m {\n source one real\n}", p.URL(), credential))
			resp, answer := g.post("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"`+pad+`"}]}`)
			status(t, resp, answer, 200)
			all := p.Requests()
			if len(all) != 2 {
				t.Fatalf("%d requests were sent", len(all))
			}
			for _, r := range all {
				carries(t, r, place, key)
				if !strings.Contains(string(r.Body), pad) {
					t.Error("the text is not whole")
				}
			}
		})
	}
}

// TestCredentialStaysSecret shows that nothing tells a key that stands in the address
// or in the body: no answer, no header, no log, also where the upstream repeats it.
func TestCredentialStaysSecret(t *testing.T) {
	const key = `s3cret "quoted" & value`
	t.Setenv("TEST_KEY", key)
	parts := []string{"s3cret", "quoted", "%20value", "+value"}
	for _, credential := range []string{"query key", "body api_key"} {
		t.Run(credential, func(t *testing.T) {
			p := startProvider(t, provider.Say("hello"))
			p.Choose(func(r *provider.Request) provider.Step {
				text, err := json.Marshal(map[string]any{"error": map[string]any{
					"message": "refused: " + r.Path + " " + string(r.Body), "type": "invalid_request_error", "param": r.Path,
				}})
				if err != nil {
					t.Error(err)
				}
				return provider.Status(400, string(text))
			})
			g := startGateway(t, fmt.Sprintf(`upstream one %s {
				credential %s {env.TEST_KEY}
			}
			upstream gone %s {
				credential %s {env.TEST_KEY}
			}
			model m {
				source one real
			}
			model n {
				source gone real
			}`, p.URL(), credential, provider.Refused(t), credential))
			for _, model := range []string{"m", "n"} {
				for path, body := range asked(model) {
					resp, answer := g.post(path, body)
					if model == "m" {
						status(t, resp, answer, 400)
					} else if resp.StatusCode < 500 { // 502, and 503 from the first opened circuit on
						t.Errorf("%s: status %d: %s", path, resp.StatusCode, answer)
					}
					for _, part := range parts {
						if strings.Contains(answer+fmt.Sprint(resp.Header), part) {
							t.Errorf("%s: the client sees %q in %s", path, part, answer)
						}
					}
					if model == "m" && !strings.Contains(answer, "[hidden]") {
						t.Errorf("%s: the upstream has not repeated the key: %s", path, answer)
					}
				}
			}
			views, err := app(t).Circuits("")
			if err != nil {
				t.Fatal(err)
			}
			shown := fmt.Sprintf("%+v %s", views, currentLog.String())
			for _, part := range parts {
				if strings.Contains(shown, part) {
					t.Errorf("%q is in the log or in the circuits:\n%s", part, shown)
				}
			}
		})
	}
}

// twoKeys is a gateway whose upstream has two keys, of which the first is preferred.
func twoKeys(t *testing.T, p *provider.Provider, kind string) *gateway {
	t.Helper()
	return startGateway(t, fmt.Sprintf("upstream one %s {\n credential %s first-key-0123 id first\n credential %s second-key-0123 id second weight 0\n}\nmodel m {\n source one real\n}", p.URL(), kind, kind))
}

// keyOf is which of the two keys a request carries, in whatever place.
func keyOf(t *testing.T, r *provider.Request) string {
	t.Helper()
	text := fmt.Sprint(places(t, r))
	first, second := strings.Contains(text, "first-key"), strings.Contains(text, "second-key")
	if first == second {
		t.Errorf("%s %s: the keys are %s, want one of the two", r.Method, r.Path, text)
	}
	if first {
		return "first"
	}
	return "second"
}

// TestSecondKeyServes shows that the second key of an upstream serves the very request
// for which the first is refused, so that no client sees an error; and that the circuit
// of the first counts it, which opens with the second refusal in a row.
func TestSecondKeyServes(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	p.Choose(func(r *provider.Request) provider.Step {
		if keyOf(t, r) == "first" {
			return provider.Status(401, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`)
		}
		return provider.Say("hello")
	})
	for _, kind := range []string{"bearer", "query key", "body api_key"} {
		t.Run(kind, func(t *testing.T) {
			g := twoKeys(t, p, kind)
			for i, want := range []string{"first second", "first second", "second", "second"} {
				before := len(p.Requests())
				resp, answer := g.post("/v1/chat/completions", asked("m")["/v1/chat/completions"])
				status(t, resp, answer, 200)
				var keys []string
				for _, r := range p.Requests()[before:] {
					keys = append(keys, keyOf(t, r))
				}
				if got := strings.Join(keys, " "); got != want {
					t.Errorf("request %d was sent with %s, want %s", i, got, want)
				}
			}
			for id, want := range map[string]routing.CircuitState{"first": routing.CircuitOpen, "second": routing.CircuitClosed} {
				if got := keyCircuit(t, id).State; got != want {
					t.Errorf("the circuit of the %s key is %s, want %s", id, got, want)
				}
			}
		})
	}
}

// keyCircuit is the circuit of a key of the upstream one.
func keyCircuit(t *testing.T, id string) routing.CircuitView {
	t.Helper()
	views, err := app(t).Circuits("one")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(views, func(v routing.CircuitView) bool {
		return v.Key.Scope == routing.ScopeCredential && v.Key.Credential == id
	})
	if i < 0 {
		t.Fatalf("the key %s has no circuit: %+v", id, views)
	}
	return views[i]
}

// TestNoKeyServes shows that a request is sent with each key once if all are refused,
// and that the client is never told that a key of its own was.
func TestNoKeyServes(t *testing.T) {
	p := startProvider(t, provider.Status(401, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`))
	g := twoKeys(t, p, "bearer")
	for path, body := range asked("m") {
		if _, err := app(t).ResetCircuit(t.Context(), "one", "", "test", nil); err != nil {
			t.Fatalf("resetting the circuits: %v", err)
		}
		before := len(p.Requests())
		resp, answer := g.post(path, body)
		status(t, resp, answer, 502)
		var keys []string
		for _, r := range p.Requests()[before:] {
			keys = append(keys, keyOf(t, r))
		}
		if got := strings.Join(keys, " "); got != "first second" {
			t.Errorf("%s was sent with %s, want each key once", path, got)
		}
	}
}

// TestAllowOverride shows that a client's own key is dropped by default, and stands in
// the place of the upstream's where that is allowed.
func TestAllowOverride(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	for _, tc := range []struct{ credential, place, ours, theirs string }{
		{"bearer our-key-0123", "Authorization", "Bearer our-key-0123", "Bearer client-key-123"},
		{"header x-key our-key-0123", "X-Key", "our-key-0123", "client-key-123"},
		{"query key our-key-0123", "?key", "our-key-0123", "client-key-123"},
		{"body api_key our-key-0123", "body.api_key", "our-key-0123", "client-key-123"},
	} {
		for _, option := range []string{"", "allow_override"} {
			t.Run(tc.credential+" "+option, func(t *testing.T) {
				g := startGateway(t, fmt.Sprintf("upstream one %s {\n credential %s\n %s\n}\nmodel m {\n source one real\n}", p.URL(), tc.credential, option))
				want := tc.ours
				if option != "" {
					want = tc.theirs
				}
				for path, body := range asked("m") {
					resp, answer := g.post(path, body, stray...)
					status(t, resp, answer, 200)
					carries(t, last(t, p), tc.place, want)
					resp, answer = g.post(path, body)
					status(t, resp, answer, 200)
					carries(t, last(t, p), tc.place, tc.ours)
				}
			})
		}
	}
}
