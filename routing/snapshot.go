// Package routing decides which source serves a request: it matches the model's
// name and orders the model's sources into a plan.
package routing

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Definitions are what a snapshot is made of, by name.
type Definitions struct {
	// Upstreams are provisioned and do not change any more.
	Upstreams map[string]*upstream.Upstream
	// Models are provisioned.
	Models map[string]*Model
	// Aliases are further names of models.
	Aliases map[string]*Alias
	// Catalogues are what is known of the models of upstreams, by the upstream's
	// name. They must not be changed afterwards. Those of other names have no effect.
	Catalogues map[string]*Catalogue
	// Circuit holds for the circuits of all upstreams as far as they do not set their
	// own. Default: nil, which stands for the built-in defaults.
	Circuit *upstream.CircuitPolicy
}

// Catalogue is what a snapshot knows of an upstream's models.
type Catalogue struct {
	// Models are the names that clients may ask for because the upstream exposes
	// them, sorted. Default: none.
	Models []string
	// Disabled are the upstream models that a person has switched off: their sources
	// are not used. Default: none.
	Disabled map[string]bool
}

// Snapshot is an immutable view of all upstreams, models and aliases. A request
// uses one snapshot from start to end. It is safe for concurrent use.
type Snapshot struct {
	state      *State
	circuit    *upstream.CircuitPolicy
	upstreams  map[string]*connection
	catalogues map[string]*Catalogue
	exposing   []exposer // sorted by name
	models     map[string]*Entry
	aliases    *aliasTable

	// pending is what the state is told when the snapshot is adopted.
	pending pending
	adopted atomic.Bool

	// resolved are the entries of names that are no models', as they were found.
	resolved resolved
	// What follows is made when somebody asks for it.
	listed  func() []*Entry
	offers  func() []Offer
	public  func() []Offer
	sourced func() map[pin]*Source
}

// connection is an upstream in a snapshot.
type connection struct {
	upstream *upstream.Upstream
	policy   *upstream.CircuitPolicy
	disabled map[string]bool // upstream models
}

// exposer is an upstream whose models clients may ask for by their own names.
type exposer struct {
	name string
	*connection
	models []string // sorted
}

// has says whether clients may ask for an upstream model.
func (e *exposer) has(model string) bool {
	_, ok := slices.BinarySearch(e.models, model)
	return ok
}

// Entry is a model in a snapshot, or an upstream model that clients may ask for as
// if it were one.
type Entry struct {
	// Name is the model's name; clients may have asked for it by another.
	Name string
	// Model is its definition; it must not be changed.
	Model *Model

	state    *State
	selector Selector // nil: weighted
	sticky   string   // the header, in its usual form; "" if there is none
	observed *modelState
	through  []*connection // of the sources
	// routes holds what was decided for each kind of request, nil where nobody has
	// asked for it yet.
	routes []atomic.Pointer[route]
}

// NewSnapshot checks that the definitions fit together and makes a snapshot of
// them. The maps, the models and the aliases may be changed afterwards, the
// upstreams may not. An error begins with the path of the field it is about.
// Nothing is known of what was observed before: see State.NewSnapshot.
func NewSnapshot(d Definitions) (*Snapshot, error) { return newSnapshot(new(State), d) }

func newSnapshot(state *State, d Definitions) (*Snapshot, error) {
	if err := d.checkNull(); err != nil {
		return nil, err
	}
	empty := &Snapshot{state: state, circuit: d.Circuit, aliases: new(aliasTable), pending: pending{all: true}}
	return empty.With(Change{d.Upstreams, d.Models, d.Aliases, d.Catalogues})
}

// checkNull refuses definitions that are null: in a change they would remove a
// name.
func (d *Definitions) checkNull() error {
	if name, ok := firstNull(d.Upstreams); ok {
		return fmt.Errorf("upstreams.%s: is null", name)
	}
	if name, ok := firstNull(d.Models); ok {
		return fmt.Errorf("models.%s: is null", name)
	}
	if name, ok := firstNull(d.Aliases); ok {
		return fmt.Errorf("aliases.%s: is null", name)
	}
	return nil
}

func firstNull[T any](m map[string]*T) (name string, found bool) {
	for _, name := range sortedNames(m) {
		if m[name] == nil {
			return name, true
		}
	}
	return "", false
}

// prepare sets up what is made when somebody asks for it.
func (s *Snapshot) prepare() {
	s.listed = sync.OnceValue(s.list)
	s.offers = sync.OnceValue(s.listOffers)
	s.public = sync.OnceValue(s.listPublic)
	s.sourced = sync.OnceValue(s.listSourced)
}

// Model finds a model by its exact name. A disabled model is not found, nor one
// that has no source yet.
func (s *Snapshot) Model(name string) (*Entry, bool) {
	e, ok := s.models[name]
	if !ok || !e.known() {
		return nil, false
	}
	return e, true
}

// Models lists the models that can be used now, in display order and then by name:
// those that are not disabled and have a usable source. The caller must not change
// it.
func (s *Snapshot) Models() []*Entry { return s.listed() }

func (s *Snapshot) list() []*Entry {
	var all []*Entry
	for _, e := range s.models {
		if e.Usable() {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(a.Model.Order, b.Model.Order), strings.Compare(a.Name, b.Name))
	})
	return all
}

// Upstream finds an upstream by name.
func (s *Snapshot) Upstream(name string) (*upstream.Upstream, bool) {
	c, ok := s.upstreams[name]
	if !ok {
		return nil, false
	}
	return c.upstream, true
}

// Upstreams lists all upstreams, sorted by name.
func (s *Snapshot) Upstreams() []*upstream.Upstream {
	all := make([]*upstream.Upstream, 0, len(s.upstreams))
	for _, name := range sortedNames(s.upstreams) {
		all = append(all, s.upstreams[name].upstream)
	}
	return all
}

// Catalogue is what the snapshot knows of an upstream's models, as it was given;
// nil if that is nothing.
func (s *Snapshot) Catalogue(name string) *Catalogue { return s.catalogues[name] }

// known says whether clients can know of the model: it is enabled, and it has a
// source unless it must have one.
func (e *Entry) known() bool {
	return !e.Model.Disabled && (len(e.Model.Sources) > 0 || !e.Model.noSource)
}

// Usable says whether the model is enabled and has a source that can be used.
func (e *Entry) Usable() bool {
	if !e.known() {
		return false
	}
	for i := range e.Model.Sources {
		if cause, _ := e.leftOut(i); cause == CauseNone && e.capable(i) {
			return true
		}
	}
	return false
}

// capable says whether a source can do any of what the model is for.
func (e *Entry) capable(i int) bool {
	if len(e.Model.Operations) == 0 {
		return true
	}
	spoken := e.through[i].upstream.Spoken()
	if f := e.Model.Sources[i].Format; f != "" {
		spoken = []format.ID{f}
	}
	return slices.ContainsFunc(e.Model.Operations, func(op format.Operation) bool {
		return slices.ContainsFunc(spoken, func(f format.ID) bool { return upstream.Serves(f, op) })
	})
}

// newEntry copies the definition and connects it with its upstreams.
func (s *Snapshot) newEntry(name string, m *Model, observed *modelState) *Entry {
	own := *m
	own.Sources = slices.Clone(m.Sources)
	e := &Entry{
		Name: name, Model: &own, state: s.state, sticky: own.stickyHeader(), observed: observed,
		through: make([]*connection, len(own.Sources)),
		routes:  make([]atomic.Pointer[route], len(kinds)),
	}
	if _, weighted := own.selector.(*WeightedPolicy); !weighted {
		e.selector = own.selector
	}
	for i := range own.Sources {
		own.Sources[i].sent, _ = upstream.PlainHeaders("headers", own.Sources[i].Headers) // checked with the model
		e.through[i] = s.upstreams[own.Sources[i].Upstream]
	}
	return e
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// known lists names for an error.
func known[V any](m map[string]V) string {
	const most = 12
	names := sortedNames(m)
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
