package routing

import (
	"fmt"
	"time"
)

// LastResort takes leave to ask a source in spite of an open circuit, when nothing
// else is left and failing would be worse: of the sources whose circuits opened by
// themselves that whose time ends first. It is given at most once a second for
// each model, and never through a circuit that a person opened, one that opened
// because of a credential, a throttled source, or a disabled one. What comes of
// such an attempt moves no open circuit.
func (p *Plan) LastResort(now time.Time) (Admission, bool) {
	if p.way == nil {
		return Admission{}, false
	}
	c := p.soonestOpen(now)
	if c == nil || !p.entry.observed.takeBest(now) {
		return Admission{}, false
	}
	return c.bypass(now, &p.req)
}

// soonestOpen is the candidate whose circuits opened by themselves and will try
// again first; nil if there is none.
func (p *Plan) soonestOpen(now time.Time) *Candidate {
	var best *Candidate
	var bestEnd time.Time
	for i := range p.way.groups {
		candidates := p.way.groups[i].candidates
		for j := range candidates {
			c := &candidates[j]
			end, ok := c.opensAgain(now, &p.req)
			if ok && (best == nil || end.Before(bestEnd)) {
				best, bestEnd = c, end
			}
		}
	}
	return best
}

// opensAgain is when the last open circuit of the candidate will try again; ok is
// false if anything but circuits that opened by themselves is in the way.
func (c *Candidate) opensAgain(now time.Time, req *Request) (end time.Time, ok bool) {
	if c.Upstream.Unhealthy() || c.full() || !c.overridden(req) && c.keysStanding(now) == standsBarred {
		return time.Time{}, false
	}
	for _, circuit := range [...]*Circuit{c.upstreamCircuit, c.modelCircuit} {
		if circuit == nil {
			continue
		}
		refusal, refused := circuit.Refusal(now)
		if !refused {
			continue
		}
		if refusal.State != CircuitOpen || refusal.Throttled || refusal.Class == ClassExhausted || refusal.Class == ClassCredential {
			return time.Time{}, false
		}
		ok, end = true, later(end, now.Add(refusal.Wait))
	}
	return end, ok
}

// bypass is like admit through open circuits.
func (c *Candidate) bypass(now time.Time, req *Request) (Admission, bool) {
	if !c.Upstream.TryAcquire() {
		return Admission{}, false
	}
	a := Admission{Candidate: c, began: now, throttles: ScopeUpstreamModel}
	c.state.Begin()
	var ok bool
	if a.upstream, ok = c.upstreamCircuit.bypass(now); ok {
		if a.model, ok = c.modelCircuit.bypass(now); ok && c.permitKey(&a, now, req, true) {
			return a, true
		}
	}
	a.Cancel(now)
	return Admission{}, false
}

// bypass asks a circuit for leave although it is open; one that is nil gives the
// zero permit.
func (c *Circuit) bypass(now time.Time) (Permit, bool) {
	if c == nil {
		return Permit{}, true
	}
	return c.Bypass(now)
}

// unknownEnd is after how long a client may come again if nobody knows when a
// source can be used.
const unknownEnd = time.Minute

// NoSource tells why nothing is left of the plan now: each source with what keeps
// it out, and when the first of them can be asked again.
func (p *Plan) NoSource(now time.Time) *NoSourceError {
	if p.way == nil {
		return new(NoSourceError)
	}
	e := &NoSourceError{Model: p.entry.Name, Throttled: true}
	e.Skipped = append(e.Skipped, p.way.skipped...)
	var first time.Time // zero if no end is known
	for i := range p.way.groups {
		candidates := p.way.groups[i].candidates
		for j := range candidates {
			s := candidates[j].barred(now, &p.req)
			e.Skipped = append(e.Skipped, s)
			e.Throttled = e.Throttled && s.Cause == CauseThrottled
			if first.IsZero() || !s.Until.IsZero() && s.Until.Before(first) {
				first = s.Until
			}
		}
	}
	if first.IsZero() {
		first = now.Add(unknownEnd)
	}
	e.RetryAfter = wholeSeconds(first.Sub(now))
	return e
}

// wholeSeconds rounds up to whole seconds, 1 at least.
func wholeSeconds(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}

// barred says what keeps the candidate from taking the request now. Its cause is
// CauseNone if nothing does. Of several bars the gravest is told, with the end of
// the last.
func (c *Candidate) barred(now time.Time, req *Request) Skip {
	s := Skip{Source: c.Source}
	bars := []Skip{
		c.upstreamCircuit.barred(now, "the circuit of its upstream"),
		c.modelCircuit.barred(now, "the circuit of its upstream model"),
		c.barredKeys(now, req),
		c.barredUpstream(now),
	}
	endless := false
	for _, bar := range bars {
		if bar.Cause == CauseNone {
			continue
		}
		if s.Cause == CauseNone || gravity[bar.Cause] > gravity[s.Cause] {
			s.Cause, s.Reason, s.Detail = bar.Cause, bar.Reason, bar.Detail
		}
		endless = endless || bar.Until.IsZero()
		if bar.Until.After(s.Until) {
			s.Until = bar.Until
		}
	}
	if endless {
		s.Until = time.Time{}
	}
	return s
}

// gravity orders the causes that pass.
var gravity = map[Cause]int{CauseThrottled: 1, CauseBusy: 2, CauseProbing: 3, CauseOpen: 4, CauseUnhealthy: 5, CauseForced: 6}

// soon is when what ends at any moment is looked at again.
const soon = time.Second

// barredUpstream says what keeps the upstream out apart from circuits.
func (c *Candidate) barredUpstream(now time.Time) Skip {
	switch {
	case c.Upstream.Unhealthy():
		return Skip{Cause: CauseUnhealthy, Reason: "is unhealthy", Detail: c.Upstream.HealthView().Reason()}
	case c.full():
		return Skip{Cause: CauseBusy, Reason: "has as many requests as it may", Until: now.Add(soon)}
	default:
		return Skip{}
	}
}

// barredKeys says what keeps all credentials out: that of which the end comes
// first is told.
func (c *Candidate) barredKeys(now time.Time, req *Request) Skip {
	if c.overridden(req) || len(c.keys) == 0 || c.keysStanding(now) != standsBarred {
		return Skip{}
	}
	what := "the circuit of its credential"
	if len(c.keys) > 1 {
		what = "the circuit of each of its credentials"
	}
	best := c.keys[0].circuit.barred(now, what)
	for _, key := range c.keys[1:] {
		other := key.circuit.barred(now, what)
		if best.Until.IsZero() || !other.Until.IsZero() && other.Until.Before(best.Until) {
			best = other
		}
	}
	return best
}

// barred says what keeps attempts out of a circuit: what names it.
func (c *Circuit) barred(now time.Time, what string) Skip {
	if c == nil {
		return Skip{}
	}
	r, refused := c.Refusal(now)
	if !refused {
		return Skip{}
	}
	s := Skip{Until: now.Add(r.Wait)}
	lasts := wholeSeconds(r.Wait).String()
	switch {
	case r.State == CircuitForcedOpen:
		s.Cause, s.Reason = CauseForced, "is kept out of use"
		v := c.View(now)
		s.Detail = fmt.Sprintf("%s was opened by %s: %s", what, v.Actor, v.Reason)
		if r.Wait == 0 {
			s.Until = time.Time{}
		}
	case r.State == CircuitOpen:
		s.Cause, s.Reason = CauseOpen, "is left alone for "+lasts
		s.Detail = fmt.Sprintf("%s is open because of %s", what, r.Class)
	case r.State == CircuitHalfOpen && !r.Throttled:
		s.Cause, s.Reason = CauseProbing, "is being probed"
		s.Detail = what + " is half open and its probe is under way"
	default:
		s.Cause, s.Reason = CauseThrottled, "is throttled for "+lasts
		s.Detail = what + " had too many requests"
	}
	return s
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
