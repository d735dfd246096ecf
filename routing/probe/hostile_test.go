package probe

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// switching is a service that answers everything with a switch to another protocol,
// which nobody has asked for, and is silent then.
func switching(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the other side closes it
		_ = conn.Close()
	}))
	t.Cleanup(s.Close)
	return s
}

// The connection belongs to who has asked from then on, and its context does not end
// a read from it any more.
func TestProbeOfAServiceThatSwitchesProtocols(t *testing.T) {
	s := switching(t)
	w := single(t, configOf(s.URL, format.OpenAIChat))
	done := make(chan Result, 1)
	go func() { done <- w.probe(&Prober{Timeout: quick}) }()
	select {
	case r := <-done:
		r.check(t, Failed, CodeResponseIncompatible, 0)
	case <-time.After(ample):
		s.CloseClientConnections()
		t.Fatal("the probe does not end")
	}
	u, _ := w.snapshot.Upstream("u")
	stages := make(chan StageResult, 1)
	go func() { stages <- TestUpstream(t.Context(), u, "x") }()
	select {
	case r := <-stages:
		if r.Stages[0].Result != StageOK || r.Stages[1].Result != StageFailed {
			t.Errorf("got %+v", r.Stages)
		}
	case <-time.After(ample):
		s.CloseClientConnections()
		t.Fatal("the test does not end")
	}
}

// A repeat that the probe's own limit cuts short, after answers that all came in time,
// is no failure of the upstream: it opens no circuit.
func TestRepeatsThatAreCutShortAreNotCounted(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		if calls.Add(1) > 2 {
			<-r.Context().Done() // it takes what is left of the limit, and more
			return
		}
		writeJSON(w, http.StatusOK, chatAnswer)
	})
	config := fmt.Sprintf(`{"base_url":%q,"formats":["openai_chat"],"circuit":{"probes":5}}`, s.URL)
	w := newWorld(t, map[string]string{"u": config}, `{"m":{"sources":[{"upstream":"u","model":"x"}]}}`)
	w.open(true)
	r := (&Prober{Timeout: quick, Record: true}).Source(t.Context(), w.snapshot, "m", "u:x")
	if n := calls.Load(); n != 3 {
		t.Fatalf("asked %d times", n)
	}
	r.check(t, Usable, "", http.StatusOK)
	if got := w.circuit().View(time.Now()).State; got != routing.CircuitHalfOpen {
		t.Errorf("the circuit is %s", got)
	}
}

// A first attempt that takes too long is one, as ever.
func TestFirstRecordedAttemptThatTakesTooLong(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request, _ map[string]any) { <-r.Context().Done() })
	w := single(t, fmt.Sprintf(`{"base_url":%q,"formats":["openai_chat"]}`, s.URL))
	w.open(true)
	w.probe(&Prober{Timeout: quick, Record: true}).check(t, TimedOut, CodeTimeout, 0)
	if got := w.circuit().View(time.Now()).State; got != routing.CircuitOpen {
		t.Errorf("the circuit is %s", got)
	}
}
