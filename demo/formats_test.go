package demo_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/demo"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/gemini"
)

// TestPathsOfEveryFormat shows that the demo answers where each format asks, also
// where the path tells the model and the stream.
func TestPathsOfEveryFormat(t *testing.T) {
	const gemini = `{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}`
	for _, tc := range []struct {
		id         format.ID
		path, body string
	}{
		{format.OpenAIChat, "/v1/chat/completions", `{"model":"echo","messages":[{"role":"user","content":"hello"}]}`},
		{format.OpenAIResponses, "/v1/responses", `{"model":"echo","input":"hello"}`},
		{format.OpenAIResponses, "/any/where/v1/responses", `{"model":"echo","stream":true,"input":"hello"}`},
		{format.AnthropicMessages, "/v1/messages", `{"model":"echo","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}`},
		{format.Gemini, "/v1beta/models/echo:generateContent", gemini},
		{format.Gemini, "/v1beta/models/echo:streamGenerateContent?alt=sse", gemini},
		{format.Gemini, "/prefix/v1/models/echo%3AstreamGenerateContent", gemini},
	} {
		t.Run(tc.path, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, tc.path, strings.NewReader(tc.body))
			response, err := new(demo.Transport).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := decode(tc.id, response)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, b := range answer.Blocks {
				text += b.Text.String()
			}
			if !strings.Contains(text, "hello") {
				t.Errorf("got %q", text)
			}
		})
	}
}

func TestListModelsForGemini(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/v1beta/models", nil)
	r.Header.Set("X-Goog-Api-Key", "k")
	response, err := new(demo.Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	document, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Models []struct{ Name string } }
	if err := json.Unmarshal(document, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Models) != 9 || list.Models[0].Name != "models/echo" {
		t.Errorf("got %s", document)
	}
}
