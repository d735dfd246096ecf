package caddytest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

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
	status(t, resp, body, 400)
}
