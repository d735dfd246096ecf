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
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
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
}

// API is the management API. Its paths begin at the root: whoever mounts it below
// a prefix strips that. It is safe for concurrent use.
//
//	GET  /status                               how everything is
//	GET  /circuits                             all circuits, with their history
//	GET  /upstreams/{upstream}/circuits        those of one upstream
//	GET  /upstreams/{upstream}/circuit         one circuit: ?upstream_model=NAME
//	POST /upstreams/{upstream}/circuit/open    {until | for, reason, upstream_model}
//	POST /upstreams/{upstream}/circuit/reset   {upstream_model}
//	POST /explain                              {model, format, operation, request}
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
	get := func(e endpoint) map[string]endpoint { return map[string]endpoint{http.MethodGet: e} }
	post := func(e endpoint) map[string]endpoint { return map[string]endpoint{http.MethodPost: e} }
	a.handle("/status", get(a.status))
	a.handle("/circuits", get(a.circuits))
	a.handle("/upstreams/{upstream}/circuits", get(a.circuits))
	a.handle("/upstreams/{upstream}/circuit", get(a.circuit))
	a.handle("/upstreams/{upstream}/circuit/open", post(a.openCircuit))
	a.handle("/upstreams/{upstream}/circuit/reset", post(a.resetCircuit))
	a.handle("/explain", post(a.explain))
	return a
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
