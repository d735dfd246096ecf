package aigateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// This file is what the management API needs of the app: admin.Gateway.

// modulePath is the module's path in builds.
const modulePath = "github.com/caddy-ai-gateway/caddy-ai-gateway"

// version is that of the module in this build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePath {
			return cmp.Or(m.Version, "unknown")
		}
	}
	return "unknown"
}

// unknownUpstream is the error for a name that no config declares.
func unknownUpstream(name string) error {
	return &admin.Error{Status: http.StatusNotFound, Code: "unknown_upstream", Message: fmt.Sprintf("there is no upstream %q", name), Field: "upstream"}
}

// Status implements admin.Gateway.
func (a *App) Status() admin.Status {
	now := time.Now()
	status := admin.Status{Version: version(), Time: now.UTC(), Configured: a.configured.UTC()}
	snapshot, err := a.Snapshot()
	if err != nil { // it could not start with it
		status.Store = admin.StoreStatus{State: admin.StoreOff, Reason: err.Error()}
		return status
	}
	status.Started = a.shared.started.UTC()
	status.UptimeSeconds = int64(now.Sub(a.shared.started).Seconds())
	status.Store = a.storeStatus()
	status.Upstreams, status.Models = admin.Survey(snapshot, a.shared.routing.Circuits.All(now))
	return status
}

// storeStatus is how the store is.
func (a *App) storeStatus() admin.StoreStatus {
	s := a.shared.store.Status()
	if s.Degraded {
		return admin.StoreStatus{State: admin.StoreDegraded, Reason: s.Reason}
	}
	return admin.StoreStatus{State: admin.StoreOK}
}

// Circuits implements admin.Gateway.
func (a *App) Circuits(name string) ([]routing.CircuitView, error) {
	snapshot, err := a.Snapshot()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return a.shared.routing.Circuits.All(time.Now()), nil
	}
	if _, ok := snapshot.Upstream(name); !ok {
		return nil, unknownUpstream(name)
	}
	return a.shared.routing.Circuits.Upstream(time.Now(), name), nil
}

// OpenCircuit implements admin.Gateway.
func (a *App) OpenCircuit(_ context.Context, key routing.CircuitKey, o admin.Opening) (routing.CircuitView, error) {
	if err := a.knows(key.Upstream, key.Model); err != nil {
		return routing.CircuitView{}, err
	}
	v, err := a.shared.routing.Circuits.OpenIf(o.Holds, time.Now(), key, o.Until, o.Reason, o.Actor)
	return v, withRoom(err)
}

// ResetCircuit implements admin.Gateway.
func (a *App) ResetCircuit(_ context.Context, name, model, actor string, holds routing.Precondition) ([]routing.CircuitView, error) {
	if err := a.knows(name, model); err != nil {
		return nil, err
	}
	v, err := a.shared.routing.Circuits.ResetAllIf(holds, time.Now(), name, model, actor)
	return v, withRoom(err)
}

// withRoom tells that a manual action is in force and could not be stored because
// the disk is full. Other errors stay as they are.
func withRoom(err error) error {
	if !errors.Is(err, storage.ErrNoSpace) {
		return err
	}
	return errors.Join(err, &admin.Error{
		Status: http.StatusInsufficientStorage, Code: "no_space",
		Message: "this is in force, but a restart would forget it: there is too little free space for the store",
	})
}

// knows says whether there is such an upstream, with a source for that model of
// its own if the model is not empty.
func (a *App) knows(name, model string) error {
	snapshot, err := a.Snapshot()
	if err != nil {
		return err
	}
	if _, ok := snapshot.Upstream(name); !ok {
		return unknownUpstream(name)
	}
	if model == "" {
		return nil
	}
	uses := func(s routing.Source) bool { return s.Upstream == name && s.Model == model }
	for _, e := range snapshot.Entries() {
		if slices.ContainsFunc(e.Model.Sources, uses) {
			return nil
		}
	}
	if c, ok := a.shared.catalogues.Get(name); ok {
		if _, listed := c.Entry(model); listed {
			return nil
		}
	}
	return &admin.Error{Status: http.StatusNotFound, Code: "unknown_upstream_model", Message: fmt.Sprintf("no source uses the model %q of upstream %q", model, name), Field: "upstream_model"}
}

// View implements admin.Gateway.
func (a *App) View() (*registry.View, error) {
	r, err := a.registry()
	if err != nil {
		return nil, err
	}
	return r.View(), nil
}

// Change implements admin.Gateway.
func (a *App) Change(ops []registry.Op, o registry.ChangeOptions) (registry.Outcome, error) {
	r, err := a.registry()
	if err != nil {
		return registry.Outcome{}, err
	}
	return r.Change(ops, o)
}

// Events implements admin.Gateway.
func (a *App) Events() *admin.Events { return a.shared.events }

// Catalogues implements admin.Gateway.
func (a *App) Catalogues() *catalogue.Syncer { return a.shared.catalogues }

// Unsaved implements admin.Gateway.
func (a *App) Unsaved(name string, spec json.RawMessage) (*upstream.Upstream, func(), error) {
	r, err := a.registry()
	if err != nil {
		return nil, nil, err
	}
	return r.Unsaved(name, spec)
}

// Explain implements admin.Gateway.
func (a *App) Explain(_ context.Context, q admin.Question) (routing.Explanation, error) {
	snapshot, err := a.Snapshot()
	if err != nil {
		return routing.Explanation{}, err
	}
	var router routing.Router
	return router.Explain(snapshot, routing.Request{Model: q.Model, Format: q.Format, Operation: q.Operation}, time.Now())
}
