package registry_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
)

// TestGoneDefinitionsLeaveEveryConfig: a definition that does not fit keeps nothing in
// the snapshot that is gone.
func TestGoneDefinitionsLeaveEveryConfig(t *testing.T) {
	m := managed(t, new(registrytest.Store))
	old := load(t, m, config{upstreams: map[string]string{"beta": aService}, models: map[string]string{"other": `{"sources":[{"upstream":"beta","model":"m"}]}`}})
	change(t, old,
		create(up("alpha"), aService), create(model("m"), onAlpha), create(alias("x"), `{"model":"m"}`),
		create(model("lost"), `{"sources":[{"upstream":"beta","model":"m"}]}`),
		create(model("taken"), onAlpha), create(model("moved"), onAlpha),
		create(up("gamma"), aService), create(alias("y"), `{"model":"moved"}`))
	next := load(t, m, config{aliases: map[string]string{"taken": `{"model":"served"}`}, models: map[string]string{"served": `{"sources":[{"upstream":"delta","model":"m"}]}`}, upstreams: map[string]string{"delta": aService}})
	for _, name := range []string{"lost", "taken"} {
		if d, _ := next.View().Get(model(name), ""); d.Problem == "" {
			t.Fatalf("the model %s fits: %+v", name, d)
		}
	}
	change(t, old, remove(alias("x")), remove(model("m")), remove(model("taken")),
		replace(model("moved"), `{"sources":[{"upstream":"gamma","model":"m"}]}`))
	change(t, old, remove(up("alpha")), create(model("taken"), `{"description":"anew","sources":[{"upstream":"gamma","model":"m"}]}`))
	s := next.View().Snapshot
	if _, ok := s.Upstream("alpha"); ok {
		t.Error("the upstream is still there")
	}
	if _, ok := s.Entry("m"); ok {
		t.Error("the model is still there")
	}
	if _, ok := s.Alias("x"); ok {
		t.Error("the alias is still there")
	}
	for name, want := range map[string]bool{"moved": true, "y": true, "served": true, "lost": false} {
		if d, _ := next.View().Get(model(name), ""); served(next, name) != want {
			t.Errorf("%s is served: %t (%s)", name, !want, d.Problem)
		}
	}
	if d, _ := next.View().Get(model("taken"), ""); d.Problem == "" {
		t.Errorf("the model that has an alias's name reads %+v", d)
	}
}

// TestBrokenDefinitionsCostLittle: those whose upstream is missing, as when a config
// no longer declares it, are no burden to the changes of others, and mend at once.
func TestBrokenDefinitionsCostLittle(t *testing.T) {
	const broken = 1000
	m := managed(t, new(registrytest.Store))
	var ops []registry.Op
	for i := range broken {
		ops = append(ops, create(model(fmt.Sprint("m", i)), onAlpha), create(alias(fmt.Sprint("a", i)), fmt.Sprintf(`{"model":"m%d"}`, i)))
	}
	change(t, load(t, m, config{upstreams: map[string]string{"alpha": aService}}), ops...)

	var r *registry.Registry
	if mb := allocated(func() { r = load(t, m, config{upstreams: map[string]string{"beta": aService}}) }); mb > 20 {
		t.Errorf("loading allocates %d MB", mb)
	}
	if d, _ := r.View().Get(model("m7"), ""); d.Problem == "" {
		t.Fatal("the model is not broken")
	}
	if d, _ := r.View().Get(alias("a7"), ""); d.Problem == "" {
		t.Fatal("the alias is not broken")
	}
	if mb := allocated(func() { change(t, r, create(up("gamma"), aService)) }); mb > 5 {
		t.Errorf("the change of another definition allocates %d MB", mb)
	}
	if mb := allocated(func() { change(t, r, create(up("alpha"), aService)) }); mb > 20 {
		t.Errorf("mending allocates %d MB", mb)
	}
	if !served(r, "m7") || !served(r, "a999") {
		t.Error("what was broken is not served")
	}
}

// allocated is how many megabytes a function allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) >> 20
}

// TestTheRightDefinitionIsBlamed: names may begin with one another.
func TestTheRightDefinitionIsBlamed(t *testing.T) {
	r := load(t, managed(t, new(registrytest.Store)), config{upstreams: map[string]string{"alpha": aService}})
	e := refuse(t, r, registry.CodeInvalid, create(model("gpt-4"), onAlpha), create(model("gpt-4.1"), `{"sources":[{"upstream":"none","model":"m"}]}`))
	if e.ID != model("gpt-4.1") || e.Field != "sources[0].upstream" {
		t.Errorf("blamed is %v, field %q: %v", e.ID, e.Field, e)
	}
}
