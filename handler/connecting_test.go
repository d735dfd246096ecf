package handler

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// soonLimit is a limit for tests in which it passes.
const soonLimit = 100 * time.Millisecond

// dialled returns a handler whose upstream is called over the network.
func dialled(t *testing.T, address string, edit func(*upstream.Upstream)) *Handler {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	u := &upstream.Upstream{BaseURL: address, Formats: one(format.OpenAIChat), Retries: new(int)}
	edit(u)
	if err := u.Provision(ctx, "u0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Cleanup() })
	model := &routing.Model{Sources: []routing.Source{{Upstream: "u0", Model: "real"}}}
	snapshot, err := routing.NewSnapshot(routing.Definitions{Upstreams: map[string]*upstream.Upstream{"u0": u}, Models: map[string]*routing.Model{"m": model}})
	if err != nil {
		t.Fatal(err)
	}
	return &Handler{gateway: &stubGateway{snapshot}, logger: zap.NewNop()}
}

// headerLimit sets the limit for an answer.
func headerLimit(u *upstream.Upstream) { u.Timeouts.ResponseHeader = caddy.Duration(soonLimit) }

// mute returns the address of a listener that accepts and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestLimitWhileConnecting shows that a limit which passes while the connection is
// made is no time-out of the model, whichever limit it is: 502, not 504.
func TestLimitWhileConnecting(t *testing.T) {
	for _, tc := range []struct {
		name, scheme string
		edit         func(*upstream.Upstream)
		total        time.Duration
		want         int
	}{
		{"TLS, for an answer", "https", headerLimit, 0, http.StatusBadGateway},
		{"TLS, for the whole request", "https", func(*upstream.Upstream) {}, soonLimit, http.StatusBadGateway},
		{"TLS, its own", "https", func(u *upstream.Upstream) { u.Timeouts.TLSHandshake = caddy.Duration(soonLimit) }, 0, http.StatusBadGateway},
		{"connected, for an answer", "http", headerLimit, 0, http.StatusGatewayTimeout},
		{"connected, for the whole request", "http", func(*upstream.Upstream) {}, soonLimit, http.StatusGatewayTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := dialled(t, tc.scheme+"://"+mute(t), tc.edit)
			h.Timeouts.Total = caddy.Duration(tc.total)
			if w := serve(t, h, post("/v1/chat/completions", chatRequest)); w.Code != tc.want {
				t.Errorf("status %d, want %d: %s", w.Code, tc.want, w.Body)
			}
		})
	}
}

// TestLimitOnKeptConnection shows that silence on a connection that was kept is a
// time-out, although limits for connecting are longer.
func TestLimitOnKeptConnection(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls > 1 {
			// A server sees that its client has gone once it has read the request.
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				<-r.Context().Done()
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(chatAnswer))
	}))
	t.Cleanup(server.Close)
	h := dialled(t, server.URL, headerLimit)
	for _, want := range []int{http.StatusOK, http.StatusGatewayTimeout} {
		if w := serve(t, h, post("/v1/chat/completions", chatRequest)); w.Code != want {
			t.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
		}
	}
}

// TestLimitWhileWaitingForConnection shows that a request which waits for one of the
// few connections that an operator allows is not connecting.
func TestLimitWhileWaitingForConnection(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-leave
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write([]byte(chatStream))
	}))
	t.Cleanup(server.Close)
	h := dialled(t, server.URL, func(u *upstream.Upstream) {
		u.TransportRaw = []byte(`{"protocol":"http","max_conns_per_host":1}`)
	})
	h.Timeouts.Total = caddy.Duration(soonLimit) // which streams do not have
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- serve(t, h, post("/v1/chat/completions", chatStreamRequest)) }()
	<-arrived
	if w := serve(t, h, post("/v1/chat/completions", chatRequest)); w.Code != http.StatusGatewayTimeout {
		t.Errorf("status %d, want 504: %s", w.Code, w.Body)
	}
	close(leave)
	if w := <-first; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "hello") {
		t.Errorf("the first request: status %d: %s", w.Code, w.Body)
	}
}

// TestLink shows the order of what a transport tells, and what it means.
func TestLink(t *testing.T) {
	var l link
	tell := map[string]func(){
		"ask": func() { l.ask("") }, "dial": l.dial, "ready": func() { l.ready(httptrace.GotConnInfo{}) },
	}
	for _, tc := range []struct {
		told string
		want bool
	}{
		{"", false},
		{"ask", false},
		{"ask dial", true},
		{"ask dial dial", true},
		{"ask dial ready", false},
		{"ask ready dial", false}, // another connection was free first
		{"ask ready ask", false},
		{"ask ready ask dial", true}, // the kept one was closed
	} {
		l = link{}
		for _, what := range strings.Fields(tc.told) {
			tell[what]()
		}
		if got := l.dialling(); got != tc.want {
			t.Errorf("%q: dialling %t, want %t", tc.told, got, tc.want)
		}
	}
}

// TestWatchCostsNothing shows that an attempt is not watched whose limits are longer
// than those for connecting, as they are by default.
func TestWatchCostsNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*upstream.Upstream)
		want bool
	}{
		"defaults":     {func(*upstream.Upstream) {}, false},
		"header limit": {headerLimit, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := dialled(t, "http://upstream.example", tc.edit)
			plan, err := new(routing.Router).Plan(h.gateway.(*stubGateway).snapshot, routing.Request{Model: "m", Format: format.OpenAIChat, Operation: format.OperationChat})
			if err != nil {
				t.Fatal(err)
			}
			c, _ := plan.Next()
			a := &attempt{x: &exchange{h: h, began: time.Now()}, source: c, ctx: t.Context()}
			limits := c.Upstream.Limits(format.OperationChat, false)
			a.header.limit, a.total = limits.Header, limits.Total
			if got := httptrace.ContextClientTrace(a.watch()) != nil; got != tc.want {
				t.Errorf("watched: %t, want %t", got, tc.want)
			}
		})
	}
}
