package registry

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// changes are the definitions that a view is to have in the place of those of the same
// names; nil removes one.
type changes map[Kind]map[string]*object

func newChanges() changes {
	c := make(changes)
	for _, kind := range Kinds {
		c[kind] = make(map[string]*object)
	}
	return c
}

// add notes a definition, unless it is one that is not used.
func (c changes) add(id ID, o *object) {
	if o.inUse() {
		c[id.Kind][id.Name] = o
	}
}

// has says whether a view has a definition when the changes are in it. It has what
// nothing is lacking of: the zero ID.
func (c changes) has(v *View, id ID) bool {
	if o, ok := c[id.Kind][id.Name]; ok {
		return o != nil
	}
	switch id.Kind {
	case Upstreams:
		_, ok := v.Snapshot.Upstream(id.Name)
		return ok
	case Models:
		_, ok := v.Snapshot.Entry(id.Name)
		return ok
	default:
		return true
	}
}

// lacks is the first definition that one refers to and that is not there, with the
// field that does.
func (c changes) lacks(v *View, o *object) (lacking ID, field string) {
	if o.model != nil {
		for i := range o.model.Sources {
			if id := (ID{Upstreams, o.model.Sources[i].Upstream}); !c.has(v, id) {
				return id, fmt.Sprintf("sources[%d].upstream", i)
			}
		}
	}
	if o.alias != nil {
		id := ID{Models, o.alias.Model}
		if name, _, pinned := routing.PinnedName(o.alias.Model); pinned && !c.has(v, id) {
			id = ID{Upstreams, name}
		}
		if !c.has(v, id) {
			return id, "model"
		}
	}
	return ID{}, ""
}

// all is the change of the snapshot.
func (c changes) all() routing.Change {
	var all routing.Change
	for kind, change := range c {
		for name, o := range change {
			addTo(&all, ID{kind, name}, o)
		}
	}
	return all
}

// advance makes the view of other records out of an earlier one: only what differs
// is built. What does not fit is left out, with the reason.
func (r *Registry) advance(old *View, to *records) *View {
	next := &View{
		Snapshot: old.Snapshot, registry: r, records: to,
		catalogues: r.catalogueVersion(), built: maps.Clone(old.built),
	}
	c := newChanges()
	for id, o := range old.built {
		if record, ok := to.all[id]; !ok || record.Revision != o.revision {
			delete(next.built, id)
			if o.inUse() {
				c[id.Kind][id.Name] = nil
			}
		}
	}
	for _, kind := range Kinds {
		for name, record := range to.of(kind) {
			id := ID{kind, name}
			if o, ok := next.built[id]; ok && (o.problem == "" || !c.has(next, o.lacks)) {
				continue
			}
			c.add(id, r.rebuild(next, id, record))
		}
	}
	r.take(next, c)
	r.takeCatalogues(next)
	return next
}

// rebuild makes a stored definition ready for a view that is being made.
func (r *Registry) rebuild(v *View, id ID, record Record) *object {
	o := r.build(id, record)
	v.built[id] = o
	return o
}

// take puts changes into the snapshot of a view that is being made. What does not fit
// is left out, with the reason.
func (r *Registry) take(v *View, c changes) {
	r.leaveOut(v, c)
	if len(c[Upstreams])+len(c[Models])+len(c[Aliases]) == 0 {
		return
	}
	if snapshot, err := v.Snapshot.With(c.all()); err == nil {
		v.Snapshot = snapshot
		return
	}
	for _, kind := range slices.Backward(Kinds[:]) {
		gone := make(map[string]*object)
		for name, o := range c[kind] {
			if o == nil {
				gone[name] = nil
			}
		}
		r.apply(v, kind, gone, c)
	}
	for _, kind := range Kinds {
		maps.DeleteFunc(c[kind], func(_ string, o *object) bool { return o == nil })
		r.leaveOut(v, c) // also what refers to those that did not fit
		r.apply(v, kind, c[kind], c)
	}
}

// leaveOut takes those out of the changes that refer to what is not there. There may
// be very many, when the config no longer declares an upstream.
func (r *Registry) leaveOut(v *View, c changes) {
	for _, kind := range Kinds {
		for name, o := range c[kind] {
			if o == nil {
				continue
			}
			lacking, field := c.lacks(v, o)
			if lacking.Name == "" && field == "" {
				continue
			}
			id := ID{kind, name}
			o.close()
			v.built[id] = &object{
				revision: o.revision, lacks: lacking,
				problem: fmt.Sprintf("%s: unknown %s %q", field, lacking.Kind.One(), lacking.Name),
			}
			if delete(c[kind], name); v.inSnapshot(id) {
				c[kind][name] = nil // as it was before
			}
		}
	}
}

// inSnapshot says whether the snapshot has a definition.
func (v *View) inSnapshot(id ID) bool {
	if id.Kind == Aliases {
		_, ok := v.Snapshot.Alias(id.Name)
		return ok
	}
	return changes{}.has(v, id)
}

// apply changes the snapshot of a view that is being made. If the change as a whole is
// refused, it is halved until what is at fault is found, which is then left out with
// the reason. It is a part of all the changes.
func (r *Registry) apply(v *View, kind Kind, change map[string]*object, all changes) {
	if len(change) == 0 {
		return
	}
	snapshot, err := v.Snapshot.With(changeOf(kind, change))
	if err == nil {
		v.Snapshot = snapshot
		return
	}
	names := slices.Sorted(maps.Keys(change))
	if len(names) > 1 {
		for _, part := range [][]string{names[:len(names)/2], names[len(names)/2:]} {
			half := make(map[string]*object, len(part))
			for _, name := range part {
				half[name] = change[name]
			}
			r.apply(v, kind, half, all)
		}
		return
	}
	id := ID{kind, names[0]}
	if o := change[id.Name]; o != nil {
		o.close()
		v.built[id] = &object{revision: o.revision, problem: problemOf(id, err)}
		delete(all[kind], id.Name)
	}
	if v.inSnapshot(id) { // as it was before
		r.drop(v, id, all)
	}
}

// drop takes a definition out of the snapshot together with what refers to it there,
// which is tried again with the rest of the changes.
func (r *Registry) drop(v *View, gone ID, all changes) {
	for _, id := range v.referring(gone, all) {
		r.drop(v, id, all)
		if _, ok := all[id.Kind][id.Name]; !ok {
			all.add(id, v.built[id])
		}
	}
	if snapshot, err := v.Snapshot.With(changeOf(gone.Kind, map[string]*object{gone.Name: nil})); err == nil {
		v.Snapshot = snapshot
	}
}

// referring lists the managed definitions that refer to one in the snapshot, as they
// were before the changes.
func (v *View) referring(to ID, all changes) []ID {
	found := make(map[ID]bool)
	look := func(id ID) {
		var o object
		switch id.Kind {
		case Models:
			if e, ok := v.Snapshot.Entry(id.Name); ok {
				o.model = e.Model
			}
		case Aliases:
			o.alias, _ = v.Snapshot.Alias(id.Name)
		}
		if refers(&o, to) {
			found[id] = true
		}
	}
	for id, o := range v.built {
		if o.inUse() {
			look(id)
		}
	}
	for kind, change := range all {
		for name := range change {
			look(ID{kind, name})
		}
	}
	return slices.SortedFunc(maps.Keys(found), compareIDs)
}
