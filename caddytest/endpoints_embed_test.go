package caddytest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
)

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
