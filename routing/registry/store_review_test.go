package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
)

// uncertain is a store that commits and says that it did not, once.
type uncertain struct {
	registrytest.Store
	failure error
}

func (u *uncertain) Commit(writes []registry.Write) (uint64, error) {
	revision, err := u.Store.Commit(writes)
	if u.failure != nil && err == nil {
		err, u.failure = u.failure, nil
	}
	return revision, err
}

// TestUncertainCommit: what a commit that failed has stored after all is in force, so
// that nobody meets a definition that can neither be seen nor changed.
func TestUncertainCommit(t *testing.T) {
	store := new(uncertain)
	var told []string
	m, err := registry.NewManaged(store, func(events []registry.Event) {
		for _, e := range events {
			told = append(told, fmt.Sprintf("%s %s", e.What, e.ID))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := load(t, m, config{})
	store.failure = errors.New("the disk did not answer")
	if _, err := r.Change([]registry.Op{create(up("alpha"), aService)}, registry.ChangeOptions{}); err == nil {
		t.Fatal("the failure was not told")
	}
	d, ok := r.View().Get(up("alpha"), "")
	if !ok || d.Revision != store.Record(up("alpha")).Revision || fmt.Sprint(told) != "[create upstreams/alpha]" {
		t.Errorf("the definition reads %+v, told is %v", d, told)
	}
	change(t, r, replace(up("alpha"), `{"base_url":"http://127.0.0.1:10/v1"}`))

	// A record that changed behind our back is met once.
	record := store.Record(up("alpha"))
	record.Revision++
	store.Put(up("alpha"), record)
	if _, err := r.Change([]registry.Op{replace(up("alpha"), aService)}, registry.ChangeOptions{}); err == nil {
		t.Fatal("the conflict was not told")
	}
	change(t, r, replace(up("alpha"), aService))
}

// parted is a store that takes few writes at once, and whose secrets are all stale.
type parted struct{ registrytest.Store }

func (p *parted) Commit(writes []registry.Write) (uint64, error) {
	if len(writes) > 500 {
		return 0, &registry.Error{Code: registry.CodeInvalid, Message: "too large"}
	}
	return p.Store.Commit(writes)
}

func (*parted) Stale(sealed string) bool { return sealed == "old" }

func (*parted) Unseal(string, string, string) ([]byte, error) { return []byte("secret"), nil }

// TestResealMany: a change of the secret key is not too much for one commit.
func TestResealMany(t *testing.T) {
	store := new(parted)
	for i := range 1200 {
		store.Put(up(fmt.Sprint("u", i)), registry.Record{
			Spec: json.RawMessage(`{"credentials":[{"id":"1","type":"bearer","token":{"sealed":"old","fingerprint":"x"}}]}`), Revision: uint64(i + 1),
		})
	}
	m, err := registry.NewManaged(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := m.Reseal(); n != 1200 || err != nil {
		t.Errorf("%d are sealed anew: %v", n, err)
	}
	if n, err := m.Reseal(); n != 0 || err != nil {
		t.Errorf("%d were left: %v", n, err)
	}
}

// TestUnsavedFieldsAreWrittenAsTheyAreNamed: no other spelling of an address takes a
// stored secret elsewhere.
func TestUnsavedFieldsAreWrittenAsTheyAreNamed(t *testing.T) {
	got := ""
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	t.Cleanup(evil.Close)
	r := load(t, managed(t, new(registrytest.Store)), config{})
	change(t, r, create(up("u"), `{"base_url":"http://127.0.0.1:9","credentials":[{"type":"bearer","token":"sk-0123456789abcd"}]}`))
	for _, name := range []string{"baſe_url", "Base_url", "format_urlſ"} {
		value := `"` + evil.URL + `"`
		if name == "format_urlſ" {
			value = `{"openai_chat":` + value + `}`
		}
		u, release, err := r.Unsaved("u", json.RawMessage(`{"base_url":"http://127.0.0.1:9","`+name+`":`+value+`,"credentials":[{"id":"1","type":"bearer"}]}`))
		if e, ok := errors.AsType[*registry.Error](err); ok && e.Field == name {
			continue
		}
		t.Errorf("%s: error %v", name, err)
		if err == nil {
			if _, err := u.ListModels(t.Context()); err != nil {
				t.Log(err)
			}
			release()
		}
	}
	if got != "" {
		t.Error("the stored secret was sent to another address")
	}
}
