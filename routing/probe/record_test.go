package probe

import (
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

func TestProbesMoveNoCircuit(t *testing.T) {
	for name, step := range map[string]provider.Step{"server": provider.Fail(500, "oops"), "throttled": provider.Fail(429, "slow"), "key": provider.Fail(401, "no"), "quota": provider.Fail(402, "pay")} {
		t.Run(name, func(t *testing.T) {
			p := scripted(t, step)
			w := single(t, configOf(p.URL(), format.OpenAIChat))
			for range 20 {
				if r := w.probe(&Prober{Timeout: ample}); r.Result != Failed {
					t.Fatalf("got %+v", r)
				}
			}
			if n := len(p.Requests()); n != 20 {
				t.Errorf("got %d calls", n)
			}
			w.untouched()
		})
	}
}

// open opens the circuit, up to a time ago if half is set.
func (w *world) open(half bool) {
	w.t.Helper()
	at := time.Now()
	if half {
		at = at.Add(-time.Minute)
	}
	for range 5 {
		p, ok := w.circuit().Allow(at)
		if !ok {
			w.t.Fatal("the circuit admits no attempt")
		}
		p.Done(at, routing.Outcome{Class: routing.ClassServer, Status: 500})
	}
}

func TestRecord(t *testing.T) {
	for _, tc := range []struct {
		name          string
		step          provider.Step
		prepare       func(w *world)
		before, after routing.CircuitState
		calls         int
	}{
		{"half open and success", provider.Say("OK"), func(w *world) { w.open(true) }, routing.CircuitHalfOpen, routing.CircuitClosed, 2},
		{"open and success", provider.Say("OK"), func(w *world) { w.open(false) }, routing.CircuitOpen, routing.CircuitClosed, 2},
		{"half open and failure", provider.Fail(500, "oops"), func(w *world) { w.open(true) }, routing.CircuitHalfOpen, routing.CircuitOpen, 1},
		{"open and failure", provider.Fail(500, "oops"), func(w *world) { w.open(false) }, routing.CircuitOpen, routing.CircuitOpen, 1},
		{"forced open", provider.Say("OK"), func(w *world) { w.circuit().Force(time.Now(), time.Time{}, "repair", "ann") }, routing.CircuitForcedOpen, routing.CircuitForcedOpen, 1},
		{"closed", provider.Say("OK"), func(*world) {}, routing.CircuitClosed, routing.CircuitClosed, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := scripted(t, tc.step)
			w := single(t, configOf(p.URL(), format.OpenAIChat))
			tc.prepare(w)
			if got := w.circuit().View(time.Now()).State; got != tc.before {
				t.Fatalf("before: got %s", got)
			}
			w.probe(&Prober{Timeout: ample})
			if got := w.circuit().View(time.Now()).State; got != tc.before {
				t.Errorf("after a probe that is not recorded: got %s", got)
			}
			w.probe(&Prober{Timeout: ample, Record: true})
			if got := w.circuit().View(time.Now()).State; got != tc.after {
				t.Errorf("after one that is: got %s, want %s", got, tc.after)
			}
			if n := len(p.Requests()) - 1; n != tc.calls {
				t.Errorf("got %d recorded calls, want %d", n, tc.calls)
			}
		})
	}
}

func TestRecordedFailuresOpen(t *testing.T) {
	p := scripted(t, provider.Fail(500, "oops"))
	w := single(t, configOf(p.URL(), format.OpenAIChat))
	for range 5 {
		w.probe(&Prober{Timeout: ample, Record: true})
	}
	if got := w.circuit().View(time.Now()).State; got != routing.CircuitOpen {
		t.Errorf("got %s", got)
	}
	u, _ := w.snapshot.Upstream("u")
	if n := u.InFlight(); n != 0 {
		t.Errorf("%d requests are under way", n)
	}
}
