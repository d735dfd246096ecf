package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// nasty is a key with everything that some writer escapes.
const nasty = `s3cret "key" & more=/+?#%\ü`

// nastyEscaped is that key in an address.
const nastyEscaped = `s3cret%20%22key%22%20%26%20more%3D%2F%2B%3F%23%25%5C%C3%BC`

func TestQueryCredential(t *testing.T) {
	t.Setenv("NASTY", nasty)
	const credential = `"credentials":[{"type":"query","name":"key","value":"{env.NASTY}"}]`
	for _, tc := range []struct {
		name, config string
		call         Call
		want         string
	}{
		{"chat", `{"base_url":"http://h",` + credential + `}`, Call{}, "/v1/chat/completions?key=" + nastyEscaped},
		{"beside another", `{"base_url":"http://h","formats":["gemini"],` + credential + `}`, Call{Format: format.Gemini, Model: "m", Stream: true}, "/v1beta/models/m:streamGenerateContent?alt=sse&key=" + nastyEscaped},
		{"an address of its own", `{"base_url":"http://h","formats":["anthropic_messages"],` + credential + `}`, Call{Format: format.AnthropicMessages, Operation: format.OperationCountTokens}, "/v1/messages/count_tokens?key=" + nastyEscaped},
		{"an escaped name", `{"base_url":"http://h","credentials":[{"type":"query","name":"api key&","value":"abc"}]}`, Call{}, "/v1/chat/completions?api%20key%26=abc"},
		{"the client's own", `{"base_url":"http://h","allow_override":true,` + credential + `}`, Call{Override: "their&s"}, "/v1/chat/completions?key=their%26s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "mine", tc.config)
			for range 2 { // what requests share must stay as it was
				if got := requestOf(t, u, &tc.call).URL.RequestURI(); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
			if at := u.AddressOf(&tc.call); strings.Contains(at, "?") || strings.Contains(at, "key") {
				t.Errorf("the address is shown as %s", at)
			}
		})
	}
}

func TestQueryCredentialReplaces(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://h","credentials":[{"type":"query","name":"key","value":"ours"}]}`)
	for query, want := range map[string]string{
		"":                          "key=ours",
		"a=1&b":                     "a=1&b&key=ours",
		"key=x":                     "key=ours",
		"key=x&a=%2F+&k%65y=y&keys": "a=%2F+&keys&key=ours",
		"a=%zz&key":                 "a=%zz&key=ours",
	} {
		r := httptest.NewRequest(http.MethodGet, "http://h/", nil)
		r.URL.RawQuery = query
		before := r.URL
		if err := u.authorise(t.Context(), r, new(Call)); err != nil {
			t.Fatal(err)
		}
		if got := r.URL.RawQuery; got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
		if before.RawQuery != query {
			t.Errorf("%q: the URL that requests share has become %q", query, before.RawQuery)
		}
	}
}

// TestQueryCredentialEverywhere shows that also the requests of the gateway's own
// carry the parameter, and that nothing tells it when they fail.
func TestQueryCredentialEverywhere(t *testing.T) {
	const key = "query-secret-value"
	const credential = `"credentials":[{"type":"query","name":"key","value":"` + key + `"}]`
	var mu sync.Mutex
	seen := map[string]string{}
	server := quiet(httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Method+" "+r.URL.Path] = r.URL.Query().Get("key")
		if r.URL.Path == "/v1/models" {
			fmt.Fprint(w, `{"data":[{"id":"m"}]}`)
			return
		}
		fmt.Fprint(w, `{}`)
	})))
	defer server.Close()
	u := mustProvision(t, "mine", `{"base_url":"`+server.URL+`","health":{"path":"/healthz"},`+credential+`}`)
	if found, err := u.ListModels(t.Context()); err != nil || len(found.Models) != 1 {
		t.Errorf("list: got %v, %v", found, err)
	}
	checker, ok := u.Checker()
	if !ok {
		t.Fatal("there is no checker")
	}
	if err := checker.ask(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	response, err := u.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	mu.Lock()
	defer mu.Unlock()
	for _, request := range []string{"GET /v1/models", "GET /healthz", "POST /v1/chat/completions"} {
		if seen[request] != key {
			t.Errorf("%s: got the key %q", request, seen[request])
		}
	}

	down := mustProvision(t, "mine", `{"base_url":"http://127.0.0.1:1","health":{"path":"/healthz"},`+credential+`}`)
	_, failed := down.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf(`{}`)})
	_, unlisted := down.ListModels(t.Context())
	checker, _ = down.Checker()
	unhealthy := checker.ask(t.Context())
	for name, err := range map[string]error{"call": failed, "list": unlisted, "check": unhealthy} {
		if err == nil || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "key=") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, text := range map[string]string{"address of a call": down.AddressOf(&Call{Format: format.OpenAIChat}), "address of the list": down.ListAddress(), "identity": down.Identity()} {
		if text == "" || strings.Contains(text, key) || strings.Contains(text, "?") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestNamedCredentialErrors(t *testing.T) {
	t.Setenv("LATIN", "secret-\xfc\xe4-value")
	for _, tc := range []struct{ name, credential, want string }{
		{"query without a name", `{"type":"query","value":"secret-value"}`, "credentials[0]: loading module 'query': provision ai_gateway.credentials.query: name: required"},
		{"query without a value", `{"type":"query","name":"key"}`, "value: required"},
		{"query in the gateway's own", `{"type":"query","name":"alt","value":"secret-value"}`, "name: alt is a part of requests themselves"},
		{"query with a placeholder as name", `{"type":"query","name":"{env.X}","value":"secret-value"}`, "name: must not hold braces"},
		{"query with a long name", `{"type":"query","name":"` + strings.Repeat("n", 129) + `","value":"secret-value"}`, "name: is longer than 128 bytes"},
		{"query with a line break in its name", `{"type":"query","name":"a\nb","value":"secret-value"}`, "name: holds a control character"},
		{"query with a value that is no string", `{"type":"query","name":"key","value":["secret-value"]}`, "credentials[0].value: must be a string"},
		{"body without a name", `{"type":"body","value":"secret-value"}`, "name: required"},
		{"body without a value", `{"type":"body","name":"key","value":""}`, "value: required"},
		{"body in the place of the model", `{"type":"body","name":"model","value":"secret-value"}`, "name: model is a part of requests themselves"},
		{"body that is not UTF-8", `{"type":"body","name":"key","value":"{env.LATIN}"}`, "value: is not UTF-8"},
		{"body with another field", `{"type":"body","name":"key","value":"secret-value","token":"x"}`, "unknown field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := provision(t, "mine", `{"base_url":"http://h","credentials":[`+tc.credential+`]}`)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "secret-") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestNamedCredentialMissing(t *testing.T) {
	for _, kind := range []string{"query", "body"} {
		u := mustProvision(t, "mine", `{"base_url":"http://h","credentials":[
			{"type":"`+kind+`","name":"key","value":"{env.NO_SUCH}","id":"empty"},{"type":"`+kind+`","name":"key","value":"{$NOT} is literal"}]}`)
		if got := u.Credentials()[0].Missing; got != "{env.NO_SUCH}" || u.Unavailable() != "" {
			t.Errorf("%s: missing is %q, the upstream is %q", kind, got, u.Unavailable())
		}
		for _, call := range []*Call{{Credential: "empty"}, {Credential: "unheard-of"}} {
			call.Format, call.Operation, call.Body = format.OpenAIChat, format.OperationChat, bodyOf(`{}`)
			if _, err := u.request(t.Context(), call); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: credential %s: got %v", kind, call.Credential, err)
			}
		}
	}
}

func TestNamedCredentialCaddyfile(t *testing.T) {
	for _, tc := range []struct {
		input string
		guest interface {
			caddyfile.Unmarshaler
			secretFielder
		}
		name, value, err string
	}{
		{"query key secret-value", new(QueryCredential), "key", "secret-value", ""},
		{`body api_key "secret \"value\""`, new(BodyCredential), "api_key", `secret "value"`, ""},
		{"query secret-value", new(QueryCredential), "", "", "query takes a name and a value, but has 1 arguments"},
		{"body a b secret-value", new(BodyCredential), "", "", "body takes a name and a value, but has 3 arguments"},
		{"body a b {\n secret-value\n}", new(BodyCredential), "", "", "body takes no block"},
	} {
		t.Run(tc.input, func(t *testing.T) {
			err := tc.guest.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tc.input))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "secret-value") {
					t.Errorf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var name, value string
			switch c := tc.guest.(type) {
			case *QueryCredential:
				name, value = c.Name, c.Value
			case *BodyCredential:
				name, value = c.Name, c.Value
			}
			if name != tc.name || value != tc.value {
				t.Errorf("got %q, %q", name, value)
			}
		})
	}
}

func TestSecretFields(t *testing.T) {
	present := []string{"id", "name", "token", "type", "value", "weight"}
	for kind, want := range map[string]string{
		"bearer": "[token]", "header": "[value]", "query": "[value]", "body": "[value]", "unheard-of": "[name token value]",
	} {
		if got := fmt.Sprint(SecretFields(kind, present)); got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
}
