package routing

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Trial is a source of a model to be asked on its own, apart from any request:
// by a person who wants to know whether it works. Whatever the configuration and
// the circuits say, it can be asked. It is safe for concurrent use.
type Trial struct {
	// Candidate is the source. Its Format is that of the source's definition, "" if
	// that leaves the choice to the request.
	Candidate *Candidate
	// Off is why the configuration keeps requests away from the source: CauseDisabled,
	// CauseUnconfigured or CauseInactive; CauseNone if it does not.
	Off Cause
	// Reason says the same as a predicate, such as "is disabled".
	Reason string
}

// Trials lists the sources of a model in the order in which they come: by priority
// and within one priority as they are defined, those of weight 0 last. The name may
// be any that clients may use; a model that is disabled or internal is found, too.
// It is false if the name stands for nothing.
func (s *Snapshot) Trials(name string) ([]*Trial, bool) {
	e, ok := s.models[name]
	if !ok {
		e, ok = s.Lookup(name)
	}
	if !ok {
		return nil, false
	}
	trials := make([]*Trial, 0, len(e.Model.Sources))
	for i := range e.Model.Sources {
		trials = append(trials, e.trial(i))
	}
	drained := func(t *Trial) int {
		if t.Candidate.weight == 0 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(trials, func(a, b *Trial) int {
		return cmp.Or(cmp.Compare(a.Candidate.Source.priority(), b.Candidate.Source.priority()), cmp.Compare(drained(a), drained(b)))
	})
	return trials, true
}

// trial prepares a source.
func (e *Entry) trial(i int) *Trial {
	source, u := &e.Model.Sources[i], e.through[i].upstream
	c := &Candidate{
		Source: source, Upstream: u, Format: source.Format, Model: source.Model, Serves: e,
		weight: source.weight(), seed: hashText(source.ID()), state: e.observed.source(source.ID()),
	}
	c.Target = e.target(u, source)
	e.circuits(i, c)
	t := &Trial{Candidate: c}
	t.Off, t.Reason = e.leftOut(i)
	reason := u.Unavailable()
	missing, unconfigured := strings.CutPrefix(reason, "not configured: ")
	switch {
	case e.Model.Disabled:
		t.Off, t.Reason = CauseDisabled, "is disabled with its model"
	case t.Off != CauseInactive: // which does not keep it from being asked
	case unconfigured:
		t.Off, t.Reason = CauseUnconfigured, "is not configured ("+missing+")"
	case reason != "":
		t.Off, t.Reason = CauseDisabled, "is "+reason+" with its upstream"
	}
	return t
}

// Credential is the id of the credential to be used: the first whose circuit
// admits requests now, or the first of all if none does; "" for an upstream
// without any. Nothing is taken.
func (t *Trial) Credential(now time.Time) string {
	keys := t.Candidate.keys
	for i := range keys {
		if keys[i].circuit.standing(now) != standsBarred {
			return keys[i].id
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return keys[0].id
}

// HalfOpen says that a circuit of the source with this credential waits for
// attempts that succeed, and could have one now.
func (t *Trial) HalfOpen(now time.Time, credential string) bool {
	c := t.Candidate
	for _, circuit := range [...]*Circuit{c.upstreamCircuit, c.modelCircuit, c.key(credential)} {
		if circuit.standing(now) == standsProbe {
			return true
		}
	}
	return false
}

// TrialRecord is an attempt of a trial that counts like one of a request. It ends
// with one call of Done or Cancel. It is not safe for concurrent use.
type TrialRecord struct {
	candidate *Candidate
	permits   [3]Permit
	throttles Scope
	placed    bool // a place under the concurrency limit of the upstream is taken
}

// Record makes the attempt that begins now count, as far as the circuits let it:
// one that a person opened, or that another attempt is finding out about, takes no
// notice; one that opened by itself closes if enough attempts succeed, before its
// time is over too. The limit is that of the whole attempt.
func (t *Trial) Record(now time.Time, credential string, limit time.Duration) *TrialRecord {
	c := t.Candidate
	r := &TrialRecord{candidate: c, throttles: ScopeUpstreamModel}
	if len(c.keys) > 1 {
		r.throttles = ScopeCredential
	}
	for i, circuit := range [...]*Circuit{c.upstreamCircuit, c.modelCircuit, c.key(credential)} {
		r.permits[i] = circuit.allowTrial(now, limit)
	}
	c.state.Begin()
	r.placed = c.Upstream.TryAcquire()
	return r
}

// Done records how the attempt ended.
func (r *TrialRecord) Done(now time.Time, o Outcome) {
	o.Throttles = r.throttles
	for _, p := range r.permits {
		p.doneTrial(now, o)
	}
	if o.Class != ClassOK {
		o.Latency = 0
	}
	r.candidate.state.Measure(o.Latency)
	r.leave()
}

// Cancel says that the attempt told nothing about the source.
func (r *TrialRecord) Cancel(now time.Time) {
	for _, p := range r.permits {
		p.Cancel(now)
	}
	r.leave()
}

// leave gives the places back that the attempt has taken.
func (r *TrialRecord) leave() {
	r.candidate.state.inFlight.Add(-1)
	if r.placed {
		r.candidate.Upstream.Release()
	}
}

// allowTrial gives leave for an attempt that is made whatever the circuit says; the
// permit is zero if its result is not to count.
func (c *Circuit) allowTrial(now time.Time, limit time.Duration) Permit {
	if c == nil {
		return Permit{}
	}
	before := c.phase()
	if p, ok := c.AllowFor(now, limit); ok {
		return p
	}
	switch before.state() {
	case CircuitClosed, CircuitOpen:
		return Permit{circuit: c, generation: before.generation()}
	default:
		return Permit{}
	}
}

// CauseTrial: a person has asked the source on its own, and it has answered.
const CauseTrial CircuitCause = "trial"

// doneTrial is Done for an attempt of a trial: a success makes an open circuit
// half-open, and is the first of those that close it.
func (p Permit) doneTrial(now time.Time, o Outcome) {
	c := p.circuit
	if c == nil {
		return
	}
	passed := false
	c.update(now, func(at int64) {
		g := c.phase()
		passed = p.probe == 0 && g.state() == CircuitOpen && g.generation() == p.generation &&
			!c.limits.Load().off && o.judge(c.key.Scope, c.escalated) == success
		if !passed {
			return
		}
		c.until.Store(at)
		c.enter(at, CircuitHalfOpen, CauseTrial, c.reason, "")
		c.probeSucceeded(at)
	})
	if !passed {
		p.Done(now, o)
	}
}
