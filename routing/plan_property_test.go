package routing

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawSources draws the sources of a model on the upstreams a and b, called m0, m1 and
// so on.
func drawSources(t *rapid.T, count, priority, weight *rapid.Generator[int]) string {
	var sources []string
	for i := range count.Draw(t, "sources") {
		sources = append(sources, fmt.Sprintf(`{"upstream":%q,"model":"m%d","priority":%d,"weight":%d}`,
			rapid.SampledFrom([]string{"a", "b"}).Draw(t, "upstream"), i,
			priority.Draw(t, "priority"), weight.Draw(t, "weight")))
	}
	return strings.Join(sources, ",")
}

var priorities = rapid.IntRange(1, 3)

// rank is the place of a candidate's kind in a plan: by priority, and in each those
// that are drained last.
func rank(c *Candidate) int { return 2*c.Source.priority() + drained(c) }

// TestPlanProperties shows that whatever the policy, a plan holds every source once, by
// priority, and those that are drained behind the others.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		count, priority, policies := rapid.IntRange(1, 9), priorities, everyPolicy
		if rapid.IntRange(0, 3).Draw(rt, "crowd") == 0 {
			// Drawing by weight marks what was drawn in words of 64.
			count, priority, policies = rapid.SampledFrom([]int{63, 64, 65, 128, 130}), rapid.Just(1), everyPolicy[:1]
		}
		sources := drawSources(rt, count, priority, rapid.IntRange(0, 3))
		policy := rapid.SampledFrom(policies).Draw(rt, "policy")
		s := snapshot(t, "", `"m":{"policy":`+policy+`,"sources":[`+sources+`]}`)
		request := chatRequest("m")
		request.ClientIP = fmt.Sprint("10.0.0.", rapid.IntRange(0, 255).Draw(rt, "address"))
		request.Header = http.Header{"X-Session": {rapid.StringMatching(`[a-z]{0,8}`).Draw(rt, "session")}}
		p, err := seeded().Plan(s, request)
		if err != nil {
			rt.Fatal(err)
		}
		drawn, last := map[string]bool{}, 0
		for c, ok := p.Next(); ok; c, ok = p.Next() {
			if drawn[c.Model] {
				rt.Fatalf("%s came twice", c.Model)
			}
			drawn[c.Model] = true
			if rank(c) < last {
				rt.Fatalf("%s of priority %d and weight %d comes too late", c.Model, c.Source.priority(), c.Weight())
			}
			last = rank(c)
		}
		if want := strings.Count(sources, "{"); len(drawn) != want {
			rt.Fatalf("%d of %d sources came", len(drawn), want)
		}
		if _, ok := p.Next(); ok {
			rt.Fatal("Next goes on after its end")
		}
	})
}

// TestWeightProperties shows that the sources of the first priority come first as
// often as their weights say, within 4 points in 2,000 plans. The numbers they are
// drawn by are spread evenly, so that no chance is left that could fail the test.
func TestWeightProperties(t *testing.T) {
	const plans, tolerance = 2000, 4.0
	rapid.Check(t, func(rt *rapid.T) {
		s := snapshot(t, "", `"m":{"sources":[`+drawSources(rt, rapid.IntRange(1, 6), priorities, rapid.IntRange(0, 1000))+`]}`)
		part := 0.0
		r := &Router{IntN: func(n int) int { return int(part * float64(n)) }}
		counts := map[*Source]int{}
		var first group
		for i := range plans {
			part = (float64(i) + 0.5) / plans
			p, err := r.Plan(s, chatRequest("m"))
			if err != nil {
				rt.Fatal(err)
			}
			first = p.way.groups[0]
			c, ok := p.Next()
			if !ok {
				rt.Fatal("the plan is empty")
			}
			counts[c.Source]++
		}
		for i := range first.candidates {
			c := &first.candidates[i]
			want := 100 / float64(len(first.candidates)) // if all are drained
			if first.weight > 0 {
				want = 100 * float64(c.weight) / float64(first.weight)
			}
			if got := 100 * float64(counts[c.Source]) / plans; math.Abs(got-want) > tolerance {
				rt.Errorf("%s of weight %d in %d: got %.1f %%, want %.1f %%", c.Model, c.weight, first.weight, got, want)
			}
			delete(counts, c.Source)
		}
		if len(counts) > 0 {
			rt.Errorf("sources of other priorities come first: %v", counts)
		}
	})
}

// fates are what may have become of a circuit.
var fates = map[string]func(now time.Time, c *Circuit){
	"closed":    func(time.Time, *Circuit) {},
	"throttled": func(now time.Time, c *Circuit) { c.Throttle(now, time.Minute) },
	"forced":    func(now time.Time, c *Circuit) { c.Force(now, time.Time{}, "repair", "ann") },
	"open":      fail,
	"half open": failBefore,
	"probed": func(now time.Time, c *Circuit) {
		failBefore(now, c)
		c.Allow(now) // its lease is all that is wanted of the permit
	},
	"reset": func(now time.Time, c *Circuit) {
		fail(now, c)
		c.Reset(now, "ann")
	},
}

// failing is a class of failures that each scope counts.
var failing = map[Scope]Class{ScopeUpstream: ClassConnect, ScopeUpstreamModel: ClassServer, ScopeCredential: ClassCredential}

// fail opens a circuit by failures.
func fail(now time.Time, c *Circuit) {
	for range 5 {
		if p, ok := c.Allow(now); ok {
			p.Done(now, Outcome{Class: failing[c.key.Scope]})
		}
	}
}

// failBefore opens a circuit so that its time is just over.
func failBefore(now time.Time, c *Circuit) {
	ago := 16 * time.Second
	if c.key.Scope == ScopeCredential {
		ago = openCredential + time.Second
	}
	fail(now.Add(-ago), c)
}

// drawFates gives every circuit of the model's sources a fate. Those that are shared are
// closed more often, so that something is left.
func drawFates(t *rapid.T, g *scene) {
	closed := rapid.Just("closed")
	other := rapid.SampledFrom([]string{"half open", "open", "throttled", "forced", "probed", "reset"})
	own, shared := rapid.OneOf(closed, other), rapid.OneOf(closed, closed, closed, other)
	seen := map[*Circuit]bool{}
	draw := func(fate *rapid.Generator[string], c *Circuit) {
		if !seen[c] {
			seen[c] = true
			fates[fate.Draw(t, fmt.Sprint(c.Key()))](g.now, c)
		}
	}
	all := candidates(g.t, g.s)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		draw(own, c.modelCircuit)
		draw(shared, c.upstreamCircuit)
		for _, key := range c.keys {
			draw(shared, key.circuit)
		}
	}
}

// refuses says that a circuit admits nothing.
func refuses(now time.Time, c *Circuit) bool {
	_, refused := c.Refusal(now)
	return refused
}

// mayServe says whether a candidate's circuits let it serve, as the circuits
// themselves tell, and whether only a probe would do.
func mayServe(now time.Time, c *Candidate) (serves, probe bool) {
	for _, circuit := range []*Circuit{c.upstreamCircuit, c.modelCircuit} {
		if refuses(now, circuit) {
			return false, false
		}
		probe = probe || circuit.View(now).State == CircuitHalfOpen
	}
	closed := false
	for _, key := range c.keys {
		serves = serves || !refuses(now, key.circuit)
		closed = closed || key.circuit.View(now).State == CircuitClosed && !refuses(now, key.circuit)
	}
	return serves, serves && (probe || !closed)
}

// way is one request's way through the sources that may serve it.
type way struct {
	t    *rapid.T
	g    *scene
	plan *Plan
	left map[string]*Candidate // that may serve it and did not come
}

// TestAdmitProperties shows that whatever circuits do, a request gets each source that
// they admit once, of the best kind that is left, none that they bar, and that in the
// end every place is given back.
func TestAdmitProperties(t *testing.T) {
	const upstreams = pool + `,"b":{"base_url":"http://b"}`
	rapid.Check(t, func(rt *rapid.T) {
		sources := drawSources(rt, rapid.IntRange(1, 8), priorities, rapid.IntRange(0, 2))
		policy := rapid.SampledFrom(everyPolicy).Draw(rt, "policy")
		g := newScene(t, upstreams, `"m":{"policy":`+policy+`,"sources":[`+sources+`]}`)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		g.r.IntN = random.IntN
		drawFates(rt, g)
		w := &way{t: rt, g: g, plan: g.plan(chatRequest("m")), left: map[string]*Candidate{}}
		for name, c := range candidates(t, g.s) {
			if serves, _ := mayServe(g.now, c); serves {
				w.left[name] = c
			}
		}
		for range rapid.IntRange(0, 9).Draw(rt, "attempts") {
			w.attempt()
		}
		w.lastAttempt()
		for name, c := range candidates(t, g.s) {
			if c.State().InFlight() != 0 || c.Upstream.InFlight() != 0 {
				rt.Fatalf("%s: %d attempts are under way, %d at its upstream", name, c.State().InFlight(), c.Upstream.InFlight())
			}
		}
	})
}

// attempt asks for a source, with more attempts to come.
func (w *way) attempt() {
	for name, c := range w.left { // a probe that went wrong, or an exhausted key
		if serves, _ := mayServe(w.g.now, c); !serves {
			delete(w.left, name)
		}
	}
	a, ok := w.plan.Admit(w.g.now, false)
	if ok != (len(w.left) > 0) {
		w.t.Fatalf("admitted is %t with %d sources left", ok, len(w.left))
	}
	if !ok {
		return
	}
	w.took(&a)
	for _, c := range w.left {
		if rank(c) < rank(a.Candidate) {
			w.t.Fatalf("%s came before %s", a.Candidate.Model, c.Model)
		}
	}
	w.end(&a)
}

// lastAttempt asks for a source that nothing else will follow, and then for the last
// resort.
func (w *way) lastAttempt() {
	sure := false // a source is left that is no probe
	for name, c := range w.left {
		serves, probe := mayServe(w.g.now, c)
		sure = sure || serves && !probe
		if !serves {
			delete(w.left, name)
		}
	}
	a, ok := w.plan.Admit(w.g.now, true)
	if ok != (len(w.left) > 0) {
		w.t.Fatalf("the last attempt is %t with %d sources left", ok, len(w.left))
	}
	if ok {
		w.took(&a)
		if a.Probe() && sure {
			w.t.Fatalf("%s is a probe, though a sure one was left", a.Candidate.Model)
		}
		w.end(&a)
		return
	}
	a, ok = w.plan.LastResort(w.g.now)
	if !ok {
		return
	}
	for _, c := range []*Circuit{a.Candidate.upstreamCircuit, a.Candidate.modelCircuit} {
		if v := c.View(w.g.now); v.State == CircuitForcedOpen || !v.ThrottledUntil.IsZero() {
			w.t.Fatalf("the last resort goes through %+v", v)
		}
	}
	a.Cancel(w.g.now)
}

// took checks that the source may serve, with the credential that is to be used.
func (w *way) took(a *Admission) {
	c, ok := w.left[a.Candidate.Model]
	if !ok {
		w.t.Fatalf("%s is barred, or came twice", a.Candidate.Model)
	}
	delete(w.left, c.Model)
	if a.Probe() {
		return // its lease now bars the circuit
	}
	if key := c.key(a.Credential); key != nil && refuses(w.g.now, key) {
		w.t.Fatalf("the credential %s of %s is barred", a.Credential, c.Model)
	}
}

// end ends an attempt in any way.
func (w *way) end(a *Admission) {
	switch class := rapid.SampledFrom([]Class{ClassOK, ClassClientFault, ClassServer, ClassExhausted, ClassThrottled, ClassRefused}).Draw(w.t, "outcome"); class {
	case ClassRefused:
		a.Cancel(w.g.now)
	default:
		a.Done(w.g.now, Outcome{Class: class})
	}
}
