package caddytest

import (
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// defaults leaves the circuits as they are by default.
const defaults = "circuit {\n failures 5\n}"

// TestFault53HalfFails: every second attempt fails. The circuit opens within 20
// attempts, and no client notices.
func TestFault53HalfFails(t *testing.T) {
	first := provider.New(t)
	var asked atomic.Int64
	first.Choose(func(*provider.Request) provider.Step {
		if asked.Add(1)%2 == 0 {
			return provider.Status(500, boom)
		}
		return provider.Say(fromSecond)
	})
	o := startOutage(t, first.URL(), defaults)
	for i := range 40 {
		a := everyone()[i%len(everyone())]
		resp, body := a.ask(t, o.url, "backed")
		a.expects(t, resp, body, fromSecond)
	}
	if n := asked.Load(); n > 20 {
		t.Errorf("the upstream was asked %d times", n)
	}
	checkCounted(t, row{scope: routing.ScopeUpstreamModel, class: routing.ClassServer})
}

// TestFault54Heals: the upstream fails, then heals. It serves again when its open
// time is over and two probes have succeeded, and no client notices.
func TestFault54Heals(t *testing.T) {
	var healed atomic.Bool
	first := provider.New(t)
	first.Choose(func(*provider.Request) provider.Step {
		if healed.Load() {
			return provider.Say("from the first")
		}
		return provider.Status(500, boom)
	})
	o := startOutage(t, first.URL(), "circuit {\n failures 5\n open_for 500ms\n}")
	a := inStreams()[2]
	for range 10 {
		resp, body := a.ask(t, o.url, "backed")
		a.expects(t, resp, body, fromSecond)
	}
	view := circuit(t, routing.ScopeUpstreamModel)
	if view.State != routing.CircuitOpen || len(first.Requests()) != 5 {
		t.Fatalf("the circuit is %s after %d requests, want open after 5", view.State, len(first.Requests()))
	}
	healed.Store(true)
	eventually(t, "that the circuit closes", func() bool {
		resp, body := a.ask(t, o.url, "backed")
		if got, err := a.hear(body); resp.StatusCode != 200 || err != nil || !got.ended {
			t.Fatalf("a client noticed: %d %s", resp.StatusCode, body)
		}
		return circuit(t, routing.ScopeUpstreamModel).State == routing.CircuitClosed
	})
	if n := len(first.Requests()); n != 7 {
		t.Errorf("the upstream was asked %d times until its circuit closed, want 5 and two probes", n)
	}
	if view.Until.Sub(view.Since) > 600*time.Millisecond {
		t.Errorf("it was open for %s", view.Until.Sub(view.Since))
	}
}

// TestFault58EverythingDown: no source works. Soon nobody is asked any more, and
// clients are refused at once, with a time to come back.
func TestFault58EverythingDown(t *testing.T) {
	first, second := startProvider(t, provider.CloseAtOnce()), startProvider(t, provider.CloseAtOnce())
	const down = " {\n retries 0\n}\n"
	g := startGateway(t, "upstream first "+first.URL()+down+"upstream second "+second.URL()+down+"model m {\n source first x\n source second y priority 2\n}")
	a := inPlain()[0]
	const requests = 100
	var took []time.Duration
	for range requests {
		began := time.Now()
		resp, body := a.ask(t, g.url, "m")
		if _, err := a.refused(body); err != nil || resp.StatusCode < 500 {
			t.Fatalf("%d (%v) %s", resp.StatusCode, err, body)
		}
		if resp.StatusCode != http.StatusServiceUnavailable {
			continue // the upstreams were still asked
		}
		took = append(took, time.Since(began))
		if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 20 {
			t.Fatalf("Retry-After is %q", resp.Header.Get("Retry-After"))
		}
	}
	slices.Sort(took)
	if len(took) < 80 || took[len(took)/2] > 10*time.Millisecond {
		t.Errorf("%d requests were refused, half of them within %s", len(took), took[len(took)/2])
	}
	if n := first.Connections() + second.Connections(); n > requests*12/10 {
		t.Errorf("%d attempts for %d requests", n, requests)
	}
}
