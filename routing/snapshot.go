// Package routing decides which source serves a request: it matches the model's
// name and orders the model's sources into a plan.
package routing

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Snapshot is an immutable view of all upstreams and models. A request uses one
// snapshot from start to end. It is safe for concurrent use.
type Snapshot struct {
	upstreams map[string]*upstream.Upstream
	models    map[string]*Entry
	listed    []*Entry
}

// Entry is a model in a snapshot.
type Entry struct {
	// Name is what clients ask for.
	Name string
	// Model is its definition; it must not be changed.
	Model *Model

	// routes holds what was decided ahead for each kind of request.
	routes map[routeKey]*route
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

// NewSnapshot checks that models and provisioned upstreams fit together and
// makes a snapshot of them. The maps and the models may be changed afterwards,
// the upstreams may not. An error names the field it is about.
func NewSnapshot(upstreams map[string]*upstream.Upstream, models map[string]*Model) (*Snapshot, error) {
	s := &Snapshot{
		upstreams: maps.Clone(upstreams),
		models:    make(map[string]*Entry, len(models)),
	}
	for _, name := range sortedNames(upstreams) {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("upstreams: name %q %w", name, err)
		}
		if upstreams[name] == nil {
			return nil, fmt.Errorf("upstreams.%s: is null", name)
		}
	}
	for _, name := range sortedNames(models) {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("models: name %q %w", name, err)
		}
		if models[name] == nil {
			return nil, fmt.Errorf("models.%s: is null", name)
		}
		if err := models[name].check(upstreams); err != nil {
			return nil, fmt.Errorf("models.%s%w", name, err)
		}
		e := s.newEntry(name, models[name])
		s.models[name] = e
		if e.Usable() {
			s.listed = append(s.listed, e)
		}
	}
	return s, nil
}

// Model finds a model by its exact name. A disabled model is not found.
func (s *Snapshot) Model(name string) (*Entry, bool) {
	e, ok := s.models[name]
	if !ok || e.Model.Disabled {
		return nil, false
	}
	return e, true
}

// Models lists the models that can be asked for now, sorted by name: those that
// are not disabled and have a usable source. The caller must not change it.
func (s *Snapshot) Models() []*Entry { return s.listed }

// Upstream finds an upstream by name.
func (s *Snapshot) Upstream(name string) (*upstream.Upstream, bool) {
	u, ok := s.upstreams[name]
	return u, ok
}

// Upstreams lists all upstreams, sorted by name.
func (s *Snapshot) Upstreams() []*upstream.Upstream {
	all := make([]*upstream.Upstream, 0, len(s.upstreams))
	for _, name := range sortedNames(s.upstreams) {
		all = append(all, s.upstreams[name])
	}
	return all
}

// Usable says whether the model is enabled and has a source that can be used.
func (e *Entry) Usable() bool {
	if e.Model.Disabled {
		return false
	}
	for _, r := range e.routes {
		if r.failed == nil {
			return true
		}
	}
	return false
}

// newEntry copies the definition and decides its routes.
func (s *Snapshot) newEntry(name string, m *Model) *Entry {
	own := *m
	own.Sources = slices.Clone(m.Sources)
	e := &Entry{Name: name, Model: &own, routes: map[routeKey]*route{}}
	for _, op := range operations {
		for _, client := range upstream.KnownFormats() {
			if !upstream.Serves(client, op) {
				continue // nobody asks for it in that format
			}
			e.routes[routeKey{client, op}] = s.newRoute(e, client, op)
		}
	}
	return e
}

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
		r.add(c)
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
	case unconfigured:
		return skip(CauseUnconfigured, "is not configured ("+missing+")")
	case reason != "":
		return skip(CauseDisabled, "is "+reason+" with its upstream")
	case !ok:
		return skip(CauseUnable, "does not serve "+string(op))
	}
	c := Candidate{Source: source, Upstream: u, Format: f, Model: source.Model, Serves: e, weight: source.weight()}
	c.Target = e.target(u, source.Model)
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

// target is what encoders must know of an upstream model, with the model's own
// settings.
func (e *Entry) target(u *upstream.Upstream, name string) chat.Target {
	target := u.Target(name)
	target.ServerTools, _ = e.Model.serverTools() // checked with the model
	_ = e.Model.override(&target.Can)             // likewise
	return target
}

// add puts a candidate into the group of its priority.
func (r *route) add(c Candidate) {
	p := c.Source.priority()
	i := slices.IndexFunc(r.groups, func(g group) bool { return g.priority == p })
	if i < 0 {
		i = len(r.groups)
		r.groups = append(r.groups, group{priority: p})
	}
	r.groups[i].candidates = append(r.groups[i].candidates, c)
	r.groups[i].weight += c.weight
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// known lists the names of the upstreams for an error.
func known(upstreams map[string]*upstream.Upstream) string {
	const most = 12
	names := sortedNames(upstreams)
	switch more := len(names) - most; {
	case len(names) == 0:
		return "none"
	case more > 0:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	default:
		return strings.Join(names, ", ")
	}
}

func joined(ids []format.ID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}
