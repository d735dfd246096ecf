package openai

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
		`{"model":"m","prompt":["a"],"stop":"x","n":2,"logprobs":null}`,
		`{"model":"m","input":["a",[1]],"dimensions":3,"encoding_format":"base64"}`,
		`{"data":[{"index":0,"embedding":"AACAPw=="}],"usage":{"prompt_tokens":1}}`,
		`{"data":[{"index":0,"embedding":[1,2e3]}],"error":null}`,
		`{"choices":[{"text":"x","finish_reason":"stop"}]}`,
		`{"model":"m","input":"x","tools":[{"type":"function","name":"f"}]}`,
		`{"input_tokens":3}`,
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
		if r, err := (Embeddings{}).DecodeEmbedRequest(root); err == nil && !r.Tokens {
			var b format.Body
			if _, err := (Embeddings{}).EncodeEmbedRequest(&b, r, "m"); err != nil {
				t.Fatal(err)
			}
			again, err := Embeddings{}.DecodeEmbedRequest(formattest.Parse(t, string(b.Bytes())))
			if err != nil || len(again.Texts) != len(r.Texts) {
				t.Fatalf("%s became %s: %v", doc, b.Bytes(), err)
			}
		}
		if v, err := (Embeddings{}).DecodeVectors(root, root.Get("data").Len()); err == nil {
			for _, r := range []*format.EmbedRequest{{}, {Base64: true}} {
				if got, err := (Embeddings{}).EncodeVectors(nil, v, r, "m"); err == nil {
					formattest.Parse(t, string(got))
				}
			}
		}
		if r, err := (Completions{}).DecodeRequest(root); err == nil {
			var b format.Body
			if _, err := (Chat{}).EncodeRequest(&b, r, chat.Target{Model: "m"}); err == nil {
				formattest.Parse(t, string(b.Bytes()))
			}
		}
		if r, err := (Completions{}).DecodeResponse(root); err == nil {
			got, _ := Completions{}.EncodeResponse(nil, r, exchange())
			formattest.Parse(t, string(got))
		}
		if r, err := (Responses{}).DecodeCountRequest(root); err == nil {
			var b format.Body
			if _, err := (Responses{}).EncodeCountRequest(&b, r, chat.Target{Model: "m"}); err == nil {
				formattest.Parse(t, string(b.Bytes()))
			}
			if format.EstimateTokens(r) < 1 {
				t.Fatalf("the estimate of %s is too small", doc)
			}
		}
	})
}
