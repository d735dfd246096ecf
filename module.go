// Package aigateway is an AI gateway for Caddy: one endpoint that speaks every
// client's format, spreads load over many providers and survives their bad
// days. It is a Caddy app ("ai_gateway"), which owns upstreams and models, and
// an HTTP handler ("http.handlers.ai_gateway"), which serves clients.
//
// This package only wires the others together; see docs/concepts.md for the
// words and the packages.
package aigateway

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/demo"             // the demo upstream's transport
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic" // Anthropic Messages
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/gemini"    // Gemini
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"    // OpenAI Chat Completions and Responses
	"github.com/caddy-ai-gateway/caddy-ai-gateway/handler"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

func init() { caddy.RegisterModule(new(App)) }

// App owns the upstreams (where requests go) and the models (what clients ask
// for). What it declares is immutable while it runs; a change is a reload.
type App struct {
	// DataDir is the folder in which the gateway keeps what it has observed: the
	// state of circuits. One process uses it at a time. Default: the folder
	// ai_gateway in Caddy's data directory.
	DataDir string `json:"data_dir,omitempty"`

	// SecretKey seals the secrets of managed upstreams in the store: 32 random bytes
	// in base64, as a rule a placeholder such as {env.AI_GATEWAY_SECRET_KEY}. Without
	// it no secret can be stored. Default: none.
	SecretKey string `json:"secret_key,omitempty"`

	// EarlierSecretKeys are keys that secrets in the store may still be sealed with.
	// They are sealed anew with the secret key when the gateway starts. Default: none.
	EarlierSecretKeys []string `json:"earlier_secret_keys,omitempty"`

	// Manage is full, or observe, which makes the config the only source of
	// definitions: managed ones are kept, but neither used nor changed. Default: full.
	Manage string `json:"manage,omitempty"`

	// Circuit holds the defaults for the circuits of all upstreams. Default: see its
	// fields.
	Circuit *upstream.CircuitPolicy `json:"circuit,omitempty"`

	// Upstreams by name. A name that is also a provider preset (openai,
	// anthropic, groq, …) needs no base URL.
	Upstreams map[string]*upstream.Upstream `json:"upstreams,omitempty"`

	// Models by the name clients ask for.
	Models map[string]*routing.Model `json:"models,omitempty"`

	// Aliases are further names of models, or patterns of names.
	Aliases map[string]*routing.Alias `json:"aliases,omitempty"`

	ctx        caddy.Context
	logger     *zap.Logger
	configured time.Time
	sealer     *storage.Sealer // nil: no secret key

	// mu guards the definitions, which sites add to while a config is loaded.
	mu       sync.Mutex
	places   map[registry.ID]place
	ready    []*upstream.Upstream // provisioned, to be cleaned up
	registry func() (*registry.Registry, error)
	dir      string  // of shared
	shared   *shared // nil until somebody needs it

	background background
}

// The values of App.Manage.
const (
	manageFull    = "full"
	manageObserve = "observe"
)

// CaddyModule implements caddy.Module.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "ai_gateway",
		New: func() caddy.Module { return new(App) },
	}
}

// UnmarshalJSON implements json.Unmarshaler: errors name the path of the field.
func (a *App) UnmarshalJSON(raw []byte) error {
	type config App
	return routing.DecodeConfig(raw, (*config)(a))
}

// Provision implements caddy.Provisioner. It touches no disk and no network.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.logger = ctx.Logger()
	a.configured = time.Now()
	a.places = make(map[registry.ID]place)
	a.registry = sync.OnceValues(a.build)
	if err := a.Circuit.Validate(); err != nil {
		return fmt.Errorf("circuit.%w", err)
	}
	switch a.Manage {
	case "", manageFull, manageObserve:
	default:
		return fmt.Errorf("manage: must be full or observe, not %q", a.Manage)
	}
	if err := a.readSecretKeys(); err != nil {
		return err
	}
	own := routing.Definitions{Upstreams: a.Upstreams, Models: a.Models, Aliases: a.Aliases}
	a.Upstreams, a.Models = make(map[string]*upstream.Upstream), make(map[string]*routing.Model)
	a.Aliases = make(map[string]*routing.Alias)
	return a.Declare(appPlace, own)
}

// readSecretKeys makes the sealer. A key that comes out empty is none: what needs
// one says so.
func (a *App) readSecretKeys() error {
	repl := caddy.NewReplacer()
	key := repl.ReplaceAll(a.SecretKey, "")
	var earlier []string
	for _, raw := range a.EarlierSecretKeys {
		if text := repl.ReplaceAll(raw, ""); text != "" {
			earlier = append(earlier, text)
		}
	}
	switch {
	case key == "" && len(earlier) > 0:
		return errors.New("secret_key: required beside earlier_secret_keys")
	case key == "" && a.SecretKey != "":
		a.logger.Warn("secret_key comes out empty: secrets of managed upstreams cannot be stored or read")
	case key == "":
	default:
		sealer, err := storage.NewSealer(key, earlier...)
		if err != nil {
			return fmt.Errorf("secret_key: %w", err)
		}
		a.sealer = sealer
	}
	return nil
}

// Start implements caddy.App.
func (a *App) Start() error {
	r, err := a.registry()
	if err != nil {
		return err
	}
	view := r.View()
	for _, u := range view.Snapshot.Upstreams() {
		a.tellMissing(u)
	}
	a.tellManaged(view)
	a.background.start(a.ctx, a.shared.catalogues, a.logger)
	a.background.follow(view.Snapshot)
	a.logger.Info("gateway ready", zap.Int("upstreams", len(view.Snapshot.Upstreams())), zap.Int("models", len(view.Snapshot.Entries())))
	return nil
}

// tellManaged tells the log which managed definitions are not used.
func (a *App) tellManaged(view *registry.View) {
	for _, kind := range registry.Kinds {
		for _, d := range view.List(kind) {
			switch {
			case d.Shadowed:
				a.logger.Warn("a managed definition is shadowed by the config", zap.String("kind", kind.One()), zap.String("name", d.Name))
			case d.Problem != "" && !view.ReadOnly():
				a.logger.Warn("a managed definition is not used", zap.String("kind", kind.One()), zap.String("name", d.Name), zap.String("reason", d.Problem))
			}
		}
	}
}

// tellMissing tells the log of what an upstream lacks.
func (a *App) tellMissing(u *upstream.Upstream) {
	if reason := u.Unavailable(); reason != "" {
		a.logger.Warn("upstream is not in use", zap.String("upstream", u.Name()), zap.String("reason", reason))
		return
	}
	for _, c := range u.Credentials() {
		if c.Missing != "" {
			a.logger.Warn("credential is not in use", zap.String("upstream", u.Name()), zap.String("credential", c.ID), zap.String("reason", c.Missing))
		}
	}
}

// Stop implements caddy.App. It ends the checks and syncs; requests under way go on
// with what they have.
func (a *App) Stop() error {
	a.background.stop()
	return nil
}

// Cleanup implements caddy.CleanerUpper. It tolerates half-built values, and
// streams of this config that still run; only the end of the process waits for them.
func (a *App) Cleanup() error {
	if caddy.Exiting() {
		handler.AwaitExit()
	}
	var errs []error
	for _, u := range a.ready {
		errs = append(errs, u.Cleanup())
	}
	if a.shared != nil {
		if r, err := a.registry(); err == nil {
			r.Close()
		}
		errs = append(errs, release(a.dir))
	}
	return errors.Join(errs...)
}

// Snapshot implements handler.Gateway. Caddy starts apps in any order, so the
// first request may come before Start: whoever is first builds the registry.
func (a *App) Snapshot() (*routing.Snapshot, error) {
	r, err := a.registry()
	if err != nil {
		return nil, err
	}
	return r.View().Snapshot, nil
}

// build makes the registry of everything that has been declared, beside what is
// managed, on what was observed before.
func (a *App) build() (*registry.Registry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	dir, err := a.dataDir()
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	if a.shared, err = acquire(dir, a.sealer); err != nil {
		return nil, err
	}
	a.dir = dir
	return registry.New(registry.Options{
		Context: a.ctx, Declared: a.declared(), Managed: a.shared.managed, State: a.shared.routing,
		Observed: a.shared.observed, Catalogues: a.shared.offers, Observe: a.Manage == manageObserve,
		OnChange: func(v *registry.View) { a.background.follow(v.Snapshot) },
	})
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ handler.Gateway    = (*App)(nil)
	_ admin.Gateway      = (*App)(nil)
)
