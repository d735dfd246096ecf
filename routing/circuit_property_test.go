package routing

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// trial does anything to a circuit in any order, and checks after each step what
// must hold always.
type trial struct {
	*bench
	next   func(n int) int // chooses, in [0,n)
	policy *upstream.CircuitPolicy
	open   []Permit // that were neither done nor cancelled
	used   []Permit
	probes map[Permit]time.Time // those in flight, and when their leases end
	before CircuitView
	manual bool // the last step was a person's
}

func newTrial(t *testing.T, next func(int) int) *trial {
	p := &upstream.CircuitPolicy{
		Failures: 1 + next(5), Probes: 1 + next(3),
		SlowOver: caddy.Duration(next(2)) * caddy.Duration(2*time.Second),
	}
	scope := []Scope{ScopeUpstream, ScopeUpstreamModel, ScopeCredential}[next(3)]
	key := CircuitKey{Scope: scope, Upstream: "u"}
	switch scope {
	case ScopeUpstreamModel:
		key.Model = "m"
	case ScopeCredential:
		key.Credential = "c"
	}
	b := newBench(t, key, p)
	b.circuits.Random = func() float64 { return float64(next(100)) / 100 }
	b.circuits.Forget(func(CircuitKey) bool { return true })
	b.c = b.circuits.Get(key, p)
	return &trial{bench: b, next: next, policy: p, probes: map[Permit]time.Time{}, before: b.view()}
}

// take removes a permit that was not used yet.
func (tr *trial) take() (Permit, bool) {
	if len(tr.open) == 0 {
		return Permit{}, false
	}
	i := tr.next(len(tr.open))
	p := tr.open[i]
	tr.open = append(tr.open[:i], tr.open[i+1:]...)
	tr.used = append(tr.used, p)
	delete(tr.probes, p)
	return p, true
}

func (tr *trial) outcome() Outcome {
	class := Class(tr.next(int(ClassRefused) + 1))
	if tr.next(2) == 0 {
		class = []Class{ClassOK, ClassServer, ClassConnect, ClassCredential}[tr.next(4)]
	}
	return Outcome{
		Class: class, Status: []int{0, 408, 500}[tr.next(3)], Stream: tr.next(2) == 0,
		RetryAfter: time.Duration(tr.next(3)) * 10 * time.Minute * time.Duration(tr.next(2)),
		Latency:    time.Duration(tr.next(4)) * time.Second,
	}
}

// step does one thing.
func (tr *trial) step() {
	tr.manual = false
	switch tr.next(16) {
	case 0, 1, 2, 3:
		tr.ask()
	case 4, 5, 6, 7:
		if p, ok := tr.take(); ok {
			p.Done(tr.now, tr.outcome())
		}
	case 8:
		if p, ok := tr.take(); ok {
			p.Cancel(tr.now)
		}
	case 9:
		if len(tr.open) > 0 {
			p := tr.open[tr.next(len(tr.open))]
			p.Started(tr.now)
			delete(tr.probes, p)
		}
	case 10:
		tr.wait(time.Duration(tr.next(20_000)) * time.Millisecond)
	case 11:
		tr.wait(time.Duration(tr.next(20)) * time.Minute)
	case 12:
		if len(tr.used) > 0 {
			tr.used[tr.next(len(tr.used))].Cancel(tr.now) // a mistake, which must free nothing
		}
	case 13:
		tr.person()
	case 14:
		tr.c.Throttle(tr.now, time.Duration(tr.next(3)-1)*time.Minute)
	case 15:
		if tr.next(4) == 0 {
			tr.restart()
		}
	}
}

// ask asks for a permit and checks that it is given exactly when it may be.
func (tr *trial) ask() {
	v := tr.view()
	refusal, refused := tr.c.Refusal(tr.now)
	p, ok := tr.c.Allow(tr.now)
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

func (tr *trial) person() {
	tr.manual = true
	switch tr.next(4) {
	case 0:
		tr.c.Force(tr.now, time.Time{}, "why", "ann")
	case 1:
		tr.c.Force(tr.now, tr.now.Add(time.Duration(tr.next(60))*time.Minute), "why", "bob")
	default:
		tr.c.Reset(tr.now, "ann")
	}
}

// restart stops the process and starts another. A circuit that never changed has no
// record.
func (tr *trial) restart() {
	tr.c.mu.Lock()
	r := tr.c.record(tr.now)
	tr.c.mu.Unlock()
	if r.Generation == 1 {
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
	random := tr.circuits.Random
	tr.circuits = NewCircuits()
	tr.circuits.Random = random
	tr.c = tr.circuits.Get(r.Key, tr.policy)
	if err := tr.circuits.Load(tr.now, []CircuitRecord{again}); err != nil {
		tr.t.Fatal(err)
	}
	after := tr.view()
	tr.open, tr.used, tr.probes = nil, nil, map[Permit]time.Time{}
	before.History, after.History = nil, nil
	before.ThrottledUntil = time.Time{} // it is forgotten
	if !reflect.DeepEqual(before, after) {
		tr.t.Fatalf("stored and loaded\n%+v\nbecomes\n%+v", before, after)
	}
	tr.before.ThrottledUntil = time.Time{}
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
	case is.State == CircuitOpen && (is.Until.IsZero() || is.Until.Sub(tr.now) > time.Hour*6/5):
		tr.t.Fatalf("open until %s", is.Until)
	}
	if tr.manual {
		return
	}
	stillBarred := was.Until.After(tr.now) || was.State == CircuitForcedOpen && was.Until.IsZero()
	switch {
	case stillBarred && (is.State != was.State || is.Until.Before(was.Until)):
		tr.t.Fatalf("%s until %s became %s until %s", was.State, was.Until, is.State, is.Until)
	case was.ThrottledUntil.After(tr.now) && is.ThrottledUntil.Before(was.ThrottledUntil):
		tr.t.Fatalf("left alone until %s became until %s", was.ThrottledUntil, is.ThrottledUntil)
	}
}

// heal lets all times pass and everything succeed.
func (tr *trial) heal() {
	if tr.view().State == CircuitForcedOpen {
		tr.c.Reset(tr.now, "ann")
	}
	tr.wait(2 * time.Hour)
	if tr.is(tr.view().State).State == CircuitHalfOpen {
		// A probe that says no makes the count begin anew.
		failure := map[Scope]Class{ScopeUpstream: ClassConnect, ScopeUpstreamModel: ClassServer, ScopeCredential: ClassCredential}
		tr.attempt(1, Outcome{Class: failure[tr.c.key.Scope]})
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

func TestCircuitProperties(t *testing.T) {
	const trials, steps = 400, 300
	for seed := range uint64(trials) {
		r := rand.New(rand.NewPCG(seed, 1))
		tr := newTrial(t, r.IntN)
		for range steps {
			tr.step()
			tr.check()
		}
		tr.heal()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzCircuit(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Fuzz(func(t *testing.T, choices []byte) {
		choices = choices[:min(len(choices), 2000)]
		tr := newTrial(t, func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := choices[0]
			choices = choices[1:]
			return int(c) * n / 256
		})
		for len(choices) > 0 {
			tr.step()
			tr.check()
		}
		tr.heal()
	})
}
