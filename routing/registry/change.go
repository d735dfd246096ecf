package registry

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// Verb is what is done to a definition.
type Verb string

// The verbs.
const (
	// Create makes a definition that is not there yet.
	Create Verb = "create"
	// Replace makes a definition, or puts another in its place.
	Replace Verb = "replace"
	// Edit changes a definition that is there.
	Edit Verb = "edit"
	// Delete removes a definition.
	Delete Verb = "delete"
)

// What a step can ask for in the place of a revision.
const (
	// Existing is any revision, as long as the definition is there.
	Existing uint64 = math.MaxUint64 - iota
	// NoRevision is one that no definition is at.
	NoRevision
)

// Op is one step of a change.
type Op struct {
	ID
	Verb Verb
	// Spec is the definition to create, or to put in the place of the one that is
	// there: JSON of the config. Secrets that are left out, or come back as they were
	// shown, are kept.
	Spec json.RawMessage
	// Edit makes the new definition out of the one that is there, in which secrets are
	// masks of the store's own that may be kept as they are.
	Edit func(spec json.RawMessage) (json.RawMessage, error)
	// If is the revision that the definition must be at, Existing or NoRevision.
	// Default: any, and none.
	If uint64
	// Cascade also deletes what refers to a definition that is deleted: aliases of
	// models, and sources of upstreams. Default: it is refused then.
	Cascade bool
}

// Result is what became of one definition.
type Result struct {
	// Definition as it is now; of a deleted one, as it was.
	Definition
	Verb Verb
	// Changed is false if it was already as it was to be.
	Changed bool
}

// Outcome is what a change did, or would do.
type Outcome struct {
	// Results, one for each step, and then those that a cascade added.
	Results []Result
	// Impact is what follows for others.
	Impact []Impact
	// View is the view after the change; of a dry run, the one before.
	View *View
}

// ChangeOptions are about a change as a whole.
type ChangeOptions struct {
	// Actor is who wants it.
	Actor string
	// DryRun says that nothing is to be stored.
	DryRun bool
}

// Change does all steps, or none: it checks them against everything else, stores
// them in one commit and routes by them from then on. Requests under way go on as
// they began. An error that the caller can do something about is an *Error.
func (r *Registry) Change(ops []Op, o ChangeOptions) (Outcome, error) {
	m := r.opt.Managed
	m.writing.Lock()
	defer m.writing.Unlock()
	r.building.Lock()
	defer r.building.Unlock()
	if r.closed {
		return Outcome{}, &Error{Code: CodeStore, Message: "the config has just been replaced; nothing was changed: try again"}
	}
	base := r.current.Load()
	if base.records != m.records() || base.catalogues != r.catalogueVersion() {
		next := r.advance(base, m.records())
		r.publish(base, next)
		base = next
	}
	c := &changing{registry: r, base: base, overlay: make(map[ID]*Record), actor: o.Actor}
	for _, op := range ops {
		if err := c.do(op); err != nil {
			return Outcome{}, err
		}
	}
	next, err := c.try()
	if err != nil {
		c.abandon(next)
		return Outcome{Impact: c.impact}, err
	}
	if o.DryRun {
		defer c.abandon(next)
		return c.outcome(next, base), nil
	}
	if len(c.writes) == 0 {
		c.abandon(next)
		return c.outcome(base, base), nil
	}
	return c.commit(next)
}

// try builds the view after the change.
func (c *changing) try() (*View, error) {
	r, base := c.registry, c.base
	next := &View{
		Snapshot: base.Snapshot, registry: r, records: base.records,
		catalogues: base.catalogues, built: maps.Clone(base.built),
	}
	var change routing.Change
	for _, w := range c.writes {
		was := base.built[w.ID]
		switch {
		case w.Record == nil:
			delete(next.built, w.ID)
			if was.inUse() {
				addTo(&change, w.ID, nil)
			}
			continue
		case r.declares(w.ID):
			next.built[w.ID] = &object{shadowed: true}
			continue
		}
		o, err := r.provision(w.ID, w.Record.Spec)
		if err != nil {
			return next, Invalid(w.ID, err)
		}
		next.built[w.ID] = o
		addTo(&change, w.ID, o)
	}
	snapshot, err := base.Snapshot.With(change)
	if err != nil {
		return next, c.blamed(err)
	}
	next.Snapshot = snapshot
	c.mend(next)
	// What an upstream exposes may have changed with it.
	r.takeCatalogues(next)
	return next, nil
}

// mend tries broken definitions again that the change may have made whole: first
// those that others refer to.
func (c *changing) mend(next *View) {
	again := newChanges()
	for _, id := range c.broken() {
		if was := c.base.built[id]; again.has(next, was.lacks) {
			again.add(id, c.registry.rebuild(next, id, c.base.records.all[id]))
		}
	}
	c.registry.take(next, again)
}

// broken lists the definitions that are not used and that no step is about.
func (c *changing) broken() []ID {
	var all []ID
	for id, o := range c.base.built {
		if _, written := c.overlay[id]; !written && o.problem != "" {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, compareIDs)
	return all
}

// blamed finds the step that an error of the snapshot is about. One about a
// definition that is not changed tells which of them does not fit any more.
func (c *changing) blamed(err error) error {
	var at ID // names may begin with one another: the longest is meant
	for _, w := range c.writes {
		rest, ok := strings.CutPrefix(err.Error(), string(w.ID.Kind)+"."+w.ID.Name)
		if ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, ":")) && len(w.ID.Name) > len(at.Name) {
			at = w.ID
		}
	}
	if at.Name != "" {
		return Invalid(at, err)
	}
	e := &Error{Code: CodeInvalid, Message: err.Error()}
	if len(c.writes) > 0 {
		e.ID = c.writes[0].ID
	}
	return e
}

// abandon lets go of what a change that does not take place has built.
func (c *changing) abandon(next *View) {
	for id, o := range next.built {
		if c.base.built[id] != o {
			o.close()
		}
	}
}

// commit stores the change and puts it in force.
func (c *changing) commit(next *View) (Outcome, error) {
	m := c.registry.opt.Managed
	revision, err := m.store.Commit(c.writes)
	if err != nil {
		c.abandon(next)
		return Outcome{}, errors.Join(err, m.uncertain(err))
	}
	next.records = c.base.records.with(c.writes, revision)
	for _, w := range c.writes {
		if o := next.built[w.ID]; o != nil {
			o.revision = revision
		}
	}
	m.current.Store(next.records)
	c.registry.publish(c.base, next)
	m.tell(c.events(revision))
	return c.outcome(next, next), nil
}

// events are what others are told of the change.
func (c *changing) events(revision uint64) []Event {
	var all []Event
	for _, w := range c.writes {
		e := Event{ID: w.ID, What: Edit, Revision: revision, Actor: c.actor, Time: c.registry.opt.Managed.now().UTC()}
		switch {
		case w.Record == nil:
			e.What, e.Gone = Delete, !c.registry.declares(w.ID)
		case w.If == 0:
			e.What = Create
		}
		all = append(all, e)
	}
	return all
}

// outcome tells what the change did: definitions as they are in the view, deleted
// ones as they were.
func (c *changing) outcome(next, after *View) Outcome {
	for i := range c.results {
		res := &c.results[i]
		if res.Verb == Delete {
			continue
		}
		if d, ok := next.Get(res.ID, Management); ok {
			res.Definition = d
		}
		if record := c.overlay[res.ID]; record != nil {
			res.Definition.Origin, res.Definition.spec = Management, record.Spec
			res.Definition.Created, res.Definition.Updated, res.Definition.Actor = record.Created, record.Updated, record.Actor
		}
	}
	return Outcome{Results: c.results, Impact: c.impact, View: after}
}

// tell tells of what was changed.
func (m *Managed) tell(events []Event) {
	if m.changed != nil {
		m.changed(events)
	}
}
