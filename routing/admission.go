package routing

import "time"

// Admission is the leave to make one attempt at a source: all circuits that the
// attempt touches have given a permit, a place under the concurrency limit of
// its upstream is taken, and the attempt counts as under way. It ends with one
// call of Done or Cancel; more calls do nothing. It belongs to one request and is
// not safe for concurrent use.
type Admission struct {
	// Candidate is the source that may be asked.
	Candidate *Candidate
	// Credential is the id of the credential to be used; "" if the upstream has none
	// or the client's own is sent. See upstream.Call.
	Credential string

	upstream, model, credential Permit
	began                       time.Time
	measured                    bool  // the latency was told already
	throttles                   Scope // what too many requests bar
}

// Probe says that the attempt is one by which a half-open circuit finds out.
func (a *Admission) Probe() bool {
	return a.upstream.Probe() || a.model.Probe() || a.credential.Probe()
}

// Started notes the first content of a stream: a probe has succeeded, and the
// latency of the source is known. It is called before Done.
func (a *Admission) Started(now time.Time) {
	if a.Candidate == nil {
		return
	}
	a.upstream.Started(now)
	a.model.Started(now)
	a.credential.Started(now)
	if !a.measured {
		a.measured = true
		a.Candidate.state.Measure(max(1, now.Sub(a.began)))
	}
}

// Done ends the attempt. Each circuit judges the outcome for itself: see
// Outcome.
func (a *Admission) Done(now time.Time, o Outcome) {
	c := a.Candidate
	if c == nil {
		return
	}
	o.Throttles = a.throttles
	a.upstream.Done(now, o)
	a.model.Done(now, o)
	a.credential.Done(now, o)
	if !a.measured {
		c.state.Measure(a.latency(now, o))
	}
	a.leave()
}

// latency is the time to the answer; 0 if none came that could be used.
func (a *Admission) latency(now time.Time, o Outcome) time.Duration {
	switch {
	case o.Class != ClassOK:
		return 0
	case o.Latency > 0:
		return o.Latency
	default:
		return max(1, now.Sub(a.began))
	}
}

// Cancel gives the leave back unused: nothing was sent.
func (a *Admission) Cancel(now time.Time) {
	if a.Candidate == nil {
		return
	}
	a.upstream.Cancel(now)
	a.model.Cancel(now)
	a.credential.Cancel(now)
	a.leave()
}

// leave gives the places back that the attempt has taken.
func (a *Admission) leave() {
	a.Candidate.state.inFlight.Add(-1)
	a.Candidate.Upstream.Release()
	a.Candidate = nil
}

// Admit draws the next candidate that all circuits admit, and takes leave to ask
// it; the source of AnotherKey comes before the others. It is false if nothing is
// left: see NoSource and LastResort. Last says that the request will not ask another
// source if this one fails, because its attempts are spent or because it would leave a
// trace: a half-open source, which may well fail, then comes only if nothing else is
// left.
//
// A half-open source that no request has drawn for three open times comes first,
// if another could still serve the request.
func (p *Plan) Admit(now time.Time, last bool) (Admission, bool) {
	if p.way == nil {
		return Admission{}, false
	}
	if last {
		all := p.clone()
		if a, ok := p.admitNext(now, false); ok {
			return a, true
		}
		*p = all
		return p.admitNext(now, true)
	}
	if p.group < 0 && p.taken == nil {
		if a, ok := p.admitOverdue(now); ok {
			p.taken = a.Candidate
			return a, true
		}
	}
	return p.admitNext(now, true)
}

// admitNext admits the source that is to get another credential, or else draws
// candidates until one is admitted; without probes only such as are not half open.
func (p *Plan) admitNext(now time.Time, probes bool) (Admission, bool) {
	if c := p.again; c != nil {
		p.again = nil
		if a, ok := c.admit(now, &p.req, probes); ok {
			return a, true
		}
	}
	for c, ok := p.pull(now); ok; c, ok = p.pull(now) {
		if a, ok := c.admit(now, &p.req, probes); ok {
			return a, true
		}
	}
	return Admission{}, false
}

// admitOverdue admits a half-open candidate that has waited too long to be
// drawn, provided that another could serve the request if it fails.
func (p *Plan) admitOverdue(now time.Time) (Admission, bool) {
	var overdue *Candidate
	spare := false
	for i := range p.way.groups {
		candidates := p.way.groups[i].candidates
		for j := range candidates {
			c := &candidates[j]
			switch c.standing(now, &p.req) {
			case standsClosed:
				spare = true
			case standsProbe:
				if overdue == nil && c.overdue(now, &p.req) {
					overdue = c
				}
			}
		}
	}
	if overdue == nil || !spare {
		return Admission{}, false
	}
	return overdue.admit(now, &p.req, true)
}
