package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/gemini"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// key is the secret of the upstreams. It needs escapes in JSON.
const key = `canary/key"=<1>-0123456789`

// quick is a limit for what is expected to run into it, ample one for what is not.
const (
	quick = 300 * time.Millisecond
	ample = time.Minute
)

// upstreamOf provisions an upstream.
func upstreamOf(t testing.TB, name, config string) *upstream.Upstream {
	t.Helper()
	u := new(upstream.Upstream)
	if err := caddy.StrictUnmarshalJSON([]byte(config), u); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := u.Provision(ctx, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Cleanup() })
	return u
}

// configOf is the configuration of an upstream at a URL, with a key.
func configOf(url string, formats ...format.ID) string {
	spoken, _ := json.Marshal(formats)
	secret, _ := json.Marshal(key)
	return fmt.Sprintf(`{"base_url":%q,"formats":%s,"credentials":[{"type":"bearer","token":%s}]}`, url, spoken, secret)
}

// unresolved is the configuration of an upstream whose name nobody resolves: there is
// no name server.
const unresolved = `{"base_url":"http://no-such-host.invalid","transport":{"protocol":"http","resolver":{"addresses":["udp/127.0.0.1:1"]}}}`

// world is what a prober looks at.
type world struct {
	t        testing.TB
	state    *routing.State
	snapshot *routing.Snapshot
}

// newWorld makes a snapshot of upstreams, by their configurations, and models.
func newWorld(t testing.TB, upstreams map[string]string, models string) *world {
	t.Helper()
	d := routing.Definitions{Upstreams: map[string]*upstream.Upstream{}}
	for name, config := range upstreams {
		d.Upstreams[name] = upstreamOf(t, name, config)
	}
	if err := caddy.StrictUnmarshalJSON([]byte(models), &d.Models); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, state: routing.NewState()}
	w.state.Circuits.Random = func() float64 { return 0.5 }
	var err error
	if w.snapshot, err = w.state.NewSnapshot(d); err != nil {
		t.Fatal(err)
	}
	w.snapshot.Adopt()
	return w
}

// single is a world with the model m, whose only source is the model x of the
// upstream u.
func single(t testing.TB, config string) *world {
	t.Helper()
	return newWorld(t, map[string]string{"u": config}, `{"m":{"sources":[{"upstream":"u","model":"x"}]}}`)
}

// probe probes the only source of m.
func (w *world) probe(p *Prober) Result {
	w.t.Helper()
	return p.Source(w.t.Context(), w.snapshot, "m", "u:x")
}

// circuit is the circuit of the model x of the upstream u.
func (w *world) circuit() *routing.Circuit {
	return w.state.Circuits.Get(routing.CircuitKey{Scope: routing.ScopeUpstreamModel, Upstream: "u", Model: "x"}, nil)
}

// untouched checks that nothing that is observed has changed.
func (w *world) untouched() {
	w.t.Helper()
	for _, v := range w.state.Circuits.All(time.Now()) {
		if v.State != routing.CircuitClosed || v.Generation != 1 || len(v.Failures) > 0 || !v.ThrottledUntil.IsZero() {
			w.t.Errorf("circuit %v: got %+v", v.Key, v)
		}
	}
	trials, _ := w.snapshot.Trials("m")
	for _, trial := range trials {
		c := trial.Candidate
		if c.State().Latency() != 0 || c.State().InFlight() != 0 || c.Upstream.InFlight() != 0 {
			w.t.Errorf("%s: latency %s, %d attempts and %d requests under way", c.Model, c.State().Latency(), c.State().InFlight(), c.Upstream.InFlight())
		}
	}
	if left := w.state.Budget("m").Left(); left != 10 {
		w.t.Errorf("%v attempts are left in the budget", left)
	}
}

// check compares what matters of a result.
func (r Result) check(t testing.TB, verdict Verdict, code Code, status int) {
	t.Helper()
	if r.Result != verdict || r.Code != code || r.Status != status {
		t.Errorf("got %s, code %q, status %d (%s); want %s, %q, %d", r.Result, r.Code, r.Status, r.Message, verdict, code, status)
	}
}

// server is an HTTP server that records the bodies of what it is asked.
type server struct {
	*httptest.Server

	mu     sync.Mutex
	bodies []map[string]any
}

// serve starts a server. The function gets the decoded body, which is nil if it is
// not JSON.
func serve(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, body map[string]any)) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			body = nil
		}
		s.mu.Lock()
		s.bodies = append(s.bodies, body)
		s.mu.Unlock()
		answer(w, r, body)
	}))
	t.Cleanup(s.Close)
	return s
}

// asked lists the bodies.
func (s *server) asked() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies
}

// writeJSON answers with JSON.
func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// chatAnswer is a complete answer in OpenAI's Chat format.
const chatAnswer = `{"id":"c","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"OK"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}`

// scripted starts a provider with a script.
func scripted(t testing.TB, steps ...provider.Step) *provider.Provider {
	t.Helper()
	p := provider.New(t)
	p.Script(steps...)
	return p
}
