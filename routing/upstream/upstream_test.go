package upstream

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

func init() {
	caddy.RegisterModule(fakeDemo{})
	caddy.RegisterModule(notATransport{})
	caddy.RegisterModule(signing{})
}

// signing is a credential that tells nothing and has no key.
type signing struct{}

func (signing) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "ai_gateway.credentials.signing",
		New: func() caddy.Module { return new(signing) },
	}
}

func (*signing) Apply(_ context.Context, r *http.Request, _ []byte) error {
	r.Header.Set("Signature", r.URL.Path)
	return nil
}

// fakeDemo stands for the built-in upstream's transport.
type fakeDemo struct{}

func (fakeDemo) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.ai_gateway_demo",
		New: func() caddy.Module { return new(fakeDemo) },
	}
}

func (*fakeDemo) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.Body.Close()
	return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody, Request: r}, nil
}

type notATransport struct{}

func (notATransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.not_one",
		New: func() caddy.Module { return new(notATransport) },
	}
}

// provision decodes the JSON strictly, as Caddy does, and provisions it.
func provision(t testing.TB, name, config string) (*Upstream, error) {
	t.Helper()
	u := new(Upstream)
	if err := caddy.StrictUnmarshalJSON([]byte(config), u); err != nil {
		t.Fatalf("decoding %s: %v", config, err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	err := u.Provision(ctx, name)
	t.Cleanup(func() {
		if err := u.Cleanup(); err != nil {
			t.Errorf("cleanup: %v", err)
		}
	})
	return u, err
}

func mustProvision(t testing.TB, name, config string) *Upstream {
	t.Helper()
	u, err := provision(t, name, config)
	if err != nil {
		t.Fatalf("provisioning %s: %v", config, err)
	}
	return u
}

func TestProvisionErrors(t *testing.T) {
	t.Setenv("BAD_HEADER", "a\nsecret-value-b")
	t.Setenv("USERINFO_URL", "https://me:secret-value@host/v1")
	for _, tc := range []struct {
		name, config, want string
	}{
		{"unknown provider", `{"provider":"opnai"}`, `provider: unknown provider "opnai"; known: anthropic, azure_openai, cerebras`},
		{"no address", `{}`, `base_url: required, for upstream "mine" has no provider; known providers: anthropic`},
		{"azure without address", `{"provider":"azure_openai"}`, `base_url: required, for provider azure_openai has no address of its own`},
		{"unknown format", `{"provider":"openai","formats":["openai_chat","x"]}`, `formats[1]: unknown format "x"; known: ` + knownFormats()},
		{"format twice", `{"provider":"openai","formats":["openai_chat","openai_chat"]}`, `formats[1]: openai_chat stands twice, first as formats[0]`},
		{"url of a format not spoken", `{"provider":"openai","format_urls":{"anthropic_messages":"http://h"}}`, `format_urls.anthropic_messages: the upstream does not speak this format; it speaks openai_chat`},
		{"path of a format not spoken", `{"provider":"openai","format_paths":{"anthropic_messages":"/h"}}`, `format_paths.anthropic_messages: the upstream does not speak this format; it speaks openai_chat`},
		{"bad url of a format", `{"provider":"openai","format_urls":{"openai_chat":"ftp://h"}}`, `format_urls.openai_chat: scheme "ftp" is neither http nor https`},
		{"path to another host", `{"provider":"openai","format_paths":{"openai_chat":"//evil"}}`, `format_paths.openai_chat: must not start with //, which names another host`},
		{"negative limit", `{"provider":"openai","timeouts":{"connect":-1}}`, `timeouts.connect: must not be negative`},
		{"limit over the total", `{"provider":"openai","timeouts":{"idle":"3s","total":"2s"}}`, `timeouts.idle: must not be longer than timeouts.total`},
		{"unknown second credential", `{"provider":"openai","credentials":[{"type":"bearer","token":"a"},{"type":"magic"}]}`, `credentials[1]: `},
		{"empty second token", `{"provider":"openai","credentials":[{"type":"bearer","token":"secret-value"},{"type":"bearer"}]}`, `credentials[1]: `},
		{"null as credential", `{"provider":"openai","credentials":[null]}`, `credentials[0]: must be an object`},
		{"id of two credentials", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","id":"x"},{"type":"bearer","token":"b","id":"x"}]}`, `credentials[1].id: "x" is the id of credentials[0] too`},
		{"id that is a position", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","id":"2"},{"type":"bearer","token":"b"}]}`, `credentials[1].id: "2" is what credentials[0] is called by its position; give both an id`},
		{"id with a space", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","id":"a b"}]}`, `credentials[0].id: must be 1 to 64 letters`},
		{"id that is a number", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","id":7}]}`, `credentials[0].id: must be 1 to 64 letters`},
		{"weight below zero", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","weight":-1}]}`, `credentials[0].weight: must be a number from 0 to 1000`},
		{"weight over the limit", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","weight":1001}]}`, `credentials[0].weight: must be a number from 0 to 1000`},
		{"weight that is a text", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","weight":"2"}]}`, `credentials[0].weight: must be a number from 0 to 1000`},
		{"null as weight", `{"provider":"openai","credentials":[{"type":"bearer","token":"a","weight":null}]}`, `credentials[0].weight: must be a number from 0 to 1000`},
		{"override of a signature", `{"provider":"openai","allow_override":true,"credentials":[{"type":"signing"}]}`, `allow_override: the first credential is of a type that sends no key`},
		{"link-local address", `{"base_url":"http://169.254.169.254/v1"}`, `base_url: address refused: 169.254.169.254 is a link-local address`},
		{"metadata address of a format", `{"base_url":"http://h","format_urls":{"openai_chat":"http://[fd00:ec2::254]"}}`, `format_urls.openai_chat: address refused: fd00:ec2::254 is a cloud's metadata address`},
		{"metadata name", `{"base_url":"http://Metadata.Google.Internal./v1"}`, `base_url: address refused: metadata.google.internal is a cloud's metadata service`},
		{"no address", `{"base_url":"http://h","allow_addresses":["fe80::1%eth0"]}`, `allow_addresses[0]: "fe80::1%eth0" is neither an address nor a network`},
		{"no network", `{"base_url":"http://h","allow_addresses":["169.254.0.0/16","169.254.0.0/33"]}`, `allow_addresses[1]: "169.254.0.0/33" is neither an address nor a network`},
		{"bits behind the length", `{"base_url":"http://h","allow_addresses":["169.254.1.0/16"]}`, `allow_addresses[0]: "169.254.1.0/16" has bits set behind its length; write 169.254.0.0/16`},
		{"network twice", `{"base_url":"http://h","allow_addresses":["169.254.0.1","169.254.0.1/32"]}`, `allow_addresses[1]: 169.254.0.1/32 stands twice, first as allow_addresses[0]`},
		{"HTTP/3 cannot be checked", `{"base_url":"https://h","transport":{"protocol":"http","versions":["3"],"tls":{}}}`, `transport.versions: the addresses of HTTP/3 connections cannot be checked`},
		{"local address that is a range", `{"base_url":"https://h","transport":{"protocol":"http","local_address":"udp/127.0.0.1"}}`, `transport: `},
		{"local address that is a socket", `{"base_url":"https://h","transport":{"protocol":"http","local_address":"unix//tmp/x"}}`, `transport.local_address: unix//tmp/x is not a single TCP address`},
		{"resolver without addresses", `{"base_url":"https://h","transport":{"protocol":"http","resolver":{}}}`, `transport.resolver.addresses: needs at least one address`},
		{"allowed addresses without connections", `{"provider":"demo","allow_addresses":["169.254.0.1"]}`, `allow_addresses: the transport ai_gateway_demo makes its own connections`},
		{"limit over the default total", `{"provider":"openai","timeouts":{"idle":"61m"}}`, `timeouts.idle: must not be longer than the whole call, which is 1h0m0s; set timeouts.total too`},
		{"unknown credential", `{"provider":"openai","credentials":[{"type":"magic"}]}`, `unknown module: ai_gateway.credentials.magic`},
		{"empty token", `{"provider":"openai","credentials":[{"type":"bearer"}]}`, `token: required`},
		{"no header name", `{"provider":"openai","credentials":[{"type":"header","value":"secret-value"}]}`, `name: must be the name of a header`},
		{"header name of the connection", `{"provider":"openai","credentials":[{"type":"header","name":"host","value":"secret-value"}]}`, `name: host cannot be set: it follows from base_url`},
		{"line break in a token", `{"provider":"openai","credentials":[{"type":"bearer","token":"secret-value\nx"}]}`, `token: holds a line break`},
		{"NUL in a value", `{"provider":"openai","credentials":[{"type":"header","name":"x-api-key","value":"secret-value\u0000x"}]}`, `value: holds a line break or another forbidden character`},
		{"number as token", `{"provider":"openai","credentials":[{"type":"bearer","token":12345678}]}`, `credentials[0].token: must be a string`},
		{"credential that is no object", `{"provider":"openai","credentials":["secret-value"]}`, `credentials[0]: must be an object`},
		{"header of the connection", `{"provider":"openai","headers":{"connection":["x"]}}`, `headers.connection: cannot be set: it belongs to the connection`},
		{"header with a key", `{"provider":"openai","headers":{"X-API-Key":["secret-value"]}}`, `headers.X-API-Key: cannot be set: it carries a key; use a credential`},
		{"host header", `{"provider":"openai","headers":{"Host":["x"]}}`, `headers.Host: cannot be set: it follows from base_url`},
		{"length header", `{"provider":"openai","headers":{"Content-Length":["1"]}}`, `headers.Content-Length: cannot be set`},
		{"no header name at all", `{"provider":"openai","headers":{"a b":["x"]}}`, `headers.a b: is not a header name`},
		{"header twice", `{"provider":"openai","headers":{"X-A":["x"],"x-a":["y"]}}`, `headers.x-a: stands twice in different spellings`},
		{"line break from the environment", `{"provider":"openai","headers":{"X-A":["{env.BAD_HEADER}"]}}`, `headers.X-A[0]: holds a line break`},
		{"password from the environment", `{"base_url":"{env.USERINFO_URL}"}`, `base_url: must not hold a user name or password; use a credential`},
		{"unknown transport", `{"provider":"openai","transport":{"protocol":"pigeon"}}`, `transport: `},
		{"module that is no transport", `{"provider":"openai","transport":{"protocol":"not_one"}}`, `transport: not_one cannot be used here: it is no HTTP round tripper`},
		{"unknown field in the transport", `{"provider":"openai","transport":{"protocol":"http","nope":1}}`, `transport: json: unknown field "nope"`},
		{"proxy protocol", `{"provider":"openai","transport":{"protocol":"http","proxy_protocol":"v1"}}`, `transport.proxy_protocol: works in reverse_proxy only`},
		{"connect set twice", `{"provider":"openai","timeouts":{"connect":"1s"},"transport":{"protocol":"http","dial_timeout":"1s"}}`, `transport.dial_timeout: is the same as timeouts.connect`},
		{"handshake set twice", `{"provider":"openai","timeouts":{"tls_handshake":"1s"},"transport":{"protocol":"http","tls":{"handshake_timeout":"1s"}}}`, `transport.tls.handshake_timeout: is the same as timeouts.tls_handshake`},
		{"request placeholder in the server name", `{"provider":"openai","transport":{"protocol":"http","tls":{"server_name":"{http.request.host}"}}}`, `transport.tls.server_name: only global placeholders`},
		{"connect without connections", `{"provider":"demo","timeouts":{"connect":"1s"}}`, `timeouts.connect: the transport ai_gateway_demo has no such limit`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := provision(t, "mine", tc.config)
			if err == nil {
				t.Fatalf("got no error, want %q", tc.want)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %q\nwant %q", err, tc.want)
			}
			for _, secret := range []string{"secret-value", "12345678"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q holds the secret", err)
				}
			}
		})
	}
}

func TestPresets(t *testing.T) {
	type want struct {
		chat, messages, responses, gemini string

		key            string // as sent, of the value "k"
		legacy, noOpts bool
	}
	wants := map[string]want{
		"openai":       {chat: "https://api.openai.com/v1/chat/completions", responses: "https://api.openai.com/v1/responses", key: "Authorization: Bearer k"},
		"anthropic":    {messages: "https://api.anthropic.com/v1/messages", key: "X-Api-Key: k"},
		"gemini":       {gemini: "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent", key: "X-Goog-Api-Key: k"},
		"openrouter":   {chat: "https://openrouter.ai/api/v1/chat/completions", messages: "https://openrouter.ai/api/v1/messages", responses: "https://openrouter.ai/api/v1/responses", key: "Authorization: Bearer k"},
		"groq":         {chat: "https://api.groq.com/openai/v1/chat/completions", responses: "https://api.groq.com/openai/v1/responses", key: "Authorization: Bearer k"},
		"mistral":      {chat: "https://api.mistral.ai/v1/chat/completions", key: "Authorization: Bearer k", legacy: true, noOpts: true},
		"deepseek":     {chat: "https://api.deepseek.com/chat/completions", messages: "https://api.deepseek.com/anthropic/v1/messages", key: "Authorization: Bearer k", legacy: true},
		"xai":          {chat: "https://api.x.ai/v1/chat/completions", responses: "https://api.x.ai/v1/responses", key: "Authorization: Bearer k"},
		"together":     {chat: "https://api.together.ai/v1/chat/completions", key: "Authorization: Bearer k", legacy: true},
		"fireworks":    {chat: "https://api.fireworks.ai/inference/v1/chat/completions", messages: "https://api.fireworks.ai/inference/v1/messages", responses: "https://api.fireworks.ai/inference/v1/responses", key: "Authorization: Bearer k", legacy: true},
		"cerebras":     {chat: "https://api.cerebras.ai/v1/chat/completions", key: "Authorization: Bearer k"},
		"perplexity":   {chat: "https://api.perplexity.ai/chat/completions", key: "Authorization: Bearer k", legacy: true},
		"azure_openai": {chat: "https://me.openai.azure.com/openai/v1/chat/completions", responses: "https://me.openai.azure.com/openai/v1/responses", key: "Api-Key: k"},
		"ollama":       {chat: "http://localhost:11434/v1/chat/completions", messages: "http://localhost:11434/v1/messages", responses: "http://localhost:11434/v1/responses", key: "Authorization: Bearer k", legacy: true},
		"vllm":         {chat: "http://localhost:8000/v1/chat/completions", messages: "http://localhost:8000/v1/messages", responses: "http://localhost:8000/v1/responses", key: "Authorization: Bearer k"},
		"lmstudio":     {chat: "http://localhost:1234/v1/chat/completions", messages: "http://localhost:1234/v1/messages", responses: "http://localhost:1234/v1/responses", key: "Authorization: Bearer k", legacy: true},
		"demo":         {chat: "http://demo.invalid/v1/chat/completions", messages: "http://demo.invalid/v1/messages", responses: "http://demo.invalid/v1/responses", gemini: "http://demo.invalid/v1beta/models/m:generateContent", key: "Authorization: Bearer k"},
	}
	for _, name := range Providers() {
		t.Run(name, func(t *testing.T) {
			want, ok := wants[name]
			if !ok {
				t.Fatal("the preset has no expectation")
			}
			u := &Upstream{CredentialsRaw: []json.RawMessage{PresetCredential(name, "k")}}
			if name == "azure_openai" {
				u.BaseURL = "https://me.openai.azure.com"
			}
			ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer cancel()
			if err := u.Provision(ctx, name); err != nil {
				t.Fatal(err)
			}
			if reason := u.Unavailable(); reason != "" {
				t.Errorf("unavailable: %s", reason)
			}
			for f, address := range map[format.ID]string{
				format.OpenAIChat: want.chat, format.AnthropicMessages: want.messages,
				format.OpenAIResponses: want.responses, format.Gemini: want.gemini,
			} {
				if u.Speaks(f) != (address != "") {
					t.Errorf("speaks %s: got %t", f, u.Speaks(f))
				}
				if address == "" {
					continue
				}
				r := requestOf(t, u, &Call{Format: f, Model: "m"})
				if got := r.URL.String(); got != address {
					t.Errorf("%s: got %s, want %s", f, got, address)
				}
				key, value, _ := strings.Cut(want.key, ": ")
				if got := r.Header.Get(key); got != value {
					t.Errorf("%s: got %s %q, want %q", f, key, got, value)
				}
			}
			target := u.Target("m")
			if target.Model != "m" || target.LegacyMaxTokens != want.legacy || target.NoStreamOptions != want.noOpts {
				t.Errorf("target: got %+v", target)
			}
		})
	}
}

func TestPresetChoice(t *testing.T) {
	for _, tc := range []struct {
		name, upstream, config, want string
	}{
		{"by the upstream's name", "groq", `{}`, "https://api.groq.com/openai/v1/chat/completions"},
		{"the provider wins over the name", "groq", `{"provider":"mistral"}`, "https://api.mistral.ai/v1/chat/completions"},
		{"hyphens", "a", `{"provider":"azure-openai","base_url":"https://x.openai.azure.com/openai"}`, "https://x.openai.azure.com/openai/v1/chat/completions"},
		{"own address", "openai", `{"base_url":"http://10.0.0.1:8000"}`, "http://10.0.0.1:8000/v1/chat/completions"},
		{"the demo transport says enough", "toy", `{"transport":{"protocol":"ai_gateway_demo"}}`, "http://demo.invalid/v1/chat/completions"},
		{"no preset", "spare", `{"base_url":"http://10.0.0.1:8000/v1"}`, "http://10.0.0.1:8000/v1/chat/completions"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, tc.upstream, tc.config)
			if got := u.endpoints[format.OpenAIChat].url.String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestQuirksWithoutPreset(t *testing.T) {
	for _, tc := range []struct {
		name, url      string
		legacy, noOpts bool
	}{
		{"unknown server", "http://10.0.0.1:8000", true, false},
		{"local server", "http://localhost:8000", true, false},
		{"the provider's host", "https://api.openai.com/v1", false, false},
		{"a provider's host with quirks", "https://api.mistral.ai/v1", true, true},
		{"azure", "https://x.openai.azure.com/openai/v1", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := mustProvision(t, "mine", `{"base_url":"`+tc.url+`"}`).Target("m")
			if got.LegacyMaxTokens != tc.legacy || got.NoStreamOptions != tc.noOpts {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	t.Setenv("FULL", "something")
	t.Setenv("BLANK", " ")
	for _, tc := range []struct {
		name, config, want string
	}{
		{"available", `{"provider":"openai","credentials":[{"type":"bearer","token":"{env.FULL}"}]}`, ""},
		{"disabled", `{"provider":"openai","disabled":true,"credentials":[{"type":"bearer","token":"{env.NO_SUCH}"}]}`, "disabled"},
		{"token", `{"provider":"openai","credentials":[{"type":"bearer","token":"{env.NO_SUCH}"}]}`, "not configured: credential {env.NO_SUCH} is empty"},
		{"blank token", `{"provider":"openai","credentials":[{"type":"bearer","token":"{env.BLANK}"}]}`, "not configured: credential {env.BLANK} is empty"},
		{"file", `{"provider":"openai","credentials":[{"type":"header","name":"api-key","value":"{file./no/such-file}"}]}`, "not configured: credential {file./no/such-file} is empty"},
		{"secret in braces", `{"provider":"openai","credentials":[{"type":"bearer","token":"{secret-value}"}]}`, "not configured: credential placeholder is empty"},
		{"address", `{"base_url":"{env.NO_SUCH}"}`, "not configured: base_url {env.NO_SUCH} is empty"},
		{"part of the address", `{"base_url":"https://{env.NO_SUCH}/v1"}`, "not configured: base_url {env.NO_SUCH} is empty"},
		{"address of a preset", `{"provider":"openai","base_url":"{env.NO_SUCH}"}`, "not configured: base_url {env.NO_SUCH} is empty"},
		{"address of a format", `{"provider":"vllm","format_urls":{"anthropic_messages":"{env.NO_SUCH}"}}`, "not configured: format_urls.anthropic_messages {env.NO_SUCH} is empty"},
		{"the first is told", `{"base_url":"{env.NO_SUCH}","credentials":[{"type":"bearer","token":"{env.NO_SUCH}"}]}`, "not configured: base_url {env.NO_SUCH} is empty"},
		{"empty header", `{"provider":"openai","headers":{"X-A":["{env.NO_SUCH}"]}}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "mine", tc.config)
			if got := u.Unavailable(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if tc.want == "" {
				return
			}
			if _, err := u.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: new(format.Body)}); err == nil {
				t.Error("Do: got no error")
			}
		})
	}
}

func TestFormatFor(t *testing.T) {
	both := mustProvision(t, "a", `{"base_url":"http://h","formats":["anthropic_messages","openai_chat"]}`)
	one := mustProvision(t, "b", `{"base_url":"http://h"}`)
	for _, tc := range []struct {
		name   string
		u      *Upstream
		client format.ID
		op     format.Operation
		want   format.ID
		ok     bool
	}{
		{"the client's own", both, format.OpenAIChat, format.OperationChat, format.OpenAIChat, true},
		{"the other", both, format.AnthropicMessages, format.OperationChat, format.AnthropicMessages, true},
		{"translated", one, format.AnthropicMessages, format.OperationChat, format.OpenAIChat, true},
		{"unknown client format", both, "other", format.OperationChat, format.AnthropicMessages, true},
		{"operation not served", both, format.OpenAIChat, format.OperationListModels, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := tc.u.FormatFor(tc.client, tc.op); got != tc.want || ok != tc.ok {
				t.Errorf("got %q, %t", got, ok)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		stream       bool
		want         Limits
	}{
		{"chat", `{"base_url":"http://h"}`, false, Limits{Header: 300 * time.Second, Total: 600 * time.Second}},
		{"stream", `{"base_url":"http://h"}`, true, Limits{60 * time.Second, 120 * time.Second, 90 * time.Second, time.Hour}},
		{"all set", `{"base_url":"http://h","timeouts":{"connect":"1s","tls_handshake":"2s","response_header":"3s","first_content":"4s","idle":"5s","total":"6s"}}`, true, Limits{3 * time.Second, 4 * time.Second, 5 * time.Second, 6 * time.Second}},
		{"all set, no stream", `{"base_url":"http://h","timeouts":{"response_header":"3s","first_content":"4s","idle":"5s","total":"6s"}}`, false, Limits{Header: 3 * time.Second, Total: 6 * time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := mustProvision(t, "mine", tc.config).Limits(format.OperationChat, tc.stream); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
	got := mustProvision(t, "mine", `{"base_url":"http://h"}`).Limits(format.OperationListModels, false)
	if want := (Limits{Header: 15 * time.Second, Total: 15 * time.Second}); got != want {
		t.Errorf("model list: got %+v, want %+v", got, want)
	}
}

func TestCleanupOfHalfBuilt(t *testing.T) {
	for _, u := range []*Upstream{nil, {}, {name: "x"}} {
		if err := u.Cleanup(); err != nil {
			t.Errorf("got %v", err)
		}
	}
}
