package registry_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// service answers with the Authorization header of the last request.
type service struct {
	*httptest.Server
	last string
}

func newService(t *testing.T) *service {
	s := new(service)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.last = r.Header.Get("Authorization")
	}))
	t.Cleanup(s.Close)
	return s
}

// sent is the Authorization header that an upstream sends.
func (s *service) sent(t *testing.T, r *registry.Registry) string {
	t.Helper()
	u, ok := r.View().Snapshot.Upstream("u")
	if !ok {
		t.Fatal("there is no upstream u")
	}
	body := new(format.Body)
	body.Str(`{}`)
	resp, err := u.Do(context.Background(), &upstream.Call{
		Format: format.OpenAIChat, Operation: format.OperationChat, Model: "m", Body: body,
	})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return s.last
}

func (s *service) spec(credentials string) string {
	return `{"base_url":"` + s.URL + `","credentials":` + credentials + `}`
}

func TestSecretsAreSealedAndMasked(t *testing.T) {
	s, store := newService(t), new(registrytest.Store)
	r := load(t, managed(t, store), config{})
	const secret = "sk-0123456789abcd"
	change(t, r, create(up("u"), s.spec(`[{"type":"bearer","token":"`+secret+`"}]`)))
	if strings.Contains(string(store.Record(up("u")).Spec), secret) {
		t.Error("the record holds the secret in clear")
	}
	d, _ := r.View().Get(up("u"), "")
	shown := string(d.Spec())
	if strings.Contains(shown, secret) || strings.Contains(shown, "sealed") || !strings.Contains(shown, `"hint":"…abcd"`) || !strings.Contains(shown, `"id":"1"`) {
		t.Errorf("the definition is shown as %s", shown)
	}
	if got := s.sent(t, r); got != "Bearer "+secret {
		t.Errorf("sent %q", got)
	}
}

func TestSecretsAreKept(t *testing.T) {
	s := newService(t)
	r := load(t, managed(t, new(registrytest.Store)), config{})
	change(t, r, create(up("u"), s.spec(`[{"type":"bearer","token":"sk-0123456789abcd"}]`)))
	d, _ := r.View().Get(up("u"), "")
	for name, spec := range map[string]string{
		"as it was shown": string(d.Spec()),
		"left out":        s.spec(`[{"id":"1","type":"bearer"}]`),
		"empty":           s.spec(`[{"id":"1","type":"bearer","token":""}]`),
		"set":             s.spec(`[{"id":"1","type":"bearer","token":{"set":true}}]`),
		"by position":     s.spec(`[{"type":"bearer"}]`),
	} {
		change(t, r, replace(up("u"), strings.Replace(spec, "{", `{"disabled":false,`, 1)))
		if got := s.sent(t, r); got != "Bearer sk-0123456789abcd" {
			t.Errorf("%s: sent %q", name, got)
		}
	}
	// A list that is edited keeps the secrets of the ids that stay.
	change(t, r, replace(up("u"), s.spec(`[{"type":"bearer","token":"sk-another-one-xyz","id":"new","weight":0},{"type":"bearer","id":"1"}]`)))
	if got := s.sent(t, r); got != "Bearer sk-0123456789abcd" && got != "Bearer sk-another-one-xyz" {
		t.Errorf("after the list has grown: sent %q", got)
	}
}

func TestSecretsThatAreRefused(t *testing.T) {
	s := newService(t)
	store := new(registrytest.Store)
	r := load(t, managed(t, store), config{})
	change(t, r, create(up("u"), s.spec(`[{"type":"bearer","token":"sk-0123456789abcd"}]`)))
	for name, spec := range map[string]string{
		"a hint":            s.spec(`[{"id":"1","type":"bearer","token":"…abcd"}]`),
		"stars":             s.spec(`[{"id":"1","type":"bearer","token":"sk-****abcd"}]`),
		"a placeholder":     s.spec(`[{"id":"1","type":"bearer","token":"{env.KEY}"}]`),
		"a mask of another": s.spec(`[{"id":"1","type":"bearer","token":{"set":true,"fingerprint":"00000000"}}]`),
		"a mask of nothing": s.spec(`[{"id":"2","type":"bearer","token":{"set":true}}]`),
		"a number":          s.spec(`[{"id":"1","type":"bearer","token":5}]`),
		"another address":   `{"base_url":"http://127.0.0.1:1/","credentials":[{"id":"1","type":"bearer"}]}`,
		"another proxy":     strings.Replace(s.spec(`[{"id":"1","type":"bearer"}]`), "{", `{"transport":{"protocol":"http","compression":true},`, 1),
		"a secret put in":   s.spec(`[{"id":"1","type":"bearer","token":{"sealed":"forged"}}]`),
	} {
		e := refuse(t, r, registry.CodeInvalid, replace(up("u"), spec))
		if !strings.HasPrefix(e.Field, "credentials[0]") || strings.Contains(e.Error(), "0123456789") {
			t.Errorf("%s: field %q: %v", name, e.Field, e)
		}
	}
	store.LoseKey()
	e := refuse(t, r, registry.CodeNoSecretKey, create(up("v"), s.spec(`[{"type":"bearer","token":"sk-0123456789abcd"}]`)))
	if e.Field != "credentials[0].token" || e.ID != up("v") {
		t.Errorf("without a secret key: %+v", e)
	}
	change(t, r, create(up("keyless"), aService))
}

func TestSecretsAreCleared(t *testing.T) {
	s := newService(t)
	r := load(t, managed(t, new(registrytest.Store)), config{})
	change(t, r, create(up("u"), s.spec(`[{"type":"bearer","token":"sk-0123456789abcd"}]`)))
	change(t, r, registry.Op{ID: up("u"), Verb: registry.Edit, Edit: func(spec json.RawMessage) (json.RawMessage, error) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(spec, &fields); err != nil {
			return nil, err
		}
		delete(fields, "credentials")
		return json.Marshal(fields)
	}})
	if got := s.sent(t, r); got != "" {
		t.Errorf("sent %q after the credentials were removed", got)
	}
	change(t, r, replace(up("u"), s.spec(`[{"type":"bearer","id":"1","token":"sk-of-another-time"}]`)))
	refuse(t, r, registry.CodeInvalid, replace(up("u"), s.spec(`[{"type":"bearer","id":"1","token":null}]`)))
}

func TestBracesInSecretsAreLiteral(t *testing.T) {
	s := newService(t)
	r := load(t, managed(t, new(registrytest.Store)), config{})
	change(t, r, create(up("u"), s.spec(`[{"type":"bearer","token":"a{b}c\\{d}\\\\"}]`)))
	if got := s.sent(t, r); got != `Bearer a{b}c\{d}\\` {
		t.Errorf("sent %q", got)
	}
}

func TestDeclaredSecretsAreMasked(t *testing.T) {
	r := load(t, managed(t, new(registrytest.Store)), config{upstreams: map[string]string{
		"literal": `{"base_url":"http://127.0.0.1:9","credentials":[{"type":"bearer","token":"sk-0123456789abcd"}]}`,
		"named":   `{"base_url":"http://127.0.0.1:9","credentials":[{"type":"bearer","token":"{env.SOME_KEY}"}]}`,
	}})
	literal, _ := r.View().Get(up("literal"), "")
	if strings.Contains(string(literal.Spec()), "0123456789") {
		t.Errorf("a declared secret is shown: %s", literal.Spec())
	}
	named, _ := r.View().Get(up("named"), "")
	if !strings.Contains(string(named.Spec()), "{env.SOME_KEY}") {
		t.Errorf("a placeholder is not shown as it was written: %s", named.Spec())
	}
}
