package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// requestOf builds the request for a chat call.
func requestOf(t testing.TB, u *Upstream, call *Call) *http.Request {
	t.Helper()
	if call.Body == nil {
		call.Body = bodyOf(`{"model":"m"}`)
	}
	if call.Format == "" {
		call.Format = format.OpenAIChat
	}
	if call.Operation == "" {
		call.Operation = format.OperationChat
	}
	r, err := u.request(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func bodyOf(text string) *format.Body {
	b := new(format.Body)
	b.Str(text)
	return b
}

func TestRequest(t *testing.T) {
	u := mustProvision(t, "openai", `{"credentials":[{"type":"bearer","token":"tok"}]}`)
	r := requestOf(t, u, &Call{Body: bodyOf(`{"a":1}`)})
	if r.Method != "POST" || r.Host != "api.openai.com" || r.ContentLength != 7 {
		t.Errorf("got %s, host %s, length %d", r.Method, r.Host, r.ContentLength)
	}
	for i := range 3 {
		body, err := r.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(body); string(text) != `{"a":1}` {
			t.Errorf("reader %d: got %s", i, text)
		}
	}
	if text, _ := io.ReadAll(r.Body); string(text) != `{"a":1}` {
		t.Errorf("got body %s", text)
	}
}

func TestRequestHeaders(t *testing.T) {
	t.Setenv("TEAM", "blue")
	const chat, messages = format.OpenAIChat, format.AnthropicMessages
	for _, tc := range []struct {
		name, config string
		call         Call
		want         map[string]string // "" = not sent
	}{
		{
			"chat", `{"base_url":"http://h","credentials":[{"type":"bearer","token":"tok"}]}`,
			Call{Format: chat},
			map[string]string{
				"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity",
				"User-Agent": "caddy-ai-gateway", "Authorization": "Bearer tok", "Idempotency-Key": "", "Anthropic-Version": "",
			},
		},
		{"stream", `{"base_url":"http://h"}`, Call{Format: chat, Stream: true}, map[string]string{"Accept": "text/event-stream", "Authorization": ""}},
		{"messages", `{"provider":"anthropic","credentials":[{"type":"header","name":"x-api-key","value":"tok"}]}`, Call{Format: messages}, map[string]string{"X-Api-Key": "tok", "Anthropic-Version": "2023-06-01"}},
		{"version of the client", `{"provider":"anthropic"}`, Call{Format: messages, Header: http.Header{"Anthropic-Version": {"2099-01-01"}}}, map[string]string{"Anthropic-Version": "2099-01-01"}},
		{"version of the operator", `{"provider":"anthropic","headers":{"anthropic-version":["2030-01-01"]}}`, Call{Format: messages}, map[string]string{"Anthropic-Version": "2030-01-01"}},
		{"configured", `{"base_url":"http://h","headers":{"x-team":["{env.TEAM}"],"User-Agent":["me/1"],"X-None":["{env.NO_SUCH}"]}}`, Call{Format: chat}, map[string]string{"X-Team": "blue", "User-Agent": "me/1", "X-None": ""}},
		{"client over configured", `{"base_url":"http://h","headers":{"X-A":["operator"]}}`, Call{Format: chat, Header: http.Header{"X-A": {"client"}}}, map[string]string{"X-A": "client"}},
		{
			"the gateway's own stay", `{"base_url":"http://h"}`,
			Call{Format: chat, Header: http.Header{"Accept": {"*/*"}, "Content-Type": {"text/plain"}, "Accept-Encoding": {"br"}, "User-Agent": {"x"}, "Content-Length": {"9"}, "Host": {"evil"}}},
			map[string]string{"Accept": "application/json", "Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "caddy-ai-gateway", "Content-Length": "", "Host": ""},
		},
		{"the credential comes last", `{"base_url":"http://h","credentials":[{"type":"bearer","token":"tok"}]}`, Call{Format: chat, Header: http.Header{"Authorization": {"client"}}}, map[string]string{"Authorization": "Bearer tok"}},
		{"key of the client", `{"base_url":"http://h"}`, Call{Format: chat, Header: http.Header{"Idempotency-Key": {"k1"}}}, map[string]string{"Idempotency-Key": "k1"}},
		{"beta of the client", `{"provider":"anthropic"}`, Call{Format: messages, Header: http.Header{"Anthropic-Beta": {"a"}}}, map[string]string{"Anthropic-Beta": "a"}},
		{
			"betas merged", `{"provider":"anthropic","headers":{"Anthropic-Beta":["a, b"]}}`,
			Call{Format: messages, Header: http.Header{"Anthropic-Beta": {"b,c", "a,d,"}}},
			map[string]string{"Anthropic-Beta": "a,b,c,d"},
		},
		{"one repeated beta", `{"provider":"anthropic"}`, Call{Format: messages, Header: http.Header{"Anthropic-Beta": {"a,a"}}}, map[string]string{"Anthropic-Beta": "a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := requestOf(t, mustProvision(t, "mine", tc.config), &tc.call)
			for name, want := range tc.want {
				got := strings.Join(r.Header[name], "|")
				if got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Requests must not write to what they share.
func TestSharedHeadersStay(t *testing.T) {
	u := mustProvision(t, "anthropic", `{"headers":{"Anthropic-Beta":["a"]},"credentials":[{"type":"bearer","token":"tok"}]}`)
	client := http.Header{"Anthropic-Beta": {"b"}, "X-A": {"1"}}
	for range 2 {
		r := requestOf(t, u, &Call{Format: format.AnthropicMessages, Header: client})
		if got := r.Header.Get("Anthropic-Beta"); got != "a,b" {
			t.Errorf("got %q", got)
		}
		r.Header.Set("X-New", "1")
	}
	e := u.endpoints[format.AnthropicMessages]
	if _, ok := e.whole["X-New"]; ok || !slices.Equal(e.whole["Anthropic-Beta"], []string{"a"}) {
		t.Errorf("template changed: %v", e.whole)
	}
	if _, ok := e.whole["Authorization"]; ok {
		t.Error("the credential is in the template")
	}
	if !slices.Equal(client["Anthropic-Beta"], []string{"b"}) {
		t.Errorf("client's headers changed: %v", client)
	}
}

func TestDoErrors(t *testing.T) {
	u := mustProvision(t, "openai", `{}`)
	if _, err := u.Do(t.Context(), &Call{Format: format.AnthropicMessages, Operation: format.OperationChat, Body: bodyOf("x")}); err == nil || !strings.Contains(err.Error(), "does not serve chat in the format anthropic_messages") {
		t.Errorf("format: got %v", err)
	}
	if _, err := u.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationListModels, Body: bodyOf("x")}); err == nil {
		t.Error("operation: got no error")
	}
	off := mustProvision(t, "openai", `{"disabled":true}`)
	if _, err := off.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x")}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("disabled: got %v", err)
	}
	u.pool = []pooled{{credential: failing{}}}
	body, freed := bodyOf("x"), false
	body.Own(func() { freed = true })
	if _, err := u.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: body}); !errors.Is(err, errFailing) {
		t.Errorf("credential: got %v", err)
	}
	if body.Release(); !freed {
		t.Error("a reader of the body was left open")
	}
}

var errFailing = errors.New("no token to be had")

type failing struct{}

func (failing) Apply(context.Context, *http.Request, []byte) error { return errFailing }

// What a reverse_proxy that handled the request before has left there must not
// decide where ours goes.
func TestContextOfTheReverseProxyIsHidden(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	u := mustProvision(t, "mine", `{"base_url":"`+server.URL+`"}`)
	ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{})
	ctx = context.WithValue(ctx, dialInfo, reverseproxy.DialInfo{Network: "tcp", Address: "127.0.0.1:1"})
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	if _, ok := reverseproxy.GetDialInfo(ctx); !ok {
		t.Fatal("the key has changed")
	}
	call := &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x")}
	r, err := u.request(ctx, call)
	if err != nil {
		t.Fatal(err)
	}
	if r.Context().Value(caddyhttp.VarsCtxKey) != nil {
		t.Error("the variables are visible")
	}
	if r.Context().Value(caddy.ReplacerCtxKey) == nil {
		t.Error("the replacer is not visible")
	}
	response, err := u.Do(ctx, call)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusTeapot {
		t.Errorf("got %d", response.StatusCode)
	}
}

func TestScrubHidesWhatLooksLikeAKey(t *testing.T) {
	u := mustProvision(t, "ollama", `{}`)
	for text, want := range map[string]string{
		"Incorrect API key provided: sk-proj-abcdef123456.":    "Incorrect API key provided: [hidden].",
		"key AIzaSyA1234567890abcdefghijk is wrong":            "key [hidden] is wrong",
		"Authorization: Bearer abc.def-123456 refused":         "Authorization: [hidden] refused",
		"gsk_abcdefghijkl and xai-abcdefghijkl":                "[hidden] and [hidden]",
		"the task-specific model risk-averse is not available": "the task-specific model risk-averse is not available",
		"the field \"sk\" is wrong":                            "the field \"sk\" is wrong",
	} {
		if got := u.Scrub(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestScrub(t *testing.T) {
	t.Setenv("TENANT", "tenant-secret")
	u := mustProvision(t, "openai", `{"headers":{"X-Tenant":["{env.TENANT}"],"X-Plain":["ordinary"]},"credentials":[{"type":"bearer","token":"sk-123456"}]}`)
	if got, want := u.Scrub("key sk-123456 of tenant-secret is not ordinary"), "key [hidden] of [hidden] is not ordinary"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := mustProvision(t, "ollama", `{}`).Scrub("as it was"); got != "as it was" {
		t.Errorf("got %q", got)
	}
}

func TestNoSecretInErrorsOfDo(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://127.0.0.1:1","credentials":[{"type":"bearer","token":"secret-value"}]}`)
	_, err := u.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x")})
	if err == nil || strings.Contains(err.Error(), "secret-value") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkRequest(b *testing.B) {
	u := mustProvision(b, "openai", `{"credentials":[{"type":"bearer","token":"tok"}]}`)
	call := &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf(strings.Repeat("x", 1024))}
	b.Run("plain", func(b *testing.B) { benchmarkRequest(b, u, call) })
	a := mustProvision(b, "anthropic", `{"credentials":[{"type":"header","name":"x-api-key","value":"tok"}]}`)
	forwarded := &Call{
		Format: format.AnthropicMessages, Operation: format.OperationChat, Body: call.Body, Stream: true,
		Header: http.Header{"Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"tools-2024-04-04"}},
	}
	b.Run("forwarded", func(b *testing.B) { benchmarkRequest(b, a, forwarded) })
}

func benchmarkRequest(b *testing.B, u *Upstream, call *Call) {
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		r, err := u.request(ctx, call)
		if err != nil {
			b.Fatal(err)
		}
		_ = r.Body.Close()
	}
}
