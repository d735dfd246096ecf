package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// maxBatch is how many names a batch may have.
const maxBatch = 1000

// batchRequest is the body of POST /<kind>/batch.
type batchRequest struct {
	// Op is enable, disable or delete.
	Op string `json:"op"`
	// Names of the definitions, 1 to 1000.
	Names []string `json:"names"`
	// Cascade also deletes what refers to a definition. Default: false.
	Cascade bool `json:"cascade,omitempty"`
}

// batchResult is what became of one name of a batch.
type batchResult struct {
	Name string `json:"name"`
	// Status is enabled, disabled, deleted, not_found or failed.
	Status string `json:"status"`
	Error  *Error `json:"error,omitempty"`
}

// batchAnswer is the answer to a batch.
type batchAnswer struct {
	Total     int           `json:"total"`
	Succeeded int           `json:"succeeded"`
	NotFound  int           `json:"not_found"`
	Failed    int           `json:"failed"`
	Results   []batchResult `json:"results"`
}

// batch answers POST /<kind>/batch: each name on its own, so that one that fails
// undoes nothing of the others. A dry run tries each on what is there now.
func (a *API) batch(kind registry.Kind) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		var body batchRequest
		if err := readBody(w, r, &body); err != nil {
			return err
		}
		done := map[string]string{"enable": "enabled", "disable": "disabled", "delete": "deleted"}[body.Op]
		switch {
		case done == "":
			return invalid("op", "must be enable, disable or delete")
		case len(body.Names) == 0:
			return invalid("names", "required: at least one name")
		case len(body.Names) > maxBatch:
			return invalid("names", fmt.Sprintf("at most %d names at once", maxBatch))
		}
		dry, err := yes(r, "dry_run")
		if err != nil {
			return err
		}
		answer := batchAnswer{Total: len(body.Names)}
		for _, name := range body.Names {
			_, err := a.commit(g, r, []registry.Op{batchOp(registry.ID{Kind: kind, Name: name}, body)}, dry)
			answer.add(name, done, a.told(err))
		}
		a.answer(w, http.StatusOK, answer)
		return nil
	}
}

// batchOp is what a batch does to one name.
func batchOp(id registry.ID, body batchRequest) registry.Op {
	if body.Op == "delete" {
		return registry.Op{ID: id, Verb: registry.Delete, Cascade: body.Cascade}
	}
	patch := json.RawMessage(`{"disabled":true}`)
	if body.Op == "enable" {
		patch = json.RawMessage(`{"disabled":null}`)
	}
	return patchOp(id, patch)
}

// add counts what became of a name.
func (b *batchAnswer) add(name, done string, err *Error) {
	result := batchResult{Name: name, Status: done, Error: err}
	switch {
	case err == nil:
		b.Succeeded++
	case err.Status == http.StatusNotFound:
		b.NotFound++
		result.Status = "not_found"
	default:
		b.Failed++
		result.Status = "failed"
	}
	b.Results = append(b.Results, result)
}

// orderRequest is the body of POST /models/order.
type orderRequest struct {
	// Names in the order in which clients are to see them. Models that are left out
	// keep the order they have.
	Names []string `json:"names"`
}

// orderStep is the distance between two models in an order, so that others fit in
// between.
const orderStep = 100

// order answers POST /models/order: all of it, or nothing.
func (a *API) order(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body orderRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	if len(body.Names) == 0 {
		return invalid("names", "required: at least one name")
	}
	dry, err := yes(r, "dry_run")
	if err != nil {
		return err
	}
	v, err := g.View()
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(body.Names))
	ops := make([]registry.Op, len(body.Names))
	for i, name := range body.Names {
		field, id := fmt.Sprintf("names[%d]", i), registry.ID{Kind: registry.Models, Name: name}
		if seen[name] {
			return invalid(field, fmt.Sprintf("the model %q stands twice", name))
		}
		seen[name] = true
		if _, ok := v.Get(id, ""); !ok {
			refused := missing(id)
			refused.Field = field
			return refused
		}
		ops[i] = patchOp(id, json.RawMessage(fmt.Sprintf(`{"order":%d}`, (i+1)*orderStep)))
	}
	if _, err := a.commit(g, r, ops, dry); err != nil {
		return err
	}
	a.answer(w, http.StatusOK, map[string][]string{"names": body.Names})
	return nil
}

// activateRequest is the body of POST /models/{name}/activate.
type activateRequest struct {
	// Source that is to serve the model from now on, by its id. An empty one lets all
	// sources serve again.
	Source string `json:"source"`
}

// activate answers POST /models/{name}/activate: one source serves the model, or
// all do again.
func (a *API) activate(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body activateRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	patch := json.RawMessage(`{"mode":null,"active":null}`)
	if body.Source != "" {
		id, err := json.Marshal(body.Source)
		if err != nil {
			return fmt.Errorf("writing the source's id: %w", err)
		}
		patch = json.RawMessage(`{"mode":"pinned","active":` + string(id) + `}`)
	}
	err := a.change(g, w, r, patchOp(nameOf(r, registry.Models), patch), http.StatusOK)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Field == "spec.active" {
		refused.Field = "source"
	}
	return err
}
