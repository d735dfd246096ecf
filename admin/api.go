// Package admin is the operator's side of the gateway: the management API, where
// it is mounted, and the command line that is a thin layer over it.
//
// The API shows what the gateway observes and lets people overrule it. It knows
// the gateway only through the interface Gateway; everything else about a
// request (who may ask, in which form, with which precondition) is decided here,
// once for all places where the API is mounted.
package admin

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Gateway is what the API needs of the app ai_gateway. Its methods are called
// concurrently. An error that the caller can do something about is an *Error; any
// other is logged and answered with 500.
type Gateway interface {
	// Status says how the gateway, its upstreams and its models are.
	Status() Status
	// Circuits lists the circuits of an upstream, in any order; those of all
	// upstreams if the name is empty. A circuit without any traffic so far may be
	// left out. An upstream that does not exist is an *Error with status 404.
	Circuits(upstream string) ([]routing.CircuitView, error)
	// OpenCircuit forces the circuit of an upstream or of an upstream model open and
	// tells how it is then. When the error is nil the state is in force, and stored if
	// there is a store. To say the same again changes nothing; another reason or end
	// replaces what was said before. What does not exist is an *Error with status 404;
	// a state in force that could not be stored is routing.ErrNotPersisted. If the
	// opening's condition does not hold nothing changes, and its error is returned.
	OpenCircuit(ctx context.Context, key routing.CircuitKey, o Opening) (routing.CircuitView, error)
	// ResetCircuit closes the circuit of an upstream model, or all circuits of the
	// upstream if the model is empty, forgets their failures and tells how they are
	// then. It promises what OpenCircuit promises.
	ResetCircuit(ctx context.Context, upstream, model, actor string, holds routing.Precondition) ([]routing.CircuitView, error)
	// Explain tells in which order the sources of a model would be tried, and why. It
	// takes nothing: no turn and no probe. A model that does not exist, or is
	// disabled, is routing.ErrUnknownModel or an *Error with status 404.
	Explain(ctx context.Context, q Question) (routing.Explanation, error)

	// View is all definitions as they are now.
	View() (*registry.View, error)
	// Change changes managed definitions: all steps, or none. A refusal is a
	// *registry.Error.
	Change(ops []registry.Op, o registry.ChangeOptions) (registry.Outcome, error)
	// Unsaved makes a definition of an upstream ready for a test without storing it;
	// secrets that are left out are those of the stored one of that name. The function
	// lets it go again.
	Unsaved(name string, spec json.RawMessage) (*upstream.Upstream, func(), error)
	// Catalogues are what is known of the upstreams' models.
	Catalogues() *catalogue.Syncer
	// Events passes on what changes.
	Events() *Events

	// Export is the managed definitions as config.
	Export() (Export, error)
	// Backups lists the backups of the store, the newest first.
	Backups() ([]Backup, error)
	// Backup makes a backup of the store and reads it back.
	Backup() (Backup, error)
	// OpenBackup reads a backup by its name.
	OpenBackup(name string) (io.ReadCloser, error)
	// Restore makes the store what it was when the backup was made. It reads all of it
	// before anything changes.
	Restore(backup io.Reader) error
}

// API is the management API. Its paths begin at the root: whoever mounts it below
// a prefix strips that. They are in the table of routes; GET /openapi.json describes
// them. It is safe for concurrent use.
//
// Errors read {"error":{"code","message","field"}}.
type API struct {
	gateway func() (Gateway, error)
	logger  *zap.Logger
	now     func() time.Time
	mux     *http.ServeMux
	cross   http.CrossOriginProtection
}

// endpoint serves one method of one path.
type endpoint func(g Gateway, w http.ResponseWriter, r *http.Request) error

// New makes the API over the gateway that the function returns. It is asked for
// each request, because a reload replaces the gateway.
func New(gateway func() (Gateway, error), logger *zap.Logger) *API {
	a := &API{gateway: gateway, logger: logger, now: time.Now, mux: http.NewServeMux()}
	a.mount()
	return a
}

// mount registers the routes, each path with all its methods.
func (a *API) mount() {
	paths := make(map[string]map[string]endpoint)
	for _, r := range a.routes() {
		if paths[r.path] == nil {
			paths[r.path] = make(map[string]endpoint)
		}
		paths[r.path][r.method] = withQuery(r.query, r.serve)
	}
	for _, kind := range registry.Kinds {
		a.nameActions(kind, paths)
	}
	for path, methods := range paths {
		a.handle(path, methods)
	}
}

// withQuery refuses parameters that an endpoint does not read: whoever misspells
// dry_run or cascade does not mean the request that would be left.
func withQuery(known []string, serve endpoint) endpoint {
	return func(g Gateway, w http.ResponseWriter, r *http.Request) error {
		for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
			if !slices.Contains(known, name) {
				return invalid(name, "there is no such parameter here")
			}
		}
		return serve(g, w, r)
	}
}

// nameActions lets a definition have the name of an action that stands where the
// names of definitions do, such as batch: actions are posted, and nothing is posted
// to definitions.
func (a *API) nameActions(kind registry.Kind, paths map[string]map[string]endpoint) {
	root := "/" + string(kind) + "/"
	for path, methods := range paths {
		name, below := strings.CutPrefix(path, root)
		if !below || strings.ContainsAny(name, "/{") {
			continue
		}
		for method, serve := range paths[root+"{name}"] {
			methods[method] = func(g Gateway, w http.ResponseWriter, r *http.Request) error {
				r.SetPathValue("name", name)
				return serve(g, w, r)
			}
		}
	}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	// The mux would send a path such as //status elsewhere, without the prefix.
	if _, pattern := a.mux.Handler(r); pattern == "" || path.Clean(r.URL.EscapedPath()) != r.URL.EscapedPath() {
		a.fail(w, &Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no such path in the management API"})
		return
	}
	a.mux.ServeHTTP(w, r)
}

// handle mounts a path with the methods it knows.
func (a *API) handle(pattern string, methods map[string]endpoint) {
	if serve, ok := methods[http.MethodGet]; ok {
		methods[http.MethodHead] = serve // net/http drops the body
	}
	allowed := strings.Join(append(slices.Sorted(maps.Keys(methods)), http.MethodOptions), ", ")
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		serve, ok := methods[r.Method]
		switch {
		case r.Method == http.MethodOptions:
			w.Header().Set("Allow", allowed)
			w.WriteHeader(http.StatusNoContent)
			return
		case !ok:
			w.Header().Set("Allow", allowed)
			a.fail(w, &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "this path knows " + allowed})
			return
		}
		if err := a.serve(serve, w, r); err != nil {
			a.fail(w, err)
		}
	})
}

// serve checks the request, finds the gateway and answers.
func (a *API) serve(e endpoint, w http.ResponseWriter, r *http.Request) error {
	if err := a.guard(r); err != nil {
		return err
	}
	g, err := a.gateway()
	if err != nil {
		return err
	}
	return e(g, w, r)
}
