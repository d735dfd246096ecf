package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/gemini"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// stubSource is a source whose upstream is a function.
type stubSource struct {
	formats []format.ID
	model   string
	edit    func(*routing.Source)
	answer  roundTrip
}

// newGateway returns a handler with a model "m" of these sources, in order of
// priority. edit may change the model.
func newGateway(tb testing.TB, edit func(*routing.Model), sources ...stubSource) *Handler {
	tb.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	upstreams := make(map[string]*upstream.Upstream)
	model := new(routing.Model)
	for i, s := range sources {
		name := fmt.Sprintf("u%d", i)
		key := tb.Name() + name
		stubs.Store(key, s.answer)
		u := &upstream.Upstream{
			BaseURL: "http://upstream.example", Formats: s.formats, Quirks: []string{"-max_tokens_only"},
			TransportRaw: []byte(fmt.Sprintf(`{"protocol":"handler_stub","name":%q}`, key)),
		}
		if err := u.Provision(ctx, name); err != nil {
			tb.Fatal(err)
		}
		upstreams[name] = u
		source := routing.Source{Upstream: name, Model: s.model, Priority: i + 1}
		if s.model == "" {
			source.Model = "real"
		}
		if s.edit != nil {
			s.edit(&source)
		}
		model.Sources = append(model.Sources, source)
	}
	if edit != nil {
		edit(model)
	}
	snapshot, err := routing.NewSnapshot(routing.Definitions{Upstreams: upstreams, Models: map[string]*routing.Model{"m": model, "other": model}})
	if err != nil {
		tb.Fatal(err)
	}
	return &Handler{gateway: &stubGateway{snapshot}, logger: zap.NewNop()}
}

// one is the list of a single format.
func one(f format.ID) []format.ID { return []format.ID{f} }

// recorded is an upstream that keeps the last request.
type recorded struct {
	url, body string
	header    http.Header
	calls     int
}

// then answers with another function after taking note of the request.
func (r *recorded) then(next roundTrip) roundTrip {
	return func(request *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		r.url, r.body, r.header = request.URL.String(), string(body), request.Header
		r.calls++
		return next(request)
	}
}

const (
	geminiRequest = `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`
	geminiAnswer  = `{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"real","responseId":"r"}`
	geminiStream  = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hel\"}]},\"index\":0}],\"modelVersion\":\"real\"}\n\n" +
		"data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"lo\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2,\"totalTokenCount\":5},\"modelVersion\":\"real\"}\n\n"
	responsesRequest = `{"model":"m","input":"hi"}`
	responsesAnswer  = `{"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"model":"real","output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}}`
	messagesRequest  = `{"model":"m","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}`
	messagesAnswer   = `{"id":"msg_1","type":"message","role":"assistant","model":"real","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`
)

// TestGeminiPath shows that the model and the kind of answer are taken from the
// path, and that the upstream gets its own model in its path.
func TestGeminiPath(t *testing.T) {
	for _, tc := range []struct{ path, answer, contentType, want, url string }{
		{"/v1beta/models/m:generateContent", geminiAnswer, "application/json", geminiAnswer, "models/real:generateContent"},
		{"/v1/models/m:generateContent?key=secret", geminiAnswer, "application/json", geminiAnswer, "models/real:generateContent"},
		{"/v1beta/models/m:streamGenerateContent?alt=sse", geminiStream, "text/event-stream", geminiStream, "models/real:streamGenerateContent?alt=sse"},
		{"/v1beta/models/models%2Fm%3AgenerateContent", geminiAnswer, "application/json", geminiAnswer, "models/real:generateContent"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			var seen recorded
			h := newGateway(t, nil, stubSource{formats: one(format.Gemini), answer: seen.then(answer(200, tc.contentType, tc.answer))})
			w := serve(t, h, post(tc.path, geminiRequest))
			if w.Code != 200 || w.Body.String() != tc.want {
				t.Errorf("status %d, body %s", w.Code, w.Body)
			}
			if want := "http://upstream.example/v1beta/" + tc.url; seen.url != want || seen.body != geminiRequest {
				t.Errorf("asked %s with %s, want %s", seen.url, seen.body, want)
			}
		})
	}
}

// TestGeminiArray shows the stream of a client that does not ask for events.
func TestGeminiArray(t *testing.T) {
	for name, source := range map[string]stubSource{
		"same format": {formats: one(format.Gemini), answer: answer(200, "text/event-stream", geminiStream)},
		"translated":  {formats: one(format.OpenAIChat), answer: answer(200, "text/event-stream", chatStream)},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, newGateway(t, nil, source), post("/v1beta/models/m:streamGenerateContent", geminiRequest))
			if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type is %s", got)
			}
			var chunks []struct {
				Candidates []struct {
					Content      struct{ Parts []struct{ Text string } }
					FinishReason string
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &chunks); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			text, finish := "", ""
			for _, c := range chunks {
				for _, p := range c.Candidates[0].Content.Parts {
					text += p.Text
				}
				finish += c.Candidates[0].FinishReason
			}
			if text != "hello" || finish != "STOP" {
				t.Errorf("text %q, finish %q", text, finish)
			}
		})
	}
	t.Run("broken", func(t *testing.T) {
		cut, _, _ := strings.Cut(geminiStream, "\n\n")
		source := stubSource{formats: one(format.Gemini), answer: answer(200, "text/event-stream", cut+"\n\n")}
		w := serve(t, newGateway(t, nil, source), post("/v1beta/models/m:streamGenerateContent", geminiRequest))
		var chunks []map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &chunks); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		if len(chunks) != 2 || chunks[1]["error"] == nil {
			t.Errorf("got %v, want a chunk and an error", chunks)
		}
	})
}

// TestUpgradeIsRefused shows that a websocket on Responses is answered so that
// clients fall back at once.
func TestUpgradeIsRefused(t *testing.T) {
	h := newGateway(t, nil, stubSource{formats: one(format.OpenAIResponses), answer: answer(200, "application/json", responsesAnswer)})
	r := httptest.NewRequest(http.MethodGet, "/v1/responses", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	w := serve(t, h, r)
	if w.Code != http.StatusUpgradeRequired || !strings.Contains(w.Body.String(), "send the request as an HTTP POST") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if w := serve(t, h, httptest.NewRequest(http.MethodGet, "/v1/responses", nil)); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("without an upgrade: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// TestRefusedSignatures shows that a request is sent once more without the
// signatures of thoughts when a source refuses them.
func TestRefusedSignatures(t *testing.T) {
	const refusal = `{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0: Invalid ` + "`signature`" + ` in ` + "`thinking`" + ` block"}}`
	const start = `{"model":"real","max_tokens":64,"messages":[{"role":"user","content":"hi"}, {"role":"assistant","content":[`
	const end = `]},{"role":"user","content":"more"}]}`
	const thinking, text = `{"type":"thinking","thinking":"hm","signature":"s"}`, `{"type":"text","text":"x"}`
	for _, tc := range []struct{ name, blocks, want string }{
		{"in front", thinking + ", " + text, text},
		{"at the end", text + " , " + thinking + " ", text},
		{"between", text + "," + thinking + "," + thinking + "," + text, text + "," + text},
		{"around", thinking + "," + text + "," + `{"type":"redacted_thinking","data":"d"}`, text},
		{"alone", thinking, `{"type":"text","text":"."}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var bodies []string
			h := newHandler(t, format.AnthropicMessages, func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				bodies = append(bodies, string(body))
				if strings.Contains(string(body), "thinking") {
					return answer(400, "application/json", refusal)(r)
				}
				return answer(200, "application/json", messagesAnswer)(r)
			})
			w := serve(t, h, post("/v1/messages", strings.Replace(start+tc.blocks+end, "real", "m", 1)))
			if w.Code != 200 || w.Header().Get("X-Gateway-Attempts") != "2" {
				t.Errorf("status %d after %s attempts: %s", w.Code, w.Header().Get("X-Gateway-Attempts"), w.Body)
			}
			if want := start + tc.want + end; len(bodies) != 2 || bodies[1] != want {
				t.Errorf("sent %q, want %s at last", bodies, want)
			}
		})
	}
	signed := strings.Replace(start+thinking+","+text+end, "real", "m", 1)
	t.Run("only once", func(t *testing.T) {
		var seen recorded
		h := newHandler(t, format.AnthropicMessages, seen.then(answer(400, "application/json", refusal)))
		if w := serve(t, h, post("/v1/messages", signed)); w.Code != 400 || seen.calls != 2 {
			t.Errorf("status %d after %d calls", w.Code, seen.calls)
		}
	})
	t.Run("not beyond the attempts", func(t *testing.T) {
		var seen recorded
		h := newHandler(t, format.AnthropicMessages, seen.then(answer(400, "application/json", refusal)))
		h.MaxAttempts = 1
		if w := serve(t, h, post("/v1/messages", signed)); w.Code != 400 || seen.calls != 1 {
			t.Errorf("status %d after %d calls", w.Code, seen.calls)
		}
	})
	t.Run("Gemini", func(t *testing.T) {
		var bodies []string
		h := newHandler(t, format.Gemini, func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			if len(bodies) == 1 {
				return answer(400, "application/json", `{"error":{"code":400,"message":"Thought signature is not valid","status":"INVALID_ARGUMENT"}}`)(r)
			}
			resp, _ := answer(200, "application/json", geminiAnswer)(r)
			return resp, err
		})
		const request = `{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"%s"}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}]}`
		w := serve(t, h, post("/v1beta/models/m:generateContent", fmt.Sprintf(request, "c2ln")))
		if want := fmt.Sprintf(request, "skip_thought_signature_validator"); w.Code != 200 || len(bodies) != 2 || bodies[1] != want {
			t.Errorf("status %d, sent %q", w.Code, bodies)
		}
	})
	t.Run("translated", func(t *testing.T) {
		var bodies []string
		h := newHandler(t, format.AnthropicMessages, func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			if len(bodies) == 1 {
				return answer(400, "application/json", refusal)(r)
			}
			resp, _ := answer(200, "application/json", messagesAnswer)(r)
			return resp, err
		})
		request := `{"model":"m","input":[{"role":"user","content":"hi"},{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":` +
			string(chat.TagSignature("anthropic_messages", chat.Quote("mine"))) + `},{"role":"assistant","content":[{"type":"output_text","text":"x"}]},{"role":"user","content":"more"}]}`
		w := serve(t, h, post("/v1/responses", request))
		if w.Code != 200 || len(bodies) != 2 || !strings.Contains(bodies[0], `"signature":"mine"`) || strings.Contains(bodies[1], "thinking") {
			t.Errorf("status %d, sent %q", w.Code, bodies)
		}
	})
}

// TestResourcesAreNotServed shows that paths of stored answers are told apart from
// paths that are none of the gateway's.
func TestResourcesAreNotServed(t *testing.T) {
	h := newGateway(t, nil, stubSource{formats: one(format.OpenAIResponses), answer: answer(200, "application/json", responsesAnswer)})
	for path, want := range map[string]string{
		"/v1/responses/resp_1":  `"code":"not_found"`,
		"/v1/messages/batches":  `"type":"not_found_error"`,
		"/v1/responses/compact": `"code":"not_found"`,
	} {
		if w := serve(t, h, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != 404 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
	}
	if w := serve(t, h, httptest.NewRequest(http.MethodGet, "/v1/files/file_1", nil)); w.Code != http.StatusTeapot {
		t.Errorf("a path of others: status %d, want that of the next handler", w.Code)
	}
}

// TestUsageIsAskedFor shows that upstreams are asked for token counts in streams,
// and that clients see them only if they asked.
func TestUsageIsAskedFor(t *testing.T) {
	const usage = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n"
	const messages = `"messages":[{"role":"user","content":"hi"}]}`
	full := chatRole + chatWord + chatEnd + usage + chatDone
	for _, tc := range []struct {
		name, body, want string
		shown            bool
	}{
		{"absent", `{"model":"real","stream":true,` + messages, `{"stream_options":{"include_usage":true},"model":"real","stream":true,` + messages, false},
		{"null", `{"model":"real","stream":true,"stream_options":null,` + messages, `{"model":"real","stream":true,"stream_options":{"include_usage":true},` + messages, false},
		{"empty", `{"model":"real","stream":true,"stream_options":{},` + messages, `{"model":"real","stream":true,"stream_options":{"include_usage":true},` + messages, false},
		{"other", `{"model":"real","stream":true,"stream_options":{"x":1},` + messages, `{"model":"real","stream":true,"stream_options":{"include_usage":true,"x":1},` + messages, false},
		{"false", `{"model":"real","stream":true,"stream_options":{"include_usage":false},` + messages, `{"model":"real","stream":true,"stream_options":{"include_usage":true},` + messages, false},
		{"true", `{"model":"real","stream":true,"stream_options":{"include_usage":true},` + messages, `{"model":"real","stream":true,"stream_options":{"include_usage":true},` + messages, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen recorded
			h := newHandler(t, format.OpenAIChat, seen.then(answer(200, "text/event-stream", full)))
			w := serve(t, h, post("/v1/chat/completions", strings.Replace(tc.body, `"real"`, `"m"`, 1)))
			if seen.body != tc.want {
				t.Errorf("asked with %s, want %s", seen.body, tc.want)
			}
			want := full
			if !tc.shown {
				want = chatStream
			}
			if w.Body.String() != want {
				t.Errorf("got %s, want %s", w.Body, want)
			}
		})
	}
}

// TestUnsupported shows what becomes of a request with something the source's
// format has no place for.
func TestUnsupported(t *testing.T) {
	const request = `{"model":"m","seed":7,"n":1,"prediction":{"type":"content","content":"x"},"messages":[{"role":"user","content":"hi"}]}`
	drop := func(m *routing.Model) { m.OnUnsupported = routing.UnsupportedDrop }
	refuse := func(m *routing.Model) { m.OnUnsupported = routing.UnsupportedError }
	messages := stubSource{formats: one(format.AnthropicMessages), answer: answer(200, "application/json", messagesAnswer)}
	t.Run("dropped", func(t *testing.T) {
		w := serve(t, newGateway(t, nil, messages), post("/v1/chat/completions", request))
		warning := w.Header().Get("X-Gateway-Warning")
		if w.Code != 200 || !strings.Contains(warning, "unsupported:seed") || !strings.Contains(warning, "unsupported:prediction") {
			t.Errorf("status %d, warning %q", w.Code, warning)
		}
	})
	t.Run("hidden", func(t *testing.T) {
		h := newGateway(t, nil, messages)
		h.ExposeHeaders = exposeOff
		if warning := serve(t, h, post("/v1/chat/completions", request)).Header().Get("X-Gateway-Warning"); warning != "" {
			t.Errorf("warning is %q", warning)
		}
	})
	t.Run("refused", func(t *testing.T) {
		w := serve(t, newGateway(t, refuse, messages), post("/v1/chat/completions", request))
		if w.Code != 400 || !strings.Contains(w.Body.String(), "prediction") || w.Header().Get("X-Should-Retry") != "false" {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
	t.Run("refused by the handler, permitted by the model", func(t *testing.T) {
		h := newGateway(t, drop, messages)
		h.OnUnsupported = routing.UnsupportedError
		if w := serve(t, h, post("/v1/chat/completions", request)); w.Code != 200 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
	t.Run("another source can", func(t *testing.T) {
		own := stubSource{formats: one(format.OpenAIChat), answer: answer(200, "application/json", chatAnswer)}
		w := serve(t, newGateway(t, refuse, messages, own), post("/v1/chat/completions", request))
		if w.Code != 200 || w.Header().Get("X-Selected-Provider") != "u1" || w.Header().Get("X-Gateway-Attempts") != "1" {
			t.Errorf("status %d from %s after %s attempts", w.Code, w.Header().Get("X-Selected-Provider"), w.Header().Get("X-Gateway-Attempts"))
		}
	})
	t.Run("after a failure", func(t *testing.T) {
		own := stubSource{formats: one(format.OpenAIChat), answer: answer(503, "application/json", `{}`)}
		w := serve(t, newGateway(t, refuse, own, messages), post("/v1/chat/completions", request))
		if w.Code != 503 || w.Header().Get("X-Selected-Provider") != "u0" {
			t.Errorf("status %d from %s, want what the source that was asked said", w.Code, w.Header().Get("X-Selected-Provider"))
		}
	})
}

// TestTraces shows that a request which leaves a trace at its upstream is not
// sent to another once the first may have begun it.
func TestTraces(t *testing.T) {
	works := stubSource{formats: one(format.OpenAIResponses), answer: answer(200, "application/json", responsesAnswer)}
	fails := func(status int, headers ...string) stubSource {
		return stubSource{formats: one(format.OpenAIResponses), answer: answer(status, "application/json", `{"error":{"message":"no"}}`, headers...)}
	}
	refuses := stubSource{formats: one(format.OpenAIResponses), answer: func(*http.Request) (*http.Response, error) { return nil, io.EOF }}
	for _, tc := range []struct {
		name, body string
		first      stubSource
		want       int
	}{
		{"plain", responsesRequest, fails(500), 200},
		{"stored", `{"model":"m","input":"hi","store":true}`, fails(500), 500},
		{"continued", `{"model":"m","input":"hi","previous_response_id":"resp_0"}`, fails(502), 502},
		{"background", `{"model":"m","input":"hi","background":true}`, fails(500), 500},
		{"stored, not reached", `{"model":"m","input":"hi","store":true}`, refuses, 200},
		{"stored, rate limited", `{"model":"m","input":"hi","store":true}`, fails(429), 200},
		{"stored, told when to come back", `{"model":"m","input":"hi","store":true}`, fails(503, "Retry-After", "3"), 200},
		{"stored, just unavailable", `{"model":"m","input":"hi","store":true}`, fails(503), 503},
		{"stored, overloaded", `{"model":"m","input":"hi","store":true}`, fails(529), 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if w := serve(t, newGateway(t, nil, tc.first, works), post("/v1/responses", tc.body)); w.Code != tc.want {
				t.Errorf("status %d, want %d: %s", w.Code, tc.want, w.Body)
			}
		})
	}
}

// TestPreviousResponse shows that a request which continues a response goes to the
// upstream that issued it.
func TestPreviousResponse(t *testing.T) {
	const id = "resp_of_the_second"
	down := true
	answers := strings.Replace(responsesAnswer, "resp_1", id, 1)
	first := stubSource{formats: one(format.OpenAIResponses), answer: func(r *http.Request) (*http.Response, error) {
		if down {
			return answer(500, "application/json", "{}")(r)
		}
		return answer(200, "application/json", responsesAnswer)(r)
	}}
	second := stubSource{formats: one(format.OpenAIResponses), answer: answer(200, "application/json", answers)}
	h := newGateway(t, nil, first, second)
	if w := serve(t, h, post("/v1/responses", responsesRequest)); w.Code != 200 || w.Header().Get("X-Selected-Provider") != "u1" {
		t.Fatalf("status %d from %s", w.Code, w.Header().Get("X-Selected-Provider"))
	}
	down = false
	const next = `{"model":"m","previous_response_id":"` + id + `","input":"go on"}`
	if w := serve(t, h, post("/v1/responses", next)); w.Code != 200 || w.Header().Get("X-Selected-Provider") != "u1" {
		t.Errorf("continued: status %d from %s, want the upstream that issued the response", w.Code, w.Header().Get("X-Selected-Provider"))
	}
	if w := serve(t, newGateway(t, nil, first), post("/v1/responses", next)); w.Code != 400 || !strings.Contains(w.Body.String(), id) {
		t.Errorf("continued without that upstream: status %d: %s", w.Code, w.Body)
	}
	if w := serve(t, h, post("/v1/responses", `{"model":"m","previous_response_id":"resp_unknown","input":"go on"}`)); w.Code != 200 || w.Header().Get("X-Selected-Provider") != "u0" {
		t.Errorf("unknown: status %d from %s", w.Code, w.Header().Get("X-Selected-Provider"))
	}
}

// TestPreviousResponseOfAStream shows that the id is also taken from streams.
func TestPreviousResponseOfAStream(t *testing.T) {
	const id = "resp_of_a_stream"
	events := "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"" + id + "\",\"status\":\"in_progress\",\"output\":[]}}\n\n" +
		"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":" + strings.Replace(responsesAnswer, "resp_1", id, 1) + "}\n\n"
	h := newGateway(t, nil, stubSource{formats: one(format.OpenAIResponses), answer: answer(200, "text/event-stream", events)})
	if w := serve(t, h, post("/v1/responses", `{"model":"m","stream":true,"input":"hi"}`)); w.Body.String() != events {
		t.Fatalf("got %s", w.Body)
	}
	if upstream, ok := issuers.of(id); !ok || upstream != "u0" {
		t.Errorf("issued by %q, %v", upstream, ok)
	}
}

func TestIssuersForget(t *testing.T) {
	table := issuerTable{upstreams: make(map[string]string)}
	for i := range maxIssuers + 10 {
		table.issued(fmt.Sprintf("resp_%d", i), "u")
	}
	table.issued(strings.Repeat("x", 200), "u")
	if len(table.upstreams) != maxIssuers {
		t.Errorf("%d are remembered, want %d", len(table.upstreams), maxIssuers)
	}
	if _, ok := table.of("resp_9"); ok {
		t.Error("the oldest is still known")
	}
	if _, ok := table.of("resp_10"); !ok {
		t.Error("one of the latest is forgotten")
	}
}

// TestThreads shows that a message thread passes only where all its turns reach
// the same upstream.
func TestThreads(t *testing.T) {
	const thread = `{"model":"m","max_tokens":64,"thread":{"type":"create"},"messages":[{"role":"user","content":"hi"}]}`
	var seen recorded
	own := stubSource{formats: one(format.AnthropicMessages), answer: seen.then(answer(200, "application/json", messagesAnswer))}
	other := stubSource{formats: one(format.OpenAIChat), answer: answer(200, "application/json", chatAnswer)}
	if w := serve(t, newGateway(t, nil, own), post("/v1/messages", thread)); w.Code != 200 || !strings.Contains(seen.body, `"thread":{"type":"create"}`) {
		t.Errorf("one source of the format: status %d, sent %s", w.Code, seen.body)
	}
	for name, h := range map[string]*Handler{
		"another format": newGateway(t, nil, other),
		"two sources":    newGateway(t, nil, own, own),
	} {
		w := serve(t, h, post("/v1/messages", thread))
		var told struct {
			Error struct {
				Type    string
				Details struct {
					ErrorCode   string `json:"error_code"`
					Unsupported []string
				}
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil {
			t.Fatal(err)
		}
		if d := told.Error.Details; w.Code != 400 || told.Error.Type != "invalid_request_error" || d.ErrorCode != "thread_unsupported_request" || len(d.Unsupported) != 1 {
			t.Errorf("%s: status %d: %s", name, w.Code, w.Body)
		}
	}
}

// TestForceStream shows an upstream that is asked for a stream for a client that
// wants none.
func TestForceStream(t *testing.T) {
	force := func(s *routing.Source) { s.ForceStream = true }
	for _, tc := range []struct {
		name, path, body, want string
		source                 stubSource
	}{
		{"same format", "/v1/chat/completions", chatRequest, `"content":"hello"`, stubSource{formats: one(format.OpenAIChat), answer: answer(200, "text/event-stream", chatStream)}},
		{"translated", "/v1/messages", messagesRequest, `"text":"hello"`, stubSource{formats: one(format.OpenAIChat), answer: answer(200, "text/event-stream", chatStream)}},
		{"Gemini", "/v1beta/models/m:generateContent", geminiRequest, `"text":"hello"`, stubSource{formats: one(format.Gemini), answer: answer(200, "text/event-stream", geminiStream)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen recorded
			tc.source.edit = force
			tc.source.answer = seen.then(tc.source.answer)
			w := serve(t, newGateway(t, nil, tc.source), post(tc.path, tc.body))
			if w.Code != 200 || !json.Valid(w.Body.Bytes()) || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if !strings.Contains(seen.body, `"stream":true`) && !strings.Contains(seen.url, ":streamGenerateContent") {
				t.Errorf("asked %s with %s, want a stream", seen.url, seen.body)
			}
		})
	}
}

// TestToolsGoToResponses shows models that take tools in one of their formats
// only.
func TestToolsGoToResponses(t *testing.T) {
	const tools = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]`
	both := []format.ID{format.OpenAIChat, format.OpenAIResponses}
	for _, tc := range []struct{ name, rule, body, path string }{
		{"no tools", "refused", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "/v1/chat/completions"},
		{"tools", "refused", `{"model":"m",` + tools + `,"messages":[{"role":"user","content":"hi"}]}`, "/v1/responses"},
		{"tools and effort", "effort", `{"model":"m","reasoning_effort":"low",` + tools + `,"messages":[{"role":"user","content":"hi"}]}`, "/v1/responses"},
		{"tools without effort", "effort", `{"model":"m",` + tools + `,"messages":[{"role":"user","content":"hi"}]}`, "/v1/chat/completions"},
		{"tools anywhere", "ok", `{"model":"m",` + tools + `,"messages":[{"role":"user","content":"hi"}]}`, "/v1/chat/completions"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen recorded
			rule := func(m *routing.Model) { m.Capability = map[string]string{"chat_tools": tc.rule} }
			answers := func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/v1/responses" {
					return answer(200, "application/json", responsesAnswer)(r)
				}
				return answer(200, "application/json", chatAnswer)(r)
			}
			h := newGateway(t, rule, stubSource{formats: both, answer: seen.then(answers)})
			w := serve(t, h, post("/v1/chat/completions", tc.body))
			if w.Code != 200 || !strings.Contains(w.Body.String(), `"content":"hello"`) {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if want := "http://upstream.example" + tc.path; seen.url != want {
				t.Errorf("asked %s, want %s", seen.url, want)
			}
		})
	}
}

// TestModelLists shows the three shapes of the list of models.
func TestModelLists(t *testing.T) {
	h := newGateway(t, nil, stubSource{formats: one(format.OpenAIChat), answer: answer(200, "application/json", chatAnswer)})
	for _, tc := range []struct{ path, header, want string }{
		{"/v1/models", "", `{"object":"list","data":[{"id":"m","object":"model","created":0,"owned_by":"ai_gateway"},{"id":"other","object":"model","created":0,"owned_by":"ai_gateway"}]}`},
		{"/v1/models", "Anthropic-Version", `{"data":[{"type":"model","id":"m","display_name":"m","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"other","display_name":"other","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"m","last_id":"other"}`},
		{"/v1/models", "X-Goog-Api-Key", geminiList("m", "other")},
		{"/v1beta/models", "", geminiList("m", "other")},
		{"/v1beta/models?pageSize=1", "", strings.TrimSuffix(geminiList("m"), "}") + `,"nextPageToken":"m"}`},
		{"/v1beta/models?pageSize=1&pageToken=m", "", geminiList("other")},
		{"/v1beta/models/m", "", geminiModel("m")},
		{"/v1beta/models/models%2Fm", "", geminiModel("m")},
		{"/v1/models/m", "X-Goog-Api-Key", geminiModel("m")},
	} {
		r := httptest.NewRequest(http.MethodGet, tc.path, nil)
		if tc.header != "" {
			r.Header.Set(tc.header, "x")
		}
		if w := serve(t, h, r); w.Code != 200 || w.Body.String() != tc.want {
			t.Errorf("%s, %s: status %d: %s, want %s", tc.path, tc.header, w.Code, w.Body, tc.want)
		}
	}
	for _, path := range []string{"/v1beta/models?pageSize=x", "/v1beta/models?pageSize=-1", "/v1beta/models?pageToken=none"} {
		if w := serve(t, h, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != 400 || !strings.Contains(w.Body.String(), "INVALID_ARGUMENT") {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
	}
	if w := serve(t, h, httptest.NewRequest(http.MethodGet, "/v1beta/models/none", nil)); w.Code != 404 || !strings.Contains(w.Body.String(), "NOT_FOUND") {
		t.Errorf("unknown model: status %d: %s", w.Code, w.Body)
	}
}

func geminiModel(name string) string {
	return `{"name":"models/` + name + `","displayName":"` + name + `","supportedGenerationMethods":["generateContent","countTokens"]}`
}

func geminiList(names ...string) string {
	var models []string
	for _, name := range names {
		models = append(models, geminiModel(name))
	}
	return `{"models":[` + strings.Join(models, ",") + `]}`
}
