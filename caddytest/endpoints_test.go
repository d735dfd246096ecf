package caddytest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// service is an upstream of any kind: it answers with a function and keeps what
// it was asked.
type service struct {
	url string

	mu    sync.Mutex
	asked []servedRequest
}

// servedRequest is a request that a service got.
type servedRequest struct {
	path, contentType, body string
	header                  http.Header
}

// startService runs a service.
func startService(t *testing.T, answer func(w http.ResponseWriter, r servedRequest)) *service {
	t.Helper()
	s := &service{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		got := servedRequest{path: r.URL.RequestURI(), contentType: r.Header.Get("Content-Type"), body: string(body), header: r.Header}
		s.mu.Lock()
		s.asked = append(s.asked, got)
		s.mu.Unlock()
		answer(w, got)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// answering is a service that gives one answer to everything.
func answering(t *testing.T, status int, contentType, body string) *service {
	return startService(t, func(w http.ResponseWriter, _ servedRequest) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// last is the latest request; hits is how many there were.
func (s *service) last(t *testing.T) (got servedRequest, hits int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		t.Fatal("the service was not asked")
	}
	return s.asked[len(s.asked)-1], len(s.asked)
}

// never fails the test if the service was asked.
func (s *service) never(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) > 0 {
		t.Errorf("the service was asked: %+v", s.asked)
	}
}

// served is a block with one upstream of a format and one model on it.
func served(s *service, format string) string {
	return fmt.Sprintf("upstream one %s {\n formats %s\n}\nmodel m {\n source one real\n}", s.url, format)
}

// sameJSON fails the test if two documents differ.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("not JSON: %s", got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("not JSON: %s", want)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if !bytes.Equal(x, y) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// status fails the test if an answer has another status.
func status(t *testing.T, resp *http.Response, body string, want int) {
	t.Helper()
	if resp.StatusCode != want {
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, want, body)
	}
}

// encodedFloats is the base64 text of numbers.
func encodedFloats(numbers ...float32) string {
	var raw []byte
	for _, f := range numbers {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// TestEmbeddingsPassThrough: a request of the JS SDK, which asks for base64, and
// an upstream of the same format.
func TestEmbeddingsPassThrough(t *testing.T) {
	const answer = `{"object":"list", "data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"model":"real","usage":{"prompt_tokens":2,"total_tokens":2}}`
	s := answering(t, 200, "application/json", answer)
	g := startGateway(t, served(s, "openai_embeddings"))
	resp, body := g.post("/v1/embeddings", `{"input":["hi"], "model":"m","encoding_format":"base64","x":1.0}`)
	status(t, resp, body, 200)
	if body != answer || resp.Header.Get("X-Selected-Model") != "real" || resp.Header.Get("X-Selected-Provider") != "one" {
		t.Errorf("answer %s, headers %v", body, resp.Header)
	}
	got, _ := s.last(t)
	if got.path != "/v1/embeddings" || got.body != `{"input":["hi"], "model":"real","encoding_format":"base64","x":1.0}` {
		t.Errorf("the upstream got %s %s", got.path, got.body)
	}
	line := g.accessLine(t)
	if line["endpoint"] != "embeddings" || line["tokens_in"] != 2.0 || line["upstream_model"] != "real" {
		t.Errorf("the access log says %v", line)
	}
}

// accessLine is what the access log says of the latest request.
func (g *gateway) accessLine(t *testing.T) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, "a line in the access log", func() bool {
		for line := range strings.Lines(g.log.String()) {
			var entry struct{ AI map[string]any }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.AI != nil {
				found = entry.AI
			}
		}
		return found != nil
	})
	return found
}

// TestEmbeddingsOfOpenAIByGemini: texts in order, vectors as asked, no usage.
func TestEmbeddingsOfOpenAIByGemini(t *testing.T) {
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.path, ":embedContent") {
			io.WriteString(w, `{"embedding":{"values":[0.10,-2]}}`)
			return
		}
		io.WriteString(w, `{"embeddings":[{"values":[1,2]},{"values":[0.10,-3e-2]}]}`)
	})
	g := startGateway(t, served(s, "gemini_embeddings"))

	resp, body := g.post("/v1/embeddings", `{"model":"m","input":"hi","dimensions":2,"user":"u"}`)
	status(t, resp, body, 200)
	const want = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-2]}],"model":"m","usage":{"prompt_tokens":0,"total_tokens":0}}`
	if body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if warning := resp.Header.Get("X-Gateway-Warning"); !strings.Contains(warning, "user") {
		t.Errorf("warning %q", warning)
	}
	got, _ := s.last(t)
	if got.path != "/v1beta/models/real:embedContent" {
		t.Errorf("asked %s", got.path)
	}
	sameJSON(t, got.body, `{"model":"models/real","content":{"parts":[{"text":"hi"}]},"outputDimensionality":2}`)

	resp, body = g.post("/v1/embeddings", `{"model":"m","input":["a","b"],"encoding_format":"base64"}`)
	status(t, resp, body, 200)
	sameJSON(t, body, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"`+encodedFloats(1, 2)+`"},
		{"object":"embedding","index":1,"embedding":"`+encodedFloats(0.1, -0.03)+`"}],"model":"m","usage":{"prompt_tokens":0,"total_tokens":0}}`)
	got, hits := s.last(t)
	if got.path != "/v1beta/models/real:batchEmbedContents" {
		t.Errorf("asked %s", got.path)
	}

	resp, body = g.post("/v1/embeddings", `{"model":"m","input":[1,2,3]}`)
	status(t, resp, body, 400)
	sameJSONField(t, body, "error.param", "input")
	if _, again := s.last(t); again != hits {
		t.Error("tokens were sent to an upstream of another format")
	}
}

// sameJSONField fails the test if a string in a document is another one.
func sameJSONField(t *testing.T, body, path, want string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("not JSON: %s", body)
	}
	for key := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	if v != want {
		t.Errorf("%s is %v, want %s: %s", path, v, want, body)
	}
}

// TestEmbeddingsOfGeminiByOpenAI is the way back.
func TestEmbeddingsOfGeminiByOpenAI(t *testing.T) {
	s := answering(t, 200, "application/json", `{"object":"list","data":[{"object":"embedding","index":1,"embedding":[3,4]},{"object":"embedding","index":0,"embedding":"`+encodedFloats(0.5)+`"}],"usage":{"prompt_tokens":6,"total_tokens":6}}`)
	g := startGateway(t, served(s, "openai_embeddings"))
	resp, body := g.post("/v1beta/models/m:batchEmbedContents", `{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2},{"model":"models/m","content":{"parts":[{"text":"b"}]},"outputDimensionality":2}]}`)
	status(t, resp, body, 200)
	sameJSON(t, body, `{"embeddings":[{"values":[0.5]},{"values":[3,4]}]}`)
	if warning := resp.Header.Get("X-Gateway-Warning"); !strings.Contains(warning, "taskType") {
		t.Errorf("warning %q", warning)
	}
	got, _ := s.last(t)
	sameJSON(t, got.body, `{"model":"real","input":["a","b"],"encoding_format":"float","dimensions":2}`)
	if got.path != "/v1/embeddings" {
		t.Errorf("asked %s", got.path)
	}
}

// TestEmbeddingsOfGeminiByGemini: the model stands in the path and in the body.
func TestEmbeddingsOfGeminiByGemini(t *testing.T) {
	s := answering(t, 200, "application/json", `{"embeddings":[{"values":[1]}]}`)
	g := startGateway(t, served(s, "gemini_embeddings"))
	resp, body := g.post("/v1beta/models/m:batchEmbedContents", `{"requests":[ {"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"X"}]}`, "X-Goog-Api-Key", "k")
	status(t, resp, body, 200)
	got, _ := s.last(t)
	if got.path != "/v1beta/models/real:batchEmbedContents" ||
		got.body != `{"requests":[ {"model":"models/real","content":{"parts":[{"text":"a"}]},"taskType":"X"}]}` {
		t.Errorf("the upstream got %s %s", got.path, got.body)
	}
	if key := got.header.Get("X-Goog-Api-Key"); key != "" {
		t.Errorf("the client's key %q went upstream", key)
	}
	// What no client may send on is left out, and the rest is written anew.
	if resp, body = g.post("/v1beta/models/m:batchEmbedContents", `{"api_base":"http://evil","requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}}]}`); resp.StatusCode != 200 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	got, _ = s.last(t)
	sameJSON(t, got.body, `{"requests":[{"model":"models/real","content":{"parts":[{"text":"a"}]}}]}`)
}

// TestEmbeddingsFailover: a source that fails, or answers with something else,
// is followed by the next one, also of another format.
func TestEmbeddingsFailover(t *testing.T) {
	good := answering(t, 200, "application/json", `{"embedding":{"values":[1]}}`)
	for name, first := range map[string]*service{
		"status 500":      answering(t, 500, "application/json", boom),
		"throttled":       answering(t, 429, "application/json", boom),
		"an error object": answering(t, 200, "application/json", `{"error":{"message":"boom","type":"server_error"}}`),
		"a web page":      answering(t, 200, "text/html", "<html>"),
		"nothing":         answering(t, 200, "application/json", ""),
		"another shape":   answering(t, 200, "application/json", `{"choices":[]}`),
		"a chat upstream": answering(t, 404, "application/json", boom),
		"half of a document": startService(t, func(w http.ResponseWriter, _ servedRequest) {
			w.Header().Set("Content-Length", "99")
			io.WriteString(w, `{"data":[`)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, fmt.Sprintf("upstream first %s {\n formats openai_embeddings\n}\nupstream second %s {\n formats gemini_embeddings\n}\nmodel m {\n source first a\n source second b priority 2\n}", first.url, good.url))
			resp, body := g.post("/v1/embeddings", `{"model":"m","input":"x"}`)
			status(t, resp, body, 200)
			sameJSONField(t, body, "model", "m")
			if resp.Header.Get("X-Selected-Provider") != "second" || resp.Header.Get("X-Gateway-Attempts") != "2" {
				t.Errorf("headers %v", resp.Header)
			}
		})
	}
}

// TestNoSourceForTheOperation: each client is told in its own shape.
func TestNoSourceForTheOperation(t *testing.T) {
	s := answering(t, 200, "application/json", `{}`)
	g := startGateway(t, served(s, "openai_chat"))
	for _, tc := range []struct{ path, body, field, want string }{
		{"/v1/embeddings", `{"model":"m","input":"x"}`, "error.code", "model_not_found"},
		{"/v1/images/generations", `{"model":"m","prompt":"x"}`, "error.code", "model_not_found"},
		{"/v1/audio/speech", `{"model":"m","input":"x","voice":"alloy"}`, "error.code", "model_not_found"},
		{"/v1/rerank", `{"model":"m","query":"x","documents":["a"]}`, "error.code", "model_not_found"},
		{"/v1beta/models/m:embedContent", `{"content":{"parts":[{"text":"x"}]}}`, "error.status", "NOT_FOUND"},
	} {
		resp, body := g.post(tc.path, tc.body)
		if resp.StatusCode != 404 {
			t.Errorf("%s: status %d: %s", tc.path, resp.StatusCode, body)
		}
		sameJSONField(t, body, tc.field, tc.want)
	}
	for _, tc := range []struct{ path, body, field, want string }{
		{"/v1/embeddings", `{"input":"x"}`, "error.param", "model"},
		{"/v1/embeddings", `{"model":"m","model":"n"}`, "error.param", "model"},
		{"/v1/embeddings", `[]`, "error.type", "invalid_request_error"},
		{"/v1beta/models/m:embedContent", `{`, "error.status", "INVALID_ARGUMENT"},
		{"/v1/messages/count_tokens", `{"model":"m"}`, "error.type", "invalid_request_error"},
	} {
		resp, body := g.post(tc.path, tc.body)
		if resp.StatusCode != 400 {
			t.Errorf("%s %s: status %d: %s", tc.path, tc.body, resp.StatusCode, body)
		}
		sameJSONField(t, body, tc.field, tc.want)
	}
	s.never(t)
}

// countClients are the three ways to ask for a count.
var countClients = []struct{ name, path, body, answer string }{
	{"messages", "/v1/messages/count_tokens", `{"model":"m","system":"Be brief.","messages":[{"role":"user","content":"hi"}]}`, `{"input_tokens":42}`},
	{"responses", "/v1/responses/input_tokens", `{"model":"m","instructions":"Be brief.","input":"hi"}`, `{"object":"response.input_tokens","input_tokens":42}`},
	{"gemini", "/v1beta/models/m:countTokens", `{"generateContentRequest":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]}}}`, `{"totalTokens":42}`},
}

// TestCountTokens: every client with an upstream of every format that counts.
func TestCountTokens(t *testing.T) {
	for _, up := range []struct{ format, path, answer, body string }{
		{"anthropic_messages", "/v1/messages/count_tokens", `{"input_tokens":42}`, `{"model":"real","system":"Be brief.","messages":[{"role":"user","content":"hi"}]}`},
		{"openai_responses", "/v1/responses/input_tokens", `{"object":"response.input_tokens","input_tokens":42}`, ""},
		{"gemini", "/v1beta/models/real:countTokens", `{"totalTokens":42}`, `{"generateContentRequest":{"model":"models/real","contents":[{"role":"user","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]}}}`},
	} {
		t.Run(up.format, func(t *testing.T) {
			s := answering(t, 200, "application/json", up.answer)
			g := startGateway(t, served(s, up.format))
			for _, c := range countClients {
				resp, body := g.post(c.path, c.body)
				status(t, resp, body, 200)
				sameJSON(t, body, c.answer)
				got, _ := s.last(t)
				if got.path != up.path || resp.Header.Get("X-Gateway-Token-Count") != "" {
					t.Errorf("%s: asked %s, headers %v", c.name, got.path, resp.Header)
				}
				if up.body != "" {
					sameJSON(t, got.body, up.body)
				}
				for _, field := range []string{`"stream"`, `max_`, `"maxOutputTokens"`, `"store"`} {
					if strings.Contains(got.body, field) {
						t.Errorf("%s: the upstream got %s: %s", c.name, field, got.body)
					}
				}
			}
		})
	}
}

// TestCountTokensEstimated: an upstream of a format without counts, one whose
// server lacks the address, and an operator who wants estimates.
func TestCountTokensEstimated(t *testing.T) {
	chat := answering(t, 200, "application/json", `{}`)
	missing := answering(t, 404, "application/json", boom)
	for _, tc := range []struct {
		name, block string
		s           *service
		asked       bool
	}{
		{"chat", served(chat, "openai_chat"), chat, false},
		{"missing", served(missing, "anthropic_messages"), missing, true},
		{"wanted", served(chat, "anthropic_messages") + "\ncount_tokens estimate", chat, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := startGateway(t, tc.block)
			for _, c := range countClients {
				resp, body := g.post(c.path, c.body)
				status(t, resp, body, 200)
				if resp.Header.Get("X-Gateway-Token-Count") != "estimated" {
					t.Errorf("%s: headers %v", c.name, resp.Header)
				}
				// "Be brief." and "hi" are 11 bytes, and there is one turn.
				sameJSON(t, body, strings.Replace(c.answer, "42", "7", 1))
			}
			if tc.asked {
				tc.s.last(t)
				return
			}
			tc.s.never(t)
		})
	}
}

func TestCountTokensErrors(t *testing.T) {
	s := answering(t, 500, "application/json", boom)
	g := startGateway(t, served(s, "anthropic_messages"))
	for _, c := range countClients {
		if resp, body := g.post(c.path, c.body); resp.StatusCode != 500 || !strings.Contains(body, `"error"`) {
			t.Errorf("%s: status %d: %s", c.name, resp.StatusCode, body)
		}
		resp, body := g.post(strings.Replace(c.path, "/m:", "/none:", 1), strings.Replace(c.body, `"model":"m"`, `"model":"none"`, 1))
		if resp.StatusCode != 404 {
			t.Errorf("%s, unknown model: status %d: %s", c.name, resp.StatusCode, body)
		}
	}
}

func TestCountTokensOff(t *testing.T) {
	s := answering(t, 200, "application/json", `{"input_tokens":1}`)
	g := startGateway(t, served(s, "anthropic_messages")+"\ncount_tokens off")
	for _, c := range countClients {
		if resp, body := g.post(c.path, c.body); resp.StatusCode != 404 || !strings.Contains(body, "does not count") {
			t.Errorf("%s: status %d: %s", c.name, resp.StatusCode, body)
		}
	}
	s.never(t)
	if err := g.tryLoad("count_tokens never"); err == nil || !strings.Contains(err.Error(), "count_tokens") {
		t.Errorf("a wrong word is accepted: %v", err)
	}
}

// TestCompletions: a legacy prompt for a chat upstream, plain and streamed.
func TestCompletions(t *testing.T) {
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		if !strings.Contains(r.body, `"stream":true`) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, chunk := range []string{
			`{"id":"c","object":"chat.completion.chunk","created":1,"model":"real","choices":[{"index":0,"delta":{"role":"assistant","content":"hel"},"finish_reason":null}]}`,
			`{"id":"c","object":"chat.completion.chunk","created":1,"model":"real","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}`,
			`{"id":"c","object":"chat.completion.chunk","created":1,"model":"real","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`,
			`[DONE]`,
		} {
			io.WriteString(w, "data: "+chunk+"\n\n")
		}
	})
	g := startGateway(t, served(s, "openai_chat"))
	resp, body := g.post("/v1/completions", `{"model":"m","prompt":"Say hello","max_tokens":5}`)
	status(t, resp, body, 200)
	sameJSONField(t, body, "object", "text_completion")
	if !strings.Contains(body, `"choices":[{"text":"hello","index":0,"logprobs":null,"finish_reason":"stop"}]`) || !strings.Contains(body, `"id":"cmpl-`) {
		t.Errorf("answer %s", body)
	}
	got, _ := s.last(t)
	sameJSON(t, got.body, `{"model":"real","messages":[{"role":"user","content":"Say hello"}],"max_tokens":5}`)

	resp, body = g.post("/v1/completions", `{"model":"m","prompt":["Say hello"],"stream":true}`)
	status(t, resp, body, 200)
	if text := completionText(t, body); text != "hello" || !strings.HasSuffix(body, "data: [DONE]\n\n") || !strings.Contains(body, `"finish_reason":"length"`) {
		t.Errorf("the stream is\n%s", body)
	}

	_, before := s.last(t)
	for param, body := range map[string]string{
		"suffix":  `{"model":"m","prompt":"x","suffix":"y"}`,
		"best_of": `{"model":"m","prompt":"x","best_of":3}`,
		"echo":    `{"model":"m","prompt":"x","echo":true}`,
		"prompt":  `{"model":"m","prompt":["x","y"]}`,
	} {
		resp, answer := g.post("/v1/completions", body)
		status(t, resp, answer, 400)
		sameJSONField(t, answer, "error.param", param)
	}
	if _, after := s.last(t); after != before {
		t.Error("a request that cannot be translated was sent")
	}
}

// completionText is the text of a stream of completions.
func completionText(t *testing.T, stream string) string {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(stream) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Object  string
			Choices []struct{ Text string }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || chunk.Object != "text_completion" {
			t.Fatalf("chunk %s: %v", data, err)
		}
		for _, choice := range chunk.Choices {
			text.WriteString(choice.Text)
		}
	}
	return text.String()
}

// TestCompletionsPassThrough: what only the same format can do reaches it.
func TestCompletionsPassThrough(t *testing.T) {
	const stream = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"real\",\"choices\":[{\"text\":\"a\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\n" +
		"data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"real\",\"choices\":[{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n" +
		"data: [DONE]\n\n"
	s := answering(t, 200, "text/event-stream", stream)
	g := startGateway(t, served(s, "openai_completions"))
	resp, body := g.post("/v1/completions", `{"model":"m","prompt":[[1,2],[3]],"suffix":"z","stream":true}`)
	status(t, resp, body, 200)
	if body != stream {
		t.Errorf("got\n%s", body)
	}
	got, _ := s.last(t)
	if got.path != "/v1/completions" || got.body != `{"model":"real","prompt":[[1,2],[3]],"suffix":"z","stream":true}` {
		t.Errorf("the upstream got %s %s", got.path, got.body)
	}
	// A conversation is no prompt.
	resp, body = g.post("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
	status(t, resp, body, 404)
}

// TestImages: JSON goes through as it is, streams too, and errors fail over.
func TestImages(t *testing.T) {
	const answer = `{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":7,"output_tokens":9,"total_tokens":16}}`
	const events = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"aA==\"}\n\nevent: image_generation.completed\ndata: {\"type\":\"image_generation.completed\"}\n\n"
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		if strings.Contains(r.body, `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, events)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	})
	bad := answering(t, 200, "application/json", `{"error":{"message":"boom","type":"server_error"}}`)
	g := startGateway(t, fmt.Sprintf("upstream bad %s {\n formats openai_images\n}\nupstream one %s {\n formats openai_images\n}\nmodel m {\n source bad x\n source one real priority 2\n}", bad.url, s.url))
	resp, body := g.post("/v1/images/generations", `{"prompt":"a cat","model":"m","size":"1x1"}`)
	status(t, resp, body, 200)
	if body != answer || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Gateway-Attempts") != "2" {
		t.Errorf("answer %s, headers %v", body, resp.Header)
	}
	got, _ := s.last(t)
	if got.path != "/v1/images/generations" || got.body != `{"prompt":"a cat","model":"real","size":"1x1"}` {
		t.Errorf("the upstream got %s %s", got.path, got.body)
	}
	if line := g.accessLine(t); line["tokens_in"] != 7.0 || line["tokens_out"] != 9.0 || line["failures"] != "server" {
		t.Errorf("the access log says %v", line)
	}
	resp, body = g.post("/v1/images/generations", `{"prompt":"a cat","model":"m","stream":true}`)
	status(t, resp, body, 200)
	if body != events || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("got %v\n%s", resp.Header, body)
	}
}

// multipartBody is a form with the fields in order; a name that ends in @ is a
// file.
func multipartBody(t *testing.T, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		var err error
		var part io.Writer
		if name, ok := strings.CutSuffix(fields[i], "@"); ok {
			part, err = w.CreateFormFile(name, "file.bin")
		} else {
			part, err = w.CreateFormField(fields[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, fields[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

// TestForms: the model is a field of a form, and the only thing that changes.
func TestForms(t *testing.T) {
	file := "RIFF\r\n--not the boundary\x00\xff\r\n\r\n"
	var got struct {
		sync.Mutex
		fields map[string]string
	}
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		request, _ := http.NewRequest("POST", "/", strings.NewReader(r.body))
		request.Header.Set("Content-Type", r.contentType)
		form, err := request.MultipartReader()
		if err != nil {
			t.Errorf("the upstream got no form: %v", err)
			return
		}
		fields := map[string]string{}
		for {
			part, err := form.NextPart()
			if err != nil {
				if err != io.EOF {
					t.Errorf("reading the form: %v", err)
				}
				break
			}
			content, _ := io.ReadAll(part)
			fields[part.FormName()] = string(content)
		}
		got.Lock()
		got.fields = fields
		got.Unlock()
		if fields["response_format"] == "text" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			io.WriteString(w, "hello\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"text":"hello"}`)
	})
	g := startGateway(t, served(s, "openai_audio openai_images"))
	for _, tc := range []struct {
		path, answer, contentType string
		fields                    []string
	}{
		{"/v1/audio/transcriptions", `{"text":"hello"}`, "application/json", []string{"file@", file, "model", "m", "language", "en"}},
		{"/v1/audio/translations", "hello\n", "text/plain; charset=utf-8", []string{"model", "m", "response_format", "text", "file@", file}},
		{"/v1/images/edits", `{"text":"hello"}`, "application/json", []string{"image[]@", file, "image[]@", file, "prompt", "x", "model", "m"}},
		{"/v1/images/edits", `{"text":"hello"}`, "application/json", []string{"api_base", "http://evil", "model", "m", "image@", file}},
	} {
		contentType, form := multipartBody(t, tc.fields...)
		resp, body := g.post(tc.path, form, "Content-Type", contentType)
		status(t, resp, body, 200)
		if body != tc.answer || resp.Header.Get("Content-Type") != tc.contentType {
			t.Errorf("%s: got %q, %v", tc.path, body, resp.Header)
		}
		asked, _ := s.last(t)
		if asked.path != tc.path || asked.contentType != contentType {
			t.Errorf("asked %s %s", asked.path, asked.contentType)
		}
		got.Lock()
		for i := 0; i+1 < len(tc.fields); i += 2 {
			name, want := strings.TrimSuffix(tc.fields[i], "@"), tc.fields[i+1]
			switch name {
			case "model":
				want = "real"
			case "api_base":
				want = ""
			}
			if got.fields[name] != want {
				t.Errorf("%s: the upstream got %s = %q, want %q", tc.path, name, got.fields[name], want)
			}
		}
		got.Unlock()
	}
	_, before := s.last(t)
	contentType, form := multipartBody(t, "file@", file, "model", "m")
	for name, tc := range map[string]struct{ contentType, body string }{
		"no boundary": {"multipart/form-data", form},
		"no form":     {contentType, "hello"},
		"no end":      {contentType, form[:len(form)/2]},
		"no model":    {contentType, strings.ReplaceAll(form, `"model"`, `"mode"`)},
		"two models":  {contentType, strings.ReplaceAll(form, `"file"`, `"model"`)},
	} {
		resp, body := g.post("/v1/audio/transcriptions", tc.body, "Content-Type", tc.contentType)
		if resp.StatusCode != 400 || !strings.Contains(body, `"invalid_request_error"`) {
			t.Errorf("%s: status %d: %s", name, resp.StatusCode, body)
		}
	}
	if _, after := s.last(t); after != before {
		t.Error("a broken form was sent on")
	}
}

// TestSpeech: bytes that are no JSON, as they come; and ones that break off.
func TestSpeech(t *testing.T) {
	sound := strings.Repeat("\x00\xff sound ", 10_000)
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		w.Header().Set("Content-Type", "audio/mpeg")
		if strings.Contains(r.body, "broken") {
			w.WriteHeader(200)
			io.WriteString(w, sound)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, sound)
	})
	g := startGateway(t, served(s, "openai_audio"))
	resp, body := g.post("/v1/audio/speech", `{"model":"m","input":"hi","voice":"alloy"}`)
	status(t, resp, body, 200)
	if body != sound || resp.Header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("got %d bytes, %v", len(body), resp.Header)
	}
	got, _ := s.last(t)
	if got.path != "/v1/audio/speech" || got.header.Get("Accept") != "*/*" {
		t.Errorf("asked %s, %v", got.path, got.header)
	}
	resp = g.open(t.Context(), "/v1/audio/speech", `{"model":"m","input":"broken","voice":"alloy"}`)
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a broken answer of %d bytes looks complete", len(data))
	}
	if line := g.accessLine(t); line["endpoint"] != "speech" {
		t.Errorf("the access log says %v", line)
	}
}

// TestRerank passes through, under both paths.
func TestRerank(t *testing.T) {
	const answer = `{"results":[{"index":1,"relevance_score":0.9}],"usage":{"prompt_tokens":5,"total_tokens":5}}`
	s := answering(t, 200, "application/json; charset=utf-8", answer)
	g := startGateway(t, served(s, "rerank"))
	for _, path := range []string{"/v1/rerank", "/rerank"} {
		resp, body := g.post(path, `{"model":"m","query":"q","documents":["a","b"]}`)
		status(t, resp, body, 200)
		got, _ := s.last(t)
		if body != answer || got.path != "/v1/rerank" || got.body != `{"model":"real","query":"q","documents":["a","b"]}` {
			t.Errorf("got %s; the upstream got %s %s", body, got.path, got.body)
		}
	}
}
