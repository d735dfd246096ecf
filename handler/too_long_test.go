package handler

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// The refusals of prompts that are too long, in the words of Chat's servers.
const (
	tooLongBody  = `{"error":{"message":"This model's maximum context length is 1000 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}`
	tooLargeBody = `{"error":{"message":"Request body too large"}}`
)

// TestTooLongGoesToLargerWindows shows which sources get a request that is too long
// for another: those that declare a larger window.
func TestTooLongGoesToLargerWindows(t *testing.T) {
	tooLong := answer(400, "application/json", tooLongBody)
	tooLarge := answer(413, "application/json", tooLargeBody)
	fine := answer(200, "application/json", chatAnswer)
	broken := answer(500, "application/json", `{}`)
	type source struct {
		window int
		answer roundTrip
	}
	for _, tc := range []struct {
		name    string
		sources []source
		status  int
		asked   string // which sources, in order
	}{
		{"larger", []source{{1000, tooLong}, {2000, fine}}, 200, "01"},
		{"larger for a body", []source{{1000, tooLarge}, {2000, fine}}, 200, "01"},
		{"as large", []source{{1000, tooLong}, {1000, fine}}, 400, "0"},
		{"smaller", []source{{1000, tooLong}, {999, fine}}, 400, "0"},
		{"not known", []source{{1000, tooLong}, {0, fine}}, 400, "0"},
		{"not known of the first", []source{{0, tooLong}, {2000, fine}}, 400, "0"},
		{"a body, not known", []source{{0, tooLarge}, {2000, fine}}, 413, "0"},
		{"over one that is smaller", []source{{1000, tooLong}, {500, fine}, {2000, fine}}, 200, "02"},
		{"twice", []source{{1000, tooLong}, {2000, tooLong}, {1500, fine}, {3000, fine}}, 200, "013"},
		{"too long for all", []source{{1000, tooLong}, {2000, tooLarge}}, 413, "01"},
		{"another failure first", []source{{0, broken}, {1000, tooLong}, {2000, fine}}, 200, "012"},
		{"another failure then", []source{{1000, tooLong}, {2000, broken}, {1000, fine}, {3000, fine}}, 200, "013"},
		{"the last word, after a repeat", []source{{1000, tooLong}, {2000, broken}}, 500, "011"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := ""
			var sources []stubSource
			for i, s := range tc.sources {
				sources = append(sources, stubSource{
					formats: one(format.OpenAIChat),
					edit:    func(d *routing.Source) { d.ContextWindow = s.window },
					answer: func(r *http.Request) (*http.Response, error) {
						asked += string(rune('0' + i))
						return s.answer(r)
					},
				})
			}
			w := serve(t, newGateway(t, nil, sources...), post("/v1/chat/completions", chatRequest))
			if w.Code != tc.status || asked != tc.asked {
				t.Errorf("status %d after %q, want %d after %q: %s", w.Code, asked, tc.status, tc.asked, w.Body)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("no JSON: %s", w.Body)
			}
		})
	}
}

// TestTooLongInEveryFormat shows that each format's way to say it is understood, also
// in a stream that has said nothing yet, and that the client's error is its own.
func TestTooLongInEveryFormat(t *testing.T) {
	for _, tc := range []struct {
		name, contentType string
		upstream          format.ID
		status            int
		body              string
		stream            bool
	}{
		{"Chat", "application/json", format.OpenAIChat, 400, tooLongBody, false},
		{"Responses", "application/json", format.OpenAIResponses, 400, tooLongBody, false},
		{"Responses in a stream", "text/event-stream", format.OpenAIResponses, 200, "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"object\":\"response\",\"created_at\":1,\"model\":\"real\",\"status\":\"failed\",\"output\":[],\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"Your input exceeds the context window of this model.\"}}}\n\n", true},
		{"Messages", "application/json", format.AnthropicMessages, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 200001 tokens > 200000 maximum"}}`, false},
		{"Messages, a body", "application/json", format.AnthropicMessages, 413, `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`, false},
		{"Gemini", "application/json", format.Gemini, 400, `{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			window := func(n int) func(*routing.Source) {
				return func(s *routing.Source) { s.ContextWindow = n }
			}
			backup, backupType, request := chatAnswer, "application/json", chatRequest
			if tc.stream {
				backup, backupType, request = chatStream, "text/event-stream", chatStreamRequest
			}
			first := stubSource{formats: one(tc.upstream), edit: window(10), answer: answer(tc.status, tc.contentType, tc.body)}
			second := stubSource{formats: one(format.OpenAIChat), edit: window(20), answer: answer(200, backupType, backup)}
			w := serve(t, newGateway(t, nil, first, second), post("/v1/chat/completions", request))
			if w.Code != 200 || w.Header().Get("X-Selected-Provider") != "u1" || !strings.Contains(w.Body.String(), "hello") {
				t.Errorf("with a larger window: status %d from %q: %s", w.Code, w.Header().Get("X-Selected-Provider"), w.Body)
			}
			second.edit = window(10)
			w = serve(t, newGateway(t, nil, first, second), post("/v1/chat/completions", request))
			if want := max(tc.status, 400); w.Code != want || w.Header().Get("X-Gateway-Attempts") != "1" || w.Header().Get("X-Should-Retry") != "false" {
				t.Errorf("without: status %d after %s attempts, retry %q: %s", w.Code, w.Header().Get("X-Gateway-Attempts"), w.Header().Get("X-Should-Retry"), w.Body)
			}
		})
	}
}

// TestTooLongLeavesATrace shows that a request which leaves a trace stays where it was
// asked: an answer of the upstream proves nothing about what it has kept.
func TestTooLongLeavesATrace(t *testing.T) {
	window := func(n int) func(*routing.Source) { return func(s *routing.Source) { s.ContextWindow = n } }
	h := newGateway(t, nil,
		stubSource{formats: one(format.OpenAIResponses), edit: window(10), answer: answer(400, "application/json", tooLongBody)},
		stubSource{formats: one(format.OpenAIResponses), edit: window(20), answer: answer(200, "application/json", responsesAnswer)})
	w := serve(t, h, post("/v1/responses", `{"model":"m","store":true,"input":"hi"}`))
	if w.Code != 400 || w.Header().Get("X-Gateway-Attempts") != "1" {
		t.Errorf("status %d after %s attempts: %s", w.Code, w.Header().Get("X-Gateway-Attempts"), w.Body)
	}
}
