package admin

import (
	"errors"
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
	case errors.Is(err, catalogue.ErrExists), errors.Is(err, catalogue.ErrNotManual),
		errors.Is(err, catalogue.ErrDeleted), errors.Is(err, catalogue.ErrOvertaken):
		return &Error{Status: http.StatusConflict, Code: "conflict", Field: "model", Message: err.Error()}
	default:
		return err
	}
}
