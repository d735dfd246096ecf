package anthropic

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// models differ in what a request may say to them; of the first, nothing is known.
var models = []string{"m", "claude-sonnet-4-0", "claude-opus-4-6", "claude-opus-5", "claude-fable-5-1"}

// target is an upstream with the model.
func target(model string) chat.Target {
	to := chat.Target{Model: model, Can: capability.Of(model), Names: new(chat.Names)}
	to.ServerTools.Add(chat.ServerWebSearch)
	return to
}

// checkModel checks the rules that depend on the model, and the number of cache
// marks.
func checkModel(t testing.TB, doc tape.Value, model string) {
	t.Helper()
	can := capability.Of(model)
	last := ""
	for m := range doc.Get("messages").Elements {
		if last = m.Get("role").Text(); last == "system" && !can.MidSystem {
			t.Errorf("%s gets a system turn: %s", model, m.Raw())
		}
	}
	if can.NoPrefill && last == "assistant" {
		t.Errorf("%s gets a prefill: %s", model, doc.Get("messages").Raw())
	}
	if kind := doc.Get("tool_choice").Get("type"); can.ForcedTool == capability.ForcedRefused && (kind.Is("any") || kind.Is("tool")) {
		t.Errorf("%s is forced: %s", model, doc.Raw())
	}
	kind := doc.Get("thinking").Get("type")
	manual, adaptive := kind.Is("enabled"), kind.Is("adaptive")
	if manual && (can.Thinking == capability.ThinkingAdaptive || can.Thinking == capability.ThinkingNone) ||
		adaptive && (can.Thinking == capability.ThinkingManual || can.Thinking == capability.ThinkingNone) {
		t.Errorf("%s is told to think: %s", model, doc.Get("thinking").Raw())
	}
	limit, _ := doc.Get("max_tokens").Int()
	if budget, ok := doc.Get("thinking").Get("budget_tokens").Int(); ok && (budget < minBudget || budget >= limit) {
		t.Errorf("budget %d of %d", budget, limit)
	}
	if limit < 1 || can.MaxOutput > 0 && limit > int64(can.MaxOutput) {
		t.Errorf("%s gets max_tokens %d", model, limit)
	}
	for _, key := range []string{"temperature", "top_p", "top_k"} {
		if can.Sampling == capability.SamplingNone && doc.Get(key).Exists() {
			t.Errorf("%s gets %s", model, key)
		}
	}
	if n := bytes.Count(doc.Raw(), []byte(`"cache_control":{"type":"ephemeral"}`)); n > maxMarks && !bytes.Contains(doc.Raw(), []byte(`\"cache_control`)) {
		t.Errorf("%d cache marks", n)
	}
}

// What is decoded can be encoded for either origin, within the rules of turns.
func FuzzDecodeRequest(f *testing.F) {
	formattest.Seeds(f, "request.json")
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
			for _, model := range models {
				r.Format = from
				var b format.Body
				if _, err := (Messages{}).EncodeRequest(&b, r, target(model)); err != nil {
					continue
				}
				doc := b.Bytes()
				if !json.Valid(doc) {
					t.Fatalf("not JSON: %s", doc)
				}
				if from == foreign {
					checkTurns(t, formattest.Parse(t, string(doc)))
					checkModel(t, formattest.Parse(t, string(doc)), model)
				}
			}
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	formattest.Seeds(f, "upstream_response.json")
	f.Add([]byte(`{"type":"error","error":{"type":"overloaded_error","message":"x","details":{}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		e := Messages{}.DecodeError(400, nil, content)
		if e.Message == "" || len(e.Message) > format.MaxErrorMessage {
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
	formattest.Seeds(f, "upstream_stream.sse")
	f.Fuzz(func(t *testing.T, content []byte) {
		out := run(bytes.NewReader(content), Messages{})
		if bytes.Contains(out.Client, []byte(messageStop)) && !out.Ended {
			t.Fatalf("a mark of success without an end: %s", out.Client)
		}
		if out.Ended {
			checkClient(t, out.Client)
		}
	})
}
