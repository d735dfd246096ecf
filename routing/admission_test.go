package routing

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// scene is a model with its state, a router and a clock that stands still.
type scene struct {
	t     testing.TB
	state *State
	s     *Snapshot
	r     *Router
	now   time.Time
}

func newScene(t testing.TB, upstreams, models string) *scene {
	t.Helper()
	g := &scene{t: t, state: NewState(), r: seeded(), now: time.Now()}
	g.state.Circuits.Random = func() float64 { return 0.5 }
	g.s = observedBy(t, g.state, upstreams, models)
	return g
}

func (g *scene) plan(request Request) *Plan {
	g.t.Helper()
	p, err := g.r.Plan(g.s, request)
	if err != nil {
		g.t.Fatal(err)
	}
	return &p
}

// admitted is the upstream model that a new request gets; "" for none. It is given
// back at once.
func (g *scene) admitted(last bool) string {
	g.t.Helper()
	a, ok := g.plan(chatRequest("m")).Admit(g.now, last)
	if !ok {
		return ""
	}
	defer a.Cancel(g.now)
	return a.Candidate.Model
}

// circuit finds a circuit.
func (g *scene) circuit(scope Scope, upstream, model, credential string) *Circuit {
	return g.state.Circuits.Get(CircuitKey{scope, upstream, model, credential}, nil)
}

// open opens the circuit of an upstream model by failures.
func (g *scene) open(upstream, model string) {
	g.t.Helper()
	c := g.circuit(ScopeUpstreamModel, upstream, model, "")
	for range 5 {
		p, ok := c.Allow(g.now)
		if !ok {
			g.t.Fatal("the circuit is open already")
		}
		p.Done(g.now, Outcome{Class: ClassServer, Status: 500})
	}
	if c.View(g.now).State != CircuitOpen {
		g.t.Fatal("five failures did not open the circuit")
	}
}

// idle says that every place was given back.
func (g *scene) idle() {
	g.t.Helper()
	for name, c := range candidates(g.t, g.s) {
		if n := c.State().InFlight(); n != 0 {
			g.t.Errorf("%s: %d attempts are under way", name, n)
		}
		if n := c.Upstream.InFlight(); n != 0 {
			g.t.Errorf("upstream of %s: %d requests are under way", name, n)
		}
	}
}

func TestAdmitByWeight(t *testing.T) {
	g := newScene(t, "", abc("", 70, 30, 0))
	counts := map[string]int{}
	for range 2000 {
		counts[g.admitted(false)]++
	}
	within(t, counts, 4, map[string]float64{"x": 70, "y": 30})
	g.open("a", "x")
	if got := g.admitted(false); got != "y" {
		t.Errorf("with x open: got %q, want y", got)
	}
	g.circuit(ScopeUpstream, "b", "", "").Force(g.now, time.Time{}, "repair", "ann")
	if got := g.admitted(false); got != "z" {
		t.Errorf("with x and y open: got %q, want z, which is drained", got)
	}
	g.circuit(ScopeUpstreamModel, "c", "z", "").Throttle(g.now, 3*time.Second)
	if got := g.admitted(false); got != "" {
		t.Errorf("with all barred: got %q", got)
	}
	g.idle()
}

// Opening a circuit takes its source out of the turns and leaves the others
// theirs.
func TestOpenSourceTakesNoTurn(t *testing.T) {
	for _, policy := range []string{"round_robin", "weighted_round_robin"} {
		t.Run(policy, func(t *testing.T) {
			g := newScene(t, "", abc(`"policy":{"policy":"`+policy+`"},`, 1, 1, 1))
			g.open("a", "x")
			counts := map[string]int{}
			for range 200 {
				counts[g.admitted(false)]++
			}
			if counts["y"] != 100 || counts["z"] != 100 {
				t.Errorf("got %v, want 100 for y and z", counts)
			}
		})
	}
}

// The favourite of a key is left while it is open, for the same other one every
// time, and comes back when it has healed.
func TestStickyKeyFailsOverAndReturns(t *testing.T) {
	for _, options := range []string{`"policy":{"policy":"header_hash","header":"X-Session"},`, `"sticky_header":"X-Session",`} {
		g := newScene(t, "", abc(options, 1, 1, 1))
		request := chatRequest("m")
		request.Header = http.Header{"X-Session": {"conversation 7"}}
		get := func() string {
			seen := map[string]bool{}
			for range 50 {
				a, ok := g.plan(request).Admit(g.now, true)
				if !ok {
					t.Fatal("no source")
				}
				seen[a.Candidate.Model] = true
				a.Done(g.now, Outcome{})
			}
			if len(seen) != 1 {
				t.Fatalf("got %v, want one source", seen)
			}
			return slices.Collect(maps.Keys(seen))[0]
		}
		favourite := get()
		upstream := map[string]string{"x": "a", "y": "b", "z": "c"}[favourite]
		g.open(upstream, favourite)
		second := get()
		if second == favourite {
			t.Errorf("%s is open and still served", favourite)
		}
		g.circuit(ScopeUpstreamModel, upstream, favourite, "").Reset(g.now, "ann")
		if got := get(); got != favourite {
			t.Errorf("after healing: got %s, want %s", got, favourite)
		}
	}
}

func TestAdmissionJudges(t *testing.T) {
	const keyed = `"a":{"base_url":"http://a","credentials":[{"type":"bearer","token":"k"}]}`
	for _, tc := range []struct {
		class    Class
		attempts int
		opens    Scope
	}{
		{ClassConnect, 5, ScopeUpstream},
		{ClassServer, 5, ScopeUpstreamModel},
		{ClassTimeout, 5, ScopeUpstreamModel},
		{ClassBrokenStream, 5, ScopeUpstreamModel},
		{ClassMissing, 2, ScopeUpstreamModel},
		{ClassCredential, 2, ScopeCredential},
		{ClassExhausted, 1, ScopeCredential},
		{ClassClientFault, 20, ""},
		{ClassAbandoned, 20, ""},
		{ClassUnsupported, 20, ""},
		{ClassOK, 20, ""},
	} {
		t.Run(tc.class.String(), func(t *testing.T) {
			g := newScene(t, keyed, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
			for i := range tc.attempts {
				a, ok := g.plan(chatRequest("m")).Admit(g.now, false)
				if !ok {
					t.Fatalf("attempt %d is not admitted", i+1)
				}
				if a.Credential != "1" {
					t.Fatalf("got credential %q", a.Credential)
				}
				a.Done(g.now, Outcome{Class: tc.class})
				a.Done(g.now, Outcome{Class: ClassServer}) // does nothing
				a.Cancel(g.now)
			}
			for _, c := range []*Circuit{g.circuit(ScopeUpstream, "a", "", ""), g.circuit(ScopeUpstreamModel, "a", "x", ""), g.circuit(ScopeCredential, "a", "", "1")} {
				v := c.View(g.now)
				if open := v.State == CircuitOpen; open != (v.Key.Scope == tc.opens) {
					t.Errorf("%s is %s", v.Key.Scope, v.State)
				}
			}
			if got := g.admitted(false); (got == "") != (tc.opens != "") {
				t.Errorf("the next request gets %q", got)
			}
			g.idle()
		})
	}
}

// A permit of one circuit is given back when another refuses, or else its probe
// would be lost.
func TestPermitsAreGivenBack(t *testing.T) {
	g := newScene(t, `"a":{"base_url":"http://a","max_concurrency":1}`, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	upstream := g.circuit(ScopeUpstream, "a", "", "")
	upstream.Force(g.now, g.now.Add(time.Minute), "repair", "ann")
	model := g.circuit(ScopeUpstreamModel, "a", "x", "")
	g.open("a", "x")
	g.now = g.now.Add(time.Minute + 1) // both are half open
	held, ok := model.Allow(g.now)
	if !ok {
		t.Fatal("no probe of the upstream model")
	}
	for range 3 {
		if got := g.admitted(false); got != "" {
			t.Fatalf("got %q while the probe is out", got)
		}
	}
	held.Cancel(g.now)
	a, ok := g.plan(chatRequest("m")).Admit(g.now, false)
	if !ok || !a.Probe() {
		t.Fatalf("the probe of the upstream was lost: %v", a)
	}
	if got := g.admitted(false); got != "" {
		t.Errorf("got %q beside the probe", got)
	}
	a.Cancel(g.now)
	g.idle()
}

// Of a crowd before a half-open circuit one request is the probe, and the others
// go elsewhere.
func TestCrowdAtHalfOpen(t *testing.T) {
	for _, policy := range []string{"weighted", "round_robin", "least_conn"} {
		t.Run(policy, func(t *testing.T) {
			g := newScene(t, "", `"m":{"policy":{"policy":"`+policy+`"},"sources":[{"upstream":"a","model":"x","weight":10},{"upstream":"b","model":"y"}]}`)
			g.r = new(Router)
			g.open("a", "x")
			g.now = g.now.Add(20 * time.Second)
			var probes, others atomic.Int64
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					p, err := g.r.Plan(g.s, chatRequest("m"))
					if err != nil {
						t.Error(err)
						return
					}
					a, ok := p.Admit(g.now, false)
					switch {
					case !ok:
						t.Error("a request got no source")
					case a.Candidate.Model == "x" && a.Probe():
						probes.Add(1)
					case a.Candidate.Model == "y":
						others.Add(1)
						a.Done(g.now, Outcome{})
					}
				})
			}
			wg.Wait()
			if probes.Load() != 1 || others.Load() != 49 {
				t.Errorf("got %d probes and %d others, want 1 and 49", probes.Load(), others.Load())
			}
		})
	}
}

// A failed probe falls through to the next source.
func TestFailedProbeFallsThrough(t *testing.T) {
	g := newScene(t, "", `"m":{"policy":{"policy":"first"},"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y"}]}`)
	g.open("a", "x")
	g.now = g.now.Add(20 * time.Second)
	p := g.plan(chatRequest("m"))
	a, ok := p.Admit(g.now, false)
	if !ok || !a.Probe() || a.Candidate.Model != "x" {
		t.Fatalf("got %+v, want a probe of x", a)
	}
	a.Done(g.now, Outcome{Class: ClassServer, Status: 500})
	if a, ok = p.Admit(g.now, true); !ok || a.Candidate.Model != "y" {
		t.Fatalf("got %+v, want y", a)
	}
	a.Done(g.now, Outcome{})
	if _, ok := p.Admit(g.now, true); ok {
		t.Error("a third source")
	}
	g.idle()
}

// A request that can try only one more source is no probe, unless nothing else is
// left.
func TestLastAttemptIsNoProbe(t *testing.T) {
	for _, policy := range []string{"weighted", "first"} {
		g := newScene(t, "", `"m":{"policy":{"policy":"`+policy+`"},"sources":[{"upstream":"a","model":"x","weight":1000},{"upstream":"b","model":"y","priority":2}]}`)
		g.open("a", "x")
		g.now = g.now.Add(20 * time.Second)
		for range 5 {
			if got := g.admitted(true); got != "y" {
				t.Fatalf("%s: got %q, want y", policy, got)
			}
		}
		if got := g.admitted(false); got != "x" {
			t.Errorf("%s: a request with attempts left gets %q, want x", policy, got)
		}
		g.circuit(ScopeUpstreamModel, "b", "y", "").Force(g.now, time.Time{}, "repair", "ann")
		if got := g.admitted(true); got != "x" {
			t.Errorf("%s: with nothing else left: got %q, want x", policy, got)
		}
		g.idle()
	}
}

// A half-open source of low priority, which no request draws by itself, is probed
// after three open times.
func TestOverdueProbe(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y","priority":2}]}`)
	g.open("b", "y")
	start := g.now
	for after, want := range map[time.Duration]string{20 * time.Second: "x", 59 * time.Second: "x", 61 * time.Second: "y"} {
		g.now = start.Add(after)
		if got := g.admitted(true); got != "x" {
			t.Errorf("after %s a last attempt gets %q, want x", after, got)
		}
		if after < time.Minute {
			if got := g.admitted(false); got != want {
				t.Errorf("after %s: got %q, want %s", after, got, want)
			}
		}
	}
	g.now = start.Add(61 * time.Second)
	p := g.plan(chatRequest("m"))
	probe, ok := p.Admit(g.now, false)
	if !ok || probe.Candidate.Model != "y" || !probe.Probe() {
		t.Fatalf("got %+v, want a probe of y", probe)
	}
	if got := g.admitted(false); got != "x" {
		t.Errorf("beside the probe: got %q, want x", got)
	}
	probe.Done(g.now, Outcome{Class: ClassTimeout})
	var rest []string
	for a, ok := p.Admit(g.now, false); ok; a, ok = p.Admit(g.now, false) {
		rest = append(rest, a.Candidate.Model)
		a.Done(g.now, Outcome{Class: ClassServer})
	}
	if !slices.Equal(rest, []string{"x"}) {
		t.Errorf("after the probe: got %v, want x and nothing twice", rest)
	}
	g.idle()
}

const pool = `"a":{"base_url":"http://a","credentials":[{"type":"bearer","token":"k1","id":"one","weight":3},{"type":"bearer","token":"k2","id":"two"}]}`

func TestCredentialPool(t *testing.T) {
	g := newScene(t, pool, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	admit := func(sticky string) Admission {
		request := chatRequest("m")
		request.Sticky = sticky
		a, ok := g.plan(request).Admit(g.now, false)
		if !ok {
			t.Fatal("not admitted")
		}
		return a
	}
	counts := map[string]int{}
	for range 2000 {
		a := admit("")
		counts[a.Credential]++
		a.Done(g.now, Outcome{})
	}
	within(t, counts, 4, map[string]float64{"one": 75, "two": 25})

	favourite := admit("conversation")
	for range 50 {
		a := admit("conversation")
		if a.Credential != favourite.Credential {
			t.Fatalf("got %s after %s", a.Credential, favourite.Credential)
		}
		a.Done(g.now, Outcome{})
	}
	// Too many requests bar one credential, and not the model with all of them.
	favourite.Done(g.now, Outcome{Class: ClassThrottled, RetryAfter: 2 * time.Second})
	other := admit("conversation")
	first := map[string]string{"one": "two", "two": "one"}[other.Credential]
	other.Done(g.now, Outcome{Class: ClassExhausted})
	p := g.plan(chatRequest("m"))
	if a, ok := p.Admit(g.now, false); ok {
		t.Fatalf("got %+v with both credentials barred", a)
	}
	none := p.NoSource(g.now)
	if !none.Throttled || none.RetryAfter != 2*time.Second {
		t.Errorf("got %+v, want to be throttled for 2 s, when the first credential is back", none)
	}
	g.now = g.now.Add(2*time.Second + 1)
	if a := admit("conversation"); a.Credential != first {
		t.Errorf("got %s, want %s back", a.Credential, first)
	}
}

// A credential of the client's own neither asks nor moves the circuits of ours.
func TestOverride(t *testing.T) {
	g := newScene(t, strings.Replace(pool, `"base_url"`, `"allow_override":true,"base_url"`, 1), `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	for _, id := range []string{"one", "two"} {
		g.circuit(ScopeCredential, "a", "", id).Force(g.now, time.Time{}, "leaked", "ann")
	}
	if got := g.admitted(false); got != "" {
		t.Fatalf("got %q without a credential", got)
	}
	request := chatRequest("m")
	request.Override = true
	for range 3 {
		a, ok := g.plan(request).Admit(g.now, false)
		if !ok || a.Credential != "" {
			t.Fatalf("got %+v, %v", a, ok)
		}
		a.Done(g.now, Outcome{Class: ClassCredential})
	}
	g.idle()
}

func TestConcurrencyLimit(t *testing.T) {
	g := newScene(t, `"a":{"base_url":"http://a","max_concurrency":2}`, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	var under []Admission
	for range 2 {
		a, ok := g.plan(chatRequest("m")).Admit(g.now, false)
		if !ok {
			t.Fatal("not admitted")
		}
		under = append(under, a)
	}
	p := g.plan(chatRequest("m"))
	if _, ok := p.Admit(g.now, false); ok {
		t.Fatal("a third request is admitted")
	}
	none := p.NoSource(g.now)
	if none.Throttled || none.RetryAfter != time.Second || none.Error() != `model "m" has no usable source: a:x has as many requests as it may` {
		t.Errorf("got %v, %+v", none, none)
	}
	for i := range under {
		under[i].Done(g.now, Outcome{})
	}
	if got := g.admitted(false); got != "x" {
		t.Errorf("got %q", got)
	}
	g.idle()
}

// The latency of a stream is that to its first content, and its attempt is under
// way until its end.
func TestAdmissionMeasures(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	state := candidates(t, g.s)["x"].State()
	a, _ := g.plan(chatRequest("m")).Admit(g.now, false)
	if state.InFlight() != 1 {
		t.Errorf("%d attempts are under way", state.InFlight())
	}
	a.Started(g.now.Add(80 * time.Millisecond))
	a.Started(g.now.Add(90 * time.Millisecond))
	if state.Latency() != 80*time.Millisecond || state.InFlight() != 1 {
		t.Errorf("latency %s, %d under way", state.Latency(), state.InFlight())
	}
	a.Done(g.now.Add(time.Hour), Outcome{Stream: true})
	if state.Latency() != 80*time.Millisecond {
		t.Errorf("after the end: latency %s", state.Latency())
	}
	for _, o := range []Outcome{{Class: ClassServer, Latency: time.Hour}, {Class: ClassAbandoned, Latency: time.Hour}} {
		a, _ = g.plan(chatRequest("m")).Admit(g.now, false)
		a.Done(g.now.Add(time.Hour), o)
	}
	a, _ = g.plan(chatRequest("m")).Admit(g.now, false)
	a.Cancel(g.now.Add(time.Hour))
	if state.Latency() != 80*time.Millisecond {
		t.Errorf("after failures: latency %s", state.Latency())
	}
	a, _ = g.plan(chatRequest("m")).Admit(g.now, false)
	a.Done(g.now.Add(180*time.Millisecond), Outcome{})
	if state.Latency() != 100*time.Millisecond {
		t.Errorf("after an answer of 180 ms: latency %s, want 100ms", state.Latency())
	}
	var none Admission
	none.Started(g.now)
	none.Done(g.now, Outcome{})
	none.Cancel(g.now)
	g.idle()
}

func TestZeroPlan(t *testing.T) {
	var p Plan
	now := time.Now()
	if _, ok := p.Admit(now, false); ok {
		t.Error("the zero plan admits")
	}
	if _, ok := p.LastResort(now); ok {
		t.Error("the zero plan has a last resort")
	}
	if e := p.NoSource(now); e.Model != "" || len(e.Skipped) != 0 {
		t.Errorf("got %+v", e)
	}
	var none *NoSourceError
	if !errors.As(error(p.NoSource(now)), &none) {
		t.Error("no NoSourceError")
	}
}

func BenchmarkAdmit(b *testing.B) {
	g := newScene(b, "", `"m":{"sources":[{"upstream":"a","model":"x","weight":70},{"upstream":"b","model":"y","weight":30},{"upstream":"c","model":"z","priority":2}]}`)
	g.r = new(Router)
	request := chatRequest("m")
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p, err := g.r.Plan(g.s, request)
		if err != nil {
			b.Fatal(err)
		}
		a, ok := p.Admit(now, false)
		if !ok {
			b.Fatal("not admitted")
		}
		a.Done(now, Outcome{Latency: time.Second})
	}
}

func BenchmarkAdmitFromPool(b *testing.B) {
	g := newScene(b, pool, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.r = new(Router)
	request := chatRequest("m")
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p, err := g.r.Plan(g.s, request)
		if err != nil {
			b.Fatal(err)
		}
		a, ok := p.Admit(now, false)
		if !ok {
			b.Fatal("not admitted")
		}
		a.Done(now, Outcome{Latency: time.Second})
	}
}
