package gemini

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestCountGoldenRequests(t *testing.T) {
	formattest.Cases(t, "count_request.json", func(t *testing.T, dir string, content []byte) {
		r, err := GenerateContent{}.DecodeCountRequest(formattest.Parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		var b format.Body
		if _, err := (GenerateContent{}).EncodeCountRequest(&b, r, chat.Target{Model: "gemini-x"}); err != nil {
			t.Fatal(err)
		}
		formattest.Golden(t, dir, "count_upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))
	})
}

func TestCountContentsOnly(t *testing.T) {
	r, err := GenerateContent{}.DecodeCountRequest(formattest.Parse(t, `{"contents":[{"parts":[{"text":"hi"}]}]}`))
	if err != nil || len(r.Turns) != 1 {
		t.Fatalf("decoded %+v, %v", r, err)
	}
	for _, doc := range []string{`{}`, `[]`, `{"generateContentRequest":{}}`, `{"generateContentRequest":7}`} {
		if _, err := (GenerateContent{}).DecodeCountRequest(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s is taken for a request", doc)
		}
	}
}

func TestCountAnswers(t *testing.T) {
	var codec format.Counter = GenerateContent{}
	answer := codec.EncodeCount(nil, 42)
	if string(answer) != `{"totalTokens":42}` {
		t.Errorf("the answer is %s", answer)
	}
	if n, err := codec.DecodeCount(formattest.Parse(t, `{"totalTokens":42,"promptTokensDetails":[]}`)); n != 42 || err != nil {
		t.Errorf("decoded %d, %v", n, err)
	}
	for _, doc := range []string{`{}`, `[]`, `{"totalTokens":"7"}`, `{"totalTokens":-1}`, `{"error":{"code":400}}`} {
		if n, err := codec.DecodeCount(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s says %d", doc, n)
		}
	}
}
