package routing

import (
	"errors"
	"slices"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Explanation tells how a request would be routed at one moment.
type Explanation struct {
	// Model is the name of the model.
	Model string `json:"model"`
	// Policy is the selection policy inside one priority.
	Policy string `json:"policy"`
	// Mode is balanced or pinned.
	Mode string `json:"mode"`
	// Sticky says that the request is kept at one source by a key of its own,
	// instead of by the policy.
	Sticky bool `json:"sticky,omitempty"`
	// Sources are all sources of the model: in the order in which they would be
	// asked, and behind them those that would not be.
	Sources []ExplainedSource `json:"sources"`
	// Usable says that there is a source that would be asked.
	Usable bool `json:"usable"`
	// RetryAfter is in how many seconds a source may be usable again; 0 if one is
	// now, or if none will be as long as the configuration stays as it is.
	RetryAfter int `json:"retry_after,omitempty"`
}

// ExplainedSource is what would become of one source.
type ExplainedSource struct {
	ID            string    `json:"id"`
	Upstream      string    `json:"upstream"`
	UpstreamModel string    `json:"upstream_model"`
	Format        format.ID `json:"format,omitempty"` // that would be spoken
	Priority      int       `json:"priority"`
	Weight        int       `json:"weight"`
	// Position is when the source would be asked, from 1 on; 0 if it would not be.
	// Policies that draw at random give the likeliest order, or an example.
	Position int `json:"position,omitempty"`
	// Probe says that the request would find out whether a circuit can be closed.
	Probe bool `json:"probe,omitempty"`
	// Skipped is why the source would not be asked; "" if it would be.
	Skipped Cause `json:"skipped,omitempty"`
	// Reason says the same in words, and Detail what an operator should know besides.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Until is when the source may be used again; zero if that is not known.
	Until time.Time `json:"until,omitzero"`
	// ContextWindow is how many tokens a request may have; 0 if that is not known, or
	// was not looked up because the configuration leaves the source out. A request that
	// is too long for one source is sent on to those with a larger window only.
	ContextWindow int `json:"context_window,omitempty"`
	// InFlight is how many attempts are under way.
	InFlight int64 `json:"in_flight"`
	// LatencyMS is the average time to the first content in milliseconds; 0 if it is
	// not known.
	LatencyMS int64 `json:"latency_ms,omitempty"`
}

// Explain tells how the request would be routed now, and why each source is used
// or skipped. It takes nothing: no turn, no permit and no place. It is for operators,
// so internal models are known too. The error is ErrUnknownModel.
func (r *Router) Explain(s *Snapshot, req Request, now time.Time) (Explanation, error) {
	entry, ok := s.Lookup(req.Model)
	if !ok {
		return Explanation{}, ErrUnknownModel
	}
	req.dry = true
	e := Explanation{
		Model:  entry.Name,
		Policy: entry.Model.policyName(),
		Mode:   ModeBalanced,
		Sticky: stickyKey(entry, &req) != "",
	}
	if entry.Model.Mode == ModePinned {
		e.Mode = ModePinned
	}
	p, err := r.Plan(s, req)
	none, unusable := errors.AsType[*NoSourceError](err)
	if unusable {
		e.skip(entry, none.Skipped)
		return e, nil
	}
	if err != nil {
		return Explanation{}, err
	}
	e.plan(&p, now)
	e.skip(entry, p.way.skipped)
	if !e.Usable {
		e.RetryAfter = int(p.NoSource(now).RetryAfter / time.Second)
	}
	return e, nil
}

// plan adds the sources of a plan: those that would be asked, then the others.
func (e *Explanation) plan(p *Plan, now time.Time) {
	var barred []ExplainedSource
	for i := range p.way.groups {
		for _, c := range expected(&p.way.groups[i], p.entry, p.req, now) {
			x := explained(c.Source, c.state)
			x.Format, x.ContextWindow = c.Format, c.Window()
			if s := c.barred(now, &p.req); s.Cause != CauseNone {
				x.skip(s)
				barred = append(barred, x)
				continue
			}
			x.Position = len(e.Sources) + 1
			x.Probe = c.standing(now, &p.req) == standsProbe
			e.Sources = append(e.Sources, x)
		}
	}
	e.Usable = len(e.Sources) > 0
	e.Sources = append(e.Sources, barred...)
}

// expected is the order in which the candidates of a group would be asked. A draw
// by weight is likeliest to come out in the order of the weights.
func expected(g *group, entry *Entry, req Request, now time.Time) []*Candidate {
	order := arrange(g, entry, req, now)
	if entry.selector == nil && stickyKey(entry, &req) == "" {
		slices.SortStableFunc(order, func(a, b *Candidate) int { return b.weight - a.weight })
	}
	return order
}

// skip adds the sources that the configuration leaves out.
func (e *Explanation) skip(entry *Entry, skipped []Skip) {
	for _, skip := range skipped {
		x := explained(skip.Source, entry.observed.source(skip.Source.ID()))
		x.skip(skip)
		e.Sources = append(e.Sources, x)
	}
}

// skip says why the source would not be asked.
func (x *ExplainedSource) skip(s Skip) {
	x.Skipped, x.Reason, x.Detail, x.Until = s.Cause, s.Reason, s.Detail, s.Until
}

func explained(s *Source, state *SourceState) ExplainedSource {
	return ExplainedSource{
		ID: s.ID(), Upstream: s.Upstream, UpstreamModel: s.Model, Format: s.Format,
		Priority: s.priority(), Weight: s.weight(),
		InFlight: state.InFlight(), LatencyMS: state.Latency().Milliseconds(),
	}
}
