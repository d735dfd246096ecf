package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
)

// TestReloadTells: what is different in the store is told, and nothing else is.
func TestReloadTells(t *testing.T) {
	store := new(registrytest.Store)
	store.Put(up("same"), registry.Record{Spec: json.RawMessage(`{}`), Revision: 1})
	store.Put(up("changed"), registry.Record{Spec: json.RawMessage(`{}`), Revision: 2})
	store.Put(up("gone"), registry.Record{Spec: json.RawMessage(`{}`), Revision: 3})
	var told []string
	m, err := registry.NewManaged(store, func(events []registry.Event) {
		for _, e := range events {
			told = append(told, fmt.Sprintf("%s %s %d %t", e.What, e.Name, e.Revision, e.Gone))
		}
	})
	if err != nil || len(told) > 0 {
		t.Fatalf("the first load tells %v (%v)", told, err)
	}
	store.Delete(up("gone"))
	store.Put(up("changed"), registry.Record{Spec: json.RawMessage(`{}`), Revision: 1})
	store.Put(up("new"), registry.Record{Spec: json.RawMessage(`{}`), Revision: 4})
	if err := m.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(told); got != "[edit changed 1 false delete gone 3 false create new 4 false]" {
		t.Errorf("told is %s", got)
	}
	told = nil
	if err := m.Reload(); err != nil || len(told) > 0 {
		t.Errorf("without a difference it tells %v (%v)", told, err)
	}
}

// turning is a store whose secret key has changed. What "broken" has sealed cannot be
// opened.
type turning struct {
	registrytest.Store
	forgot bool
}

func (*turning) Stale(sealed string) bool { return sealed != "new" }

func (*turning) Seal(string, string, []byte) (string, error) { return "new", nil }

func (*turning) Unseal(record, _, _ string) ([]byte, error) {
	if record == up("broken").String() {
		return nil, errors.New("damaged")
	}
	return []byte("secret"), nil
}

func (s *turning) ForgetKeys() error {
	s.forgot = true
	return nil
}

// TestResealGoesOn: a secret that cannot be opened keeps none of the others from being
// sealed anew; the earlier keys are forgotten only when all of them are.
func TestResealGoesOn(t *testing.T) {
	store := new(turning)
	sealed := json.RawMessage(`{"credentials":[{"id":"1","type":"bearer","token":{"sealed":"old","fingerprint":"x"}}]}`)
	for i, name := range []string{"broken", "one", "two"} {
		store.Put(up(name), registry.Record{Spec: sealed, Revision: uint64(i + 1)})
	}
	m, err := registry.NewManaged(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := m.Reseal(); n != 2 || err == nil || store.forgot {
		t.Errorf("with a broken one: %d, %v, forgot %t", n, err, store.forgot)
	}
	store.Delete(up("broken"))
	if err := m.Reload(); err != nil {
		t.Fatal(err)
	}
	if n, err := m.Reseal(); n != 0 || err != nil || !store.forgot {
		t.Errorf("without it: %d, %v, forgot %t", n, err, store.forgot)
	}
}
