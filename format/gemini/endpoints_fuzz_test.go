package gemini

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// FuzzEndpoints: no document panics the codecs of the other endpoints, and what
// they write is JSON that they read again.
func FuzzEndpoints(f *testing.F) {
	for _, doc := range []string{
		`{"content":{"parts":[{"text":"a"},{"text":"b"}]},"outputDimensionality":3}`,
		`{"requests":[{"model":"models/m","content":{"parts":{"text":"a"}}}],"model":"x"}`,
		`{"embeddings":[{"values":[1,2]}],"embedding":{"values":[1]}}`,
		`{"generateContentRequest":{"model":"m","contents":[{"parts":[{"text":"a"}]}]},"model":"n"}`,
		`{"totalTokens":3}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		Embeddings{}.InspectVectors(doc)
		var index tape.Tape
		if index.Parse(doc) != nil {
			return
		}
		root := index.Root()
		for _, codec := range []format.Renamer{Embeddings{}, GenerateContent{}} {
			var b format.Body
			codec.Rename(&b, root, `a"b`)
			formattest.Parse(t, string(b.Bytes()))
		}
		if r, err := (Embeddings{}).DecodeEmbedRequest(root); err == nil {
			var b format.Body
			if _, err := (Embeddings{}).EncodeEmbedRequest(&b, r, "m"); err != nil {
				t.Fatal(err)
			}
			again, err := Embeddings{}.DecodeEmbedRequest(formattest.Parse(t, string(b.Bytes())))
			if err != nil || len(again.Texts) != len(r.Texts) || again.List != r.List {
				t.Fatalf("%s became %s: %v", doc, b.Bytes(), err)
			}
		}
		if v, err := (Embeddings{}).DecodeVectors(root, 1); err == nil {
			if got, err := (Embeddings{}).EncodeVectors(nil, v, &format.EmbedRequest{List: true}, "m"); err == nil {
				formattest.Parse(t, string(got))
			}
		}
		if r, err := (GenerateContent{}).DecodeCountRequest(root); err == nil {
			var b format.Body
			if _, err := (GenerateContent{}).EncodeCountRequest(&b, r, chat.Target{Model: "m"}); err == nil {
				formattest.Parse(t, string(b.Bytes()))
			}
		}
	})
}
