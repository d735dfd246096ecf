package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// Source is a source of a model as the API shows it.
type Source struct {
	// ID is <upstream>:<upstream model>[:<format>].
	ID string `json:"id"`
	routing.Source
	Status SourceStatus `json:"status"`
}

// SourceStatus is how a source is.
type SourceStatus struct {
	// Usable says that it may be asked now.
	Usable bool `json:"usable"`
	// Reason is why not. Default: none.
	Reason string `json:"reason,omitempty"`
}

// modelOf is a model and its definition as it is now.
func modelOf(g Gateway, r *http.Request) (*registry.View, registry.Definition, *routing.Model, error) {
	v, err := g.View()
	if err != nil {
		return nil, registry.Definition{}, nil, err
	}
	id := nameOf(r, registry.Models)
	d, ok := v.Get(id, "")
	if !ok {
		return nil, d, nil, missing(id)
	}
	m := new(routing.Model)
	if err := json.Unmarshal(d.Spec(), m); err != nil {
		return nil, d, nil, fmt.Errorf("reading the model %q: %w", d.Name, err)
	}
	return v, d, m, nil
}

// showSource shows a source of a model.
func (l *look) showSource(m *routing.Model, s *routing.Source) Source {
	reason := l.survey.sourceUnusable(m, s)
	return Source{ID: s.ID(), Source: *s, Status: SourceStatus{Usable: reason == "" && !m.Disabled, Reason: reason}}
}

// sources answers GET /models/{name}/sources.
func (a *API) sources(g Gateway, w http.ResponseWriter, r *http.Request) error {
	v, d, m, err := modelOf(g, r)
	if err != nil {
		return err
	}
	l := newLook(g, v)
	all := make([]Source, len(m.Sources))
	for i := range m.Sources {
		all[i] = l.showSource(m, &m.Sources[i])
	}
	page, err := pageOf(r, all)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tagOfDefinition(&d))
	a.answer(w, http.StatusOK, page)
	return nil
}

// source answers GET /models/{name}/sources/{source}.
func (a *API) source(g Gateway, w http.ResponseWriter, r *http.Request) error {
	v, d, m, err := modelOf(g, r)
	if err != nil {
		return err
	}
	i := indexOfSource(m, r.PathValue("source"))
	if i < 0 {
		return missingSource(d.Name, r.PathValue("source"))
	}
	w.Header().Set("ETag", tagOfDefinition(&d))
	a.answer(w, http.StatusOK, newLook(g, v).showSource(m, &m.Sources[i]))
	return nil
}

func indexOfSource(m *routing.Model, id string) int {
	return slices.IndexFunc(m.Sources, func(s routing.Source) bool { return s.ID() == id })
}

func missingSource(model, id string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Field: "source", Message: fmt.Sprintf("the model %q has no source %q", model, id)}
}

// addSource answers POST /models/{name}/sources. The body is the source.
func (a *API) addSource(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var source routing.Source
	if err := readConfig(w, r, &source); err != nil {
		return err
	}
	return a.changeSource(g, w, r, addSourceOp(nameOf(r, registry.Models), source), func() string { return source.ID() }, http.StatusCreated)
}

// addSourceOp is the step that adds a source to a model.
func addSourceOp(id registry.ID, source routing.Source) registry.Op {
	return editModel(id, func(m *routing.Model) error {
		if indexOfSource(m, source.ID()) >= 0 {
			return sourceExists(&source)
		}
		m.Sources = append(m.Sources, source)
		return nil
	})
}

func sourceExists(s *routing.Source) error {
	return &registry.Error{Code: registry.CodeExists, Message: fmt.Sprintf("the model has the source %s already", s.ID())}
}

// replaceSource answers PUT /models/{name}/sources/{source}.
func (a *API) replaceSource(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var source routing.Source
	if err := readConfig(w, r, &source); err != nil {
		return err
	}
	return a.editSource(g, w, r, func(routing.Source) (routing.Source, error) { return source, nil })
}

// patchSource answers PATCH /models/{name}/sources/{source}. The body is a merge
// patch of the source.
func (a *API) patchSource(g Gateway, w http.ResponseWriter, r *http.Request) error {
	patch, err := readAll(w, r)
	if err != nil {
		return err
	}
	if !json.Valid(patch) && len(bytes.TrimSpace(patch)) > 0 {
		return invalid("", "the body is not one JSON object")
	}
	return a.editSource(g, w, r, func(old routing.Source) (routing.Source, error) {
		text, err := json.Marshal(old)
		if err != nil {
			return old, err
		}
		if text, err = mergePatch(text, patch); err != nil {
			return old, err
		}
		var next routing.Source
		if err := routing.DecodeConfig(text, &next); err != nil {
			return old, fmt.Errorf("%s%w", atSource, err)
		}
		return next, nil
	})
}

// atSource begins the errors that are about the source of the request.
const atSource = "source."

// removeSource answers DELETE /models/{name}/sources/{source}.
func (a *API) removeSource(g Gateway, w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("source")
	_, dry, err := a.apply(g, r, editModel(nameOf(r, registry.Models), func(m *routing.Model) error {
		i := indexOfSource(m, id)
		if i < 0 {
			return unknownSource(r)
		}
		if m.Active == id {
			m.Mode, m.Active = "", "" // nothing is left to be pinned to
		}
		m.Sources = slices.Delete(m.Sources, i, i+1)
		return nil
	}))
	if err != nil {
		return err
	}
	a.answer(w, http.StatusOK, deletion{Name: id, Deleted: !dry, Impact: []impact{}})
	return nil
}

// unknownSource is missingSource in the middle of a change.
func unknownSource(r *http.Request) error {
	return &registry.Error{Code: registry.CodeUnknown, Field: "source", Message: missingSource(r.PathValue("name"), r.PathValue("source")).Message}
}

// editSource puts another source in the place of the one that the path names. A
// model that is pinned to the one is pinned to the other then.
func (a *API) editSource(g Gateway, w http.ResponseWriter, r *http.Request, edit func(routing.Source) (routing.Source, error)) error {
	at, id := r.PathValue("source"), ""
	return a.changeSource(g, w, r, editModel(nameOf(r, registry.Models), func(m *routing.Model) error {
		i := indexOfSource(m, at)
		if i < 0 {
			return unknownSource(r)
		}
		next, err := edit(m.Sources[i])
		if err != nil {
			return err
		}
		id = next.ID()
		if other := indexOfSource(m, id); other >= 0 && other != i {
			return sourceExists(&next)
		}
		if m.Active == at {
			m.Active = id
		}
		m.Sources[i] = next
		return nil
	}), func() string { return id }, http.StatusOK)
}

// editModel is the step that changes a model.
func editModel(id registry.ID, edit func(*routing.Model) error) registry.Op {
	return registry.Op{ID: id, Verb: registry.Edit, Edit: func(spec json.RawMessage) (json.RawMessage, error) {
		m := new(routing.Model)
		if err := routing.DecodeConfig(spec, m); err != nil {
			return nil, err
		}
		if err := edit(m); err != nil {
			return nil, err
		}
		return json.Marshal(m)
	}}
}

// sourceField is where errors of a model name one of its sources.
var sourceField = regexp.MustCompile(`^spec\.(?:sources\[\d+\]|source)\.`)

// changeSource changes the model of a source and shows the source, whose id is known
// after the change. Fields of errors are those of the source, which is the body.
func (a *API) changeSource(g Gateway, w http.ResponseWriter, r *http.Request, op registry.Op, id func() string, status int) error {
	out, dry, err := a.apply(g, r, op)
	if refused, ok := errors.AsType[*Error](err); ok {
		refused.Field = sourceField.ReplaceAllString(refused.Field, "")
	}
	if err != nil {
		return err
	}
	return a.answerSource(g, w, out, id(), status, dry)
}

// answerSource shows a source after a change of its model.
func (a *API) answerSource(g Gateway, w http.ResponseWriter, out registry.Outcome, id string, status int, dry bool) error {
	d := out.Results[0].Definition
	m := new(routing.Model)
	if err := json.Unmarshal(d.Spec(), m); err != nil {
		return fmt.Errorf("reading the model %q: %w", d.Name, err)
	}
	i := indexOfSource(m, id)
	if i < 0 {
		return missingSource(d.Name, id)
	}
	if dry {
		status = http.StatusOK
	} else {
		w.Header().Set("ETag", tagOfDefinition(&d))
	}
	a.answer(w, status, newLook(g, out.View).showSource(m, &m.Sources[i]))
	return nil
}

// readConfig reads a body that is JSON of the config.
func readConfig(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := readAll(w, r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return invalid("", "the body is missing")
	}
	if !json.Valid(body) {
		return invalid("", "the body is not one JSON document")
	}
	if err := routing.DecodeConfig(body, into); err != nil {
		return fieldError(err)
	}
	return nil
}

// fieldError refuses a body whose error begins with the path of a field.
func fieldError(err error) *Error {
	refused := refusalOf(registry.Invalid(registry.ID{}, err))
	refused.Field = strings.TrimPrefix(refused.Field, "spec.")
	return refused
}
