package routing

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"pgregory.net/rapid"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// trial does anything to a circuit in any order, and checks after each step what
// must hold always.
type trial struct {
	*bench
	t      *rapid.T
	policy *upstream.CircuitPolicy
	open   []Permit // that were neither done nor cancelled
	used   []Permit
	probes map[Permit]time.Time // those in flight, and when their leases end
	before CircuitView
	// decided says that the last step was a person's, or told that the upstream is
	// another one: only these may make an end come earlier.
	decided bool
	// wished is how long the last outcome asked to be left alone.
	wished time.Duration
	spread float64 // of the next open time
}

func newTrial(t *rapid.T) *trial {
	policy := &upstream.CircuitPolicy{
		Failures:   rapid.IntRange(1, 5).Draw(t, "failures"),
		Probes:     rapid.IntRange(1, 3).Draw(t, "probes"),
		OpenFor:    caddy.Duration(rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(t, "open for")),
		OpenForMax: caddy.Duration(rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "open for at most")),
		SlowOver:   caddy.Duration(rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(t, "slow over")),
	}
	key := rapid.SampledFrom([]CircuitKey{
		{Scope: ScopeUpstream, Upstream: "u"}, modelKey, {Scope: ScopeCredential, Upstream: "u", Credential: "c"},
	}).Draw(t, "circuit")
	tr := &trial{bench: newBench(t, key, policy), t: t, policy: policy, probes: map[Permit]time.Time{}}
	tr.begin(key)
	tr.before = tr.view()
	return tr
}

// begin is what a process does that starts: it has a new circuit.
func (tr *trial) begin(key CircuitKey) {
	tr.circuits = NewCircuits()
	tr.circuits.Random = func() float64 { return tr.spread }
	tr.c = tr.circuits.Get(key, tr.policy)
	tr.open, tr.used = nil, nil
	clear(tr.probes)
}

// actions are what can happen; what is common has several names.
func (tr *trial) actions() map[string]func(*rapid.T) {
	step := func(act func()) func(*rapid.T) {
		return func(*rapid.T) {
			tr.decided = false
			act()
		}
	}
	return map[string]func(*rapid.T){
		"":       func(*rapid.T) { tr.check() },
		"ask":    step(func() { tr.ask(tr.c.Allow) }),
		"ask 2":  step(func() { tr.ask(tr.c.Allow) }),
		"ask 3":  step(func() { tr.ask(tr.c.Allow) }),
		"bypass": step(tr.bypass),
		"done":   step(tr.done),
		"done 2": step(tr.done),
		"done 3": step(tr.done),
		"cancel": step(func() { tr.take().Cancel(tr.now) }),
		"cancel again": step(func() { // a mistake, which must free nothing
			if len(tr.used) > 0 {
				rapid.SampledFrom(tr.used).Draw(tr.t, "permit").Cancel(tr.now)
			}
		}),
		"first content": step(tr.started),
		"seconds":       step(func() { tr.wait(tr.duration(20_000, time.Millisecond)) }),
		"minutes":       step(func() { tr.wait(tr.duration(20, time.Minute)) }),
		"person":        step(tr.person),
		"throttle":      step(func() { tr.c.Throttle(tr.now, tr.duration(30, time.Minute)) }),
		"escalate":      step(tr.escalate),
		"identify":      step(tr.identify),
		"restart":       step(tr.restart),
	}
}

// duration draws a number of units, below n.
func (tr *trial) duration(n int, unit time.Duration) time.Duration {
	return time.Duration(rapid.IntRange(0, n-1).Draw(tr.t, "time")) * unit
}

// take removes a permit that was not used yet; the zero permit if there is none.
func (tr *trial) take() Permit {
	if len(tr.open) == 0 {
		return Permit{}
	}
	i := rapid.IntRange(0, len(tr.open)-1).Draw(tr.t, "permit")
	p := tr.open[i]
	tr.open = append(tr.open[:i], tr.open[i+1:]...)
	tr.used = append(tr.used, p)
	delete(tr.probes, p)
	return p
}

// outcome draws how an attempt ended, and what the circuit draws if it opens now.
func (tr *trial) outcome() Outcome {
	class := rapid.SampledFrom([]Class{ClassOK, ClassServer, ClassConnect, ClassCredential})
	if rapid.Bool().Draw(tr.t, "any class") {
		class = rapid.Map(rapid.IntRange(0, int(ClassRefused)), func(i int) Class { return Class(i) })
	}
	o := Outcome{
		Class:      class.Draw(tr.t, "class"),
		Status:     rapid.SampledFrom([]int{0, 408, 500}).Draw(tr.t, "status"),
		Stream:     rapid.Bool().Draw(tr.t, "stream"),
		RetryAfter: rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, 10 * time.Minute, 18 * 24 * time.Hour}).Draw(tr.t, "retry after"),
		Latency:    tr.duration(4, time.Second),
	}
	tr.wished = o.RetryAfter
	tr.spread = float64(rapid.IntRange(0, 99).Draw(tr.t, "spread")) / 100
	return o
}

func (tr *trial) done() {
	p := tr.take()
	p.Done(tr.now, tr.outcome())
}

func (tr *trial) started() {
	if len(tr.open) == 0 {
		return
	}
	p := rapid.SampledFrom(tr.open).Draw(tr.t, "permit")
	p.Started(tr.now)
	delete(tr.probes, p)
}

// ask asks for a permit and checks that it is given exactly when it may be.
func (tr *trial) ask(allow func(time.Time) (Permit, bool)) {
	v := tr.view()
	refusal, refused := tr.c.Refusal(tr.now)
	p, ok := allow(tr.now)
	if ok == refused {
		tr.t.Fatalf("granted %t although the refusal is %+v, %t", ok, refusal, refused)
	}
	barred := v.State == CircuitOpen || v.State == CircuitForcedOpen || !v.ThrottledUntil.IsZero()
	if ok && barred {
		tr.t.Fatalf("admits although it is %+v", v)
	}
	if !ok {
		return
	}
	if p.Probe() != (v.State == CircuitHalfOpen) {
		tr.t.Fatalf("probe is %t in %s", p.Probe(), v.State)
	}
	if p.Probe() {
		for other, end := range tr.probes {
			if other.generation == p.generation && end.After(tr.now) {
				tr.t.Fatalf("two probes in flight: %+v and %+v", other, p)
			}
		}
		tr.probes[p] = tr.now.Add(attemptLimit + leaseGrace)
	}
	tr.open = append(tr.open, p)
}

// bypass asks as the last resort, which passes by circuits that opened by themselves
// and by nothing else.
func (tr *trial) bypass() {
	v := tr.view()
	if v.State != CircuitOpen {
		tr.ask(tr.c.Bypass)
		return
	}
	lost := v.Class == ClassCredential || v.Class == ClassExhausted || !v.ThrottledUntil.IsZero()
	p, ok := tr.c.Bypass(tr.now)
	if ok == lost || p.Probe() {
		tr.t.Fatalf("the last resort is %t, a probe %t, in %+v", ok, p.Probe(), v)
	}
	if ok {
		tr.open = append(tr.open, p)
	}
}

func (tr *trial) person() {
	tr.decided = true
	switch rapid.SampledFrom([]string{"force", "force for a time", "reset", "reset again"}).Draw(tr.t, "what") {
	case "force":
		tr.c.Force(tr.now, time.Time{}, "why", "ann")
	case "force for a time":
		tr.c.Force(tr.now, tr.now.Add(tr.duration(60, time.Minute)), "why", "bob")
	default:
		tr.c.Reset(tr.now, "ann")
	}
}

func (tr *trial) escalate() {
	tr.c.escalate(tr.now, tr.outcome())
}

func (tr *trial) identify() {
	forced := tr.view().State == CircuitForcedOpen
	tr.c.identify(tr.now, rapid.SampledFrom([]string{"one", "other"}).Draw(tr.t, "identity"))
	tr.decided = !forced // not even then may it touch what a person decided
}

// restart stops the process and starts another, while the clock may be set. A circuit
// that never changed and is not throttled has no record.
func (tr *trial) restart() {
	tr.c.mu.Lock()
	r := tr.c.record(tr.now)
	tr.c.mu.Unlock()
	if r.Generation == 1 && r.ThrottledUntil.IsZero() {
		return
	}
	raw, err := json.Marshal(r)
	if err != nil {
		tr.t.Fatal(err)
	}
	var again CircuitRecord
	if err := json.Unmarshal(raw, &again); err != nil {
		tr.t.Fatal(err)
	}
	before := tr.view()
	jump := rapid.SampledFrom([]time.Duration{0, 0, 0, -24 * time.Hour, -time.Minute, time.Minute, 24 * time.Hour}).Draw(tr.t, "the clock is set by")
	tr.wait(jump)
	tr.begin(r.Key)
	if err := tr.circuits.Load(tr.now, []CircuitRecord{again}); err != nil {
		tr.t.Fatal(err)
	}
	after := tr.view()
	tr.before = after
	tr.restarted(before, after, &again, jump)
}

// restarted compares the circuit with what it was in the process before, and with what
// was kept of it: the end of an open time is a time of the wall clock.
func (tr *trial) restarted(before, after CircuitView, kept *CircuitRecord, jump time.Duration) {
	throttled := kept.ThrottledUntil
	if most := tr.now.Add(retryAfterAtMost); throttled.After(most) {
		throttled = most
	} else if !throttled.After(tr.now) {
		throttled = time.Time{}
	}
	if !after.ThrottledUntil.Equal(throttled) {
		tr.t.Fatalf("set by %s, left alone until %s became until %s, want %s", jump, kept.ThrottledUntil, after.ThrottledUntil, throttled)
	}
	if kept.Generation == 1 {
		return // it never changed its state
	}
	before.History, after.History = nil, nil
	if jump == 0 {
		if !reflect.DeepEqual(before, after) {
			tr.t.Fatalf("stored and loaded\n%+v\nbecomes\n%+v", before, after)
		}
		return
	}
	state := kept.State
	if over := !kept.OpenUntil.IsZero() && !kept.OpenUntil.After(tr.now); over {
		state = CircuitHalfOpen
	}
	switch {
	case after.State != state:
		tr.t.Fatalf("set by %s, %s until %s became %s", jump, kept.State, kept.OpenUntil, after.State)
	case after.State == CircuitForcedOpen && !after.Until.Equal(kept.OpenUntil):
		tr.t.Fatalf("set by %s, forced until %s became until %s", jump, kept.OpenUntil, after.Until)
	case after.State == CircuitOpen && after.Until.After(kept.OpenUntil):
		tr.t.Fatalf("set by %s, open until %s became until %s", jump, kept.OpenUntil, after.Until)
	}
}

// check compares the circuit with what it was before the step.
func (tr *trial) check() {
	was, is := tr.before, tr.view()
	tr.before = is
	switch {
	case is.Generation < was.Generation:
		tr.t.Fatalf("the generation fell from %d to %d", was.Generation, is.Generation)
	case is.Generation == was.Generation && is.State != was.State && is.State != CircuitHalfOpen:
		tr.t.Fatalf("%s became %s without a transition", was.State, is.State)
	case len(is.History) > keptEvents || len(is.Failures) > keptFailures:
		tr.t.Fatalf("%d events, %d failures", len(is.History), len(is.Failures))
	}
	least, most := tr.openTimes(is)
	left, opened := is.Until.Sub(tr.now), is.State == CircuitOpen && is.Generation > was.Generation
	switch {
	case is.State == CircuitOpen && (is.Until.IsZero() || left > most):
		tr.t.Fatalf("open for %s, the most is %s: %+v", left, most, is)
	case opened && left < least:
		tr.t.Fatalf("opened for %s, the least is %s: %+v", left, least, is)
	case opened && is.Openings != was.Openings+1:
		tr.t.Fatalf("opened for the %d. time after %d openings", is.Openings, was.Openings)
	}
	if tr.decided {
		return
	}
	stillBarred := was.Until.After(tr.now) || was.State == CircuitForcedOpen && was.Until.IsZero()
	switch {
	case stillBarred && (is.State != was.State || is.Until.Before(was.Until)):
		tr.t.Fatalf("%s until %s became %s until %s", was.State, was.Until, is.State, is.Until)
	case is.State == CircuitOpen && is.Until.Before(was.Until):
		tr.t.Fatalf("open until %s became open until %s", was.Until, is.Until)
	case was.ThrottledUntil.After(tr.now) && is.ThrottledUntil.Before(was.ThrottledUntil):
		tr.t.Fatalf("left alone until %s became until %s", was.ThrottledUntil, is.ThrottledUntil)
	}
}

// openTimes are the bounds of the time for which a circuit opens: doubled with each
// opening up to the longest, spread by a fifth, and not shorter than what the upstream
// asked for, up to a quarter of an hour.
func (tr *trial) openTimes(v CircuitView) (least, most time.Duration) {
	policy := tr.policy.Effective()
	first, longest := time.Duration(policy.OpenFor), time.Duration(policy.OpenForMax)
	switch v.Class {
	case ClassCredential, ClassExhausted:
		first, longest = 5*time.Minute, time.Hour
	case ClassMissing:
		first, longest = 10*time.Minute, 10*time.Minute
	}
	least = first
	for range v.Openings - 1 {
		if least = 2 * least; least > longest {
			least = longest
			break
		}
	}
	const rounding = time.Microsecond
	least = max(least*8/10, min(tr.wished, 15*time.Minute)) - rounding
	return least, max(longest*12/10, 15*time.Minute) + rounding
}

// heal lets all times pass and everything succeed.
func (tr *trial) heal() {
	if tr.view().State == CircuitForcedOpen {
		tr.c.Reset(tr.now, "ann")
	}
	tr.wait(2 * time.Hour)
	if tr.is(tr.view().State).State == CircuitHalfOpen {
		// A probe that says no makes the count begin anew.
		tr.attempt(1, Outcome{Class: failing[tr.c.key.Scope]})
		tr.wait(tr.is(CircuitOpen).Until.Sub(tr.now))
		for range tr.policy.Probes {
			tr.is(CircuitHalfOpen)
			tr.attempt(1, Outcome{})
		}
	}
	tr.is(CircuitClosed)
	tr.attempt(20, Outcome{})
	tr.is(CircuitClosed)
}

// circuitProperties hold whatever happens to a circuit: what a person decided stays,
// no end comes earlier, open times keep their bounds also when the clock is set, one
// probe is in flight at most, and everything heals.
func circuitProperties(t *rapid.T) {
	tr := newTrial(t)
	for range 4 { // each about 30 steps
		t.Repeat(tr.actions())
	}
	tr.heal()
}

func TestCircuitProperties(t *testing.T) { rapid.Check(t, circuitProperties) }

func FuzzCircuit(f *testing.F) { f.Fuzz(rapid.MakeFuzz(circuitProperties)) }
