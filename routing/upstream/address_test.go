package upstream

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// TestModelAddresses shows the addresses of formats that name the model in the
// path.
func TestModelAddresses(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://h/v1beta","formats":["gemini","anthropic_messages","openai_responses"]}`)
	for _, tc := range []struct {
		name string
		call Call
		want string
	}{
		{"plain", Call{Model: "gemini-3"}, "http://h/v1beta/models/gemini-3:generateContent"},
		{"stream", Call{Model: "gemini-3", Stream: true}, "http://h/v1beta/models/gemini-3:streamGenerateContent?alt=sse"},
		{"count", Call{Model: "gemini-3", Operation: format.OperationCountTokens}, "http://h/v1beta/models/gemini-3:countTokens"},
		{"verb", Call{Model: "e", Verb: "embedContent"}, "http://h/v1beta/models/e:embedContent"},
		{"prefix", Call{Model: "models/gemini-3"}, "http://h/v1beta/models/gemini-3:generateContent"},
		{"tuned", Call{Model: "tunedModels/mine"}, "http://h/v1beta/tunedModels/mine:generateContent"},
		{"slash", Call{Model: "google/gemini-3"}, "http://h/v1beta/models/google/gemini-3:generateContent"},
		{"space and percent", Call{Model: "a b%2F?#"}, "http://h/v1beta/models/a%20b%252F%3F%23:generateContent"},
		{"dots", Call{Model: "../../secret"}, "http://h/v1beta/models/%2E%2E/%2E%2E/secret:generateContent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.call.Format = format.Gemini
			if got := requestOf(t, u, &tc.call).URL.String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	for f, want := range map[format.ID]string{
		format.AnthropicMessages: "http://h/v1beta/messages/count_tokens",
		format.OpenAIResponses:   "http://h/v1beta/responses/input_tokens",
	} {
		if got := requestOf(t, u, &Call{Format: f, Operation: format.OperationCountTokens}).URL.String(); got != want {
			t.Errorf("counting in %s: got %s, want %s", f, got, want)
		}
	}
}

func TestQuirks(t *testing.T) {
	target := mustProvision(t, "mine", `{"base_url":"http://h","quirks":["-max_tokens_only","no_stream_options","reasoning_content_back","gemini_schemas","cache_marks"]}`).Target("m")
	if target.LegacyMaxTokens || !target.NoStreamOptions || !target.ReasoningContent || !target.OwnSchemas || !target.CacheMarks {
		t.Errorf("got %+v", target)
	}
	u := &Upstream{BaseURL: "http://h", Quirks: []string{"max_tokens_only", "x"}}
	if _, err := u.Check("mine"); err == nil || !strings.HasPrefix(err.Error(), `quirks[1]: unknown quirk "x"; known: cache_marks, `) {
		t.Errorf("error is %v", err)
	}
	if v := mustProvision(t, "mine", `{"base_url":"http://h","formats":["anthropic_messages"],"headers":{"anthropic-version":["2026-10-21"]}}`).Target("m").AnthropicVersion; v != "2026-10-21" {
		t.Errorf("anthropic-version is %q", v)
	}
}
