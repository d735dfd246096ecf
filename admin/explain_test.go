package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

func TestExplain(t *testing.T) {
	cases := []struct {
		name, body string
		format     format.ID
		operation  format.Operation
		request    string
	}{
		{"a model alone", `{"model":"writer"}`, format.OpenAIChat, format.OperationChat, ""},
		{"a format", `{"model":"writer","format":"gemini"}`, format.Gemini, format.OperationChat, ""},
		{"a format with hyphens", `{"model":"writer","format":"anthropic-messages"}`, format.AnthropicMessages, format.OperationChat, ""},
		{"embeddings", `{"model":"writer","format":"openai_embeddings"}`, format.OpenAIEmbeddings, format.OperationEmbed, ""},
		{"an operation", `{"model":"writer","format":"openai_images","operation":"image_edit"}`, format.OpenAIImages, format.OperationImageEdit, ""},
		{"a request", `{"model":"writer","request":{"n":9007199254740993}}`, format.OpenAIChat, format.OperationChat, `{"n":9007199254740993}`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			g := newStub()
			a, _ := newAPI(g)
			got := read[Explanation](t, call(a, "POST", "/explain", tc.body))
			if len(got.Sources) != 3 || got.Sources[0].ID != "openai:gpt-4o" || !got.Usable || got.Format != tc.format || got.Operation != tc.operation {
				t.Errorf("got %+v", got)
			}
			q := g.question
			if q.Model != "writer" || q.Format != tc.format || q.Operation != tc.operation || string(q.Request) != tc.request {
				t.Errorf("asked %+v", q)
			}
		})
	}
}

func TestExplainUnknownModel(t *testing.T) {
	g := newStub()
	g.fault = routing.ErrUnknownModel
	a, _ := newAPI(g)
	w := call(a, "POST", "/explain", `{"model":"wirter"}`)
	if got := refusal(t, w); w.Code != http.StatusNotFound || got.Code != "unknown_model" || got.Field != "model" || !strings.Contains(got.Message, `"wirter"`) {
		t.Errorf("got %d %+v", w.Code, got)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	a, _ := newAPI(new(stubGateway))
	for _, target := range []string{"/status", "/circuits"} {
		if w := call(a, "GET", target, ""); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "null") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := call(a, "POST", "/explain", `{"model":"m"}`); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "null") {
		t.Errorf("explain: %d %s", w.Code, w.Body)
	}
}
