package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// Export is the managed definitions as config.
type Export struct {
	// JSON is what stands below apps/ai_gateway.
	JSON json.RawMessage
	// Caddyfile is the same as a global option.
	Caddyfile string
}

// export answers GET /export?format=json|caddyfile: the managed definitions as
// config. Secrets are stand-ins, which a comment of the Caddyfile lists.
func (a *API) export(g Gateway, w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query().Get("format")
	if form != "" && form != "json" && form != "caddyfile" {
		return invalid("format", "must be json or caddyfile")
	}
	e, err := g.Export()
	if err != nil {
		return err
	}
	if form == "caddyfile" {
		w.Header().Set("Content-Type", "text/caddyfile; charset=utf-8")
		_, err := io.WriteString(w, e.Caddyfile)
		if err != nil {
			return nil // the client has left
		}
		return nil
	}
	a.answer(w, http.StatusOK, e.JSON)
	return nil
}

// maxImport is the largest body of an import in bytes.
const maxImport = 64 << 20

// importedDefinitions is the body of POST /import: what an export has.
type importedDefinitions struct {
	Upstreams map[string]json.RawMessage `json:"upstreams"`
	Models    map[string]json.RawMessage `json:"models"`
	Aliases   map[string]json.RawMessage `json:"aliases"`
}

// imported is what an import has done to one definition, or would do.
type imported struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Status is created, changed or unchanged.
	Status string `json:"status"`
}

// importedAnswer is the answer to an import.
type importedAnswer struct {
	DryRun    bool       `json:"dry_run"`
	Created   int        `json:"created"`
	Changed   int        `json:"changed"`
	Unchanged int        `json:"unchanged"`
	Results   []imported `json:"results"`
}

// importAll answers POST /import: all of it, or nothing. What is not in the body
// stays as it is.
func (a *API) importAll(g Gateway, w http.ResponseWriter, r *http.Request) error {
	dry, err := yes(r, "dry_run")
	if err != nil {
		return err
	}
	body, err := readImport(w, r)
	if err != nil {
		return err
	}
	v, err := g.View()
	if err != nil {
		return err
	}
	ops, err := body.ops()
	if err != nil {
		return err
	}
	if len(ops) == 0 {
		return invalid("", "there is nothing to import: neither upstreams, nor models, nor aliases")
	}
	out, err := g.Change(ops, registry.ChangeOptions{Actor: actor(r), DryRun: dry})
	if err != nil {
		return importError(err)
	}
	answer := importedAnswer{DryRun: dry, Results: []imported{}}
	for i := range out.Results {
		answer.add(v, &out.Results[i])
	}
	if !dry {
		a.audit(r, out)
	}
	a.answer(w, http.StatusOK, answer)
	return nil
}

// readImport reads the body of an import.
func readImport(w http.ResponseWriter, r *http.Request) (*importedDefinitions, error) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxImport))
	d.DisallowUnknownFields()
	body := new(importedDefinitions)
	err := d.Decode(body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: "the body is larger than 64 MiB"}
	}
	if err != nil {
		return nil, badBody(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("", "there is more in the body than one JSON document")
	}
	return body, nil
}

// ops are the steps of an import.
func (d *importedDefinitions) ops() ([]registry.Op, error) {
	var ops []registry.Op
	for _, kind := range registry.Kinds {
		specs := map[registry.Kind]map[string]json.RawMessage{
			registry.Upstreams: d.Upstreams, registry.Models: d.Models, registry.Aliases: d.Aliases,
		}[kind]
		for _, name := range sortedKeys(specs) {
			spec := specs[name]
			if kind == registry.Upstreams {
				var err error
				if spec, err = registry.FromConfig(withoutStandIns(spec)); err != nil {
					return nil, err
				}
			}
			ops = append(ops, registry.Op{ID: registry.ID{Kind: kind, Name: name}, Verb: registry.Replace, Spec: spec})
		}
	}
	return ops, nil
}

func sortedKeys(m map[string]json.RawMessage) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// standIn is what an export writes for a secret.
var standIn = regexp.MustCompile(`^\{env\.AI_GATEWAY_[A-Z0-9_]+\}$`)

// withoutStandIns leaves out the secrets of an upstream that an export did not have,
// so that those that are stored stay.
func withoutStandIns(spec json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	var credentials []map[string]json.RawMessage
	if json.Unmarshal(spec, &fields) != nil || json.Unmarshal(fields["credentials"], &credentials) != nil {
		return spec // refused later, or there is none
	}
	for _, c := range credentials {
		for name, raw := range c {
			var text string
			if json.Unmarshal(raw, &text) == nil && standIn.MatchString(text) {
				delete(c, name)
			}
		}
	}
	list, err := json.Marshal(credentials)
	if err != nil {
		return spec
	}
	fields["credentials"] = list
	whole, err := json.Marshal(fields)
	if err != nil {
		return spec
	}
	return whole
}

// importError names the definition in the field of a refusal.
func importError(err error) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return err
	}
	refused, ok := errors.AsType[*Error](translated(err))
	if !ok {
		return err
	}
	if e.ID.Name != "" {
		refused.Field = string(e.ID.Kind) + "." + e.ID.Name
		if e.Field != "" && e.Field != "name" {
			refused.Field += "." + e.Field
		}
	}
	return refused
}

// add counts what became of a definition.
func (a *importedAnswer) add(before *registry.View, res *registry.Result) {
	one := imported{Kind: res.Kind.One(), Name: res.Name, Status: "changed"}
	_, was := before.Get(res.ID, registry.Management)
	switch {
	case !res.Changed:
		one.Status = "unchanged"
		a.Unchanged++
	case !was:
		one.Status = "created"
		a.Created++
	default:
		a.Changed++
	}
	a.Results = append(a.Results, one)
}
