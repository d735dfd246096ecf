package gemini

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestEmbeddingsGoldenRequests(t *testing.T) {
	formattest.Cases(t, "embeddings_request.json", func(t *testing.T, dir string, content []byte) {
		r, err := Embeddings{}.DecodeEmbedRequest(formattest.Parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		var b format.Body
		report, err := Embeddings{}.EncodeEmbedRequest(&b, r, "embed-x")
		if err != nil {
			t.Fatal(err)
		}
		formattest.Golden(t, dir, "upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))
		if len(report) != 2 || report[0].Path != "taskType" || report[1].Path != "title" {
			t.Errorf("report %v", report)
		}
	})
}

func TestEmbeddingsGoldenAnswers(t *testing.T) {
	formattest.Cases(t, "embeddings_answer.json", func(t *testing.T, dir string, content []byte) {
		v, err := Embeddings{}.DecodeVectors(formattest.Parse(t, string(content)), 2)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Embeddings{}.EncodeVectors(nil, v, &format.EmbedRequest{List: true}, "vectors")
		if err != nil || string(got) != strings.TrimSpace(string(content)) {
			t.Errorf("encoded %s, %v", got, err)
		}
		if _, err := (Embeddings{}).EncodeVectors(nil, v, &format.EmbedRequest{}, "vectors"); err == nil {
			t.Error("two vectors are an answer about one text")
		}
		if _, err := (Embeddings{}).InspectVectors(content); err != nil {
			t.Error(err)
		}
	})
}

// One text is a request and an answer of the other kind.
func TestEmbeddingsOfOneText(t *testing.T) {
	r, err := Embeddings{}.DecodeEmbedRequest(formattest.Parse(t, `{"content":{"parts":{"text":"x"}}}`))
	if err != nil || r.List || len(r.Texts) != 1 {
		t.Fatalf("decoded %+v, %v", r, err)
	}
	var b format.Body
	if _, err := (Embeddings{}).EncodeEmbedRequest(&b, r, "models/e"); err != nil {
		t.Fatal(err)
	}
	if got, want := string(b.Bytes()), `{"model":"models/e","content":{"parts":[{"text":"x"}]}}`; got != want {
		t.Errorf("encoded %s, want %s", got, want)
	}
	const answer = `{"embedding":{"values":[0.5]}}`
	v, err := Embeddings{}.DecodeVectors(formattest.Parse(t, answer), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (Embeddings{}).EncodeVectors(nil, v, r, "e"); err != nil || string(got) != answer {
		t.Errorf("encoded %s, %v", got, err)
	}
}

func TestEmbeddingsRefused(t *testing.T) {
	request := `{"content":{"parts":[{"text":"x"}]}}`
	for name, tc := range map[string]struct{ doc, param string }{
		"no content":       {`{}`, "content"},
		"an empty text":    {`{"content":{"parts":[{"text":""}]}}`, "content"},
		"an image":         {`{"content":{"parts":[{"inlineData":{}}]}}`, "content"},
		"no requests":      {`{"requests":[]}`, "requests"},
		"a strange one":    {`{"requests":["x"]}`, "requests[0]"},
		"an empty one":     {`{"requests":[` + request + `,{}]}`, "requests[1].content"},
		"different sizes":  {`{"requests":[` + request + `,{"content":{"parts":[{"text":"y"}]},"outputDimensionality":3}]}`, "requests[1].outputDimensionality"},
		"too many":         {`{"requests":[` + request + strings.Repeat(","+request, maxBatch) + `]}`, "requests"},
		"dimensions":       {`{"content":{"parts":[{"text":"x"}]},"outputDimensionality":-1}`, "outputDimensionality"},
		"a field repeated": {`{"content":{"parts":[{"text":"x"}]},"content":{"parts":[{"text":"x"}]}}`, "content"},
		"no object":        {`[]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Embeddings{}.DecodeEmbedRequest(formattest.Parse(t, tc.doc))
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != tc.param || e.Kind != chat.ErrInvalidRequest {
				t.Errorf("error is %+v, want one about %q", err, tc.param)
			}
		})
	}
	text := chat.Literal(`"x"`)
	for name, r := range map[string]*format.EmbedRequest{
		"tokens":         {Tokens: true},
		"too many texts": {Texts: make([]chat.Literal, maxBatch+1)},
	} {
		for i := range r.Texts {
			r.Texts[i] = text
		}
		var b format.Body
		_, err := Embeddings{}.EncodeEmbedRequest(&b, r, "e")
		if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != "input" || b.Len() > 0 {
			t.Errorf("%s: error is %+v", name, err)
		}
	}
}

func TestEmbeddingsAnswersThatAreNone(t *testing.T) {
	for name, doc := range map[string]string{
		"an error":      `{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}`,
		"nothing":       `{}`,
		"no embeddings": `{"embeddings":[]}`,
		"too few":       `{"embeddings":[{"values":[1]}]}`,
		"too many":      `{"embeddings":[{"values":[1]},{"values":[1]},{"values":[1]}]}`,
		"no numbers":    `{"embeddings":[{"values":[1]},{"values":[]}]}`,
		"no values":     `{"embeddings":[{"values":[1]},{}]}`,
	} {
		if v, err := (Embeddings{}).DecodeVectors(formattest.Parse(t, doc), 2); err == nil {
			t.Errorf("%s: decoded %+v", name, v)
		}
	}
	for _, doc := range []string{`{}`, `<html>`, `{"error":{"code":500,"message":"no"}}`} {
		if _, err := (Embeddings{}).InspectVectors([]byte(doc)); err == nil {
			t.Errorf("%s passes inspection", doc)
		}
	}
}
