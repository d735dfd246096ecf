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

// The values of Handler.OnAllOpen.
const (
	onAllOpenFail = "fail"
	onAllOpenBest = "try_best"
)

// The values of Handler.ExposeHeaders.
const (
	exposeOff   = "off"
	exposeBasic = "basic"
)

// Handler serves the paths of the chat formats and the list of models, with or
// without a leading /v1:
//
//	POST /v1/chat/completions   OpenAI Chat Completions
//	POST /v1/responses          OpenAI Responses
//	POST /v1/messages           Anthropic Messages
//	POST /v1beta/models/{model}:generateContent, :streamGenerateContent
//	                            Gemini, also below /v1
//	POST /v1/completions        legacy completions
//	POST /v1/embeddings, /v1beta/models/{model}:embedContent, :batchEmbedContents
//	                            embeddings of OpenAI and Gemini
//	POST /v1/messages/count_tokens, /v1/responses/input_tokens,
//	     /v1beta/models/{model}:countTokens
//	                            the number of a request's tokens
//	POST /v1/images/generations, /v1/images/edits, /v1/audio/speech,
//	     /v1/audio/transcriptions, /v1/audio/translations, /v1/rerank
//	                            passed through to sources of that format
//	GET  /v1/models[/{id}]      in the shape of the client that asks
//	GET  /v1beta/models[/{id}]  in Gemini's
//
// Paths below these are answered with 404 in the client's format; other paths go
// to the next handler.
//
// Answers carry these headers:
//
//	X-Request-Id            the client's own, or a new one
//	X-Selected-Provider     the upstream that answered
//	X-Selected-Model        its own name of the model
//	X-Gateway-Attempts      how many sources were tried
//	X-Gateway-Warning       what the translation dropped or changed
//	X-Upstream-Request-Id   the upstream's id of the request
type Handler struct {
	// Upstreams that this site declares, by name. They belong to the same set as
	// those of the app; a name that is declared twice with different definitions
	// is an error.
	Upstreams map[string]*upstream.Upstream `json:"upstreams,omitempty"`

	// Models that this site declares, by name. They may use the upstreams of the
	// same site and those of the app.
	Models map[string]*routing.Model `json:"models,omitempty"`

	// Aliases that this site declares, by name: further names of the models of the
	// same site and of the app.
	Aliases map[string]*routing.Alias `json:"aliases,omitempty"`

	// AllowModels are the only names that this site serves and lists: of models, of
	// aliases and of what upstreams expose; * stands for any text. An internal model
	// is served by sites that name it here, and by no others. Default: all that is
	// not internal.
	AllowModels []string `json:"allow_models,omitempty"`

	// DefaultModel is what requests get that name no model, or the model auto.
	// Default: none: such requests are answered with 400.
	DefaultModel string `json:"default_model,omitempty"`

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

	// OnUnsupported says what happens to a request that cannot be expressed in an
	// upstream's format without changing what it means: drop leaves out what has
	// no place there and says so in X-Gateway-Warning, error answers with 400. A
	// model may say otherwise for itself. Default: drop.
	OnUnsupported string `json:"on_unsupported,omitempty"`

	// OnAllOpen says what happens when all sources of a model are barred by their
	// circuits: fail answers at once with 503 and Retry-After, try_best sends at
	// most one request a second to the source that is tried again first.
	// Default: fail.
	OnAllOpen string `json:"on_all_open,omitempty"`

	// CORS lists the origins whose pages may call the gateway from a browser, such
	// as https://app.example.com; "*" alone stands for all. Default: none.
	CORS []string `json:"cors,omitempty"`

	// CountTokens says how requests to count tokens are answered: forward asks a
	// source of the model that counts, and estimates if there is none; estimate
	// asks nobody; off answers with 404. An estimate is marked by the header
	// "X-Gateway-Token-Count: estimated". Default: forward.
	CountTokens string `json:"count_tokens,omitempty"`

	gateway Gateway
	router  routing.Router
	names   *routing.Names // of AllowModels
	logger  *zap.Logger
	exit    *exit           // nil is that of the process
	over    <-chan struct{} // closed when the config has not been in force for a while
}

// Timeouts bound a request over all its attempts.
type Timeouts struct {
	// Total is the time for a request that is not streamed. Streams have the
	// limits of their upstream. Default: 10m.
	Total caddy.Duration `json:"total,omitempty"`
}

// Gateway is what the handler needs of the app ai_gateway.
type Gateway interface {
	// Declare adds a site's definitions to the app's. place says where they stand,
	// for errors.
	Declare(place string, d routing.Definitions) error
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
	h.watchOver(ctx)
	if err := h.check(); err != nil {
		return err
	}
	if err := registerMetrics(ctx); err != nil {
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
	watchServer(ctx)
	return gateway.Declare("the site's ai_gateway handler", routing.Definitions{Upstreams: h.Upstreams, Models: h.Models, Aliases: h.Aliases})
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
	if err := h.CheckModels(); err != nil {
		return err
	}
	if err := checkOrigins(h.CORS); err != nil {
		return err
	}
	switch h.OnAllOpen {
	case "", onAllOpenFail, onAllOpenBest:
	default:
		return fmt.Errorf("on_all_open: must be fail or try_best, not %q", h.OnAllOpen)
	}
	if err := routing.CheckOnUnsupported(h.OnUnsupported); err != nil {
		return fmt.Errorf("on_unsupported: %w", err)
	}
	if err := checkCountTokens(h.CountTokens); err != nil {
		return err
	}
	switch h.ExposeHeaders {
	case "", exposeOff, exposeBasic:
		return nil
	default:
		return fmt.Errorf("expose_headers: must be off or basic, not %q", h.ExposeHeaders)
	}
}

// CheckModels refuses names that no model can have, and a default that is not
// served. Errors begin with the field's name.
func (h *Handler) CheckModels() error {
	names, err := routing.NewNames(h.AllowModels)
	if err != nil {
		return fmt.Errorf("allow_models%w", err)
	}
	h.names = names
	if h.DefaultModel == "" {
		return nil
	}
	if err := routing.CheckName(h.DefaultModel); err != nil {
		return fmt.Errorf("default_model: %w", err)
	}
	switch {
	case h.DefaultModel == autoModel:
		return fmt.Errorf("default_model: must name a model; %s stands for the default", autoModel)
	case !names.Covers(h.DefaultModel):
		return fmt.Errorf("default_model: %q is not among the models that the site serves", h.DefaultModel)
	default:
		return nil
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
	h.superseded(w.Header())
	if h.crossOrigin(w, r, &ep) {
		return nil
	}
	x := h.newExchange(w, r, ep)
	defer x.end()
	if ep.Operation == "" {
		return x.fail(&chat.Error{Kind: chat.ErrNotFound, Code: "not_found", Message: r.URL.Path + " is not served here: the gateway stores no answers"})
	}
	if !methodAllowed(ep.Method, r.Method) {
		return x.failMethod()
	}
	if err := overloaded(x.began); err != nil {
		return x.fail(err)
	}
	snapshot, err := h.gateway.Snapshot()
	if err != nil {
		return x.fail(err)
	}
	switch ep.Operation {
	case format.OperationListModels:
		return x.listModels(snapshot)
	case format.OperationCountTokens:
		return x.countTokens(snapshot)
	}
	if err := x.read(); err != nil {
		return x.fail(err)
	}
	if err := x.chooseModel(snapshot); err != nil {
		return x.fail(err)
	}
	if x.plan, err = h.router.Plan(snapshot, x.request(ep.Operation)); err != nil {
		return x.fail(x.h.planError(x.envelope.model, err))
	}
	return x.serve()
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
	x.flushBounded()
	x.observe()
	if x.cut {
		panic(http.ErrAbortHandler) // the server ends the connection without an end of the answer
	}
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
