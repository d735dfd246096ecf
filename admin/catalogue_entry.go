package admin

import (
	"errors"
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// entryRequest is the body that puts a model into a catalogue by hand.
type entryRequest struct {
	// Name is what the service calls the model. Required.
	Name string `json:"name"`
	catalogue.Edit
}

// addEntry answers POST /upstreams/{name}/catalogue/models.
func (a *API) addEntry(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body entryRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	_, u, err := listed(g, r)
	if err != nil {
		return err
	}
	if err := upstream.CheckModelName(body.Name); err != nil {
		return invalid("name", err.Error())
	}
	e := catalogue.Entry{Name: body.Name}
	body.Edit.Fill(&e)
	if err := g.Catalogues().AddManual(u.Name(), e); err != nil {
		return entryError(err)
	}
	return a.answerEntry(g, w, u.Name(), body.Name, http.StatusCreated)
}

// entryEdit is the body that changes a model of a catalogue; what is absent stays.
type entryEdit struct {
	// Disabled is a person's decision against the model, which no sync undoes.
	Disabled *bool `json:"disabled,omitempty"`
	catalogue.Edit
}

// editEntry answers PATCH /upstreams/{name}/catalogue/models/{model}.
func (a *API) editEntry(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body entryEdit
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	_, u, err := listed(g, r)
	if err != nil {
		return err
	}
	model := r.PathValue("model")
	if err := g.Catalogues().Edit(u.Name(), model, body.Disabled, body.Edit); err != nil {
		return entryError(err)
	}
	return a.answerEntry(g, w, u.Name(), model, http.StatusOK)
}

// removeEntry answers DELETE /upstreams/{name}/catalogue/models/{model}.
func (a *API) removeEntry(g Gateway, w http.ResponseWriter, r *http.Request) error {
	_, u, err := listed(g, r)
	if err != nil {
		return err
	}
	model := r.PathValue("model")
	if err := g.Catalogues().Remove(u.Name(), model); err != nil {
		return entryError(err)
	}
	a.answer(w, http.StatusOK, deletion{Name: model, Deleted: true, Impact: []impact{}})
	return nil
}

// entryError is an error of a change that a person makes to a catalogue: what the
// catalogue itself refuses is the caller's.
func entryError(err error) error {
	translated := catalogueError(err)
	if _, ok := errors.AsType[*Error](translated); ok {
		return translated
	}
	if bad, ok := errors.AsType[*catalogue.FieldError](err); ok {
		return invalid(bad.Field, bad.Text)
	}
	return err
}

// answerEntry shows a model of a catalogue.
func (a *API) answerEntry(g Gateway, w http.ResponseWriter, name, model string, status int) error {
	c, _ := g.Catalogues().Get(name)
	e, ok := c.Entry(model)
	if !ok {
		return catalogueError(catalogue.ErrUnknownModel)
	}
	v, err := g.View()
	if err != nil {
		return err
	}
	a.answer(w, status, CatalogueEntry{Entry: e, Models: boundModels(v, name)[model]})
	return nil
}
