package routing

import (
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Candidate is a source that can serve a request. It must not be changed; it
// stays valid after the plan.
type Candidate struct {
	// Source is its definition.
	Source *Source
	// Upstream is where the request goes.
	Upstream *upstream.Upstream
	// Format is the format to speak there.
	Format format.ID
	// Model is the model's name there.
	Model string
	// ToolFormat is the format for requests with tools that Format does not take
	// for this model; empty if it takes them all.
	ToolFormat format.ID
	// Target is what encoders must know of the upstream and its model.
	Target chat.Target
	// Serves is the model whose source it is.
	Serves *Entry

	weight int
	seed   uint64 // of its hash
	state  *SourceState
	// The circuits are nil in a snapshot that observes nothing.
	upstreamCircuit, modelCircuit *Circuit
	// keys are the credentials that can be used; one with the id "" if the upstream
	// needs none.
	keys []keyCircuit
}

// Weight is the share of the requests inside the source's priority; 0 is being
// drained.
func (c *Candidate) Weight() int { return c.weight }

// Window is how many tokens a request to the source may have; 0 if that is not
// known.
func (c *Candidate) Window() int { return c.Target.Can.ContextWindow }

// State is what is observed of the source.
func (c *Candidate) State() *SourceState { return c.state }

// keyCircuit is the circuit of a credential.
type keyCircuit struct {
	id      string
	circuit *Circuit
}

// standing is what a circuit would do with an attempt.
type standing uint8

const (
	standsClosed standing = iota
	standsProbe           // would admit it as a probe
	standsBarred
)

// standing tells without taking anything; about a closed circuit without a lock. A
// circuit that is nil admits.
func (c *Circuit) standing(now time.Time) standing {
	if c == nil {
		return standsClosed
	}
	if _, refused := c.Refusal(now); refused {
		return standsBarred
	}
	if c.phase().state() == CircuitClosed {
		return standsClosed
	}
	return standsProbe
}

// allow asks a circuit for leave; one that is nil gives the zero permit.
func (c *Circuit) allow(now time.Time, limit time.Duration) (Permit, bool) {
	if c == nil {
		return Permit{}, true
	}
	return c.AllowFor(now, limit)
}

// standing is what the candidate's circuits together would do with an attempt.
func (c *Candidate) standing(now time.Time, req *Request) standing {
	s := max(c.upstreamCircuit.standing(now), c.modelCircuit.standing(now))
	if s == standsBarred || c.overridden(req) {
		return s
	}
	return max(s, c.keysStanding(now))
}

// keysStanding is that of the credential that would be chosen.
func (c *Candidate) keysStanding(now time.Time) standing {
	if len(c.keys) == 0 {
		return standsClosed
	}
	best := standsBarred
	for i := range c.keys {
		best = min(best, c.keys[i].circuit.standing(now))
	}
	return best
}

// overdue says that a circuit of the candidate has waited too long for a probe,
// and that all of them would admit one.
func (c *Candidate) overdue(now time.Time, req *Request) bool {
	circuits := [...]*Circuit{c.upstreamCircuit, c.modelCircuit, nil}
	if len(c.keys) == 1 && !c.overridden(req) {
		circuits[2] = c.keys[0].circuit
	}
	for _, circuit := range circuits {
		if circuit != nil && circuit.Overdue(now) {
			return c.ready(now, req)
		}
	}
	return false
}

// overridden says that the client's own credential is sent.
func (c *Candidate) overridden(req *Request) bool {
	return req.Override && c.Upstream.AllowsOverride()
}

// ready says whether the candidate could take the request now. It takes nothing.
func (c *Candidate) ready(now time.Time, req *Request) bool {
	return c.standing(now, req) != standsBarred && !c.Upstream.Unhealthy() && !c.full()
}

// full says that the upstream serves as many requests as it may.
func (c *Candidate) full() bool {
	most := c.Upstream.MaxConcurrency
	return most > 0 && c.Upstream.InFlight() >= most
}

// admit takes leave of everything an attempt touches, or of nothing.
func (c *Candidate) admit(now time.Time, req *Request, probes bool) (Admission, bool) {
	s := c.standing(now, req)
	if s == standsBarred || s == standsProbe && !probes || c.Upstream.Unhealthy() {
		return Admission{}, false
	}
	if !c.Upstream.TryAcquire() {
		return Admission{}, false
	}
	a := Admission{Candidate: c, began: now, throttles: ScopeUpstreamModel}
	c.state.Begin()
	if c.permit(&a, now, req, probes) {
		return a, true
	}
	a.Cancel(now) // permits that were not given are zero and do nothing
	return Admission{}, false
}

// permit collects the permits of the three circuits.
func (c *Candidate) permit(a *Admission, now time.Time, req *Request, probes bool) (ok bool) {
	limit := c.limit(req)
	if a.upstream, ok = c.upstreamCircuit.allow(now, limit); !ok {
		return false
	}
	if a.model, ok = c.modelCircuit.allow(now, limit); !ok {
		return false
	}
	return c.permitKey(a, now, req, probes)
}

// limit is how long a probe takes at most: an attempt, of a stream up to its first
// content.
func (c *Candidate) limit(req *Request) time.Duration {
	l := c.Upstream.Limits(req.Operation, req.Stream)
	switch {
	case !req.Stream:
		return l.Total
	case l.Header <= 0 || l.FirstContent <= 0:
		return 0
	default:
		return l.Header + l.FirstContent
	}
}

// permitKey chooses a credential and takes the permit of its circuit.
func (c *Candidate) permitKey(a *Admission, now time.Time, req *Request, probes bool) (ok bool) {
	switch {
	case len(c.keys) == 0 || c.overridden(req):
		return true
	case len(c.keys) == 1:
		a.Credential = c.keys[0].id
		a.credential, ok = c.keys[0].circuit.allow(now, c.limit(req))
		return ok
	}
	a.throttles = ScopeCredential
	// Another request may take the probe of the chosen one in between; then the
	// next is chosen.
	for range c.keys {
		circuit := c.chooseKey(a, now, req, probes)
		if a.Credential == "" {
			return false
		}
		if a.credential, ok = circuit.allow(now, c.limit(req)); ok {
			return true
		}
	}
	return false
}

// chooseKey chooses among the credentials whose circuits admit now and that have not
// failed this request. The credential is "" if there is none.
func (c *Candidate) chooseKey(a *Admission, now time.Time, req *Request, probes bool) *Circuit {
	var seed uint64
	if req.Sticky == "" {
		seed = req.seed()
	}
	id, ok := c.Upstream.ChooseCredential(req.Sticky, seed, func(id string) bool {
		if req.refused(c, id) {
			return false
		}
		switch c.key(id).standing(now) {
		case standsClosed:
			return true
		case standsProbe:
			return probes
		default:
			return false
		}
	})
	if !ok {
		id = ""
	}
	a.Credential = id
	return c.key(id)
}

// key is the circuit of a credential.
func (c *Candidate) key(id string) *Circuit {
	for i := range c.keys {
		if c.keys[i].id == id {
			return c.keys[i].circuit
		}
	}
	return nil
}
