// Package handler serves the client-facing API: the module
// http.handlers.ai_gateway. A request is read once, matched to a model, turned
// into a plan of sources, and tried source by source until one of them answers;
// the answer goes back in the client's own format.
package handler

import (
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

func init() { caddy.RegisterModule(Handler{}) }

// The values of Handler.ExposeHeaders.
const (
	exposeOff   = "off"
	exposeBasic = "basic"
)

// Handler serves the paths of the chat formats and the list of models, with or
// without a leading /v1:
//
//	POST /v1/chat/completions   OpenAI Chat Completions
//	POST /v1/messages           Anthropic Messages
//	GET  /v1/models[/{id}]      in the shape of the client that asks
//
// Other paths go to the next handler.
//
// Answers carry these headers:
//
//	X-Request-Id            the client's own, or a new one
//	X-Selected-Provider     the upstream that answered
//	X-Selected-Model        its own name of the model
//	X-Gateway-Attempts      how many sources were tried
//	X-Upstream-Request-Id   the upstream's id of the request
type Handler struct {
	// Upstreams that this site declares, by name. They belong to the same set as
	// those of the app; a name that is declared twice with different definitions
	// is an error.
	Upstreams map[string]*upstream.Upstream `json:"upstreams,omitempty"`

	// Models that this site declares, by name. They may use the upstreams of the
	// same site and those of the app.
	Models map[string]*routing.Model `json:"models,omitempty"`

	// MaxAttempts is how many sources a request may try, from 1 to 5.
	// Default: 3.
	MaxAttempts int `json:"max_attempts,omitempty"`

	// MaxBody is the largest request body, in bytes. Larger ones are answered
	// with 413. Default: 33554432 (32 MiB).
	MaxBody int64 `json:"max_body,omitempty"`

	// Timeouts bound the whole request.
	Timeouts Timeouts `json:"timeouts,omitzero"`

	// Heartbeat is the silence after which a committed stream gets an event that
	// means nothing, so that nobody on the way takes it for dead. A negative
	// value switches heartbeats off. Default: 15s.
	Heartbeat caddy.Duration `json:"heartbeat,omitempty"`

	// ExposeHeaders says what answers tell about their source: off, or basic
	// (X-Selected-Provider, X-Selected-Model, X-Gateway-Attempts). X-Request-Id
	// is always set. Default: basic.
	ExposeHeaders string `json:"expose_headers,omitempty"`

	gateway Gateway
	router  routing.Router
	logger  *zap.Logger
}

// Timeouts bound a request over all its attempts.
type Timeouts struct {
	// Total is the time for a request that is not streamed. Streams have the
	// limits of their upstream. Default: 10m.
	Total caddy.Duration `json:"total,omitempty"`
}

// Gateway is what the handler needs of the app ai_gateway.
type Gateway interface {
	// Declare adds a site's definitions to the app's. place says where they
	// stand, for errors.
	Declare(place string, upstreams map[string]*upstream.Upstream, models map[string]*routing.Model) error
	// Snapshot is the current view of all definitions.
	Snapshot() (*routing.Snapshot, error)
}

// CaddyModule implements caddy.Module.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.ai_gateway",
		New: func() caddy.Module { return new(Handler) },
	}
}

// UnmarshalJSON implements json.Unmarshaler: errors name the path of the field.
func (h *Handler) UnmarshalJSON(raw []byte) error {
	type config Handler
	return routing.DecodeConfig(raw, (*config)(h))
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if err := h.check(); err != nil {
		return err
	}
	app, err := ctx.App("ai_gateway")
	if err != nil {
		return fmt.Errorf("loading app ai_gateway: %w", err)
	}
	gateway, ok := app.(Gateway)
	if !ok {
		return fmt.Errorf("the app ai_gateway is a %T and no gateway", app)
	}
	h.gateway = gateway
	return gateway.Declare("the site's ai_gateway handler", h.Upstreams, h.Models)
}

// check refuses settings that make no sense.
func (h *Handler) check() error {
	switch {
	case h.MaxAttempts < 0 || h.MaxAttempts > 5:
		return fmt.Errorf("max_attempts: must be from 1 to 5, not %d", h.MaxAttempts)
	case h.MaxBody < 0:
		return fmt.Errorf("max_body: must not be negative")
	case h.Timeouts.Total < 0:
		return fmt.Errorf("timeouts.total: must not be negative")
	}
	switch h.ExposeHeaders {
	case "", exposeOff, exposeBasic:
		return nil
	default:
		return fmt.Errorf("expose_headers: must be off or basic, not %q", h.ExposeHeaders)
	}
}

func (h *Handler) maxAttempts() int {
	if h.MaxAttempts == 0 {
		return 3
	}
	return h.MaxAttempts
}

func (h *Handler) maxBody() int64 {
	if h.MaxBody == 0 {
		return 32 << 20
	}
	return h.MaxBody
}

func (h *Handler) total() time.Duration {
	if h.Timeouts.Total == 0 {
		return 10 * time.Minute
	}
	return time.Duration(h.Timeouts.Total)
}

func (h *Handler) heartbeat() time.Duration {
	if h.Heartbeat == 0 {
		return 15 * time.Second
	}
	return time.Duration(h.Heartbeat)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	ep, ok := format.Match(r.URL.EscapedPath())
	if !ok {
		return next.ServeHTTP(w, r)
	}
	x := h.newExchange(w, r, ep)
	defer x.end()
	if !methodAllowed(ep.Method, r.Method) {
		w.Header().Set("Allow", ep.Method)
		return x.fail(&chat.Error{Kind: chat.ErrMethod, Message: fmt.Sprintf("%s takes %s, not %s", r.URL.Path, ep.Method, r.Method)})
	}
	snapshot, err := h.gateway.Snapshot()
	if err != nil {
		return x.fail(err)
	}
	if ep.Operation == format.OperationListModels {
		return x.listModels(snapshot)
	}
	if err := x.read(); err != nil {
		return x.fail(err)
	}
	plan, err := h.router.Plan(snapshot, routing.Request{
		Model:     x.envelope.model,
		Format:    ep.Format,
		Operation: ep.Operation,
	})
	if err != nil {
		return x.fail(x.h.planError(x.envelope.model, err))
	}
	return x.serve(&plan)
}

// methodAllowed says whether a path of the given method takes the request's.
func methodAllowed(want, got string) bool {
	return got == want || want == http.MethodGet && got == http.MethodHead
}

// end closes the exchange, whatever became of it.
func (x *exchange) end() {
	if p := recover(); p != nil {
		x.recovered(p)
	}
	x.letBodyGo()
	x.observe()
}

// report tells what a translation has dropped or changed.
func (x *exchange) report(target format.ID, report chat.Report) {
	if len(report) == 0 {
		return
	}
	if entry := x.h.logger.Check(zap.DebugLevel, "translation dropped or changed fields"); entry != nil {
		entry.Write(zap.String("request_id", x.id), zap.String("format", string(target)), zap.Any("fields", report))
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
