package handler

import (
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// TestOnlySignedRequestsLoseSignatures shows that an upstream which complains about a
// signature is asked once more only if it has got one: otherwise the request that it
// would get is the same, and so would be its answer.
func TestOnlySignedRequestsLoseSignatures(t *testing.T) {
	const complaint = `{"error":{"message":"the parameter signature is wrong"}}`
	foreign := strconv.Quote(chat.TagSignature("gemini", chat.Quote("mine")).String())
	own := strconv.Quote(chat.TagSignature("anthropic_messages", chat.Quote("mine")).String())
	messages := func(block string) string {
		return `{"model":"m","max_tokens":64,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[` + block +
			`{"type":"text","text":"x"}]},{"role":"user","content":"more"}]}`
	}
	responses := func(item string) string {
		return `{"model":"m","input":[{"role":"user","content":"hi"},` + item + `{"role":"user","content":"more"}]}`
	}
	gemini := func(member string) string {
		return `{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"x"` + member + `}]},{"role":"user","parts":[{"text":"more"}]}]}`
	}
	const generate = "/v1beta/models/m:generateContent"
	for _, tc := range []struct {
		name     string
		upstream format.ID
		path     string
		body     string
		calls    int
	}{
		{"Messages without", format.AnthropicMessages, "/v1/messages", messages(""), 1},
		{"Messages that speaks of one", format.AnthropicMessages, "/v1/messages", strings.Replace(messages(""), "hi", `\"signature\"`, 1), 1},
		{"Messages with thinking", format.AnthropicMessages, "/v1/messages", messages(`{"type":"thinking","thinking":"hm","signature":"s"},`), 2},
		{"Messages with sealed thinking", format.AnthropicMessages, "/v1/messages", messages(`{"type":"redacted_thinking","data":"d"},`), 2},
		{"Responses without", format.OpenAIResponses, "/v1/responses", responses(""), 1},
		{"Responses with a summary only", format.OpenAIResponses, "/v1/responses", responses(`{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":null},`), 1},
		{"Responses with sealed reasoning", format.OpenAIResponses, "/v1/responses", responses(`{"type":"reasoning","summary":[],"encrypted_content":"sealed"},`), 2},
		{"Gemini without", format.Gemini, generate, gemini(""), 1},
		{"Gemini with the placeholder", format.Gemini, generate, gemini(`,"thoughtSignature":"skip_thought_signature_validator"`), 1},
		{"Gemini with one", format.Gemini, generate, gemini(`,"thoughtSignature":"c2ln"`), 2},
		{"Chat", format.OpenAIChat, "/v1/chat/completions", chatRequest, 1},
		{"Messages on Chat drops it", format.OpenAIChat, "/v1/messages", messages(`{"type":"thinking","thinking":"hm","signature":"s"},`), 1},
		{"Responses on Messages without", format.AnthropicMessages, "/v1/responses", responses(""), 1},
		{"Responses on Messages with another's", format.AnthropicMessages, "/v1/responses", responses(`{"type":"reasoning","summary":[],"encrypted_content":` + foreign + `},{"role":"assistant","content":"x"},`), 1},
		{"Responses on Messages with its own", format.AnthropicMessages, "/v1/responses", responses(`{"type":"reasoning","summary":[],"encrypted_content":` + own + `},{"role":"assistant","content":"x"},`), 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen recorded
			h := newHandler(t, tc.upstream, seen.then(answer(400, "application/json", complaint)))
			if w := serve(t, h, post(tc.path, tc.body)); w.Code != 400 || seen.calls != tc.calls {
				t.Errorf("status %d after %d calls, want 400 after %d: %s", w.Code, seen.calls, tc.calls, w.Body)
			}
		})
	}
}
