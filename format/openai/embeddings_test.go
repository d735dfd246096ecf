package openai

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
		if _, err := (Embeddings{}).EncodeEmbedRequest(&b, r, "embed-x"); err != nil {
			t.Fatal(err)
		}
		formattest.Golden(t, dir, "upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))
		if len(r.Others) != 1 || r.Others[0] != "user" || !r.Base64 || !r.List {
			t.Errorf("decoded %+v", r)
		}
	})
}

func TestEmbeddingsGoldenAnswers(t *testing.T) {
	formattest.Cases(t, "embeddings_answer.json", func(t *testing.T, dir string, content []byte) {
		v, err := Embeddings{}.DecodeVectors(formattest.Parse(t, string(content)), 2)
		if err != nil {
			t.Fatal(err)
		}
		for file, asked := range map[string]bool{"client_floats.golden.json": false, "client_base64.golden.json": true} {
			got, err := Embeddings{}.EncodeVectors(nil, v, &format.EmbedRequest{Base64: asked}, "vectors")
			if err != nil {
				t.Fatal(err)
			}
			formattest.Golden(t, dir, file, formattest.Pretty(t, got))
		}
		usage, err := Embeddings{}.InspectVectors(content)
		if err != nil || usage != v.Usage || usage.Prompt() != 8 || !usage.Known {
			t.Errorf("inspected %+v, %v; decoded %+v", usage, err, v.Usage)
		}
	})
}

func TestEmbeddingsInputs(t *testing.T) {
	for name, tc := range map[string]struct {
		input  string
		texts  int
		tokens bool
	}{
		"a text":         {`"x"`, 1, false},
		"texts":          {`["x","y"]`, 2, false},
		"tokens":         {`[1,2]`, 0, true},
		"lists of those": {`[[1,2],[3]]`, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Embeddings{}.DecodeEmbedRequest(formattest.Parse(t, `{"model":"m","input":`+tc.input+`,"dimensions":null}`))
			if err != nil || len(r.Texts) != tc.texts || r.Tokens != tc.tokens {
				t.Fatalf("decoded %+v, %v", r, err)
			}
			var b format.Body
			if _, err := (Embeddings{}).EncodeEmbedRequest(&b, r, "m"); (err != nil) != tc.tokens {
				t.Errorf("encoding ends with %v", err)
			}
		})
	}
	refused := map[string]struct{ fields, param string }{
		"none":            {`"model":"m"`, "input"},
		"null":            {`"input":null`, "input"},
		"empty":           {`"input":""`, "input"},
		"an empty list":   {`"input":[]`, "input"},
		"an empty text":   {`"input":["a",""]`, "input"},
		"a mixture":       {`"input":["a",[1]]`, "input"},
		"fractions":       {`"input":[1.5]`, "input"},
		"an object":       {`"input":{}`, "input"},
		"too many":        {`"input":["a"` + strings.Repeat(`,"a"`, maxInputs) + `]`, "input"},
		"twice":           {`"input":"a","input":"b"`, "input"},
		"dimensions":      {`"input":"a","dimensions":0`, "dimensions"},
		"encoding format": {`"input":"a","encoding_format":"int8"`, "encoding_format"},
	}
	for name, tc := range refused {
		t.Run(name, func(t *testing.T) {
			_, err := Embeddings{}.DecodeEmbedRequest(formattest.Parse(t, `{`+tc.fields+`}`))
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != tc.param || e.Kind != chat.ErrInvalidRequest {
				t.Errorf("error is %+v, want one about %s", err, tc.param)
			}
		})
	}
}

func TestEmbeddingsAnswersThatAreNone(t *testing.T) {
	for name, doc := range map[string]string{
		"an error":       `{"error":{"message":"slow down","type":"rate_limit_error"}}`,
		"no data":        `{"object":"list"}`,
		"too few":        `{"data":[{"index":0,"embedding":[1]}]}`,
		"too many":       `{"data":[{"embedding":[1]},{"embedding":[1]},{"embedding":[1]}]}`,
		"one index":      `{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`,
		"a wrong index":  `{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}`,
		"a negative one": `{"data":[{"index":-1,"embedding":[1]},{"index":0,"embedding":[1]}]}`,
		"no vector":      `{"data":[{"index":0,"embedding":[1]},{"index":1}]}`,
		"a chat answer":  `{"choices":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if v, err := (Embeddings{}).DecodeVectors(formattest.Parse(t, doc), 2); err == nil {
				t.Errorf("decoded %+v", v)
			}
			if strings.Contains(doc, `"embedding"`) {
				return
			}
			if _, err := (Embeddings{}).InspectVectors([]byte(doc)); err == nil {
				t.Error("it passes inspection")
			}
		})
	}
	_, err := Embeddings{}.InspectVectors([]byte(`{"error":{"message":"slow down","type":"rate_limit_error"}}`))
	if e, ok := errors.AsType[*chat.Error](err); !ok || e.Kind != chat.ErrRateLimit {
		t.Errorf("the error is %+v", err)
	}
	if _, err := (Embeddings{}).InspectVectors([]byte(`<html>`)); err == nil {
		t.Error("HTML passes inspection")
	}
}

// Usage is found wherever it stands, and what is cut short is no reason to fail.
func TestEmbeddingsUsageAtEnd(t *testing.T) {
	for doc, want := range map[string]int64{
		`{"data":[{"embedding":[1]}],"usage":{"prompt_tokens":4,"prompt_tokens_details":{"cached_tokens":1}},"x":{"y":1}}`: 4,
		`{"usage" : {"prompt_tokens":5},"data":[{"embedding":[1]}]}`:                                                       5,
		`{"data":[{"embedding":[1]}],"usage":null}`:                                                                        0,
		`{"data":[{"embedding":[1]}],"usage":`:                                                                             0,
		`{"data":[{"embedding":[1]}]}`:                                                                                     0,
	} {
		u, err := Embeddings{}.InspectVectors([]byte(doc))
		if err != nil || u.Prompt() != want || u.Known != (want > 0) {
			t.Errorf("%s: usage %+v, %v", doc, u, err)
		}
	}
}
