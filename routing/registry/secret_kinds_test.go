package registry_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
)

// TestSecretsOfEveryPlace shows that keys which are sent in the address and in the
// body are sealed and masked, and kept when the mask comes back, as those in headers
// are.
func TestSecretsOfEveryPlace(t *testing.T) {
	const key = "s3cret \"key\" with {braces},\nbreaks and ünïcode"
	quoted, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"query", "body"} {
		t.Run(kind, func(t *testing.T) {
			var sent string
			s := new(service)
			s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				text, err := io.ReadAll(r.Body)
				if err != nil {
					t.Errorf("reading a request: %v", err)
				}
				var fields struct{ Place string }
				if err := json.Unmarshal(text, &fields); err != nil {
					t.Errorf("body %s: %v", text, err)
				}
				sent = fields.Place + r.URL.Query().Get("place")
			}))
			t.Cleanup(s.Close)
			store := new(registrytest.Store)
			r := load(t, managed(t, store), config{})
			change(t, r, create(up("u"), s.spec(`[{"type":"`+kind+`","name":"place","value":`+string(quoted)+`}]`)))
			if s.sent(t, r); sent != key {
				t.Errorf("sent %q", sent)
			}
			if strings.Contains(string(store.Record(up("u")).Spec), "s3cret") {
				t.Error("the record holds the secret in clear")
			}
			d, ok := r.View().Get(up("u"), "")
			if !ok {
				t.Fatal("there is no definition")
			}
			if shown := string(d.Spec()); strings.Contains(shown, "s3cret") || strings.Contains(shown, "sealed") || !strings.Contains(shown, `"name":"place"`) || !strings.Contains(shown, `"hint":"…code"`) {
				t.Errorf("the definition is shown as %s", shown)
			}
			for name, spec := range map[string]string{
				"as it was shown": string(d.Spec()),
				"left out":        s.spec(`[{"id":"1","type":"` + kind + `","name":"place"}]`),
			} {
				change(t, r, replace(up("u"), spec))
				if s.sent(t, r); sent != key {
					t.Errorf("%s: sent %q", name, sent)
				}
			}
			// Another type has other secrets.
			e := refuse(t, r, registry.CodeInvalid, replace(up("u"), s.spec(`[{"id":"1","type":"header","name":"x-place"}]`)))
			if !strings.HasPrefix(e.Field, "credentials[0]") {
				t.Errorf("another type: field %q: %v", e.Field, e)
			}
		})
	}
}
