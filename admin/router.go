package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(new(Router)) }

// base is where the API is on Caddy's admin endpoint.
const base = "/ai_gateway"

// Router mounts the management API on Caddy's admin endpoint, below /ai_gateway/:
// the module admin.api.ai_gateway. It needs no configuration.
//
// Caddy makes one for the local and one for the remote endpoint with each config.
// After a config that failed to load the endpoint keeps the router of that config,
// while the app of the one before serves; that is why the app is looked up for
// each request.
type Router struct {
	api http.Handler
}

// CaddyModule implements caddy.Module.
func (*Router) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.ai_gateway",
		New: func() caddy.Module { return new(Router) },
	}
}

// Provision implements caddy.Provisioner.
func (a *Router) Provision(ctx caddy.Context) error {
	a.api = http.StripPrefix(base, New(live, ctx.Logger(a)))
	return nil
}

// Routes implements caddy.AdminRouter. One pattern for everything lets the API
// answer unknown paths itself, and keeps the labels of Caddy's metrics few.
func (a *Router) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{
		Pattern: base + "/",
		Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			a.api.ServeHTTP(w, r)
			return nil
		}),
	}}
}

// live finds the app that serves now.
func live() (Gateway, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("ai_gateway")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, &Error{
			Status: http.StatusNotFound, Code: "not_configured",
			Message: "the running config has no AI gateway; add the app ai_gateway, or the directive ai_gateway to a site",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("finding the app ai_gateway: %w", err)
	}
	g, ok := app.(Gateway)
	if !ok {
		return nil, fmt.Errorf("the app ai_gateway cannot be managed: it is a %s", strings.TrimPrefix(fmt.Sprintf("%T", app), "*"))
	}
	return g, nil
}

// Interface guards.
var (
	_ caddy.Provisioner = (*Router)(nil)
	_ caddy.AdminRouter = (*Router)(nil)
	_ http.Handler      = (*API)(nil)
)
