package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/probe"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// probeOptions are what all probes can be asked for.
type probeOptions struct {
	// All probes every source instead of the first one. Default: false.
	All bool `json:"all,omitempty"`
	// Record makes the probes count like requests, so that a success closes a circuit
	// that is half open. Default: false, nothing changes.
	Record bool `json:"record,omitempty"`
	// Debug keeps what was sent and what came, without secrets. Default: false.
	Debug bool `json:"debug,omitempty"`
	// Timeout is how long one probe may take, 100ms to 2m. Default: 30s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// prober makes the prober that was asked for.
func (o *probeOptions) prober() (*probe.Prober, error) {
	limit := time.Duration(o.Timeout)
	if limit != 0 && (limit < 100*time.Millisecond || limit > 2*time.Minute) {
		return nil, invalid("timeout", "must be from 100ms to 2m")
	}
	return &probe.Prober{Timeout: limit, Record: o.Record, Debug: o.Debug}, nil
}

// probeRequest is the body of POST /models/{name}/probe.
type probeRequest struct {
	// Source to probe, by its id, also one that is disabled. Default: the first that
	// requests may use.
	Source string `json:"source,omitempty"`
	probeOptions
}

// probesRequest is the body of POST /probes.
type probesRequest struct {
	// Models to probe. Default: all that are not disabled.
	Models []string `json:"models,omitempty"`
	probeOptions
}

// probes is the answer to both.
type probes struct {
	Results []probe.Result `json:"results"`
	Summary probe.Summary  `json:"summary"`
}

// toProbe reads a body, and returns the prober that the options in it ask for and what
// there is to probe.
func toProbe(g Gateway, w http.ResponseWriter, r *http.Request, body any, options *probeOptions) (*probe.Prober, *registry.View, error) {
	if err := readBody(w, r, body); err != nil {
		return nil, nil, err
	}
	p, err := options.prober()
	if err != nil {
		return nil, nil, err
	}
	v, err := g.View()
	return p, v, err
}

// probeModel answers POST /models/{name}/probe.
func (a *API) probeModel(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body probeRequest
	p, v, err := toProbe(g, w, r, &body, &body.probeOptions)
	if err != nil {
		return err
	}
	id := nameOf(r, registry.Models)
	e, ok := v.Snapshot.Entry(id.Name)
	switch {
	case !ok:
		return missing(id)
	case body.Source != "" && indexOfSource(e.Model, body.Source) < 0:
		return missingSource(id.Name, body.Source)
	}
	var answer probes
	if body.Source != "" {
		answer.Results = []probe.Result{p.Source(r.Context(), v.Snapshot, id.Name, body.Source)}
	} else {
		answer.Results = p.Model(r.Context(), v.Snapshot, id.Name, body.All)
	}
	answer.Summary = probe.Summarise(answer.Results)
	a.answer(w, http.StatusOK, answer)
	return nil
}

// probeAll answers POST /probes: all results at once, or as an event stream one by
// one as they come, if the client accepts that.
func (a *API) probeAll(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body probesRequest
	p, v, err := toProbe(g, w, r, &body, &body.probeOptions)
	if err != nil {
		return err
	}
	models, err := body.chosen(v)
	if err != nil {
		return err
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		answer := probes{Results: []probe.Result{}}
		answer.Summary = p.Bulk(r.Context(), v.Snapshot, models, body.All, func(result probe.Result) { answer.Results = append(answer.Results, result) })
		a.answer(w, http.StatusOK, answer)
		return nil
	}
	stream := newEventStream(w)
	defer stream.end()
	stream.send("start", "", map[string]int{"models": len(models)})
	summary := p.Bulk(r.Context(), v.Snapshot, models, body.All, func(result probe.Result) { stream.send("result", "", result) })
	stream.send("summary", "", summary)
	return nil
}

// chosen lists the models to probe.
func (b *probesRequest) chosen(v *registry.View) ([]string, error) {
	if len(b.Models) > maxBatch*10 {
		return nil, invalid("models", fmt.Sprintf("at most %d models at once", maxBatch*10))
	}
	for i, name := range b.Models {
		if _, ok := v.Snapshot.Entry(name); !ok {
			return nil, &Error{Status: http.StatusNotFound, Code: "not_found", Field: fmt.Sprintf("models[%d]", i), Message: fmt.Sprintf("there is no model %q", name)}
		}
	}
	if b.Models != nil {
		return b.Models, nil
	}
	all := []string{}
	for _, e := range v.Snapshot.Entries() {
		if !e.Model.Disabled {
			all = append(all, e.Name)
		}
	}
	return all, nil
}

// testRequest is the body of POST /upstreams/test.
type testRequest struct {
	// Name of a managed upstream whose secrets are to be used where the definition
	// leaves them out. Default: none are.
	Name string `json:"name,omitempty"`
	// Spec is the definition to test; it is not stored. Without it the upstream of
	// that name is tested as it is.
	Spec json.RawMessage `json:"spec,omitempty"`
	// Model to ask a question. Default: one that the service lists.
	Model string `json:"model,omitempty"`
}

// testUpstream answers POST /upstreams/test.
func (a *API) testUpstream(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body testRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	if len(body.Spec) == 0 {
		return a.testStored(g, w, r, body)
	}
	name := body.Name
	if name == "" {
		name = "unsaved"
	}
	u, release, err := g.Unsaved(name, body.Spec)
	if err != nil {
		return err
	}
	defer release()
	a.answer(w, http.StatusOK, probe.TestUpstream(r.Context(), u, body.Model))
	return nil
}

// testStored tests an upstream that is in use.
func (a *API) testStored(g Gateway, w http.ResponseWriter, r *http.Request, body testRequest) error {
	if body.Name == "" {
		return invalid("spec", "required, or the name of an upstream")
	}
	r.SetPathValue("name", body.Name)
	_, u, err := listed(g, r)
	if err != nil {
		return err
	}
	a.answer(w, http.StatusOK, probe.TestUpstream(r.Context(), u, body.Model))
	return nil
}
