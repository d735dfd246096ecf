package registry

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Origin is where a definition comes from.
type Origin string

// The origins.
const (
	// Declaration: the config.
	Declaration Origin = "declared"
	// Management: the management API.
	Management Origin = "managed"
)

// Definition is a definition as it may be read.
type Definition struct {
	ID
	Origin Origin
	// Shadowed says that a declared definition has the same name, and is used
	// instead.
	Shadowed bool
	// Problem is why a managed definition is not used. Default: it is.
	Problem string
	// Revision rises with every change of a managed definition. 0: it is declared.
	Revision uint64
	// Place is where a declared definition is edited.
	Place string
	// Created and Updated are when a managed one was first and last written.
	Created, Updated time.Time
	// Actor is who wrote it last.
	Actor string

	spec json.RawMessage
}

// Spec is the definition as JSON of the config; of secrets only a mask is there.
func (d *Definition) Spec() json.RawMessage { return shown(d.Kind, d.spec) }

// InUse says whether requests are routed by it.
func (d *Definition) InUse() bool { return !d.Shadowed && d.Problem == "" }

// Get finds the definition that a name stands for: the declared one if there is
// one. With an origin it finds that one and no other.
func (v *View) Get(id ID, origin Origin) (Definition, bool) {
	if d, ok := v.declared(id); ok && origin != Management {
		return d, true
	}
	if origin == Declaration {
		return Definition{}, false
	}
	return v.managed(id)
}

func (v *View) declared(id ID) (Definition, bool) {
	spec, ok := v.registry.opt.Declared.Specs[id]
	if !ok {
		return Definition{}, false
	}
	return Definition{ID: id, Origin: Declaration, Place: v.registry.place(id), spec: spec}, true
}

func (v *View) managed(id ID) (Definition, bool) {
	record, ok := v.records.all[id]
	if !ok {
		return Definition{}, false
	}
	d := Definition{
		ID: id, Origin: Management, Revision: record.Revision,
		Created: record.Created, Updated: record.Updated, Actor: record.Actor, spec: record.Spec,
	}
	if o := v.built[id]; o != nil {
		d.Shadowed, d.Problem = o.shadowed, o.problem
	}
	return d, true
}

// List lists the definitions of a kind by name, a declared one before the managed
// one that it shadows. The caller must not change it.
func (v *View) List(kind Kind) []Definition {
	list := &v.lists[slices.Index(Kinds[:], kind)]
	list.once.Do(func() { list.all = v.list(kind) })
	return list.all
}

// list is a list that is made when it is first asked for.
type list struct {
	once sync.Once
	all  []Definition
}

func (v *View) list(kind Kind) []Definition {
	var all []Definition
	for id := range v.registry.opt.Declared.Specs {
		if id.Kind == kind {
			d, _ := v.declared(id)
			all = append(all, d)
		}
	}
	for name := range v.records.of(kind) {
		d, _ := v.managed(ID{kind, name})
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Definition) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Origin, b.Origin))
	})
	return all
}

// ReadOnly says whether the config forbids managed definitions.
func (v *View) ReadOnly() bool { return v.registry.opt.Observe }
