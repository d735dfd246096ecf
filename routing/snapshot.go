// Package routing decides which source serves a request: it matches the model's
// name and orders the model's sources into a plan.
package routing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Snapshot is an immutable view of all upstreams and models. A request uses one
// snapshot from start to end. It is safe for concurrent use.
type Snapshot struct {
	upstreams map[string]*upstream.Upstream
	models    map[string]*Entry
	listed    []*Entry
	state     *State
	policies  map[string]*upstream.CircuitPolicy // by upstream
}

// Entry is a model in a snapshot.
type Entry struct {
	// Name is what clients ask for.
	Name string
	// Model is its definition; it must not be changed.
	Model *Model

	selector Selector // nil: weighted
	sticky   string   // the header, in its usual form; "" if there is none
	observed *modelState
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
// the upstreams may not. An error names the field it is about. Nothing is known
// of what was observed before: see State.NewSnapshot.
func NewSnapshot(upstreams map[string]*upstream.Upstream, models map[string]*Model) (*Snapshot, error) {
	return newSnapshot(upstreams, models, new(State), nil)
}

func newSnapshot(upstreams map[string]*upstream.Upstream, models map[string]*Model, state *State, policy *upstream.CircuitPolicy) (*Snapshot, error) {
	s := &Snapshot{
		state:     state,
		policies:  make(map[string]*upstream.CircuitPolicy, len(upstreams)),
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
		s.policies[name] = upstreams[name].Circuit.Inherit(policy)
	}
	if err := s.checkModels(models); err != nil {
		return nil, err
	}
	s.identify()
	for _, name := range sortedNames(models) {
		e := s.newEntry(name, models[name])
		s.models[name] = e
		if e.Usable() {
			s.listed = append(s.listed, e)
		}
	}
	return s, nil
}

// checkModels refuses models that do not fit the upstreams.
func (s *Snapshot) checkModels(models map[string]*Model) error {
	for _, name := range sortedNames(models) {
		if err := checkName(name); err != nil {
			return fmt.Errorf("models: name %q %w", name, err)
		}
		if models[name] == nil {
			return fmt.Errorf("models.%s: is null", name)
		}
		if err := models[name].check(s.upstreams); err != nil {
			return fmt.Errorf("models.%s%w", name, err)
		}
	}
	return nil
}

// identify tells the circuits which upstreams they are about now.
func (s *Snapshot) identify() {
	if s.state.Circuits == nil {
		return
	}
	now := time.Now()
	for _, name := range sortedNames(s.upstreams) {
		s.state.Circuits.Identify(now, name, s.upstreams[name].Identity())
	}
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
	e := &Entry{
		Name: name, Model: &own, routes: map[routeKey]*route{},
		sticky: own.stickyHeader(), observed: s.state.model(name),
	}
	if _, weighted := own.selector.(*WeightedPolicy); !weighted {
		e.selector = own.selector
	}
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
