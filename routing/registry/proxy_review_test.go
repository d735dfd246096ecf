package registry_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
)

// TestProxyPasswords: the password of a proxy is neither stored in clear nor shown.
func TestProxyPasswords(t *testing.T) {
	proxy := func(address string) string {
		return `{"base_url":"http://127.0.0.1:9/v1","transport":{"protocol":"http","network_proxy":{"from":"url","url":"` + address + `"}}}`
	}
	r := load(t, managed(t, new(registrytest.Store)), config{upstreams: map[string]string{
		"clear": proxy("http://me:canary@127.0.0.1:8"), "placed": proxy("{env.PROXY}"),
	}})
	for _, address := range []string{"http://me:canary@127.0.0.1:8", "socks5://:canary@127.0.0.1:8", `http:\/\/me\u003acanary@127.0.0.1:8`} {
		if e := refuse(t, r, registry.CodeInvalid, create(up("u"), proxy(address))); e.Field != "transport" || strings.Contains(e.Error(), "canary") {
			t.Errorf("the error is about the field %q: %v", e.Field, e)
		}
	}
	change(t, r, create(up("u"), proxy("http://me@127.0.0.1:8")))
	for name, want := range map[string]string{"clear": "http://me:***@127.0.0.1:8", "placed": "{env.PROXY}", "u": "http://me@127.0.0.1:8"} {
		d, _ := r.View().Get(up(name), "")
		if spec := string(d.Spec()); !strings.Contains(spec, want) || strings.Contains(spec, "canary") {
			t.Errorf("%s reads %s", name, spec)
		}
	}
}

// TestHiddenPlaceholders: no spelling of a brace makes a placeholder of the text of a
// managed definition.
func TestHiddenPlaceholders(t *testing.T) {
	t.Setenv("REVIEW_CANARY", "canary")
	got := make(http.Header)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	t.Cleanup(service.Close)
	r := load(t, managed(t, new(registrytest.Store)), config{})
	for field, value := range map[string]string{
		"headers":   `{"X-Leak":["\u007benv.REVIEW_CANARY\u007d"]}`,
		"transport": `{"protocol":"http","network_proxy":{"from":"url","url":"\u007benv.REVIEW_CANARY\u007d"}}`,
		"base_url":  `"\u007benv.REVIEW_CANARY\u007d"`,
		"health":    `{"headers":{"X-Leak":["\u007b\u0065nv.REVIEW_CANARY}"]}}`,
	} {
		address := `"base_url":"` + service.URL + `",`
		if field == "base_url" {
			address = ""
		}
		spec := `{` + address + `"` + field + `":` + value + `}`
		if e := refuse(t, r, registry.CodeInvalid, create(up("u"), spec)); e.Field != field {
			t.Errorf("%s: the error is about the field %q: %v", field, e.Field, e)
		}
		u, release, err := r.Unsaved("u", json.RawMessage(spec))
		if err != nil {
			continue
		}
		t.Errorf("%s: it can be tested", field)
		if _, err := u.ListModels(t.Context()); err != nil {
			t.Log(err)
		}
		release()
	}
	if got.Get("X-Leak") == "canary" {
		t.Error("the environment was sent to the upstream")
	}
}
