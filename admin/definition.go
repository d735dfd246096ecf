package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// Definition is a definition as the API shows it.
type Definition struct {
	Name string `json:"name"`
	// Origin is declared, for the config's own, or managed.
	Origin registry.Origin `json:"origin"`
	// Shadowed says that a declared definition has the same name, and is used
	// instead of this one.
	Shadowed bool `json:"shadowed"`
	// Revision rises with every change. 0: it is declared.
	Revision uint64 `json:"revision"`
	// Place is where a declared definition is edited.
	Place string `json:"place,omitempty"`
	// Created and Updated are when a managed definition was first and last written.
	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
	// Actor is who wrote it last.
	Actor string `json:"actor,omitempty"`
	// Spec is the definition: the config's own JSON. Instead of secrets there are
	// masks.
	Spec json.RawMessage `json:"spec"`
	// Status is what is observed of it: an UpstreamStatus, ModelStatus or AliasStatus.
	Status any `json:"status"`
}

// definitionOf shows a definition. The status is left to the caller.
func definitionOf(d *registry.Definition) Definition {
	return Definition{
		Name: d.Name, Origin: d.Origin, Shadowed: d.Shadowed, Revision: d.Revision, Place: d.Place,
		Created: d.Created, Updated: d.Updated, Actor: d.Actor, Spec: d.Spec(),
	}
}

// tagOfDefinition is the entity tag of a definition: the revision of a managed one,
// and a sum of the contents of a declared one.
func tagOfDefinition(d *registry.Definition) string {
	if d.Origin == registry.Management {
		return strconv.Quote(strconv.FormatUint(d.Revision, 10))
	}
	sum := fnv.New64a()
	sum.Write(d.Spec())
	return fmt.Sprintf(`"declared-%x"`, sum.Sum64())
}

// createRequest is the body that creates or replaces a definition.
type createRequest struct {
	// Name of the definition. Required to create one; in a path it may be left out.
	Name string `json:"name"`
	// Spec is the definition: the config's own JSON.
	Spec json.RawMessage `json:"spec"`
}

// patchRequest is the body that changes a definition.
type patchRequest struct {
	// Spec is a merge patch (RFC 7396): what is absent stays, null removes.
	Spec json.RawMessage `json:"spec"`
}

// nameOf is the definition that a path is about.
func nameOf(r *http.Request, kind registry.Kind) registry.ID {
	return registry.ID{Kind: kind, Name: r.PathValue("name")}
}

// origin reads the query's origin: which definition of a name is meant.
func origin(r *http.Request) (registry.Origin, error) {
	switch o := registry.Origin(r.URL.Query().Get("origin")); o {
	case "", registry.Declaration, registry.Management:
		return o, nil
	default:
		return "", invalid("origin", "must be declared or managed")
	}
}

// yes reads a yes or no from the query.
func yes(r *http.Request, name string) (bool, error) {
	switch text := r.URL.Query().Get(name); text {
	case "", "false", "0":
		if _, bare := r.URL.Query()[name]; bare && text == "" {
			return true, nil
		}
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, invalid(name, "must be true or false")
	}
}

// getOne answers GET /<kind>/{name}.
func (a *API) getOne(kind registry.Kind) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		v, err := g.View()
		if err != nil {
			return err
		}
		from, err := origin(r)
		if err != nil {
			return err
		}
		id := nameOf(r, kind)
		d, ok := v.Get(id, from)
		if !ok {
			return missing(id)
		}
		// There is no 304: the tag is that of the definition, not of its status.
		w.Header().Set("ETag", tagOfDefinition(&d))
		a.answer(w, http.StatusOK, newLook(g, v).show(&d))
		return nil
	}
}

// missing refuses a name that no definition has.
func missing(id registry.ID) *Error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Field: "name", Message: fmt.Sprintf("there is no %s %q", id.Kind.One(), id.Name)}
}

// create answers POST /<kind>.
func (a *API) create(kind registry.Kind) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		var body createRequest
		if err := readBody(w, r, &body); err != nil {
			return err
		}
		if body.Name == "" {
			return invalid("name", "required")
		}
		if len(body.Spec) == 0 {
			body.Spec = json.RawMessage(`{}`) // a definition may be without any field
		}
		if err := mustBeObject("spec", body.Spec); err != nil {
			return err
		}
		op := registry.Op{ID: registry.ID{Kind: kind, Name: body.Name}, Verb: registry.Create, Spec: body.Spec}
		return a.change(g, w, r, op, http.StatusCreated)
	}
}

// replace answers PUT /<kind>/{name}.
func (a *API) replace(kind registry.Kind) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		var body createRequest
		if err := readBody(w, r, &body); err != nil {
			return err
		}
		id := nameOf(r, kind)
		if body.Name != "" && body.Name != id.Name {
			return invalid("name", fmt.Sprintf("is %q, but the path says %q; definitions are not renamed: create another, and delete this one", body.Name, id.Name))
		}
		if err := mustBeObject("spec", body.Spec); err != nil {
			return err // what replaces a definition is never left out by mistake
		}
		op := registry.Op{ID: id, Verb: registry.Replace, Spec: body.Spec}
		onlyNew := strings.TrimSpace(r.Header.Get("If-None-Match")) == "*"
		if onlyNew {
			op.Verb = registry.Create
		}
		v, err := g.View()
		if err != nil {
			return err
		}
		status := http.StatusOK
		if _, ok := v.Get(id, ""); !ok {
			status = http.StatusCreated
		}
		err = a.change(g, w, r, op, status)
		if refused, ok := errors.AsType[*Error](err); ok && onlyNew && refused.Code == string(registry.CodeExists) {
			refused.Status = http.StatusPreconditionFailed
		}
		return err
	}
}

// mustBeObject refuses a member of the body that is missing, or no object.
func mustBeObject(field string, raw json.RawMessage) error {
	switch text := bytes.TrimSpace(raw); {
	case len(text) == 0:
		return invalid(field, "required")
	case text[0] != '{':
		return invalid(field, "must be an object")
	default:
		return nil
	}
}

// patch answers PATCH /<kind>/{name}.
func (a *API) patch(kind registry.Kind) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		var body patchRequest
		if err := readBody(w, r, &body); err != nil {
			return err
		}
		if len(body.Spec) == 0 {
			body.Spec = json.RawMessage(`{}`)
		}
		if err := mustBeObject("spec", body.Spec); err != nil {
			return err
		}
		return a.change(g, w, r, patchOp(nameOf(r, kind), body.Spec), http.StatusOK)
	}
}

// patchOp is the step that changes a definition with a merge patch.
func patchOp(id registry.ID, patch json.RawMessage) registry.Op {
	return registry.Op{ID: id, Verb: registry.Edit, Edit: func(spec json.RawMessage) (json.RawMessage, error) { return mergePatch(spec, patch) }}
}

// remove answers DELETE /<kind>/{name}. A dry run tells what would follow.
func (a *API) remove(kind registry.Kind) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		cascade, err := yes(r, "cascade")
		if err != nil {
			return err
		}
		dry, err := yes(r, "dry_run")
		if err != nil {
			return err
		}
		id := nameOf(r, kind)
		out, _, err := a.apply(g, r, registry.Op{ID: id, Verb: registry.Delete, Cascade: cascade || dry})
		if err != nil {
			return err
		}
		a.answer(w, http.StatusOK, deletion{Name: id.Name, Deleted: !dry, Impact: impactsOf(out.Impact)})
		return nil
	}
}
