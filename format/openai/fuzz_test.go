package openai

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// fuzzRequest checks that whatever decodes also encodes, to a document that
// decodes again.
func fuzzRequest(t *testing.T, doc string) {
	var index tape.Tape
	if index.Parse([]byte(doc)) != nil {
		return
	}
	r, err := Chat{}.DecodeRequest(index.Root())
	if err != nil {
		return
	}
	for _, origin := range []string{origin, "anthropic_messages"} {
		r.Format = origin
		var b format.Body
		if _, err := (Chat{}).EncodeRequest(&b, r, chat.Target{Model: "m"}); err != nil {
			continue
		}
		if encoded := b.Bytes(); !json.Valid(encoded) {
			t.Fatalf("not JSON: %s", encoded)
		}
	}
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add(`{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`)
	f.Add(`{"error":{"message":"x","code":429}}`)
	f.Add(`[{"error":{"message":"x"}}]`)
	f.Fuzz(func(t *testing.T, doc string) {
		if e := (Chat{}).DecodeError(400, nil, []byte(doc)); e.Message == "" || len(e.Message) > format.MaxErrorMessage {
			t.Fatalf("message %q", e.Message)
		}
		var index tape.Tape
		if index.Parse([]byte(doc)) != nil {
			return
		}
		if _, err := (Chat{}).InspectResponse(index.Root()); err != nil && err.Error() == "" {
			t.Fatal("an error without a message")
		}
		r, err := Chat{}.DecodeResponse(index.Root())
		if err != nil {
			return
		}
		if r.Usage.InputUncached < 0 || r.Usage.CacheRead < 0 || r.Usage.Output < 0 {
			t.Fatalf("negative usage %+v", r.Usage)
		}
		if body, _ := (Chat{}).EncodeResponse(nil, r, exchange()); !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
	})
}

func FuzzDecodeStream(f *testing.F) {
	f.Add([]byte("data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"))
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":-1,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\r\n\r\n"))
	f.Add([]byte("event: error\ndata: {\"message\":\"x\"}\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		out := run(bytes.NewReader(stream))
		if bytes.Contains(out.Client, []byte("data: [DONE]\n\n")) && !out.Ended {
			t.Fatalf("a mark of success without an end: %s", out.Client)
		}
		for _, raw := range formattest.Raws(t, out.Client) {
			data := bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("data: ")))
			if string(data) != "[DONE]" && !json.Valid(data) {
				t.Fatalf("not JSON: %s", data)
			}
		}
	})
}
