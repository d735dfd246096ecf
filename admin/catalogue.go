package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Catalogue is a page of what is known of an upstream's models.
type Catalogue struct {
	Upstream string `json:"upstream"`
	// SyncedAt is when the service's list was last taken in. Default: never.
	SyncedAt time.Time `json:"synced_at,omitzero"`
	// Endpoint is the kind of list it was.
	Endpoint string `json:"endpoint,omitempty"`
	// Skipped is how many names of the list could not be used.
	Skipped int `json:"skipped,omitempty"`
	// Error is why the last sync failed. Default: it did not.
	Error   string    `json:"error,omitempty"`
	ErrorAt time.Time `json:"error_at,omitzero"`
	Page[CatalogueEntry]
}

// CatalogueEntry is one upstream model.
type CatalogueEntry struct {
	catalogue.Entry
	// Models are the models that have it as a source.
	Models []string `json:"models,omitempty"`
}

// listed is the upstream of a path that is in use, and what is known of its models.
func listed(g Gateway, r *http.Request) (*registry.View, *upstream.Upstream, error) {
	v, err := g.View()
	if err != nil {
		return nil, nil, err
	}
	id := nameOf(r, registry.Upstreams)
	d, ok := v.Get(id, "")
	if !ok {
		return nil, nil, missing(id)
	}
	u, ok := v.Snapshot.Upstream(id.Name)
	if !ok {
		return nil, nil, &Error{Status: http.StatusConflict, Code: "not_in_use", Message: "the upstream is not in use: " + unused(&d)}
	}
	return v, u, nil
}

// catalogue answers GET /upstreams/{name}/catalogue.
func (a *API) catalogue(g Gateway, w http.ResponseWriter, r *http.Request) error {
	v, u, err := listed(g, r)
	if err != nil {
		return err
	}
	c, _ := g.Catalogues().Get(u.Name())
	entries, err := chosenEntries(r, c.Entries)
	if err != nil {
		return err
	}
	bound := boundModels(v, u.Name())
	all := make([]CatalogueEntry, len(entries))
	for i, e := range entries {
		all[i] = CatalogueEntry{Entry: e, Models: bound[e.Name]}
	}
	page, err := pageOf(r, all)
	if err != nil {
		return err
	}
	a.answer(w, http.StatusOK, Catalogue{
		Upstream: u.Name(), SyncedAt: c.SyncedAt, Endpoint: c.Endpoint, Skipped: c.Skipped,
		Error: c.Error, ErrorAt: c.ErrorAt, Page: page,
	})
	return nil
}

// chosenEntries are those that the query's q and status (active, disabled, gone)
// ask for.
func chosenEntries(r *http.Request, entries []catalogue.Entry) ([]catalogue.Entry, error) {
	q, status := strings.ToLower(r.URL.Query().Get("q")), r.URL.Query().Get("status")
	if !slices.Contains([]string{"", "active", "disabled", "gone"}, status) {
		return nil, invalid("status", "unknown; known are active, disabled, gone")
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e catalogue.Entry) bool {
		state := "active"
		switch {
		case e.Disabled:
			state = "disabled"
		case !e.Active():
			state = "gone"
		}
		return status != "" && state != status || !strings.Contains(strings.ToLower(e.Name+"\n"+e.DisplayName), q)
	}), nil
}

// boundModels are the models that have a source at an upstream, by upstream model.
func boundModels(v *registry.View, name string) map[string][]string {
	bound := make(map[string][]string)
	for _, e := range v.Snapshot.Entries() {
		for _, s := range e.Model.Sources {
			models := bound[s.Model]
			if s.Upstream == name && (len(models) == 0 || models[len(models)-1] != e.Name) {
				bound[s.Model] = append(models, e.Name)
			}
		}
	}
	return bound
}

// syncRequest is the body of POST /upstreams/{name}/catalogue/sync.
type syncRequest struct {
	// Force takes in a list in which most models are missing. Default: false.
	Force bool `json:"force,omitempty"`
}

// syncAnswer is what a sync has done, or would do.
type syncAnswer struct {
	Upstream string `json:"upstream"`
	Endpoint string `json:"endpoint"`
	catalogue.Diff
	// Refused says that a sync without force would be refused. Default: it would not.
	Refused *catalogue.DisappearanceError `json:"refused,omitempty"`
	// Entries are the models as they would be; in a preview only.
	Entries []CatalogueEntry `json:"entries,omitempty"`
}

// sync answers POST /upstreams/{name}/catalogue/sync.
func (a *API) sync(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body syncRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	_, u, err := listed(g, r)
	if err != nil {
		return err
	}
	result, err := g.Catalogues().Sync(r.Context(), u, body.Force)
	if err != nil {
		return catalogueError(err)
	}
	a.logger.Info("catalogue synced", zap.String("upstream", u.Name()), zap.Int("listed", result.Diff.Listed),
		zap.Int("added", len(result.Diff.Added)), zap.Int("gone", len(result.Diff.Gone)), zap.String("actor", actor(r)))
	a.answer(w, http.StatusOK, syncAnswer{Upstream: u.Name(), Endpoint: result.Catalogue.Endpoint, Diff: result.Diff})
	return nil
}

// preview answers POST /upstreams/{name}/catalogue/preview: what a sync would do.
func (a *API) preview(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body struct{}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	v, u, err := listed(g, r)
	if err != nil {
		return err
	}
	result, err := g.Catalogues().Preview(r.Context(), u)
	if err != nil {
		return catalogueError(err)
	}
	bound := boundModels(v, u.Name())
	entries := make([]CatalogueEntry, len(result.Catalogue.Entries))
	for i, e := range result.Catalogue.Entries {
		entries[i] = CatalogueEntry{Entry: e, Models: bound[e.Name]}
	}
	a.answer(w, http.StatusOK, syncAnswer{
		Upstream: u.Name(), Endpoint: result.Catalogue.Endpoint, Diff: result.Diff, Refused: result.Refused, Entries: entries,
	})
	return nil
}

// catalogueError tells a caller what a service, or the catalogue, had against a
// change.
func catalogueError(err error) error {
	if gone, ok := errors.AsType[*catalogue.DisappearanceError](err); ok {
		return &Error{Status: http.StatusConflict, Code: gone.Code, Message: gone.Error(), Field: "force"}
	}
	if list, ok := errors.AsType[*upstream.ListError](err); ok {
		status := http.StatusBadGateway
		switch list.Problem {
		case upstream.ListTimeout:
			status = http.StatusGatewayTimeout
		case upstream.ListUnavailable:
			status = http.StatusConflict
		}
		return &Error{Status: status, Code: "upstream_" + string(list.Problem), Message: "the list of models could not be had: " + list.Error()}
	}
	switch {
	case errors.Is(err, catalogue.ErrUnknownModel):
		return &Error{Status: http.StatusNotFound, Code: "not_found", Field: "model", Message: err.Error()}
	case errors.Is(err, catalogue.ErrExists), errors.Is(err, catalogue.ErrNotManual), errors.Is(err, catalogue.ErrDeleted):
		return &Error{Status: http.StatusConflict, Code: "conflict", Field: "model", Message: err.Error()}
	default:
		return err
	}
}

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
	if err := g.Catalogues().Edit(u.Name(), model, body.Edit); err != nil {
		return entryError(err)
	}
	if body.Disabled != nil {
		if err := g.Catalogues().SetDisabled(u.Name(), model, *body.Disabled); err != nil {
			return entryError(err)
		}
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

// importRequest is the body of POST /upstreams/{name}/catalogue/import.
type importRequest struct {
	// Models to make sources of, 1 to 1000: the upstream's names, or objects.
	Models []importItem `json:"models"`
}

// importItem is one upstream model, and what it is to become.
type importItem struct {
	// UpstreamModel is what the service calls it. Required.
	UpstreamModel string `json:"upstream_model"`
	// Model that gets it as a source; it is created if it is not there. Default: the
	// same name.
	Model string `json:"model,omitempty"`
	// Source are further fields of the source, such as format, priority and weight.
	Source json.RawMessage `json:"source,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler: a text is an upstream model.
func (i *importItem) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &i.UpstreamModel) == nil {
		return nil
	}
	type item importItem
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	return d.Decode((*item)(i))
}

// importResult is what became of one item of an import.
type importResult struct {
	Model         string `json:"model"`
	UpstreamModel string `json:"upstream_model"`
	// Status is created, existing or failed.
	Status string `json:"status"`
	Error  *Error `json:"error,omitempty"`
}

// importAnswer is the answer to an import.
type importAnswer struct {
	Total    int            `json:"total"`
	Created  int            `json:"created"`
	Existing int            `json:"existing"`
	Failed   int            `json:"failed"`
	Results  []importResult `json:"results"`
}

// importModels answers POST /upstreams/{name}/catalogue/import: models become
// sources, each on its own.
func (a *API) importModels(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body importRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	_, u, err := listed(g, r)
	switch {
	case err != nil:
		return err
	case len(body.Models) == 0:
		return invalid("models", "required: at least one model")
	case len(body.Models) > maxBatch:
		return invalid("models", fmt.Sprintf("at most %d models at once", maxBatch))
	}
	answer := importAnswer{Total: len(body.Models)}
	for _, item := range body.Models {
		if item.Model == "" {
			item.Model = item.UpstreamModel
		}
		result := importResult{Model: item.Model, UpstreamModel: item.UpstreamModel}
		status, err := a.importOne(g, r, u, item)
		if result.Status, result.Error = status, a.told(err); err != nil {
			result.Status = "failed"
		}
		switch result.Status {
		case "created":
			answer.Created++
		case "existing":
			answer.Existing++
		default:
			answer.Failed++
		}
		answer.Results = append(answer.Results, result)
	}
	a.answer(w, http.StatusOK, answer)
	return nil
}

// importOne makes a source of one upstream model.
func (a *API) importOne(g Gateway, r *http.Request, u *upstream.Upstream, item importItem) (string, error) {
	source, err := item.source(u.Name())
	if err != nil {
		return "", err
	}
	v, err := g.View()
	if err != nil {
		return "", err
	}
	id := registry.ID{Kind: registry.Models, Name: item.Model}
	if e, ok := v.Snapshot.Entry(item.Model); ok && indexOfSource(e.Model, source.ID()) >= 0 {
		return "existing", nil
	}
	op := registry.Op{ID: id, Verb: registry.Create, Spec: item.spec(source)}
	if _, ok := v.Get(id, ""); ok {
		op = addSourceOp(id, source)
	}
	// The catalogue notes nothing of what the definitions refuse.
	if _, err := g.Change([]registry.Op{op}, registry.ChangeOptions{Actor: actor(r), DryRun: true}); err != nil {
		return "", err
	}
	if _, err := g.Catalogues().Import(u.Name(), item.UpstreamModel); err != nil {
		return "", entryError(err)
	}
	out, err := g.Change([]registry.Op{op}, registry.ChangeOptions{Actor: actor(r)})
	if err != nil {
		return "", err
	}
	a.audit(r, out)
	return "created", nil
}
