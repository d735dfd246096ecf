package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// changing is a change that is being made.
type changing struct {
	registry *Registry
	base     *View
	// overlay holds what the steps have written so far; nil is deleted.
	overlay map[ID]*Record
	writes  []Write
	results []Result
	impact  []Impact
	actor   string
}

// record is the managed definition as the steps so far have left it.
func (c *changing) record(id ID) (Record, bool) {
	if record, ok := c.overlay[id]; ok {
		if record == nil {
			return Record{}, false
		}
		return *record, true
	}
	record, ok := c.base.records.all[id]
	return record, ok
}

// do checks and notes one step.
func (c *changing) do(op Op) error {
	if err := c.allowed(op); err != nil {
		return err
	}
	record, exists := c.record(op.ID)
	switch {
	case op.Verb == Create && exists:
		return &Error{Code: CodeExists, ID: op.ID, Field: "name", Message: fmt.Sprintf("there is already a managed %s %q", op.Kind.One(), op.Name)}
	case !exists && (op.Verb == Edit || op.Verb == Delete):
		return unknown(op.ID)
	case op.If != 0 && !exists:
		return &Error{Code: CodeStale, ID: op.ID, Message: unknown(op.ID).Message}
	case op.If != 0 && op.If != Existing && op.If != record.Revision:
		return &Error{Code: CodeStale, ID: op.ID, Message: fmt.Sprintf("the %s %q has changed since it was read; it is at revision %d", op.Kind.One(), op.Name, record.Revision)}
	}
	if op.Verb == Delete {
		return c.remove(op, record)
	}
	spec, err := c.spec(op, record.Spec)
	if err != nil {
		return err
	}
	if exists && bytes.Equal(spec, record.Spec) {
		c.results = append(c.results, Result{Definition: Definition{ID: op.ID}, Verb: op.Verb})
		return nil
	}
	c.write(op.ID, spec, record)
	c.results = append(c.results, Result{Definition: Definition{ID: op.ID}, Verb: op.Verb, Changed: true})
	return nil
}

// unknown is the error for a definition that is not there.
func unknown(id ID) *Error {
	return &Error{Code: CodeUnknown, ID: id, Message: fmt.Sprintf("there is no %s %q", id.Kind.One(), id.Name)}
}

// allowed refuses steps that may not be made, whatever they are about.
func (c *changing) allowed(op Op) error {
	r := c.registry
	if r.opt.Observe {
		return &Error{Code: CodeObserve, ID: op.ID, Message: "the config allows no managed definitions (manage observe); change the config"}
	}
	if err := routing.CheckName(op.Name); err != nil {
		return &Error{Code: CodeInvalid, ID: op.ID, Field: "name", Message: err.Error()}
	}
	if op.Name == "/" { // not even escaped: net/http takes the segment for the path's end
		return &Error{Code: CodeInvalid, ID: op.ID, Field: "name", Message: "must not be a slash alone: no path could name it"}
	}
	if !r.declares(op.ID) {
		return nil
	}
	if _, managed := c.record(op.ID); managed && op.Verb == Delete {
		return nil // a shadowed one may go
	}
	return &Error{
		Code: CodeDeclared, ID: op.ID, Field: "name",
		Message: fmt.Sprintf("the %s %q is declared in the config, at %s; change it there", op.Kind.One(), op.Name, r.place(op.ID)),
	}
}

// spec is the new definition of a step, as it is stored.
func (c *changing) spec(op Op, stored json.RawMessage) (json.RawMessage, error) {
	spec, err := op.Spec, error(nil)
	if op.Verb == Edit {
		if spec, err = op.Edit(stored); err != nil {
			return nil, Invalid(op.ID, err)
		}
	}
	if len(bytes.TrimSpace(spec)) == 0 {
		return nil, &Error{Code: CodeInvalid, ID: op.ID, Message: "the definition is missing"}
	}
	if err := checkNames(spec); err != nil {
		return nil, refused(op.ID, err)
	}
	if op.Kind == Upstreams {
		if spec, err = seal(c.registry.opt.Managed.store, op.ID, spec, stored); err != nil {
			return nil, refused(op.ID, err)
		}
	}
	if spec, err = canonical(op.Kind, spec); err != nil {
		return nil, Invalid(op.ID, err)
	}
	return spec, nil
}

// refused is an error of a step: an *Error as it is, told whom it is about.
func refused(id ID, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.ID = id
		return e
	}
	return err
}

// write notes a definition that is to be stored in the place of an earlier one.
func (c *changing) write(id ID, spec json.RawMessage, before Record) {
	now := c.registry.opt.Managed.now().UTC()
	record := Record{Spec: spec, Created: before.Created, Updated: now, Actor: c.actor}
	if before.Created.IsZero() {
		record.Created = now
	}
	record.Revision = before.Revision
	c.note(id, &record)
}

// note puts a definition into the overlay and among the writes.
func (c *changing) note(id ID, record *Record) {
	stored := c.base.records.all[id].Revision
	if _, ok := c.overlay[id]; ok {
		for i := range c.writes {
			if c.writes[i].ID == id {
				c.writes[i].Record = record
			}
		}
	} else {
		c.writes = append(c.writes, Write{ID: id, Record: record, If: stored})
	}
	c.overlay[id] = record
}
