package registry_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// TestClosedRegistryStays: a config that is over makes nothing ready any more that
// nobody would let go.
func TestClosedRegistryStays(t *testing.T) {
	m := managed(t, new(registrytest.Store))
	old, next := load(t, m, config{}), load(t, m, config{})
	before := old.View()
	old.Close()
	change(t, next, create(up("alpha"), aService))
	if old.View() != before {
		t.Error("a closed registry follows the changes of others")
	}
	if _, err := old.Change([]registry.Op{create(up("beta"), aService)}, registry.ChangeOptions{}); err == nil {
		t.Error("a closed registry makes changes")
	}
}

// observing makes a registry with a declared upstream, on a state that it shares.
func observing(t *testing.T, m *registry.Managed, state *routing.State, name string) *registry.Registry {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	u := new(upstream.Upstream)
	decode(t, aService, u)
	if err := u.Provision(ctx, name); err != nil {
		t.Fatal(err)
	}
	d := registry.Declared{Specs: map[registry.ID]json.RawMessage{up(name): json.RawMessage(aService)}}
	d.Upstreams = map[string]*upstream.Upstream{name: u}
	r, err := registry.New(registry.Options{
		Context: ctx, Declared: d, Managed: m, State: state,
		Observed: func(string) *upstream.Observed { return new(upstream.Observed) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// TestNewestConfigIsObserved: what is observed belongs to the newest config, whatever
// an older one still does, and to the older one again when the newer could not load.
func TestNewestConfigIsObserved(t *testing.T) {
	m, state := managed(t, new(registrytest.Store)), routing.NewState()
	old := observing(t, m, state, "one")
	next := observing(t, m, state, "two")
	change(t, next, create(up("alpha"), aService))
	old.View() // a request of the older config comes later
	if !keeps(t, state, "two") {
		t.Error("the newest config's circuits are forgotten, for an older config has taken over")
	}
	if keeps(t, state, "one") {
		t.Error("the older config's circuits are kept")
	}
	next.Close() // as when it could not load
	old.View()
	if !keeps(t, state, "one") {
		t.Error("the circuits of the config that is in force again are forgotten")
	}
}

// keeps says whether the circuit of an upstream outlives a day.
func keeps(t *testing.T, state *routing.State, name string) bool {
	t.Helper()
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(25 * time.Hour)} {
		if err := state.Circuits.Prune(at); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range state.Circuits.All(now) {
		if v.Key.Upstream == name {
			return true
		}
	}
	return false
}
