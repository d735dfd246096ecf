package upstream

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

func TestCredentialSources(t *testing.T) {
	t.Setenv("KEY", "from-env")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from-file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, credential, header, want string }{
		{"literal", `{"type":"bearer","token":"tok"}`, "Authorization", "Bearer tok"},
		{"environment", `{"type":"bearer","token":"{env.KEY}"}`, "Authorization", "Bearer from-env"},
		{"file", `{"type":"header","name":"x-key","value":"{file.` + file + `}"}`, "X-Key", "from-file"},
		{"mixed", `{"type":"header","name":"authorization","value":"Basic {env.KEY}"}`, "Authorization", "Basic from-env"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "mine", `{"base_url":"http://h","credentials":[`+tc.credential+`]}`)
			r := requestOf(t, u, &Call{Format: format.OpenAIChat})
			if got := r.Header.Get(tc.header); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCredentialDoesNotAllocate(t *testing.T) {
	u := mustProvision(t, "openai", `{"credentials":[{"type":"bearer","token":"tok"}]}`)
	r := &http.Request{Header: http.Header{"Authorization": nil}}
	if n := testing.AllocsPerRun(100, func() { _ = u.authorise(t.Context(), r, new(Call)) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func TestPresetCredential(t *testing.T) {
	const bearer, key, goog = `{"type":"bearer","token":"k"}`, `{"type":"header","name":"X-Api-Key","value":"k"}`, `{"type":"header","name":"X-Goog-Api-Key","value":"k"}`
	for _, tc := range []struct {
		provider, value string
		formats         []format.ID
		want            string
	}{
		{"openai", "{env.K}", nil, `{"type":"bearer","token":"{env.K}"}`},
		{"anthropic", "k", nil, key},
		{"azure-openai", "k", nil, `{"type":"header","name":"Api-Key","value":"k"}`},
		{"", `a"b`, nil, `{"type":"bearer","token":"a\"b"}`},
		{"unheard of", "k", nil, bearer},
		{"unheard of", "k", []format.ID{format.OpenAIChat, format.AnthropicMessages}, bearer},
		{"unheard of", "k", []format.ID{format.AnthropicMessages, format.OpenAIChat}, key},
		{"unheard of", "k", []format.ID{format.Gemini}, goog},
		{"unheard of", "k", []format.ID{format.GeminiEmbeddings}, goog},
		{"openai", "k", []format.ID{format.AnthropicMessages}, bearer},
		{"anthropic", "k", []format.ID{format.OpenAIChat}, key},
	} {
		if got := string(PresetCredential(tc.provider, tc.value, tc.formats...)); got != tc.want {
			t.Errorf("%s %v: got %s, want %s", tc.provider, tc.formats, got, tc.want)
		}
	}
}

func TestCredentialCaddyfile(t *testing.T) {
	for _, tc := range []struct{ name, input, want, err string }{
		{"bearer", "bearer tok", `{"token":"tok"}`, ""},
		{"header", "header x-api-key tok", `{"name":"x-api-key","value":"tok"}`, ""},
		{"bearer without a token", "bearer", "", "bearer takes one token, but has 0 arguments"},
		{"bearer with two", "bearer secret-value more", "", "bearer takes one token, but has 2 arguments"},
		{"header without a value", "header secret-value", "", "header takes a name and a value, but has 1 arguments"},
		{"header with three", "header a b secret-value", "", "header takes a name and a value, but has 3 arguments"},
		{"block", "bearer a {\n secret-value\n}", "", "bearer takes no block"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var guest caddyfile.Unmarshaler = new(BearerCredential)
			if strings.HasPrefix(tc.input, "header") {
				guest = new(HeaderCredential)
			}
			err := guest.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tc.input))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "secret-value") {
					t.Errorf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(guest); string(got) != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
