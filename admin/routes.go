package admin

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/probe"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// route is one method of one path.
type route struct {
	method, path string
	serve        endpoint
	// summary says what it does, in one sentence.
	summary string
	// query names the parameters of the query: see parameters.
	query []string
	// body and answer are values of the types of the request's body and of the answer;
	// nil if there is none. An answer that is a string names another content type.
	body, answer any
	// status of the answer.
	status int
}

// parameters describes what the query of a request may have.
var parameters = map[string]string{
	"q":         "Only what has this text in its name, address, tags or description.",
	"status":    "Only what is in this state.",
	"origin":    "declared or managed: where the definition comes from.",
	"provider":  "Only upstreams of this provider.",
	"format":    "Only what has this format; of an export, json (default) or caddyfile.",
	"tag":       "Only upstreams with this tag.",
	"upstream":  "Only models with a source at this upstream.",
	"vendor":    "Only models of this vendor.",
	"access":    "Only models with this access: public or internal.",
	"model":     "Only aliases of this model.",
	"sort":      "What the list is sorted by; with a minus in front, from the end.",
	"page":      "The page, from 1.",
	"page_size": "How many items a page has: 100 unless said otherwise, 1000 at most.",
	"dry_run":   "true: nothing is changed; the answer tells what would be.",
	"cascade":   "true: what refers to the definition is changed or deleted with it.",
	"follow":    "false: the events that are kept are sent, and the stream ends. Default: true.",
	"after":     "The id of the last event that was seen; the header Last-Event-ID says the same.",

	"upstream_model": "The upstream's own name of a model. Default: the upstream as a whole.",
}

// list is the query of all lists of definitions.
func listQuery(kind registry.Kind) []string {
	return slices.Concat([]string{"q", "status", "origin"}, wordFilters[kind], []string{"sort", "page", "page_size"})
}

var pages = []string{"page", "page_size"}

// routes lists all routes.
func (a *API) routes() []route {
	all := []route{
		{http.MethodGet, "/status", a.status, "How the gateway, its upstreams, models and store are.", nil, nil, Status{}, 200},
		{http.MethodGet, "/events", a.events, "Follows changes of circuits, definitions and catalogues as server-sent events.", []string{"after", "follow"}, nil, "text/event-stream", 200},
		{http.MethodPost, "/explain", a.explain, "Tells in which order the sources of a model would be tried, and why.", nil, Question{}, Explanation{}, 200},
		{http.MethodGet, "/export", a.export, "The managed definitions as config, with stand-ins for secrets.", []string{"format"}, nil, importedDefinitions{}, 200},
		{http.MethodPost, "/import", a.importAll, "Creates and replaces definitions: all of them, or none.", []string{"dry_run"}, importedDefinitions{}, importedAnswer{}, 200},
		{http.MethodGet, "/backups", a.backups, "Lists the backups of the store, the newest first.", pages, nil, Page[Backup]{}, 200},
		{http.MethodPost, "/backups", a.backup, "Makes a backup of the store and reads it back.", nil, struct{}{}, Backup{}, 201},
		{http.MethodGet, "/backups/{name}", a.downloadBackup, "Reads a backup.", nil, nil, binary, 200},
		{http.MethodPost, "/restore", a.restore, "Makes the store what it was when a backup was made.", nil, restoreRequest{}, map[string]string{}, 200},
		{http.MethodPost, "/probes", a.probeAll, "Probes models; an event per result if the client accepts text/event-stream.", nil, probesRequest{}, probes{}, 200},
		{http.MethodGet, "/openapi.json", a.openAPI, "Describes this API.", nil, nil, json.RawMessage{}, 200},
	}
	for _, kind := range registry.Kinds {
		all = append(all, a.definitionRoutes(kind)...)
	}
	return slices.Concat(all, a.circuitRoutes(), a.upstreamRoutes(), a.modelRoutes())
}

// definitionRoutes are what all kinds of definitions have.
func (a *API) definitionRoutes(kind registry.Kind) []route {
	root, one, many := "/"+string(kind), kind.One(), string(kind)
	return []route{
		{http.MethodGet, root, a.list(kind), "Lists the " + many + ".", listQuery(kind), nil, Page[Definition]{}, 200},
		{http.MethodPost, root, a.create(kind), "Creates a managed " + one + ".", []string{"dry_run"}, createRequest{}, Definition{}, 201},
		{http.MethodPost, root + "/batch", a.batch(kind), "Enables, disables or deletes " + many + ", each on its own.", []string{"dry_run"}, batchRequest{}, batchAnswer{}, 200},
		{http.MethodGet, root + "/{name}", a.getOne(kind), "Reads one " + one + ".", []string{"origin"}, nil, Definition{}, 200},
		{http.MethodPut, root + "/{name}", a.replace(kind), "Creates or replaces a managed " + one + ".", []string{"dry_run"}, createRequest{}, Definition{}, 200},
		{http.MethodPatch, root + "/{name}", a.patch(kind), "Changes a managed " + one + " with a merge patch.", []string{"dry_run"}, patchRequest{}, Definition{}, 200},
		{http.MethodDelete, root + "/{name}", a.remove(kind), "Deletes a managed " + one + ".", []string{"dry_run", "cascade"}, nil, deletion{}, 200},
	}
}

// circuitRoutes are what concerns circuits.
func (a *API) circuitRoutes() []route {
	return []route{
		{http.MethodGet, "/circuits", a.circuits, "Lists all circuits, with their history.", append([]string{"status"}, pages...), nil, Page[Circuit]{}, 200},
		{http.MethodGet, "/upstreams/{name}/circuits", a.circuits, "Lists the circuits of an upstream.", append([]string{"status"}, pages...), nil, Page[Circuit]{}, 200},
		{http.MethodGet, "/upstreams/{name}/circuit", a.circuit, "Reads one circuit.", []string{"upstream_model"}, nil, Circuit{}, 200},
		{http.MethodPost, "/upstreams/{name}/circuit/open", a.openCircuit, "Forces a circuit open.", nil, openRequest{}, Circuit{}, 200},
		{http.MethodPost, "/upstreams/{name}/circuit/reset", a.resetCircuit, "Closes a circuit, or all of an upstream, and forgets their failures.", nil, resetRequest{}, Page[Circuit]{}, 200},
	}
}

// upstreamRoutes are what upstreams have besides.
func (a *API) upstreamRoutes() []route {
	const catalogue = "/upstreams/{name}/catalogue"
	return []route{
		{http.MethodPost, "/upstreams/test", a.testUpstream, "Tests an upstream in stages, one that is not stored too.", nil, testRequest{}, probe.StageResult{}, 200},
		{http.MethodGet, "/upstreams/{name}/sources", a.dependents, "Lists the sources at an upstream, and what would be left without one.", pages, nil, Page[dependent]{}, 200},
		{http.MethodGet, catalogue, a.catalogue, "Lists what is known of an upstream's models.", append([]string{"q", "status"}, pages...), nil, Catalogue{}, 200},
		{http.MethodPost, catalogue + "/preview", a.preview, "Asks the service for its models and tells what a sync would do.", nil, struct{}{}, syncAnswer{}, 200},
		{http.MethodPost, catalogue + "/sync", a.sync, "Asks the service for its models and takes them in.", nil, syncRequest{}, syncAnswer{}, 200},
		{http.MethodPost, catalogue + "/import", a.importModels, "Makes sources of upstream models, and models where there are none.", nil, importRequest{}, importAnswer{}, 200},
		{http.MethodPost, catalogue + "/models", a.addEntry, "Puts an upstream model into the catalogue by hand.", nil, entryRequest{}, CatalogueEntry{}, 201},
		{http.MethodPatch, catalogue + "/models/{model}", a.editEntry, "Disables, enables or describes an upstream model.", nil, entryEdit{}, CatalogueEntry{}, 200},
		{http.MethodDelete, catalogue + "/models/{model}", a.removeEntry, "Takes an upstream model out that was put in by hand.", nil, nil, deletion{}, 200},
	}
}

// modelRoutes are what models have besides.
func (a *API) modelRoutes() []route {
	const sources = "/models/{name}/sources"
	return []route{
		{http.MethodPost, "/models/order", a.order, "Sets the order in which clients see models.", []string{"dry_run"}, orderRequest{}, map[string][]string{}, 200},
		{http.MethodPost, "/models/{name}/activate", a.activate, "Pins a model to one source, or lets all of them serve again.", []string{"dry_run"}, activateRequest{}, Definition{}, 200},
		{http.MethodPost, "/models/{name}/probe", a.probeModel, "Probes the sources of a model.", nil, probeRequest{}, probes{}, 200},
		{http.MethodGet, sources, a.sources, "Lists the sources of a model.", pages, nil, Page[Source]{}, 200},
		{http.MethodPost, sources, a.addSource, "Adds a source to a managed model.", []string{"dry_run"}, routing.Source{}, Source{}, 201},
		{http.MethodGet, sources + "/{source}", a.source, "Reads one source.", nil, nil, Source{}, 200},
		{http.MethodPut, sources + "/{source}", a.replaceSource, "Replaces a source of a managed model.", []string{"dry_run"}, routing.Source{}, Source{}, 200},
		{http.MethodPatch, sources + "/{source}", a.patchSource, "Changes a source of a managed model with a merge patch.", []string{"dry_run"}, routing.Source{}, Source{}, 200},
		{http.MethodDelete, sources + "/{source}", a.removeSource, "Removes a source of a managed model.", []string{"dry_run"}, nil, deletion{}, 200},
	}
}

// specs are the definitions that stand in the field spec, by the kind.
var specs = map[registry.Kind]any{
	registry.Upstreams: upstream.Upstream{},
	registry.Models:    routing.Model{},
	registry.Aliases:   routing.Alias{},
}
