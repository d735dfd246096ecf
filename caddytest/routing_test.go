package caddytest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// upstreamKey is the circuit of the upstream "first" itself.
var upstreamKey = routing.CircuitKey{Scope: routing.ScopeUpstream, Upstream: "first"}

// force opens the circuit of the first upstream by hand.
func force(t *testing.T, until time.Time) {
	t.Helper()
	if _, err := app(t).OpenCircuit(t.Context(), upstreamKey, admin.Opening{Until: until, Reason: "maintenance", Actor: "test"}); err != nil {
		t.Fatalf("opening the circuit: %v", err)
	}
}

// TestRoutingPriorities shows that all requests go to the lowest priority number
// while it works, and all to the next one when its circuit is open.
func TestRoutingPriorities(t *testing.T) {
	first := startProvider(t, provider.Say("from the first"))
	o := startOutage(t, first.URL())
	a := inPlain()[0]
	for _, text := range []string{"from the first", fromSecond} {
		for range 200 {
			resp, body := a.ask(t, o.url, "backed")
			a.expects(t, resp, body, text)
		}
		force(t, time.Time{})
	}
	if n := len(first.Requests()); n != 200 {
		t.Errorf("the first source was asked %d times, want 200", n)
	}
}

// TestRoutingManual shows that what a person opened stays open whatever attempts
// bring, and that a reset is effective with the next request.
func TestRoutingManual(t *testing.T) {
	goOn := make(chan struct{})
	first := startProvider(t, someWords.WaitAt(2, goOn).CutAt(2), provider.Say("from the first"))
	o := startOutage(t, first.URL())
	late := make(chan struct{})
	go func() {
		defer close(late)
		resp, err := http.DefaultClient.Do(inStreams()[0].request(t, o.url, "backed"))
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}()
	first.Wait(1)
	end := time.Now().Add(time.Hour)
	force(t, end)
	close(goOn) // a request from before now fails
	<-late
	a := inPlain()[0]
	resp, body := a.ask(t, o.url, "backed")
	a.expects(t, resp, body, fromSecond)
	if v := circuit(t, routing.ScopeUpstream); v.State != routing.CircuitForcedOpen || v.Until.Sub(end).Abs() > time.Second || v.Reason != "maintenance" {
		t.Errorf("the circuit is %s up to %s because of %q", v.State, v.Until, v.Reason)
	}
	o.reset(t)
	resp, body = a.ask(t, o.url, "backed")
	a.expects(t, resp, body, "from the first")
}

// TestRoutingRestart shows that open circuits, by hand and by failures, are open with
// the same end when the process starts again on its data.
func TestRoutingRestart(t *testing.T) {
	first := startProvider(t, provider.Status(500, boom))
	config := fmt.Sprintf("upstream first %s {\n retries 0\n circuit {\n failures 1\n open_for 5m\n}\n}\nmodel m {\n source first x\n}", first.URL())
	g := startGateway(t, config)
	inPlain()[0].ask(t, g.url, "m")
	force(t, time.Now().Add(time.Hour))
	before := map[routing.Scope]routing.CircuitView{}
	for _, scope := range []routing.Scope{routing.ScopeUpstream, routing.ScopeUpstreamModel} {
		before[scope] = circuit(t, scope)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	g.load(config)
	for scope, was := range before {
		is := circuit(t, scope)
		if is.State != was.State || is.Until.Sub(was.Until).Abs() > time.Second || is.Reason != was.Reason {
			t.Errorf("the circuit of the %s was %s up to %s and is %s up to %s", scope, was.State, was.Until, is.State, is.Until)
		}
	}
	asked := len(first.Requests())
	if resp, body := inPlain()[0].ask(t, g.url, "m"); resp.StatusCode != 503 || len(first.Requests()) != asked {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestRoutingSticky shows that a session keeps its source, leaves it while that is
// out of use, and comes back.
func TestRoutingSticky(t *testing.T) {
	block := ""
	sources := ""
	for _, name := range []string{"first", "second", "third"} {
		block += fmt.Sprintf("upstream %s %s\n", name, startProvider(t, provider.Say(name)).URL())
		sources += fmt.Sprintf(" source %s x\n", name)
	}
	g := startGateway(t, block+"model m {\n policy header_hash X-Session\n"+sources+"}")
	served := func(session string) string {
		resp, body := g.post("/v1/chat/completions", clients[0].body("m"), "X-Session", session)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		return resp.Header.Get("X-Selected-Provider")
	}
	homes := map[string]string{}
	for i := range 30 {
		session := fmt.Sprint("session ", i)
		homes[session] = served(session)
		for range 5 {
			if now := served(session); now != homes[session] {
				t.Fatalf("%s moved from %s to %s", session, homes[session], now)
			}
		}
	}
	force(t, time.Time{})
	moved := 0
	for session, home := range homes {
		now := served(session)
		if home == "first" {
			moved++
		}
		if now == "first" || home != "first" && now != home {
			t.Errorf("%s went from %s to %s", session, home, now)
		}
	}
	if moved == 0 || moved == len(homes) {
		t.Errorf("%d of %d sessions were at the first upstream", moved, len(homes))
	}
	if _, err := app(t).ResetCircuit(t.Context(), "first", "", "test", nil); err != nil {
		t.Fatal(err)
	}
	for session, home := range homes {
		if now := served(session); now != home {
			t.Errorf("%s did not come back to %s but to %s", session, home, now)
		}
	}
}

// TestRoutingLeastConn shows that requests go where fewer are under way, and that
// none is counted for ever.
func TestRoutingLeastConn(t *testing.T) {
	goOn, hurry := make(chan struct{}), make(chan struct{})
	slow, quick := startProvider(t, someWords.WaitAt(2, goOn)), startProvider(t, someWords.WaitAt(2, hurry))
	g := startGateway(t, fmt.Sprintf("upstream first %s\nupstream second %s\nmodel m {\n policy least_conn\n source first x\n source second x\n}", slow.URL(), quick.URL()))
	a := inStreams()[0]
	var waiting []*http.Response
	for range 8 { // while all of them wait, each source gets half
		resp, err := http.DefaultClient.Do(a.request(t, g.url, "m"))
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, resp)
	}
	if n, m := len(slow.Requests()), len(quick.Requests()); n != 4 || m != 4 {
		t.Errorf("the sources got %d and %d of 8 requests", n, m)
	}
	close(hurry)
	for _, resp := range waiting {
		if resp.Header.Get("X-Selected-Provider") == "second" {
			io.Copy(io.Discard, resp.Body) // its length does not matter
			resp.Body.Close()
		}
	}
	// From now on the other has at most a request that is just ending, and the next.
	for range 50 {
		resp, body := a.ask(t, g.url, "m")
		a.expects(t, resp, body, "some words and more")
	}
	if n := len(slow.Requests()); n != 4 {
		t.Errorf("%d requests went to the busy source", n-4)
	}
	close(goOn)
	for _, resp := range waiting {
		resp.Body.Close()
	}
	eventually(t, "that the slow upstream is used again", func() bool {
		resp, _ := a.ask(t, g.url, "m")
		return resp.Header.Get("X-Selected-Provider") == "first"
	})
}

// pooled is an upstream with keys k0 to k14, of which a server takes those that the
// function admits; others have no quota.
func pooled(t *testing.T, admits func(key string) bool, options string) (block string) {
	t.Helper()
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		key := r.Header.Get("Authorization")
		if admits(key) {
			return provider.Say(key)
		}
		return provider.Status(402, boom)
	})
	block = "upstream first " + p.URL() + " {\n retries 0\n" + options
	for i := range 15 {
		block += fmt.Sprintf(" credential bearer key-number-%02d id k%d\n", i, i)
	}
	return block + "}\nmodel m {\n source first x\n}"
}

// TestRoutingCredentialPool shows that a key without quota is left out and the others
// serve: no client sees more than its own attempts.
func TestRoutingCredentialPool(t *testing.T) {
	block := pooled(t, func(key string) bool { return key != "Bearer key-number-03" && key != "Bearer key-number-07" }, "")
	g := startGateway(t, block)
	a := inPlain()[0]
	failed := 0
	for range 200 {
		if resp, _ := a.ask(t, g.url, "m"); resp.StatusCode != 200 {
			failed++
		}
	}
	if failed > 2 {
		t.Errorf("%d of 200 requests failed; each of two dead keys may cost one", failed)
	}
	open := 0
	views, err := app(t).Circuits("first")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if v.State == routing.CircuitOpen {
			open++
			if v.Key.Scope != routing.ScopeCredential || v.Class != routing.ClassExhausted {
				t.Errorf("the circuit %v is open because of %s", v.Key, v.Class)
			}
		}
	}
	if open > 2 {
		t.Errorf("%d circuits are open, want those of the dead keys", open)
	}
}

// TestRoutingKeysComeBack shows that keys whose quota was used up serve again when
// their circuits are reset, all of them.
func TestRoutingKeysComeBack(t *testing.T) {
	var paid atomic.Bool
	block := pooled(t, func(string) bool { return paid.Load() }, "")
	g := startGateway(t, block)
	a := inPlain()[0]
	eventually(t, "that all keys are out of use", func() bool {
		resp, _ := a.ask(t, g.url, "m")
		return resp.StatusCode == 503 && resp.Header.Get("Retry-After") != ""
	})
	paid.Store(true)
	if _, err := app(t).ResetCircuit(t.Context(), "first", "", "test", nil); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	eventually(t, "that all keys serve", func() bool {
		resp, body := a.ask(t, g.url, "m")
		got, err := a.hear(body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		seen[got.text] = true
		return len(seen) == 15
	})
}

// TestRoutingHealth shows that failed checks take an upstream out of use without a
// request, and successful ones bring it back.
func TestRoutingHealth(t *testing.T) {
	var sick atomic.Bool
	sick.Store(true)
	checked := startProvider(t, provider.Say("from the first"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			if sick.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		http.Redirect(w, r, checked.URL()+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	o := startOutage(t, server.URL, "health {\n path /health\n interval 1s\n timeout 1s\n unhealthy 1\n healthy 1\n}")
	unhealthy := func() bool {
		resp, body := inPlain()[0].ask(t, o.url, "alone")
		o.reset(t)
		return resp.StatusCode == http.StatusServiceUnavailable && bytes.Contains([]byte(body), []byte("no_upstream_available"))
	}
	eventually(t, "that the upstream is out of use", unhealthy)
	sick.Store(false)
	eventually(t, "that it is back", func() bool { return !unhealthy() })
	for _, line := range []string{
		`"msg":"health changed","upstream":"first","healthy":false,"reason":"status 503"`,
		`"msg":"health changed","upstream":"first","healthy":true`,
	} {
		if log := o.log.String(); !strings.Contains(log, line) {
			t.Errorf("the log does not tell %s:\n%s", line, log)
		}
	}
}

// TestRoutingRepeatsAreFresh shows that every attempt of a request sends the client's
// own request, whatever the attempts before have made of it.
func TestRoutingRepeatsAreFresh(t *testing.T) {
	first, second := startProvider(t, provider.Status(500, boom)), startProvider(t, provider.Status(500, boom))
	third := startProvider(t, provider.Say("fresh"))
	g := startGateway(t, fmt.Sprintf(`upstream first %s {
			formats openai_chat
			retries 0
		}
		upstream second %s {
			formats anthropic_messages
			retries 0
		}
		upstream third %s {
			formats openai_chat
		}
		model m {
			source first x
			source second x priority 2
			source third x priority 3
		}`, first.URL(), second.URL(), third.URL()))
	for _, a := range everyone() {
		resp, body := a.ask(t, g.url, "m")
		a.expects(t, resp, body, "fresh")
		if one, other := last(t, first).Body, last(t, third).Body; len(first.Requests()) == len(third.Requests()) && !bytes.Equal(one, other) {
			t.Errorf("%s: the first attempt sent %s\nthe third %s", a.name(), one, other)
		}
		if _, err := app(t).ResetCircuit(t.Context(), "first", "", "test", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoutingRetryOnEmpty shows that an answer without content goes to the client,
// and to the next source instead if the model says so.
func TestRoutingRetryOnEmpty(t *testing.T) {
	empty := `{"id":"x","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":0,"total_tokens":1}}`
	first, second := startProvider(t, provider.Status(200, empty)), startProvider(t, provider.Say(fromSecond))
	const sources = "source first x\n source second x priority 2\n}\n"
	g := startGateway(t, fmt.Sprintf("upstream first %s\nupstream second %s\nmodel plain {\n %smodel again {\n retry_on_empty\n %s", first.URL(), second.URL(), sources, sources))
	a := inPlain()[0]
	resp, body := a.ask(t, g.url, "plain")
	a.expects(t, resp, body, "")
	resp, body = a.ask(t, g.url, "again")
	a.expects(t, resp, body, fromSecond)
}
