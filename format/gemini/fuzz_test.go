package gemini

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// What is decoded can be encoded for either origin, within the rules of turns.
func FuzzDecodeRequest(f *testing.F) {
	formattest.Seeds(f, "request.json")
	f.Fuzz(func(t *testing.T, content []byte) {
		var index tape.Tape
		if index.Parse(content) != nil {
			return
		}
		r, err := GenerateContent{}.DecodeRequest(index.Root())
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a message")
			}
			return
		}
		for _, from := range []string{origin, "openai_chat"} {
			for _, to := range []chat.Target{target("gemini-3-pro"), ownSchemas(target("gemini-2.5-flash"))} {
				r.Format = from
				var b format.Body
				if _, err := (GenerateContent{}).EncodeRequest(&b, r, to); err != nil {
					continue
				}
				doc := b.Bytes()
				if !json.Valid(doc) {
					t.Fatalf("not JSON: %s", doc)
				}
				if from != origin {
					checkTurns(t, formattest.Parse(t, string(doc)))
				}
			}
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	formattest.Seeds(f, "upstream_response.json")
	f.Add([]byte(`[{"error":{"code":429,"message":"x","details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"1s"}]}}]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		e := GenerateContent{}.DecodeError(400, nil, content)
		if e.Message == "" || len(e.Message) > format.MaxErrorMessage || e.RetryAfter < 0 {
			t.Fatalf("error %+v", e)
		}
		if _, body := (GenerateContent{}).EncodeError(nil, e); !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		var index tape.Tape
		if index.Parse(content) != nil {
			return
		}
		inspected, _ := GenerateContent{}.InspectResponse(index.Root())
		r, err := GenerateContent{}.DecodeResponse(index.Root())
		if err != nil {
			return
		}
		if inspected != r.Usage || min(r.Usage.InputUncached, r.Usage.CacheRead, r.Usage.Output, r.Usage.Reasoning) < 0 {
			t.Fatalf("usage %+v, inspected %+v", r.Usage, inspected)
		}
		if body, _ := (GenerateContent{}).EncodeResponse(nil, r, exchange()); !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		encoder := GenerateContent{}.NewStreamEncoder(exchange())
		var client []byte
		for ev := range r.Replay {
			client = encoder.Encode(client, ev)
		}
		checkClient(t, client)
	})
}

func FuzzDecodeStream(f *testing.F) {
	formattest.Seeds(f, "upstream_stream.sse")
	f.Fuzz(func(t *testing.T, content []byte) {
		out := run(bytes.NewReader(content), GenerateContent{})
		if bytes.Contains(out.Client, []byte(`"finishReason":"`)) && !out.Ended {
			// The words may stand in a text, but then they are escaped.
			t.Fatalf("a mark of success without an end: %s", out.Client)
		}
		if out.Ended {
			formattest.CheckEvents(t, out.Events.String())
			checkClient(t, out.Client)
		}
	})
}
