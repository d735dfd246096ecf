package anthropic

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// seeds adds the files of that name below testdata.
func seeds(f *testing.F, name string) {
	found, err := filepath.Glob(filepath.Join("testdata", "*", name))
	if err != nil || len(found) == 0 {
		f.Fatalf("no %s: %v", name, err)
	}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
}

// What is decoded can be encoded for either origin, within the rules of turns.
func FuzzDecodeRequest(f *testing.F) {
	seeds(f, "request.json")
	f.Fuzz(func(t *testing.T, content []byte) {
		var index tape.Tape
		if index.Parse(content) != nil {
			return
		}
		r, err := Messages{}.DecodeRequest(index.Root())
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a message")
			}
			return
		}
		for _, from := range []string{origin, foreign} {
			r.Format = from
			var b format.Body
			if _, err := (Messages{}).EncodeRequest(&b, r, chat.Target{Model: "m"}); err != nil {
				continue
			}
			doc := b.Bytes()
			if !json.Valid(doc) {
				t.Fatalf("not JSON: %s", doc)
			}
			if from == foreign {
				checkTurns(t, parse(t, string(doc)))
			}
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	seeds(f, "upstream_response.json")
	f.Add([]byte(`{"type":"error","error":{"type":"overloaded_error","message":"x","details":{}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		e := Messages{}.DecodeError(400, nil, content)
		if e.Message == "" || len(e.Message) > maxMessage {
			t.Fatalf("message %q", e.Message)
		}
		if _, body := (Messages{}).EncodeError(nil, e); !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		var index tape.Tape
		if index.Parse(content) != nil {
			return
		}
		inspected, _ := Messages{}.InspectResponse(index.Root())
		r, err := Messages{}.DecodeResponse(index.Root())
		if err != nil {
			return
		}
		if inspected != r.Usage || min(r.Usage.InputUncached, r.Usage.CacheRead, r.Usage.CacheWrite5m, r.Usage.CacheWrite1h, r.Usage.Output) < 0 {
			t.Fatalf("usage %+v, inspected %+v", r.Usage, inspected)
		}
		if body, _ := (Messages{}).EncodeResponse(nil, r, exchange()); !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		encoder := Messages{}.NewStreamEncoder(exchange())
		var client []byte
		for ev := range r.Replay {
			client = encoder.Encode(client, ev)
		}
		checkClient(t, client)
	})
}

func FuzzDecodeStream(f *testing.F) {
	seeds(f, "upstream_stream.sse")
	f.Fuzz(func(t *testing.T, content []byte) {
		out := run(bytes.NewReader(content), Messages{})
		if bytes.Contains(out.client, []byte(messageStop)) && !out.ended {
			t.Fatalf("a mark of success without an end: %s", out.client)
		}
		if out.ended {
			checkClient(t, out.client)
		}
	})
}
