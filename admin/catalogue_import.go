package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

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

// importOne makes a source of one upstream model, and marks it in the catalogue. The
// mark comes last: nobody could take one out again that stands for nothing, while an
// import that lacks it is whole when it is made again.
func (a *API) importOne(g Gateway, r *http.Request, u *upstream.Upstream, item importItem) (string, error) {
	source, err := item.source(u.Name())
	if err != nil {
		return "", err
	}
	status, err := a.define(g, r, item, source)
	if err != nil {
		return "", err
	}
	if _, err := g.Catalogues().Import(u.Name(), item.UpstreamModel); err != nil {
		return "", entryError(err)
	}
	return status, nil
}

// define gives a model its source, unless it has that already.
func (a *API) define(g Gateway, r *http.Request, item importItem, source routing.Source) (string, error) {
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
	out, err := g.Change([]registry.Op{op}, registry.ChangeOptions{Actor: actor(r)})
	if err != nil {
		return "", err
	}
	a.audit(r, out)
	return "created", nil
}

// source is the source that an item is to become.
func (i *importItem) source(name string) (routing.Source, error) {
	var source routing.Source
	if i.UpstreamModel == "" {
		return source, invalid("upstream_model", "required")
	}
	if err := upstream.CheckModelName(i.UpstreamModel); err != nil {
		return source, invalid("upstream_model", err.Error())
	}
	if len(i.Source) > 0 {
		if err := routing.DecodeConfig(i.Source, &source); err != nil {
			return source, fieldError(err)
		}
	}
	source.Upstream, source.Model = name, i.UpstreamModel
	return source, nil
}

// spec is the model that an item is to become.
func (i *importItem) spec(source routing.Source) json.RawMessage {
	text, err := json.Marshal(routing.Model{Sources: []routing.Source{source}})
	if err != nil {
		panic(err) // texts and numbers only
	}
	return text
}
