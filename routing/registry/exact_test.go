package registry_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
)

// TestFieldsAreWrittenAsTheyAreNamed shows that no secret gets into the store in clear
// below a name that the decoder takes for another.
func TestFieldsAreWrittenAsTheyAreNamed(t *testing.T) {
	store := new(registrytest.Store)
	r := load(t, managed(t, store), config{})
	change(t, r, create(up("alpha"), aService), create(model("m"), onAlpha))
	for field, op := range map[string]registry.Op{
		"Credentials":          replace(up("alpha"), `{"base_url":"http://127.0.0.1:9","Credentials":[{"type":"bearer","token":"canary"}]}`),
		"credentialſ":          replace(up("alpha"), `{"base_url":"http://127.0.0.1:9","credentialſ":[{"type":"bearer","token":"canary"}]}`),
		"credentials[0].TOKEN": replace(up("alpha"), `{"base_url":"http://127.0.0.1:9","credentials":[{"type":"bearer","TOKEN":"canary"}]}`),
		"credentials[1].toKen": replace(up("alpha"), `{"base_url":"http://127.0.0.1:9","credentials":[{"type":"bearer","token":"x"},{"type":"bearer","toKen":"canary"}]}`),
		"Disabled":             replace(model("m"), `{"Disabled":true}`),
		"":                     replace(model("m"), `null`),
		"credentials[0]":       replace(up("alpha"), `{"base_url":"http://127.0.0.1:9","credentials":[{"type":"bearer","secret":"canary"}]}`),
	} {
		if e := refuse(t, r, registry.CodeInvalid, op); e.Field != field {
			t.Errorf("%s: the error is about the field %q: %v", op.Spec, e.Field, e)
		}
	}
	records, err := store.Load()
	if err != nil || len(records) != 2 {
		t.Fatalf("the store has %d records: %v", len(records), err)
	}
	for id, record := range records {
		if strings.Contains(string(record.Spec), "canary") {
			t.Errorf("the record of %s has a secret: %s", id, record.Spec)
		}
	}
}

// TestRevisionsThatAreNone shows what a step can ask for beside a revision.
func TestRevisionsThatAreNone(t *testing.T) {
	r := load(t, managed(t, new(registrytest.Store)), config{upstreams: map[string]string{"declared": aService}})
	op := replace(up("alpha"), aService)
	for _, rev := range []uint64{registry.Existing, registry.NoRevision, 1} {
		op.If = rev
		refuse(t, r, registry.CodeStale, op)
	}
	change(t, r, create(up("alpha"), aService))
	op.If = registry.NoRevision
	refuse(t, r, registry.CodeStale, op)
	op.If = registry.Existing
	change(t, r, op)
	op = replace(up("declared"), aService)
	op.If = registry.NoRevision
	refuse(t, r, registry.CodeDeclared, op) // it tells more than that the revision is wrong
	refuse(t, r, registry.CodeInvalid, create(model("/"), `{}`))
}

// TestChainsMend shows that a chain of broken definitions is whole again in one step, in
// whatever order they are looked at.
func TestChainsMend(t *testing.T) {
	m := managed(t, new(registrytest.Store))
	first := load(t, m, config{upstreams: map[string]string{"alpha": aService}})
	for i := range 8 {
		change(t, first, create(model(fmt.Sprint("m", i)), onAlpha), create(alias(fmt.Sprint("a", i)), fmt.Sprintf(`{"model":"m%d"}`, i)))
	}
	r := load(t, m, config{})
	if served(r, "a0") {
		t.Fatal("an alias of a broken model is served")
	}
	change(t, r, create(up("alpha"), aService))
	for i := range 8 {
		if name := fmt.Sprint("a", i); !served(r, name) {
			t.Errorf("%s is still broken", name)
		}
	}
}
