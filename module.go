// Package aigateway is an AI gateway for Caddy: one endpoint that speaks every
// client's format, spreads load over many providers and survives their bad
// days. It is a Caddy app ("ai_gateway"), which owns upstreams and models, and
// an HTTP handler ("http.handlers.ai_gateway"), which serves clients.
//
// This package only wires the others together; see docs/concepts.md for the
// words and the packages.
package aigateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

func init() { caddy.RegisterModule(new(App)) }

// App owns the upstreams (where requests go) and the models (what clients ask
// for). What it declares is immutable while it runs; a change is a reload.
type App struct {
	// DataDir is the folder in which the gateway keeps what it has observed: the
	// state of circuits. One process uses it at a time. Default: the folder
	// ai_gateway in Caddy's data directory.
	DataDir string `json:"data_dir,omitempty"`

	// Circuit holds the defaults for the circuits of all upstreams. Default: see its
	// fields.
	Circuit *upstream.CircuitPolicy `json:"circuit,omitempty"`

	// Upstreams by name. A name that is also a provider preset (openai,
	// anthropic, groq, …) needs no base URL.
	Upstreams map[string]*upstream.Upstream `json:"upstreams,omitempty"`

	// Models by the name clients ask for.
	Models map[string]*routing.Model `json:"models,omitempty"`

	ctx        caddy.Context
	logger     *zap.Logger
	configured time.Time

	// mu guards the definitions, which sites add to while a config is loaded.
	mu       sync.Mutex
	places   map[string]place
	ready    []*upstream.Upstream // provisioned, to be cleaned up
	snapshot func() (*routing.Snapshot, error)
	dir      string  // of shared
	shared   *shared // nil until somebody needs it

	stop     context.CancelFunc // ends the checks
	checkers sync.WaitGroup
}

// place is where a name was declared, and what was declared.
type place struct {
	where      string
	definition []byte
}

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
	a.places = make(map[string]place)
	a.snapshot = sync.OnceValues(a.build)
	if err := a.Circuit.Validate(); err != nil {
		return fmt.Errorf("circuit.%w", err)
	}
	upstreams, models := a.Upstreams, a.Models
	a.Upstreams, a.Models = make(map[string]*upstream.Upstream), make(map[string]*routing.Model)
	return a.Declare("the app's config (apps/ai_gateway)", upstreams, models)
}

// Declare implements handler.Gateway. The same definition of a name may come
// from several handlers, because a site with several addresses has several; two
// different ones are an error that names both places.
func (a *App) Declare(where string, upstreams map[string]*upstream.Upstream, models map[string]*routing.Model) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(upstreams)) {
		u := upstreams[name]
		known, err := a.claim("upstream", name, where, u)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		a.ready = append(a.ready, u)
		if err := u.Provision(a.ctx, name); err != nil {
			return fmt.Errorf("upstreams.%s.%w", name, err)
		}
		a.Upstreams[name] = u
	}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		known, err := a.claim("model", name, where, models[name])
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if models[name] != nil { // null is refused with the snapshot
			if err := models[name].Provision(a.ctx); err != nil {
				return fmt.Errorf("models.%s.%w", name, err)
			}
		}
		a.Models[name] = models[name]
	}
	_, err := routing.NewSnapshot(a.Upstreams, a.Models)
	return err
}

// claim notes that a name is declared. known says that the same definition was
// there already.
func (a *App) claim(kind, name, where string, definition any) (known bool, err error) {
	text, err := json.Marshal(definition)
	if err != nil {
		return false, fmt.Errorf("reading the definition of %s %q: %w", kind, name, err)
	}
	key := kind + " " + name
	if first, ok := a.places[key]; ok {
		if bytes.Equal(first.definition, text) && first.where == where {
			return true, nil
		}
		return false, fmt.Errorf("%s %q is defined twice: in %s and in %s", kind, name, first.where, where)
	}
	a.places[key] = place{where, text}
	return false, nil
}

// Start implements caddy.App.
func (a *App) Start() error {
	snapshot, err := a.snapshot()
	if err != nil {
		return err
	}
	for _, u := range snapshot.Upstreams() {
		a.tellMissing(u)
	}
	a.check(snapshot)
	a.logger.Info("gateway ready", zap.Int("upstreams", len(snapshot.Upstreams())), zap.Int("models", len(snapshot.Models())))
	return nil
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

// check begins the active checks of the upstreams that have some.
func (a *App) check(snapshot *routing.Snapshot) {
	ctx, stop := context.WithCancel(a.ctx)
	a.stop = stop
	for _, u := range snapshot.Upstreams() {
		if checker, ok := u.Checker(); ok {
			a.checkers.Go(func() { checker.Run(ctx) })
		}
	}
}

// Stop implements caddy.App. It ends the checks; requests under way go on with
// what they have.
func (a *App) Stop() error {
	if a.stop != nil {
		a.stop()
		a.checkers.Wait()
	}
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
		errs = append(errs, release(a.dir))
	}
	return errors.Join(errs...)
}

// Snapshot implements handler.Gateway. Caddy starts apps in any order, so the
// first request may come before Start: whoever is first builds the snapshot.
func (a *App) Snapshot() (*routing.Snapshot, error) { return a.snapshot() }

// build makes the snapshot of everything that has been declared, on what was
// observed before.
func (a *App) build() (*routing.Snapshot, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	dir, err := a.dataDir()
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	if a.shared, err = acquire(dir); err != nil {
		return nil, err
	}
	a.dir = dir
	for name, u := range a.Upstreams {
		u.Adopt(a.shared.observed(name))
	}
	return a.shared.routing.NewSnapshot(a.Upstreams, a.Models, a.Circuit)
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ handler.Gateway    = (*App)(nil)
	_ admin.Gateway      = (*App)(nil)
)
