package routing

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"pgregory.net/rapid"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// bench is a circuit with its own clock, and without chance: open times are as long
// as they say.
type bench struct {
	t        rapid.TB
	circuits *Circuits
	c        *Circuit
	now      time.Time
}

var modelKey = CircuitKey{Scope: ScopeUpstreamModel, Upstream: "u", Model: "m"}

func newBench(t rapid.TB, key CircuitKey, p *upstream.CircuitPolicy) *bench {
	t.Helper()
	s := NewCircuits()
	s.Random = func() float64 { return 0.5 } // times 1
	return &bench{t: t, circuits: s, c: s.Get(key, p), now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
}

func (b *bench) wait(d time.Duration) { b.now = b.now.Add(d) }

// allow takes a permit, which must be given.
func (b *bench) allow() Permit {
	b.t.Helper()
	p, ok := b.c.Allow(b.now)
	if !ok {
		b.t.Fatalf("no permit: %+v", b.view())
	}
	return p
}

// attempt makes attempts that end at once.
func (b *bench) attempt(n int, o Outcome) {
	b.t.Helper()
	for range n {
		b.allow().Done(b.now, o)
	}
}

func (b *bench) view() CircuitView { return b.c.View(b.now) }

// is checks the state and that attempts are admitted in it or not.
func (b *bench) is(s CircuitState) CircuitView {
	b.t.Helper()
	v := b.view()
	if v.State != s {
		b.t.Fatalf("state is %s, want %s; %+v", v.State, s, v)
	}
	r, refused := b.c.Refusal(b.now)
	if admits := s == CircuitClosed || s == CircuitHalfOpen; refused == admits {
		b.t.Fatalf("%s: refused is %t: %+v", s, refused, r)
	}
	return v
}

// until checks when an open circuit becomes half-open.
func (b *bench) until(s CircuitState, d time.Duration) {
	b.t.Helper()
	if v := b.is(s); !v.Until.Equal(b.now.Add(d)) {
		b.t.Fatalf("until in %s, want in %s", v.Until.Sub(b.now), d)
	}
}

// trip opens the circuit and waits until it can be probed.
func (b *bench) trip() {
	b.t.Helper()
	b.attempt(5, Outcome{Class: ClassServer, Status: 500})
	v := b.is(CircuitOpen)
	b.now = v.Until
}

func of(classes ...Class) []Outcome {
	outcomes := make([]Outcome, len(classes))
	for i, c := range classes {
		outcomes[i].Class = c
	}
	return outcomes
}

func times(n int, classes ...Class) []Outcome { return slices.Repeat(of(classes...), n) }

// What opens a circuit, in which scope, and what does not.
func TestCircuitOpens(t *testing.T) {
	slow := Outcome{Latency: 3 * time.Second}
	gone := Outcome{Class: ClassAbandoned, Latency: 3 * time.Second}
	slowly := &upstream.CircuitPolicy{SlowOver: caddy.Duration(2 * time.Second)}
	for _, tc := range []struct {
		name     string
		scope    Scope
		policy   *upstream.CircuitPolicy
		outcomes []Outcome
		pause    time.Duration // between two
		want     CircuitCause  // "" for a circuit that stays closed
	}{
		{"four in a row", ScopeUpstreamModel, nil, times(4, ClassServer), 0, ""},
		{"five in a row", ScopeUpstreamModel, nil, times(5, ClassServer), 0, CauseFailures},
		{"five of all kinds", ScopeUpstreamModel, nil, of(ClassServer, ClassTimeout, ClassBadAnswer, ClassBrokenStream, ClassMissing), 0, CauseFailures},
		{"a row over time", ScopeUpstreamModel, nil, times(5, ClassServer), 3 * time.Minute, CauseFailures},
		{"a gap ends the row", ScopeUpstreamModel, nil, times(20, ClassServer), 3*time.Minute + 1, ""},
		{"a success ends the row", ScopeUpstreamModel, nil, append(times(4, ClassServer), of(ClassOK, ClassServer)...), 0, ""},
		{"fewer in a row", ScopeUpstreamModel, &upstream.CircuitPolicy{Failures: 2}, times(2, ClassServer), 0, CauseFailures},
		{"one in twenty", ScopeUpstreamModel, nil, append(times(19, ClassOK), of(ClassServer)...), 0, ""},
		{"ten in twenty", ScopeUpstreamModel, nil, slices.Concat(times(2, ClassOK), times(8, ClassServer, ClassOK), times(2, ClassServer)), 0, CauseErrorRate},
		{"half of nine", ScopeUpstreamModel, nil, append(times(4, ClassServer, ClassOK), of(ClassServer)...), 0, ""},
		{"half of ten", ScopeUpstreamModel, nil, times(5, ClassOK, ClassServer), 0, CauseErrorRate},
		{"half, but too rarely", ScopeUpstreamModel, nil, times(50, ClassOK, ClassServer), 4 * time.Second, ""},
		{"less than half", ScopeUpstreamModel, nil, times(30, ClassServer, ClassOK, ClassOK), 0, ""},
		{"one missing", ScopeUpstreamModel, nil, of(ClassMissing, ClassOK, ClassMissing), 0, ""},
		{"two missing", ScopeUpstreamModel, nil, times(2, ClassMissing), 0, CauseMissing},
		{"two missing, not in a row", ScopeUpstreamModel, nil, of(ClassMissing, ClassServer, ClassMissing), 0, ""},
		{"request timeouts", ScopeUpstreamModel, nil, slices.Repeat([]Outcome{{Class: ClassConflict, Status: 408}}, 5), 0, CauseFailures},
		{"conflicts", ScopeUpstreamModel, nil, slices.Repeat([]Outcome{{Class: ClassConflict, Status: 409}}, 100), 0, ""},
		{"what clients do", ScopeUpstreamModel, nil, times(100, ClassClientFault, ClassAbandoned, ClassUnsupported, ClassRefused), 0, ""},
		{"what counts elsewhere", ScopeUpstreamModel, nil, times(100, ClassConnect, ClassExhausted, ClassCredential), 0, ""},
		{"neutral outcomes end no row", ScopeUpstreamModel, nil, append(times(4, ClassServer, ClassClientFault, ClassAbandoned), of(ClassServer)...), 0, CauseFailures},
		{"slow without a limit", ScopeUpstreamModel, nil, slices.Repeat([]Outcome{slow}, 100), 0, ""},
		{"slow", ScopeUpstreamModel, slowly, slices.Repeat([]Outcome{slow}, 10), 0, CauseSlow},
		{"clients that left late", ScopeUpstreamModel, slowly, slices.Repeat([]Outcome{gone}, 10), 0, CauseSlow},
		{"clients that left late, of the credential", ScopeCredential, slowly, slices.Repeat([]Outcome{gone}, 100), 0, ""},
		{"slow, but too few", ScopeUpstreamModel, slowly, slices.Repeat([]Outcome{slow, slow, {}, slow, {}}, 5), 0, ""},

		{"connect", ScopeUpstream, nil, times(5, ClassConnect), 0, CauseFailures},
		{"connect, but it answers", ScopeUpstream, nil, times(9, ClassConnect, ClassServer, ClassOK), 0, ""},
		{"anything else", ScopeUpstream, nil, times(100, ClassServer, ClassTimeout, ClassMissing, ClassExhausted, ClassCredential, ClassClientFault), 0, ""},

		{"exhausted", ScopeCredential, nil, of(ClassExhausted), 0, CauseExhausted},
		{"refused once", ScopeCredential, nil, of(ClassCredential, ClassOK, ClassCredential), 0, ""},
		{"refused twice", ScopeCredential, nil, times(2, ClassCredential), 0, CauseCredential},
		{"failures of the upstream", ScopeCredential, nil, times(100, ClassConnect, ClassServer, ClassMissing, ClassThrottled), 0, ""},

		{"off", ScopeUpstreamModel, &upstream.CircuitPolicy{Off: true}, times(100, ClassServer), 0, ""},
		{"off for a credential", ScopeCredential, &upstream.CircuitPolicy{Off: true}, times(100, ClassExhausted), 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, CircuitKey{Scope: tc.scope, Upstream: "u"}, tc.policy)
			for i, o := range tc.outcomes {
				if i > 0 {
					b.wait(tc.pause)
				}
				if tc.want != "" {
					b.is(CircuitClosed)
				}
				b.attempt(1, o)
			}
			if tc.want == "" {
				b.is(CircuitClosed)
				return
			}
			v := b.is(CircuitOpen)
			last := tc.outcomes[len(tc.outcomes)-1]
			if v.Cause != tc.want || v.Class != last.Class || v.Reason == "" || v.Openings != 1 || v.Generation != 2 {
				t.Errorf("got %+v", v)
			}
			if _, ok := b.c.Allow(v.Until.Add(-1)); ok {
				t.Error("admits before its time has passed")
			}
		})
	}
}

func TestOpenTimes(t *testing.T) {
	server := Outcome{Class: ClassServer, Status: 503}
	later := func(d time.Duration) Outcome { return Outcome{Class: ClassServer, Status: 503, RetryAfter: d} }
	for _, tc := range []struct {
		name    string
		scope   Scope
		policy  *upstream.CircuitPolicy
		failure Outcome
		want    []time.Duration // each time that it opens
	}{
		{"doubled", ScopeUpstreamModel, nil, server, []time.Duration{15e9, 30e9, 60e9, 120e9, 240e9, 480e9, 600e9, 600e9}},
		{"Retry-After", ScopeUpstreamModel, nil, later(45 * time.Second), []time.Duration{45e9, 45e9, 60e9}},
		{"Retry-After of days", ScopeUpstreamModel, nil, later(18 * 24 * time.Hour), []time.Duration{15 * time.Minute, 15 * time.Minute}},
		{"negative Retry-After", ScopeUpstreamModel, nil, later(-time.Hour), []time.Duration{15e9}},
		{"missing", ScopeUpstreamModel, nil, Outcome{Class: ClassMissing}, []time.Duration{10 * time.Minute, 10 * time.Minute}},
		{"exhausted", ScopeCredential, nil, Outcome{Class: ClassExhausted, Status: 402}, []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, time.Hour}},
		{"credential", ScopeCredential, nil, Outcome{Class: ClassCredential, Status: 401}, []time.Duration{5 * time.Minute, 10 * time.Minute}},
		{"of the policy", ScopeUpstreamModel, &upstream.CircuitPolicy{OpenFor: caddy.Duration(time.Second), OpenForMax: caddy.Duration(3 * time.Second)}, server, []time.Duration{1e9, 2e9, 3e9, 3e9}},
		{"longer than the default of the longest", ScopeUpstreamModel, &upstream.CircuitPolicy{OpenFor: caddy.Duration(time.Hour)}, server, []time.Duration{time.Hour, time.Hour}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, CircuitKey{Scope: tc.scope, Upstream: "u"}, tc.policy)
			for range 5 {
				if _, refused := b.c.Refusal(b.now); !refused {
					b.attempt(1, tc.failure)
				}
			}
			for i, want := range tc.want {
				if v := b.view(); v.Openings != i+1 {
					t.Fatalf("opening %d: %+v", i+1, v)
				}
				b.until(CircuitOpen, want)
				b.wait(want)
				b.is(CircuitHalfOpen)
				b.attempt(1, tc.failure) // the probe
			}
		})
	}
}

// Circuits that opened together do not probe together.
func TestOpenTimesAreSpread(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 12 * time.Second, 0.75: 16500 * time.Millisecond, math.Nextafter(1, 0): 18 * time.Second} {
		b := newBench(t, CircuitKey{}, nil)
		b.circuits.Random = func() float64 { return random }
		b.c = b.circuits.Get(modelKey, nil)
		b.attempt(5, Outcome{Class: ClassServer})
		if got := b.is(CircuitOpen).Until.Sub(b.now); (got - want).Abs() > time.Microsecond {
			t.Errorf("random %g: open for %s, want %s", random, got, want)
		}
	}
}

// The open times begin anew when the circuit was closed for a while.
func TestOpeningsAreForgotten(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.trip()
	b.attempt(2, Outcome{})
	b.is(CircuitClosed)
	b.wait(5*time.Minute - 1)
	b.attempt(5, Outcome{Class: ClassServer})
	b.until(CircuitOpen, 30*time.Second)
	b.wait(30 * time.Second)
	b.attempt(2, Outcome{})
	b.wait(5 * time.Minute)
	if v := b.is(CircuitClosed); v.Openings != 0 {
		t.Errorf("openings are %d", v.Openings)
	}
	b.attempt(5, Outcome{Class: ClassServer})
	b.until(CircuitOpen, 15*time.Second)
}

func TestHalfOpenClosesAfterProbes(t *testing.T) {
	b := newBench(t, modelKey, &upstream.CircuitPolicy{Probes: 3})
	b.trip()
	for range 3 {
		b.is(CircuitHalfOpen)
		p := b.allow()
		if !p.Probe() {
			t.Fatal("the attempt is no probe")
		}
		if _, ok := b.c.Allow(b.now); ok {
			t.Fatal("two probes at once")
		}
		if r, refused := b.c.Refusal(b.now); !refused || r.State != CircuitHalfOpen || r.Wait != time.Second {
			t.Fatalf("refusal is %+v, %t", r, refused)
		}
		p.Done(b.now, Outcome{})
	}
	v := b.is(CircuitClosed)
	if v.Cause != CauseProbed || v.Class != ClassOK || v.Generation != 4 || v.Openings != 1 {
		t.Errorf("got %+v", v)
	}
	var states []string
	for _, e := range v.History {
		states = append(states, e.From.String()+">"+e.To.String())
	}
	if got, want := strings.Join(states, " "), "closed>open open>half_open half_open>closed"; got != want {
		t.Errorf("history is %s, want %s", got, want)
	}
	b.attempt(4, Outcome{Class: ClassServer}) // the row begins anew
	b.is(CircuitClosed)
}

// Probes that say nothing give the lease back and count neither way.
func TestNeutralProbes(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.trip()
	for _, c := range []Class{ClassClientFault, ClassAbandoned, ClassConnect, ClassRefused, ClassUnsupported} {
		b.attempt(3, Outcome{Class: c, Status: 400})
		b.is(CircuitHalfOpen)
	}
	b.allow().Cancel(b.now)
	b.attempt(1, Outcome{})
	b.is(CircuitHalfOpen)
	b.attempt(1, Outcome{})
	b.is(CircuitClosed)
}

// A probe that never returns cannot wedge the circuit.
func TestFault57ProbeNeverReturns(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.trip()
	lost, ok := b.c.AllowFor(b.now, 20*time.Second)
	if !ok {
		t.Fatal("no permit")
	}
	b.wait(25*time.Second - 1)
	if _, ok := b.c.Allow(b.now); ok {
		t.Fatal("the lease ended early")
	}
	b.wait(1)
	next := b.allow()
	lost.Done(b.now, Outcome{}) // late: it must neither count nor free the lease of the next
	if _, ok := b.c.Allow(b.now); ok {
		t.Fatal("the lost probe freed a lease that is not its own")
	}
	next.Done(b.now, Outcome{})
	b.is(CircuitHalfOpen)
	b.attempt(1, Outcome{})
	b.is(CircuitClosed)
}

// Two attempts that find the lease free at the same time: the second to come under
// the lock is refused.
func TestLeaseIsTakenOnce(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.trip()
	if _, ok := b.c.allowProbe(b.now, 0); !ok {
		t.Fatal("no permit")
	}
	if p, ok := b.c.allowProbe(b.now, 0); ok {
		t.Errorf("a second probe: %+v", p)
	}
}

func TestLeaseWithoutLimit(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{
		0:             10*time.Minute + 5*time.Second,
		-time.Hour:    10*time.Minute + 5*time.Second,
		math.MaxInt64: 48*time.Hour + 5*time.Second,
	} {
		b := newBench(t, modelKey, nil)
		b.trip()
		if _, ok := b.c.AllowFor(b.now, limit); !ok {
			t.Fatal("no permit")
		}
		b.wait(want - 1)
		if _, ok := b.c.Allow(b.now); ok {
			t.Errorf("limit %s: the lease ended early", limit)
		}
		b.wait(1)
		b.allow()
	}
}

// A stream's probe has done its work at the first content; if it breaks later, that
// counts as usual, whether the circuit is closed by then or not.
func TestStreamProbes(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.trip()
	first := b.allow()
	first.Started(b.now)
	first.Started(b.now) // once is enough
	b.is(CircuitHalfOpen)
	second := b.allow() // while the first still runs
	first.Done(b.now, Outcome{Stream: true})
	if _, ok := b.c.Allow(b.now); ok {
		t.Fatal("the end of the first freed the lease of the second")
	}
	second.Started(b.now)
	b.is(CircuitClosed)
	b.attempt(4, Outcome{Class: ClassServer})
	second.Done(b.now, Outcome{Class: ClassBrokenStream, Stream: true})
	b.is(CircuitOpen)
}

func TestStreamProbeBreaksWhileHalfOpen(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.trip()
	p := b.allow()
	p.Started(b.now)
	p.Done(b.now, Outcome{Class: ClassBrokenStream, Stream: true})
	if v := b.is(CircuitOpen); v.Openings != 2 || v.Cause != CauseProbeFailed {
		t.Errorf("got %+v", v)
	}
}

// What was admitted before a transition says nothing afterwards.
func TestStaleResults(t *testing.T) {
	b := newBench(t, modelKey, nil)
	var slow []Permit
	for range 20 {
		slow = append(slow, b.allow())
	}
	late := func(n int) {
		for _, p := range slow[:n] {
			p.Done(b.now, Outcome{Class: ClassServer, RetryAfter: time.Hour})
		}
		slow = slow[n:]
	}
	late(5)
	before := b.is(CircuitOpen).Until
	late(5) // in flight when it opened
	if v := b.is(CircuitOpen); !v.Until.Equal(before) || v.Generation != 2 || len(v.Failures) != 5 {
		t.Errorf("a late failure changed it: %+v", v)
	}
	b.c.Reset(b.now, "ann")
	late(10) // from before the reset
	v := b.is(CircuitClosed)
	if v.Cause != CauseReset || v.Actor != "ann" {
		t.Errorf("got %+v", v)
	}
	b.attempt(4, Outcome{Class: ClassServer})
	b.is(CircuitClosed)
}

// A failure that comes late must not shorten what a person decided.
func TestManualBeatsAutomatic(t *testing.T) {
	b := newBench(t, modelKey, nil)
	var slow []Permit
	for range 10 {
		slow = append(slow, b.allow())
	}
	b.c.Force(b.now, b.now.Add(time.Hour), "maintenance", "ann@10.0.0.1")
	for _, p := range slow {
		p.Done(b.now, Outcome{Class: ClassServer})
	}
	b.until(CircuitForcedOpen, time.Hour)
	b.c.escalate(b.now, Outcome{Class: ClassServer})
	b.c.identify(b.now, "another")
	b.c.identify(b.now, "and another")
	b.until(CircuitForcedOpen, time.Hour)
	v := b.view()
	if v.Reason != "maintenance" || v.Actor != "ann@10.0.0.1" || v.Cause != CauseManual || v.Generation != 2 {
		t.Errorf("got %+v", v)
	}
	if _, ok := b.c.Bypass(b.now); ok {
		t.Error("the last resort goes through it")
	}
	b.wait(time.Hour)
	b.is(CircuitHalfOpen)
	b.attempt(2, Outcome{})
	b.is(CircuitClosed)
}

func TestForce(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.c.Force(b.now, time.Time{}, "broken", "ann")
	first := b.is(CircuitForcedOpen)
	if !first.Until.IsZero() {
		t.Errorf("until is %s", first.Until)
	}
	if r, _ := b.c.Refusal(b.now); r.Wait != 0 || r.State != CircuitForcedOpen {
		t.Errorf("refusal is %+v", r)
	}
	b.wait(1000 * time.Hour)
	b.c.Force(b.now, time.Time{}, "broken", "ann")
	if v := b.is(CircuitForcedOpen); v.Generation != first.Generation {
		t.Error("the same again is a transition")
	}
	b.c.Force(b.now, b.now.Add(time.Minute), "less broken", "bob")
	b.until(CircuitForcedOpen, time.Minute)
	b.c.Reset(b.now, "bob")
	v := b.is(CircuitClosed)
	b.c.Reset(b.now, "bob")
	if again := b.is(CircuitClosed); again.Generation != v.Generation {
		t.Error("a second reset is a transition")
	}
	b.c.Force(b.now, b.now.Add(-time.Minute), "too late", "bob")
	b.is(CircuitHalfOpen)
}

func TestResetClearsAll(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.trip()
	b.attempt(1, Outcome{Class: ClassServer})
	b.c.Throttle(b.now, time.Hour)
	b.c.Reset(b.now, "ann")
	if v := b.is(CircuitClosed); v.Openings != 0 || !v.ThrottledUntil.IsZero() {
		t.Errorf("got %+v", v)
	}
	b.attempt(5, Outcome{Class: ClassServer})
	b.until(CircuitOpen, 15*time.Second)
}

func TestThrottle(t *testing.T) {
	busy := func(d time.Duration) Outcome {
		return Outcome{Class: ClassThrottled, Status: 429, RetryAfter: d}
	}
	for _, tc := range []struct {
		name    string
		answers []time.Duration // each Retry-After, 0 for none
		pause   time.Duration   // after each time that it was left alone
		want    []time.Duration
	}{
		{"seconds", []time.Duration{2 * time.Second}, 0, []time.Duration{2 * time.Second}},
		{"too short", []time.Duration{time.Millisecond}, 0, []time.Duration{time.Second}},
		{"a day", []time.Duration{24 * time.Hour}, 0, []time.Duration{15 * time.Minute}},
		{"negative", []time.Duration{-time.Second}, 0, []time.Duration{5 * time.Second}},
		{"none", make([]time.Duration, 6), 0, []time.Duration{5e9, 10e9, 20e9, 40e9, 60e9, 60e9}},
		{"none, forgotten", make([]time.Duration, 3), 5 * time.Minute, []time.Duration{5e9, 5e9, 5e9}},
		{"none after seconds", []time.Duration{time.Second, 0, 0}, 0, []time.Duration{1e9, 5e9, 10e9}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, modelKey, nil)
			for i, d := range tc.answers {
				b.attempt(1, busy(d))
				v := b.view()
				if v.State != CircuitClosed || !v.ThrottledUntil.Equal(b.now.Add(tc.want[i])) {
					t.Fatalf("answer %d: left alone for %s, want %s", i, v.ThrottledUntil.Sub(b.now), tc.want[i])
				}
				if _, ok := b.c.Allow(v.ThrottledUntil.Add(-1)); ok {
					t.Fatal("admits before the time has passed")
				}
				if r, ok := b.c.Refusal(b.now); !ok || !r.Throttled || r.Wait != tc.want[i] || r.State != CircuitClosed {
					t.Fatalf("refusal is %+v, %t", r, ok)
				}
				b.wait(tc.want[i])
				b.is(CircuitClosed)
				b.wait(tc.pause)
			}
		})
	}
}

// A burst of refusals is one, and the time never gets shorter.
func TestThrottledBurst(t *testing.T) {
	b := newBench(t, modelKey, nil)
	var burst []Permit
	for range 10 {
		burst = append(burst, b.allow())
	}
	for _, p := range burst {
		p.Done(b.now, Outcome{Class: ClassThrottled})
	}
	if got := b.view().ThrottledUntil.Sub(b.now); got != 5*time.Second {
		t.Errorf("left alone for %s", got)
	}
	b.c.Throttle(b.now, time.Minute)
	b.c.Throttle(b.now, 2*time.Second)
	if got := b.view().ThrottledUntil.Sub(b.now); got != time.Minute {
		t.Errorf("left alone for %s", got)
	}
}

func TestThrottledScope(t *testing.T) {
	for _, scope := range []Scope{ScopeUpstream, ScopeUpstreamModel, ScopeCredential} {
		for said, want := range map[Scope]Scope{"": ScopeUpstreamModel, ScopeCredential: ScopeCredential, ScopeUpstream: ScopeUpstream} {
			b := newBench(t, CircuitKey{Scope: scope, Upstream: "u"}, nil)
			b.attempt(1, Outcome{Class: ClassThrottled, Throttles: said})
			if throttled := !b.view().ThrottledUntil.IsZero(); throttled != (scope == want) {
				t.Errorf("%q marks %s: %t", said, scope, throttled)
			}
		}
	}
}

// A policy that is switched off later lets attempts through at once.
func TestSwitchedOff(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.attempt(5, Outcome{Class: ClassServer})
	b.is(CircuitOpen)
	b.circuits.Get(modelKey, &upstream.CircuitPolicy{Off: true})
	b.is(CircuitClosed)
	b.attempt(100, Outcome{Class: ClassServer})
	if v := b.is(CircuitClosed); v.Cause != CauseOff {
		t.Errorf("got %+v", v)
	}
	b.attempt(1, Outcome{Class: ClassThrottled, RetryAfter: time.Minute})
	if r, ok := b.c.Refusal(b.now); !ok || !r.Throttled {
		t.Errorf("refusal is %+v, %t", r, ok)
	}
	b.wait(time.Minute)
	b.c.Force(b.now, b.now.Add(time.Minute), "why", "ann")
	b.is(CircuitForcedOpen)
	b.wait(time.Minute)
	b.is(CircuitClosed)
	b.attempt(3, Outcome{Class: ClassServer})
	b.is(CircuitClosed)
}

// A new policy changes nothing of what is counted.
func TestPolicyChanges(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.attempt(4, Outcome{Class: ClassServer})
	b.circuits.Get(modelKey, &upstream.CircuitPolicy{OpenFor: caddy.Duration(time.Minute)})
	b.circuits.Get(modelKey, nil)
	b.attempt(1, Outcome{Class: ClassServer})
	b.until(CircuitOpen, time.Minute)
}

func TestOverdue(t *testing.T) {
	b := newBench(t, modelKey, nil)
	overdue := func(want bool) {
		t.Helper()
		if got := b.c.Overdue(b.now); got != want {
			t.Fatalf("overdue is %t", got)
		}
	}
	overdue(false)
	b.trip() // open for 15 s
	overdue(false)
	b.wait(45*time.Second - 1)
	overdue(false)
	b.wait(1)
	overdue(true)
	p := b.allow()
	overdue(false)
	p.Done(b.now, Outcome{})
	overdue(false)
	b.wait(45 * time.Second)
	overdue(true)
	b.c.Force(b.now, time.Time{}, "why", "ann")
	b.wait(time.Hour)
	overdue(false)
}

func TestBypass(t *testing.T) {
	b := newBench(t, modelKey, nil)
	b.attempt(5, Outcome{Class: ClassServer})
	before := b.is(CircuitOpen)
	for _, o := range of(ClassServer, ClassOK, ClassBrokenStream) {
		p, ok := b.c.Bypass(b.now)
		if !ok || p.Probe() {
			t.Fatalf("permit is %+v, %t", p, ok)
		}
		p.Done(b.now, o)
	}
	if v := b.is(CircuitOpen); v.Generation != before.Generation || !v.Until.Equal(before.Until) {
		t.Errorf("it moved: %+v", v)
	}
	c := newBench(t, CircuitKey{Scope: ScopeCredential, Upstream: "u", Credential: "c"}, nil)
	c.attempt(1, Outcome{Class: ClassExhausted})
	if _, ok := c.c.Bypass(c.now); ok {
		t.Error("it goes through an exhausted credential")
	}
}

// The zero permit, and a result that comes twice.
func TestPermitMisuse(t *testing.T) {
	var none Permit
	none.Started(time.Time{})
	none.Done(time.Time{}, Outcome{Class: 250})
	none.Cancel(time.Time{})
	b := newBench(t, modelKey, nil)
	b.attempt(1, Outcome{Class: 250, Status: -1, RetryAfter: math.MinInt64, Latency: math.MinInt64})
	b.trip()
	p := b.allow()
	p.Done(b.now, Outcome{})
	other := b.allow()
	p.Done(b.now, Outcome{})
	p.Started(b.now)
	p.Cancel(b.now)
	if _, ok := b.c.Allow(b.now); ok {
		t.Error("a permit that was used frees the lease of another")
	}
	other.Cancel(b.now)
	b.is(CircuitHalfOpen)
	for _, now := range []time.Time{{}, time.Unix(1<<55, 0), time.Unix(-1<<55, 0)} {
		if p, ok := b.c.Allow(now); ok {
			p.Done(now, Outcome{Class: ClassServer})
		}
		b.c.Throttle(now, math.MaxInt64)
		b.c.View(now)
	}
}
