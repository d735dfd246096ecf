package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// asCaddy makes the test's binary behave as caddy, for the tests of exit codes.
const asCaddy = "ADMIN_TEST_AS_CADDY"

// TestMain keeps Caddy out of the home directory.
func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		os.Setenv(name, dir)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// noon is the time in all tests.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// stubGateway knows the upstreams openai, "a/b .." and "..", with circuits as a
// person leaves them.
type stubGateway struct {
	Gateway // nil: what the tests with it do not ask for

	mu       sync.Mutex
	list     []routing.CircuitView
	state    Status
	answer   routing.Explanation
	fault    error // what every method but Status fails with
	unstored error // what changes fail with that are in force
	opened   []Opening
	resets   []string // who reset, and what
	question Question
}

func (g *stubGateway) Status() Status { return g.state }

// View implements Gateway. The tests that need definitions have another gateway.
func (g *stubGateway) View() (*registry.View, error) {
	return nil, errors.New("this gateway has no definitions")
}

// fails says why a call about an upstream fails.
func (g *stubGateway) fails(name string) error {
	if g.fault != nil {
		return g.fault
	}
	if name != "" && !slices.Contains([]string{"openai", "a/b ..", ".."}, name) {
		return &Error{Status: http.StatusNotFound, Code: "unknown_upstream", Message: fmt.Sprintf("unknown upstream %q", name)}
	}
	return nil
}

func (g *stubGateway) Circuits(name string) ([]routing.CircuitView, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	other := func(c routing.CircuitView) bool { return name != "" && c.Key.Upstream != name }
	return slices.DeleteFunc(slices.Clone(g.list), other), g.fails(name)
}

func (g *stubGateway) OpenCircuit(_ context.Context, key routing.CircuitKey, o Opening) (routing.CircuitView, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.fails(key.Upstream); err != nil {
		return routing.CircuitView{}, err
	}
	i := slices.IndexFunc(g.list, func(c routing.CircuitView) bool { return c.Key == key })
	if i < 0 {
		i = len(g.list)
		g.list = append(g.list, routing.CircuitView{Key: key, Generation: 1})
	}
	c := &g.list[i]
	if o.Holds != nil {
		if err := o.Holds(c.Generation); err != nil {
			return routing.CircuitView{}, err
		}
	}
	g.opened = append(g.opened, o)
	c.State, c.Cause, c.Reason, c.Actor, c.Until = routing.CircuitForcedOpen, routing.CauseManual, o.Reason, o.Actor, o.Until
	c.Generation++
	return *c, g.unstored
}

func (g *stubGateway) ResetCircuit(_ context.Context, name, model, actor string, holds routing.Precondition) ([]routing.CircuitView, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.fails(name); err != nil {
		return nil, err
	}
	if holds != nil {
		var sum uint64
		for _, c := range g.list {
			if c.Key.Upstream == name && (model == "" || c.Key.Model == model) {
				sum += c.Generation
			}
		}
		if err := holds(sum); err != nil {
			return nil, err
		}
	}
	g.resets = append(g.resets, actor+" "+name+" "+model)
	var reset []routing.CircuitView
	for i := range g.list {
		if c := &g.list[i]; c.Key.Upstream == name && (model == "" || c.Key.Model == model) {
			*c = routing.CircuitView{Key: c.Key, Cause: routing.CauseReset, Actor: actor, Generation: c.Generation + 1}
			reset = append(reset, *c)
		}
	}
	return reset, g.unstored
}

func (g *stubGateway) Explain(_ context.Context, q Question) (routing.Explanation, error) {
	g.question = q
	return g.answer, g.fault
}

// newStub is a gateway with a little of everything.
func newStub() *stubGateway {
	return &stubGateway{
		list: []routing.CircuitView{
			{
				Key:   routing.CircuitKey{Scope: routing.ScopeCredential, Upstream: "openai", Credential: "second"},
				State: routing.CircuitOpen, Class: routing.ClassExhausted, Cause: routing.CauseExhausted,
				Reason: "429: insufficient_quota", Until: noon.Add(5 * time.Minute), Generation: 1,
			},
			{
				Key:   routing.CircuitKey{Scope: routing.ScopeUpstreamModel, Upstream: "openai", Model: "gpt-4o"},
				State: routing.CircuitOpen, Class: routing.ClassServer, Cause: routing.CauseFailures,
				Reason: "5 failures in a row: server", Until: noon.Add(12 * time.Second), Openings: 1, Generation: 3,
				History:  []routing.CircuitEvent{{Time: noon, To: routing.CircuitOpen, Class: routing.ClassServer, Status: 529, Cause: routing.CauseFailures, Generation: 3}},
				Failures: []routing.CircuitFailure{{Time: noon, Class: routing.ClassServer, Status: 529}},
			},
			{
				Key:            routing.CircuitKey{Scope: routing.ScopeUpstreamModel, Upstream: "a/b ..", Model: "m"},
				ThrottledUntil: noon.Add(time.Minute), Generation: 1,
			},
			{Key: routing.CircuitKey{Scope: routing.ScopeUpstream, Upstream: "openai"}, Generation: 7},
		},
		state: Status{
			Version: "v0.1.0", Time: noon, Started: noon.Add(-26 * time.Hour), Configured: noon.Add(-time.Hour), UptimeSeconds: 93600,
			Store: StoreStatus{State: StoreDegraded, Reason: "the disk is full"},
			Upstreams: []UpstreamStatus{
				{Name: "anthropic", Usable: true, Formats: []format.ID{format.AnthropicMessages}},
				{Name: "new", Reason: "not configured: credential {env.KEY} is empty", Formats: []format.ID{format.OpenAIChat}},
				{Name: "openai", Usable: true, Formats: []format.ID{format.OpenAIChat, format.OpenAIResponses}, Circuit: CircuitSummary{OpenModels: []string{"gpt-4o"}}},
				{Name: "spare", Reason: "its circuit is open", Formats: []format.ID{format.OpenAIChat}, Circuit: CircuitSummary{State: routing.CircuitForcedOpen, Reason: "maintenance", Until: noon.Add(90 * time.Minute)}},
				{Name: "sick", Reason: "unhealthy: status 500", Formats: []format.ID{format.Gemini}, Health: &upstream.HealthView{Unhealthy: true, Since: noon, LastError: "status 500", LastErrorAt: noon}},
			},
			Models: []ModelStatus{
				{Name: "old", Disabled: true, Sources: 1, Reason: "is disabled"},
				{Name: "titles", Usable: true, Sources: 1, UsableSources: 1},
				{Name: "writer", Usable: true, Sources: 3, UsableSources: 2},
			},
		},
		answer: routing.Explanation{Model: "writer", Policy: "weighted", Mode: "balanced", Usable: true, Sources: []routing.ExplainedSource{
			{ID: "openai:gpt-4o", Upstream: "openai", UpstreamModel: "gpt-4o", Format: format.OpenAIChat, Priority: 1, Weight: 70, Position: 1, InFlight: 3, LatencyMS: 840},
			{ID: "anthropic:claude", Upstream: "anthropic", UpstreamModel: "claude", Format: format.AnthropicMessages, Priority: 1, Weight: 30, Position: 2, Probe: true},
			{ID: "spare:llama", Upstream: "spare", UpstreamModel: "llama", Priority: 2, Weight: 1, Skipped: routing.CauseDisabled, Reason: "is barred by the circuit of its upstream", Detail: "maintenance", Until: noon.Add(time.Hour)},
		}},
	}
}

// newAPI is the API over a gateway, at noon, with what it logs.
func newAPI(g Gateway) (*API, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	a := New(func() (Gateway, error) { return g, nil }, zap.New(core))
	a.now = func() time.Time { return noon }
	return a, logs
}

// call sends a request with the headers, name before value, and returns the answer.
func call(a http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}
