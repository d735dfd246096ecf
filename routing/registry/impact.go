package registry

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// Effect is what a deletion means for a definition that refers to what is deleted.
type Effect string

// The effects.
const (
	// LosesSource: a model loses sources, and has others that can be used.
	LosesSource Effect = "loses_source"
	// LosesAll: a model is left without a source that can be used.
	LosesAll Effect = "left_without_source"
	// Deleted: an alias goes with its model.
	Deleted Effect = "deleted"
)

// Impact is what a deletion means for one definition.
type Impact struct {
	ID
	Effect Effect
	// Sources are those that a model loses, by id.
	Sources []string
}

// String is a sentence about it.
func (i Impact) String() string {
	switch i.Effect {
	case LosesSource:
		return fmt.Sprintf("%s %q loses %d of its sources", i.Kind.One(), i.Name, len(i.Sources))
	case LosesAll:
		return fmt.Sprintf("%s %q is left without a source", i.Kind.One(), i.Name)
	default:
		return fmt.Sprintf("%s %q is deleted too", i.Kind.One(), i.Name)
	}
}

// dependents are the managed definitions that refer to one, by name.
func (v *View) dependents(gone ID) []ID {
	var all []ID
	for id, o := range v.built {
		if refers(o, gone) {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, compareIDs)
	return all
}

// refers says whether a definition that was built refers to another.
func refers(o *object, to ID) bool {
	switch {
	case o == nil:
		return false
	case to.Kind == Upstreams && o.model != nil:
		return slices.ContainsFunc(o.model.Sources, func(s routing.Source) bool { return s.Upstream == to.Name })
	case to.Kind == Models && o.alias != nil:
		return o.alias.Model == to.Name
	case to.Kind == Upstreams && o.alias != nil:
		name, _, pinned := routing.PinnedName(o.alias.Model)
		return pinned && name == to.Name
	default:
		return false
	}
}

func compareIDs(a, b ID) int {
	if a.Kind != b.Kind {
		return slices.Index(Kinds[:], a.Kind) - slices.Index(Kinds[:], b.Kind)
	}
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	default:
		return 0
	}
}

// Impact tells what it would mean for managed definitions if one were deleted.
func (v *View) Impact(gone ID) []Impact {
	var all []Impact
	for _, id := range v.dependents(gone) {
		o := v.built[id]
		if o.model == nil {
			all = append(all, Impact{ID: id, Effect: Deleted})
			continue
		}
		i := Impact{ID: id, Effect: LosesAll}
		for k := range o.model.Sources {
			source := &o.model.Sources[k]
			switch {
			case source.Upstream == gone.Name:
				i.Sources = append(i.Sources, source.ID())
			case !source.Disabled:
				if u, ok := v.Snapshot.Upstream(source.Upstream); ok && u.Unavailable() == "" {
					i.Effect = LosesSource
				}
			}
		}
		all = append(all, i)
	}
	return all
}

// remove notes the deletion of a definition. What refers to it is named, and
// changed if the step says so.
func (c *changing) remove(op Op, record Record) error {
	deleted := Result{Verb: Delete, Changed: true}
	deleted.Definition, _ = c.base.managed(op.ID)
	if deleted.Definition.spec == nil {
		deleted.Definition = Definition{ID: op.ID, Origin: Management, spec: record.Spec}
	}
	// What a shadowed definition leaves behind is the declared one of its name.
	if !c.registry.declares(op.ID) {
		impact := c.base.Impact(op.ID)
		impact = slices.DeleteFunc(impact, func(i Impact) bool {
			r, written := c.overlay[i.ID]
			return written && r == nil // it goes as well
		})
		c.impact = append(c.impact, impact...)
		if len(impact) > 0 && !op.Cascade {
			return &Error{
				Code: CodeInUse, ID: op.ID, Impact: impact,
				Message: fmt.Sprintf("the %s %q is in use: %s; delete with cascade, or change these first", op.Kind.One(), op.Name, sentences(impact)),
			}
		}
		if err := c.cascade(op, impact); err != nil {
			return err
		}
	}
	c.note(op.ID, nil)
	c.results = append(c.results, deleted)
	return nil
}

// sentences lists impacts for an error.
func sentences(impact []Impact) string {
	const most = 5
	text := ""
	for i, one := range impact {
		if i == most {
			return text + fmt.Sprintf(", and %d more", len(impact)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += one.String()
	}
	return text
}

// cascade changes what refers to a definition that is deleted.
func (c *changing) cascade(op Op, impact []Impact) error {
	for _, i := range impact {
		record, ok := c.record(i.ID)
		if !ok {
			continue
		}
		if i.Effect == Deleted {
			c.note(i.ID, nil)
			d, _ := c.base.managed(i.ID)
			c.results = append(c.results, Result{Definition: d, Verb: Delete, Changed: true})
			continue
		}
		spec, err := withoutUpstream(record.Spec, op.Name)
		if err != nil {
			return Invalid(i.ID, err)
		}
		c.write(i.ID, spec, record)
		c.results = append(c.results, Result{Definition: Definition{ID: i.ID}, Verb: Edit, Changed: true})
	}
	return nil
}

// withoutUpstream is a model without the sources of an upstream. A model that was
// pinned to one of these is balanced again.
func withoutUpstream(spec json.RawMessage, name string) (json.RawMessage, error) {
	m := new(routing.Model)
	if err := routing.DecodeConfig(spec, m); err != nil {
		return nil, err
	}
	m.Sources = slices.DeleteFunc(m.Sources, func(s routing.Source) bool {
		if s.Upstream != name {
			return false
		}
		if s.ID() == m.Active {
			m.Active, m.Mode = "", ""
		}
		return true
	})
	return json.Marshal(m)
}
