package routing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// ErrUnknownModel means that there is no model of that name, or that it is
// disabled.
var ErrUnknownModel = errors.New("unknown model")

// Router orders the sources of a model for a request. The zero value is ready
// for use. It is safe for concurrent use if IntN is.
type Router struct {
	// IntN returns a random number in [0,n). Default: that of math/rand/v2.
	IntN func(n int) int
}

// Request is what a plan depends on.
type Request struct {
	// Model is the name the client asked for.
	Model string
	// Format is the client's format.
	Format format.ID
	// Operation is what the client asked for.
	Operation format.Operation
}

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
}

// Cause classifies why a source was left out.
type Cause uint8

// The causes.
const (
	// CauseNone is the zero value.
	CauseNone Cause = iota
	// CauseDisabled: the source or its upstream is disabled.
	CauseDisabled
	// CauseUnconfigured: the upstream's address or credential comes out empty.
	CauseUnconfigured
	// CauseUnable: the upstream does not serve the operation.
	CauseUnable
)

// Skip is a source that was left out of a plan.
type Skip struct {
	Source *Source
	Cause  Cause
	// Reason is a predicate, such as "is disabled".
	Reason string
}

// NoSourceError means that the model is known and none of its sources can be
// used. It must not be changed.
type NoSourceError struct {
	Model   string
	Skipped []Skip
}

// Error tells each source's reason.
func (e *NoSourceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "model %q has no usable source", e.Model)
	separator := ": "
	for _, s := range e.Skipped {
		b.WriteString(separator + s.Source.ID() + " " + s.Reason)
		separator = "; "
	}
	return b.String()
}

// Disabled says that every source is disabled by configuration, so that clients
// see the model as unknown.
func (e *NoSourceError) Disabled() bool {
	for _, s := range e.Skipped {
		if s.Cause != CauseDisabled {
			return false
		}
	}
	return true
}

// Plan finds the model and prepares the draw of its sources. The error is
// ErrUnknownModel or a *NoSourceError.
func (r *Router) Plan(s *Snapshot, req Request) (Plan, error) {
	e, ok := s.Model(req.Model)
	if !ok {
		return Plan{}, ErrUnknownModel
	}
	way, ok := e.routes[routeKey{req.Format, req.Operation}]
	if !ok {
		// A kind of request that nothing was prepared for.
		way = s.newRoute(e, req.Format, req.Operation)
	}
	if way.failed != nil {
		return Plan{}, way.failed
	}
	p := Plan{way: way, intN: r.IntN}
	if p.intN == nil {
		p.intN = rand.IntN
	}
	p.enter(0)
	return p, nil
}

// Plan is the order of the sources for one request. It is drawn as it is asked
// for, so that what happens to one source can still decide about the next. It
// belongs to one request and is not safe for concurrent use.
type Plan struct {
	way  *route
	intN func(int) int
	// group is the index of the group that is drawn from; left and weight are
	// the number and the weight of its candidates that were not drawn.
	group, left, weight int
	// drawn marks the drawn candidates of the group: the first 64 in the word,
	// the others in the list.
	drawn uint64
	more  []uint64
}

// Next draws the next candidate: of the lowest priority number that has any
// left, at random by weight; those of weight 0 come when nothing else of their
// priority is left. No candidate comes twice.
func (p *Plan) Next() (*Candidate, bool) {
	if p.way == nil {
		return nil, false
	}
	for p.left == 0 {
		if p.group+1 >= len(p.way.groups) {
			return nil, false
		}
		p.enter(p.group + 1)
	}
	candidates := p.way.groups[p.group].candidates
	i := p.draw(candidates)
	p.mark(i)
	p.left--
	p.weight -= candidates[i].weight
	return &candidates[i], true
}

// Only returns the model's one usable source; ok is false if it has several.
func (p *Plan) Only() (only *Candidate, ok bool) {
	if p.way == nil || len(p.way.groups) != 1 || len(p.way.groups[0].candidates) != 1 {
		return nil, false
	}
	return &p.way.groups[0].candidates[0], true
}

// Pin restricts the plan to the sources on one upstream; it is false, and nothing
// changes, if none of them can be used. It is called before Next.
func (p *Plan) Pin(name string) bool {
	if p.way == nil {
		return false
	}
	pinned := &route{skipped: p.way.skipped}
	for _, g := range p.way.groups {
		for _, c := range g.candidates {
			if c.Upstream.Name() == name {
				pinned.add(c)
			}
		}
	}
	if len(pinned.groups) == 0 {
		return false
	}
	p.way = pinned
	p.enter(0)
	return true
}

// Skipped lists the sources that were left out, and why. The caller must not
// change it.
func (p *Plan) Skipped() []Skip {
	if p.way == nil {
		return nil
	}
	return p.way.skipped
}

// enter starts to draw from a group.
func (p *Plan) enter(group int) {
	g := &p.way.groups[group]
	p.group, p.left, p.weight = group, len(g.candidates), g.weight
	p.drawn, p.more = 0, nil
	if words := len(g.candidates) / 64; words > 0 {
		p.more = make([]uint64, words)
	}
}

// draw chooses among the candidates that were not drawn: by weight as long as
// any has one, all alike after that.
func (p *Plan) draw(candidates []Candidate) int {
	weighted := p.weight > 0
	rest := 0
	switch {
	case weighted && p.left > 1:
		rest = p.intN(p.weight)
	case p.left > 1:
		rest = p.intN(p.left)
	}
	for i := range candidates {
		if p.marked(i) {
			continue
		}
		share := candidates[i].weight
		if !weighted {
			share = 1
		}
		if rest -= share; rest < 0 {
			return i
		}
	}
	panic("routing: weights and candidates disagree") // not possible: they are counted together
}

func (p *Plan) marked(i int) bool {
	if i < 64 {
		return p.drawn&(1<<i) != 0
	}
	return p.more[i/64-1]&(1<<(i%64)) != 0
}

func (p *Plan) mark(i int) {
	if i < 64 {
		p.drawn |= 1 << i
		return
	}
	p.more[i/64-1] |= 1 << (i % 64)
}
