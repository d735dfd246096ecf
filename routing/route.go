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

// routeKey is what a route depends on besides the model.
type routeKey struct {
	client    format.ID
	operation format.Operation
}

// operations lists the operations that are served through sources.
var operations = []format.Operation{
	format.OperationChat, format.OperationComplete, format.OperationCountTokens, format.OperationEmbed,
	format.OperationImageGenerate, format.OperationImageEdit, format.OperationAudioSpeech,
	format.OperationAudioTranscribe, format.OperationRerank,
}

// Operations lists the operations that a model can be asked for.
func Operations() []string {
	names := make([]string, len(operations))
	for i, op := range operations {
		names[i] = string(op)
	}
	return names
}

// kinds numbers the kinds of requests that clients can make.
var kinds = func() map[routeKey]int {
	all := make(map[routeKey]int)
	for _, op := range operations {
		for _, client := range upstream.KnownFormats() {
			if upstream.Serves(client, op) {
				all[routeKey{client, op}] = len(all)
			}
		}
	}
	return all
}()

// route is the route for a kind of request. It is made when the first such request
// comes: most models are asked for in one or two ways.
func (e *Entry) route(client format.ID, op format.Operation) *route {
	kind, ok := kinds[routeKey{client, op}]
	if !ok {
		return e.newRoute(client, op)
	}
	slot := &e.routes[kind]
	if r := slot.Load(); r != nil {
		return r
	}
	slot.CompareAndSwap(nil, e.newRoute(client, op))
	return slot.Load()
}

// newRoute sorts out the sources and groups the rest by priority.
func (e *Entry) newRoute(client format.ID, op format.Operation) *route {
	r := new(route)
	for i := range e.Model.Sources {
		source := &e.Model.Sources[i]
		c, skip := e.candidate(i, client, op)
		if skip.Cause != CauseNone {
			r.skipped = append(r.skipped, skip)
			continue
		}
		r.add(c, e.observed.turnsOf(source.priority()))
	}
	slices.SortFunc(r.groups, func(a, b group) int { return a.priority - b.priority })
	if len(r.groups) == 0 {
		r.failed = &NoSourceError{Model: e.Name, Skipped: r.skipped}
	}
	return r
}

// leftOut says why a source is not used for any request; CauseNone if it is.
func (e *Entry) leftOut(i int) (cause Cause, reason string) {
	source, u := &e.Model.Sources[i], e.through[i].upstream
	unavailable := u.Unavailable()
	missing, unconfigured := strings.CutPrefix(unavailable, "not configured: ")
	switch {
	case source.Disabled:
		return CauseDisabled, "is disabled"
	case !e.Model.uses(source):
		return CauseInactive, "is not the active source"
	case unconfigured:
		return CauseUnconfigured, "is not configured (" + missing + ")"
	case unavailable != "":
		return CauseDisabled, "is " + unavailable + " with its upstream"
	case e.through[i].disabled[source.Model]:
		return CauseDisabled, "is disabled in the catalogue"
	default:
		return CauseNone, ""
	}
}

// candidate makes a candidate of a source, or says why it is skipped.
func (e *Entry) candidate(i int, client format.ID, op format.Operation) (Candidate, Skip) {
	source, u := &e.Model.Sources[i], e.through[i].upstream
	skip := func(cause Cause, reason string) (Candidate, Skip) {
		return Candidate{}, Skip{Source: source, Cause: cause, Reason: reason}
	}
	if cause, reason := e.leftOut(i); cause != CauseNone {
		return skip(cause, reason)
	}
	f, ok := u.FormatFor(client, op)
	if !ok || !e.Model.serves(op) {
		return skip(CauseUnable, "does not serve "+string(op))
	}
	c := Candidate{
		Source: source, Upstream: u, Format: f, Model: source.Model, Serves: e,
		weight: source.weight(), seed: hashText(source.ID()), state: e.observed.source(source.ID()),
	}
	c.Target = e.target(u, source)
	switch {
	case source.Format != "" && !upstream.Serves(source.Format, op):
		return skip(CauseUnable, "does not serve "+string(op)+" in the format "+string(source.Format))
	case source.Format != "":
		c.Format = source.Format
	case f == format.OpenAIChat && c.Target.Can.ChatTools != capability.ChatToolsFree && u.Speaks(format.OpenAIResponses):
		c.ToolFormat = format.OpenAIResponses
	}
	e.circuits(i, &c)
	return c, Skip{}
}

// noKey names the circuit for the answers of an upstream without credentials that
// asks for one. No credential can have this id.
const noKey = "-"

// circuits gives a candidate its circuits.
func (e *Entry) circuits(i int, c *Candidate) {
	connection := e.through[i]
	c.upstreamCircuit = connection.circuit(e.state, CircuitKey{Scope: ScopeUpstream})
	c.modelCircuit = connection.circuit(e.state, CircuitKey{Scope: ScopeUpstreamModel, Model: c.Model})
	c.keys = connection.keys(e.state)
}

// circuit is a circuit of the upstream; nil if nothing is observed.
func (c *connection) circuit(state *State, key CircuitKey) *Circuit {
	if state.Circuits == nil {
		return nil
	}
	key.Upstream = c.upstream.Name()
	return state.Circuits.Get(key, c.policy)
}

// keys are the circuits of the credentials that can be used.
func (c *connection) keys(state *State) []keyCircuit {
	var keys []keyCircuit
	for _, ref := range c.upstream.Credentials() {
		if ref.Missing == "" {
			keys = append(keys, keyCircuit{ref.ID, c.circuit(state, CircuitKey{Scope: ScopeCredential, Credential: ref.ID})})
		}
	}
	if len(keys) == 0 {
		keys = []keyCircuit{{"", c.circuit(state, CircuitKey{Scope: ScopeCredential, Credential: noKey})}}
	}
	return keys
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
