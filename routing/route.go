package routing

import (
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// route is the order of a model's sources for one kind of request. It is
// immutable.
type route struct {
	groups  []group // lowest priority number first
	skipped []Skip
	failed  *NoSourceError // nil if there is a group
}

// group holds the candidates of one priority.
type group struct {
	priority   int
	candidates []Candidate
	weight     int // of all together
	turns      *turns
}

// newRoute sorts out the sources and groups the rest by priority.
func (s *Snapshot) newRoute(e *Entry, client format.ID, op format.Operation) *route {
	r := new(route)
	for i := range e.Model.Sources {
		source := &e.Model.Sources[i]
		c, skip := s.candidate(e, source, client, op)
		if skip.Cause != CauseNone {
			r.skipped = append(r.skipped, skip)
			continue
		}
		r.add(c, s.state.turnsOf(e.Name, source.priority()))
	}
	slices.SortFunc(r.groups, func(a, b group) int { return a.priority - b.priority })
	if len(r.groups) == 0 {
		r.failed = &NoSourceError{Model: e.Name, Skipped: r.skipped}
	}
	return r
}

// candidate makes a candidate of a source, or says why it is skipped.
func (s *Snapshot) candidate(e *Entry, source *Source, client format.ID, op format.Operation) (Candidate, Skip) {
	u := s.upstreams[source.Upstream]
	f, ok := u.FormatFor(client, op)
	skip := func(cause Cause, reason string) (Candidate, Skip) {
		return Candidate{}, Skip{Source: source, Cause: cause, Reason: reason}
	}
	reason := u.Unavailable()
	missing, unconfigured := strings.CutPrefix(reason, "not configured: ")
	switch {
	case source.Disabled:
		return skip(CauseDisabled, "is disabled")
	case !e.Model.uses(source):
		return skip(CauseInactive, "is not the active source")
	case unconfigured:
		return skip(CauseUnconfigured, "is not configured ("+missing+")")
	case reason != "":
		return skip(CauseDisabled, "is "+reason+" with its upstream")
	case !ok:
		return skip(CauseUnable, "does not serve "+string(op))
	}
	c := Candidate{
		Source: source, Upstream: u, Format: f, Model: source.Model, Serves: e,
		weight: source.weight(), seed: hashText(source.ID()), state: s.state.Source(e.Name, source.ID()),
	}
	c.Target = e.target(u, source)
	s.connect(&c)
	switch {
	case source.Format != "" && !upstream.Serves(source.Format, op):
		return skip(CauseUnable, "does not serve "+string(op)+" in the format "+string(source.Format))
	case source.Format != "":
		c.Format = source.Format
	case f == format.OpenAIChat && c.Target.Can.ChatTools != capability.ChatToolsFree && u.Speaks(format.OpenAIResponses):
		c.ToolFormat = format.OpenAIResponses
	}
	return c, Skip{}
}

// noKey names the circuit for the answers of an upstream without credentials that
// asks for one. No credential can have this id.
const noKey = "-"

// connect gives a candidate its circuits.
func (s *Snapshot) connect(c *Candidate) {
	u := c.Upstream
	circuit := func(key CircuitKey) *Circuit {
		if s.state.Circuits == nil {
			return nil
		}
		key.Upstream = u.Name()
		return s.state.Circuits.Get(key, s.policies[u.Name()])
	}
	c.upstreamCircuit = circuit(CircuitKey{Scope: ScopeUpstream})
	c.modelCircuit = circuit(CircuitKey{Scope: ScopeUpstreamModel, Model: c.Model})
	for _, ref := range u.Credentials() {
		if ref.Missing == "" {
			c.keys = append(c.keys, keyCircuit{ref.ID, circuit(CircuitKey{Scope: ScopeCredential, Credential: ref.ID})})
		}
	}
	if len(c.keys) == 0 {
		c.keys = []keyCircuit{{"", circuit(CircuitKey{Scope: ScopeCredential, Credential: noKey})}}
	}
}

// target is what is known of a source's upstream model, with the settings of the
// model and of the source.
func (e *Entry) target(u *upstream.Upstream, source *Source) chat.Target {
	target := u.Target(source.Model)
	target.ServerTools, _ = e.Model.serverTools() // checked with the model
	_ = e.Model.override(&target.Can)             // likewise
	if source.ContextWindow > 0 {
		target.Can.ContextWindow = source.ContextWindow
	}
	return target
}

// add puts a candidate into the group of its priority.
func (r *route) add(c Candidate, t *turns) {
	p := c.Source.priority()
	i := slices.IndexFunc(r.groups, func(g group) bool { return g.priority == p })
	if i < 0 {
		i = len(r.groups)
		r.groups = append(r.groups, group{priority: p, turns: t})
	}
	r.groups[i].candidates = append(r.groups[i].candidates, c)
	r.groups[i].weight += c.weight
}
