package admin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// surveyed provisions a config and surveys it with these circuits.
func surveyed(t *testing.T, config string, views ...routing.CircuitView) (upstreams, models string) {
	t.Helper()
	var d struct {
		Upstreams map[string]*upstream.Upstream `json:"upstreams"`
		Models    map[string]*routing.Model     `json:"models"`
	}
	if err := caddy.StrictUnmarshalJSON([]byte(config), &d); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	for name, u := range d.Upstreams {
		if err := u.Provision(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	s, err := routing.NewSnapshot(routing.Definitions{Upstreams: d.Upstreams, Models: d.Models})
	if err != nil {
		t.Fatal(err)
	}
	us, ms := Survey(s, views)
	var a, b strings.Builder
	for _, u := range us {
		fmt.Fprintf(&a, "%s %t %s %s %q %q|", u.Name, u.Usable, u.Reason, u.Circuit.State, u.Circuit.OpenModels, u.Circuit.OpenCredentials)
	}
	for _, m := range ms {
		fmt.Fprintf(&b, "%s %t %d/%d %s|", m.Name, m.Usable, m.UsableSources, m.Sources, m.Reason)
	}
	return a.String(), b.String()
}

// view is a circuit in a state.
func view(scope routing.Scope, name, rest string, state routing.CircuitState) routing.CircuitView {
	key := routing.CircuitKey{Scope: scope, Upstream: name}
	switch scope {
	case routing.ScopeUpstreamModel:
		key.Model = rest
	case routing.ScopeCredential:
		key.Credential = rest
	}
	v := routing.CircuitView{Key: key, State: state, Generation: 2}
	if state != routing.CircuitClosed {
		v.Reason = "because"
	}
	return v
}

func TestSurvey(t *testing.T) {
	const one = `{"upstreams":{"a":{"base_url":"http://a"}},"models":{"m":{"sources":[{"upstream":"a","model":"x"}]}}}`
	const two = `{"upstreams":{"a":{"base_url":"http://a"},"b":{"base_url":"http://b"}},
		"models":{"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"x"}]}}}`
	const pool = `{"upstreams":{"a":{"base_url":"http://a","credentials":[{"type":"bearer","token":"k1","id":"first"},{"type":"bearer","token":"k2","id":"second"}]}},
		"models":{"m":{"sources":[{"upstream":"a","model":"x"}]}}}`
	const up, model, credential = routing.ScopeUpstream, routing.ScopeUpstreamModel, routing.ScopeCredential
	const open, forced, half = routing.CircuitOpen, routing.CircuitForcedOpen, routing.CircuitHalfOpen
	type views = []routing.CircuitView
	cases := []struct {
		name, config      string
		views             views
		upstreams, models string
	}{
		{"nothing observed", one, nil, `a true  closed [] []|`, `m true 1/1 |`},
		{"disabled upstream", strings.Replace(one, `{"base_url`, `{"disabled":true,"base_url`, 1), nil, `a false disabled closed [] []|`, `m false 0/1 a:x disabled|`},
		{"disabled model", strings.Replace(one, `{"sources`, `{"disabled":true,"sources`, 1), nil, `a true  closed [] []|`, `m false 0/1 disabled|`},
		{"disabled source", strings.Replace(one, `{"upstream":`, `{"disabled":true,"upstream":`, 1), nil, `a true  closed [] []|`, `m false 0/1 a:x disabled|`},
		{"not configured", strings.Replace(one, "http://a", "{env.NO_SUCH_URL}", 1), nil, `a false not configured: base_url {env.NO_SUCH_URL} is empty closed [] []|`, `m false 0/1 a:x not configured: base_url {env.NO_SUCH_URL} is empty|`},
		{"open", two, views{view(up, "a", "", open)}, `a false circuit open: because open [] []|b true  closed [] []|`, `m true 1/2 |`},
		{"forced open", one, views{view(up, "a", "", forced)}, `a false circuit forced open: because forced_open [] []|`, `m false 0/1 a:x circuit forced open: because|`},
		{"half open", one, views{view(up, "a", "", half)}, `a true  half_open [] []|`, `m true 1/1 |`},
		{"a model open", one, views{view(model, "a", "x", open), view(model, "a", "w", open), view(model, "a", "y", half)}, `a true  closed ["w" "x"] []|`, `m false 0/1 a:x circuit open: because|`},
		{"a model of another upstream", one, views{view(model, "b", "x", open)}, `a true  closed [] []|`, `m true 1/1 |`},
		{"one credential open", pool, views{view(credential, "a", "first", open)}, `a true  closed [] ["first"]|`, `m true 1/1 |`},
		{"all credentials open", pool, views{view(credential, "a", "first", open), view(credential, "a", "second", forced)}, `a false credential second: circuit forced open: because closed [] ["first" "second"]|`, `m false 0/1 a:x credential second: circuit forced open: because|`},
		{"clients bring their own", strings.Replace(pool, `{"base_url`, `{"allow_override":true,"base_url`, 1), views{view(credential, "a", "first", open), view(credential, "a", "second", open)}, `a true  closed [] ["first" "second"]|`, `m true 1/1 |`},
		{"pinned", strings.Replace(two, `{"sources`, `{"mode":"pinned","active":"b:x","sources`, 1), views{view(up, "b", "", open)}, `a true  closed [] []|b false circuit open: because open [] []|`, `m false 0/2 a:x not the active source; b:x circuit open: because|`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			upstreams, models := surveyed(t, tc.config, tc.views...)
			if upstreams != tc.upstreams || models != tc.models {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", upstreams, models, tc.upstreams, tc.models)
			}
		})
	}
}
