package openai

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestCountGoldenRequests(t *testing.T) {
	formattest.Cases(t, "count_request.json", func(t *testing.T, dir string, content []byte) {
		r, err := Responses{}.DecodeCountRequest(formattest.Parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		var b format.Body
		report, err := Responses{}.EncodeCountRequest(&b, r, chat.Target{Model: "gpt-x"})
		if err != nil || len(report) > 0 {
			t.Fatalf("report %v, error %v", report, err)
		}
		formattest.Golden(t, dir, "count_upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))
		if r.MaxTokens == nil || r.Temperature == nil || !r.Stream {
			t.Error("the encoder has changed the request")
		}
	})
}

func TestCountAnswers(t *testing.T) {
	var codec format.Counter = Responses{}
	answer := codec.EncodeCount(nil, 42)
	if string(answer) != `{"object":"response.input_tokens","input_tokens":42}` {
		t.Errorf("the answer is %s", answer)
	}
	if n, err := codec.DecodeCount(formattest.Parse(t, string(answer))); n != 42 || err != nil {
		t.Errorf("decoded %d, %v", n, err)
	}
	for _, doc := range []string{`{}`, `[]`, `{"input_tokens":"7"}`, `{"input_tokens":-1}`, `{"error":{"message":"no"}}`} {
		if n, err := codec.DecodeCount(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s says %d", doc, n)
		}
	}
}
