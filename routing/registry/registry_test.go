package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// config is what a test's config declares, as JSON by name.
type config struct {
	upstreams, models, aliases map[string]string
	observe                    bool
}

// load makes the registry of a config.
func load(t *testing.T, m *registry.Managed, c config) *registry.Registry {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	d := registry.Declared{Specs: make(map[registry.ID]json.RawMessage)}
	d.Upstreams, d.Models, d.Aliases = map[string]*upstream.Upstream{}, map[string]*routing.Model{}, map[string]*routing.Alias{}
	for name, spec := range c.upstreams {
		u := new(upstream.Upstream)
		decode(t, spec, u)
		if err := u.Provision(ctx, name); err != nil {
			t.Fatal(err)
		}
		d.Upstreams[name] = u
		d.Specs[registry.ID{Kind: registry.Upstreams, Name: name}] = json.RawMessage(spec)
	}
	for name, spec := range c.models {
		d.Models[name] = new(routing.Model)
		decode(t, spec, d.Models[name])
		d.Specs[registry.ID{Kind: registry.Models, Name: name}] = json.RawMessage(spec)
	}
	for name, spec := range c.aliases {
		d.Aliases[name] = new(routing.Alias)
		decode(t, spec, d.Aliases[name])
		d.Specs[registry.ID{Kind: registry.Aliases, Name: name}] = json.RawMessage(spec)
	}
	seen := make(map[string]*upstream.Observed)
	r, err := registry.New(registry.Options{
		Context: ctx, Declared: d, Managed: m, State: routing.NewState(), Observe: c.observe,
		Observed: func(name string) *upstream.Observed {
			if seen[name] == nil {
				seen[name] = new(upstream.Observed)
			}
			return seen[name]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func decode(t *testing.T, spec string, v any) {
	t.Helper()
	if err := routing.DecodeConfig([]byte(spec), v); err != nil {
		t.Fatal(err)
	}
}

func managed(t *testing.T, store registry.Store) *registry.Managed {
	t.Helper()
	m, err := registry.NewManaged(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func up(name string) registry.ID    { return registry.ID{Kind: registry.Upstreams, Name: name} }
func model(name string) registry.ID { return registry.ID{Kind: registry.Models, Name: name} }
func alias(name string) registry.ID { return registry.ID{Kind: registry.Aliases, Name: name} }

func create(id registry.ID, spec string) registry.Op {
	return registry.Op{ID: id, Verb: registry.Create, Spec: json.RawMessage(spec)}
}

func replace(id registry.ID, spec string) registry.Op {
	return registry.Op{ID: id, Verb: registry.Replace, Spec: json.RawMessage(spec)}
}

func remove(id registry.ID) registry.Op { return registry.Op{ID: id, Verb: registry.Delete} }

// change makes a change that must be accepted.
func change(t *testing.T, r *registry.Registry, ops ...registry.Op) registry.Outcome {
	t.Helper()
	out, err := r.Change(ops, registry.ChangeOptions{Actor: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refuse makes a change that must be refused with a code, and change nothing.
func refuse(t *testing.T, r *registry.Registry, code registry.Code, ops ...registry.Op) *registry.Error {
	t.Helper()
	before := r.View()
	_, err := r.Change(ops, registry.ChangeOptions{Actor: "tester"})
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("error %v, want one with the code %s", err, code)
	}
	if r.View() != before {
		t.Error("the refused change has made another view")
	}
	return e
}

// served says whether a chat request for a model finds a source.
func served(r *registry.Registry, name string) bool {
	var router routing.Router
	_, err := router.Plan(r.View().Snapshot, routing.Request{Model: name, Format: format.OpenAIChat, Operation: format.OperationChat})
	return err == nil
}

const (
	aService = `{"base_url":"http://127.0.0.1:9/v1"}`
	onAlpha  = `{"sources":[{"upstream":"alpha","model":"m"}]}`
)

func TestCreateChangeDelete(t *testing.T) {
	r := load(t, managed(t, new(registrytest.Store)), config{})
	first := change(t, r, create(up("alpha"), aService), create(model("a/b c"), onAlpha), create(alias("x"), `{"model":"a/b c"}`))
	if len(first.Results) != 3 || first.Results[0].Revision == 0 || !served(r, "a/b c") || !served(r, "x") {
		t.Fatalf("after the creation: %+v", first.Results)
	}
	d, ok := r.View().Get(model("a/b c"), "")
	if !ok || d.Origin != registry.Management || d.Actor != "tester" || d.Created.IsZero() || !d.InUse() {
		t.Errorf("the definition reads %+v", d)
	}
	refuse(t, r, registry.CodeExists, create(up("alpha"), aService))

	same := change(t, r, replace(model("a/b c"), ` { "sources" : [ {"model":"m","upstream":"alpha"} ] } `))
	if same.Results[0].Changed || same.Results[0].Revision != d.Revision {
		t.Errorf("what is the same has changed: %+v", same.Results[0])
	}
	op := replace(model("a/b c"), `{"disabled":true,"sources":[{"upstream":"alpha","model":"m"}]}`)
	op.If = d.Revision + 100
	refuse(t, r, registry.CodeStale, op)
	op.If = d.Revision
	change(t, r, op)
	if served(r, "a/b c") {
		t.Error("a disabled model is served")
	}
	refuse(t, r, registry.CodeUnknown, remove(model("none")))
	change(t, r, remove(alias("x")), remove(model("a/b c")), remove(up("alpha")))
	if n := len(r.View().List(registry.Models)) + len(r.View().List(registry.Upstreams)) + len(r.View().List(registry.Aliases)); n != 0 {
		t.Errorf("%d definitions are left", n)
	}
}

func TestAllOrNothing(t *testing.T) {
	store := new(registrytest.Store)
	r := load(t, managed(t, store), config{})
	e := refuse(t, r, registry.CodeInvalid, create(up("alpha"), aService), create(model("m"), `{"sources":[{"upstream":"nope","model":"m"}]}`))
	if e.ID != model("m") || e.Field != "sources[0].upstream" {
		t.Errorf("the error is about %v, field %q: %v", e.ID, e.Field, e)
	}
	store.Refuse(&registry.Error{Code: registry.CodeNoSpace, Message: "full"})
	refuse(t, r, registry.CodeNoSpace, create(up("alpha"), aService))
	if records, err := store.Load(); err != nil || len(records) != 0 {
		t.Errorf("%d records were stored (%v)", len(records), err)
	}
}

func TestRefusedDefinitionsNameTheField(t *testing.T) {
	r := load(t, managed(t, new(registrytest.Store)), config{upstreams: map[string]string{"alpha": aService}})
	for _, c := range []struct {
		op    registry.Op
		field string
	}{
		{create(up("u"), `{"base_url":"ftp://x"}`), "base_url"},
		{create(up("u"), `{"base_url":"http://x","retries":99}`), "retries"},
		{create(up("u"), `{"base_url":"http://x","bogus":1}`), "bogus"},
		{create(up("u"), `{"base_url":5}`), "base_url"},
		{create(up("u"), `{"base_url":"http://x","format_paths":{"openai_responses":"//evil"}}`), "format_paths.openai_responses"},
		{create(up("u"), `{"provider":"gruq"}`), "provider"},
		{create(up("u"), `{"base_url":"http://{env.HOST}/"}`), "base_url"},
		{create(model("m"), `{"sources":[{"upstream":"alpha","model":"m","weight":-1}]}`), "sources[0].weight"},
		{create(model("m"), `{"mode":"odd","sources":[{"upstream":"alpha","model":"m"}]}`), "mode"},
		{create(alias("x"), `{"model":"none"}`), "model"},
		{create(up("bad\nname"), aService), "name"},
	} {
		e := refuse(t, r, registry.CodeInvalid, c.op)
		if e.Field != c.field || e.Message == "" {
			t.Errorf("%s: field %q, want %q: %v", c.op.Spec, e.Field, c.field, e)
		}
	}
}

func TestDeclaredWinsWhole(t *testing.T) {
	m := managed(t, new(registrytest.Store))
	before := load(t, m, config{})
	change(t, before, create(up("alpha"), aService), create(model("m"), onAlpha))

	r := load(t, m, config{
		upstreams: map[string]string{"alpha": `{"base_url":"http://127.0.0.1:10/v1"}`},
		models:    map[string]string{"m": `{"disabled":true,"sources":[{"upstream":"alpha","model":"m"}]}`},
	})
	if served(r, "m") {
		t.Error("the managed model is served in the place of the declared one")
	}
	shadowed, ok := r.View().Get(model("m"), registry.Management)
	if !ok || !shadowed.Shadowed {
		t.Errorf("the managed model reads %+v", shadowed)
	}
	if d, _ := r.View().Get(model("m"), ""); d.Origin != registry.Declaration || d.Place != "apps/ai_gateway/models/m" {
		t.Errorf("the declared model reads %+v", d)
	}
	if n := len(r.View().List(registry.Models)); n != 2 {
		t.Errorf("%d models are listed, want both", n)
	}
	e := refuse(t, r, registry.CodeDeclared, replace(model("m"), onAlpha))
	if !strings.Contains(e.Message, "apps/ai_gateway/models/m") {
		t.Errorf("the error does not name the place: %v", e)
	}
	change(t, r, remove(model("m")))
	if _, ok := r.View().Get(model("m"), registry.Management); ok {
		t.Error("the shadowed model could not be deleted")
	}
}

func TestDeleteNamesDependents(t *testing.T) {
	r := load(t, managed(t, new(registrytest.Store)), config{upstreams: map[string]string{"beta": aService}})
	change(t, r,
		create(up("alpha"), aService),
		create(model("one"), onAlpha),
		create(model("two"), `{"mode":"pinned","active":"alpha:m","sources":[{"upstream":"alpha","model":"m"},{"upstream":"beta","model":"m"}]}`),
		create(alias("x"), `{"model":"one"}`))
	e := refuse(t, r, registry.CodeInUse, remove(up("alpha")))
	if len(e.Impact) != 2 || e.Impact[0].Effect != registry.LosesAll || e.Impact[1].Effect != registry.LosesSource {
		t.Errorf("impact %+v", e.Impact)
	}
	gone := remove(up("alpha"))
	gone.Cascade = true
	dry, err := r.Change([]registry.Op{gone}, registry.ChangeOptions{DryRun: true})
	if err != nil || len(dry.Impact) != 2 || !served(r, "one") {
		t.Fatalf("dry run: %v, impact %v", err, dry.Impact)
	}
	change(t, r, gone)
	if served(r, "one") || !served(r, "two") {
		t.Error("after the deletion the wrong models are served")
	}
	if d, ok := r.View().Get(model("one"), ""); !ok || strings.Contains(string(d.Spec()), "alpha") {
		t.Error("the model without a source is gone, or still names the upstream")
	}
	refuse(t, r, registry.CodeInUse, remove(model("one")))
	last := remove(model("one"))
	last.Cascade = true
	change(t, r, last)
	if len(r.View().List(registry.Aliases)) != 0 {
		t.Error("the alias outlives its model")
	}
}

func TestBrokenDefinitionsMendThemselves(t *testing.T) {
	m := managed(t, new(registrytest.Store))
	first := load(t, m, config{upstreams: map[string]string{"alpha": aService}})
	change(t, first, create(model("m"), onAlpha), create(model("other"), onAlpha), create(alias("x"), `{"model":"m"}`))

	r := load(t, m, config{}) // the config no longer declares alpha
	for _, id := range []registry.ID{model("m"), alias("x")} {
		d, ok := r.View().Get(id, "")
		if !ok || d.Problem == "" {
			t.Fatalf("%v reads %+v", id, d)
		}
	}
	change(t, r, create(up("alpha"), aService))
	if !served(r, "m") || !served(r, "other") {
		t.Error("the models are still broken although their upstream is there again")
	}
}

func TestChangesReachOtherConfigs(t *testing.T) {
	m := managed(t, new(registrytest.Store))
	old := load(t, m, config{})
	next := load(t, m, config{upstreams: map[string]string{"alpha": aService}})
	change(t, next, create(model("m"), onAlpha))
	change(t, next, create(up("beta"), aService))
	if _, ok := old.View().Snapshot.Upstream("beta"); !ok {
		t.Error("the older config does not see the new upstream")
	}
	if d, _ := old.View().Get(model("m"), ""); d.Problem == "" {
		t.Error("the older config uses a model whose upstream it does not have")
	}
}

func TestObserve(t *testing.T) {
	m := managed(t, new(registrytest.Store))
	change(t, load(t, m, config{}), create(up("alpha"), aService))
	r := load(t, m, config{observe: true})
	if _, ok := r.View().Snapshot.Upstream("alpha"); ok {
		t.Error("a managed upstream is used")
	}
	refuse(t, r, registry.CodeObserve, create(up("beta"), aService))
}
