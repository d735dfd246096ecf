package anthropic

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestCountGoldenRequests(t *testing.T) {
	formattest.Cases(t, "count_request.json", func(t *testing.T, dir string, content []byte) {
		r, err := Messages{}.DecodeCountRequest(formattest.Parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		if r.MaxTokens != nil {
			t.Errorf("the request has %s tokens", r.MaxTokens)
		}
		r.MaxTokens, r.Temperature, r.Stream = chat.Number("50"), chat.Number("0.5"), true
		var b format.Body
		if _, err := (Messages{}).EncodeCountRequest(&b, r, chat.Target{Model: "claude-x"}); err != nil {
			t.Fatal(err)
		}
		formattest.Golden(t, dir, "count_upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))
		if r.MaxTokens == nil || !r.Stream {
			t.Error("the encoder has changed the request")
		}
	})
}

func TestCountAnswers(t *testing.T) {
	var codec format.Counter = Messages{}
	answer := codec.EncodeCount(nil, 42)
	if string(answer) != `{"input_tokens":42}` {
		t.Errorf("the answer is %s", answer)
	}
	if n, err := codec.DecodeCount(formattest.Parse(t, `{"input_tokens":42,"context_management":null}`)); n != 42 || err != nil {
		t.Errorf("decoded %d, %v", n, err)
	}
	for _, doc := range []string{`{}`, `[]`, `{"input_tokens":"7"}`, `{"input_tokens":-1}`, `{"type":"error","error":{"message":"no"}}`} {
		if n, err := codec.DecodeCount(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s says %d", doc, n)
		}
	}
	for _, doc := range []string{`{}`, `[]`, `{"model":"m","messages":[]}`} {
		if _, err := (Messages{}).DecodeCountRequest(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s is taken for a request", doc)
		}
	}
}
