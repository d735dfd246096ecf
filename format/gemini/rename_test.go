package gemini

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestRename(t *testing.T) {
	for _, tc := range []struct {
		name      string
		codec     format.Renamer
		doc, want string
	}{
		{"a batch", Embeddings{}, ` {"requests":[{"model":"models/a", "x":1},{"content":{},"model":"models/a"}]} `, `{"requests":[{"model":"models/b", "x":1},{"content":{},"model":"models/b"}]}`},
		{"one", Embeddings{}, `{"content":{"model":"kept"},"model":"models/a"}`, `{"content":{"model":"kept"},"model":"models/b"}`},
		{"both places", Embeddings{}, `{"requests":[{"model":"models/a"}],"model":"models/a"}`, `{"requests":[{"model":"models/b"}],"model":"models/b"}`},
		{"none", Embeddings{}, `{"content":{}}`, `{"content":{}}`},
		{"no string", Embeddings{}, `{"model":null}`, `{"model":null}`},
		{"a count", GenerateContent{}, `{"generate_content_request":{"model":"models/a","contents":[]},"model":"a"}`, `{"generate_content_request":{"model":"models/b","contents":[]},"model":"models/b"}`},
		{"no object", GenerateContent{}, `[1]`, `[1]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b format.Body
			tc.codec.Rename(&b, formattest.Parse(t, tc.doc), "b")
			if got := string(b.Bytes()); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	if got := resource("tunedModels/mine"); got != "tunedModels/mine" {
		t.Errorf("a tuned model is called %s", got)
	}
}
