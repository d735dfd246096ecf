package anthropic

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// checkClient checks the grammar of the client's stream: one start, blocks one
// after the other with numbers from 0, one finish, one end or one error. It
// returns the inputs of the calls.
func checkClient(t testing.TB, client []byte) (inputs []string) {
	t.Helper()
	open, next, state := none, 0, "new"
	kind, input := "", ""
	for _, ev := range formattest.Split(t, client) {
		var index tape.Tape
		if err := index.Parse(ev.Data); err != nil {
			t.Fatalf("%v: %s", err, ev.Data)
		}
		doc := index.Root()
		if !doc.Get("type").Is(ev.Name) {
			t.Errorf("event %s is named %q", ev.Data, ev.Name)
		}
		if state == "end" || state == "finished" && ev.Name != "message_stop" && ev.Name != "error" {
			t.Errorf("%s in state %s", ev.Data, state)
		}
		number, _ := doc.Get("index").Int()
		switch ev.Name {
		case "message_start":
			if state != "new" || doc.Get("message").Get("content").Len() != 0 {
				t.Errorf("%s in state %s", ev.Data, state)
			}
			state = "started"
		case "content_block_start":
			if state != "started" || open != none || number != int64(next) {
				t.Errorf("%s in state %s, open %d, next %d", ev.Data, state, open, next)
			}
			open, input = next, ""
			kind = doc.Get("content_block").Get("type").Text()
			next++
		case "content_block_delta":
			delta := doc.Get("delta").Get("type").Text()
			wants := map[string]string{"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking", "input_json_delta": "tool_use", "citations_delta": "text"}
			if int64(open) != number || open == none || wants[delta] != kind {
				t.Errorf("%s while %d is open, a block of %s", ev.Data, open, kind)
			}
			input += doc.Get("delta").Get("partial_json").Text()
		case "content_block_stop":
			if int64(open) != number || open == none {
				t.Errorf("%s while %d is open", ev.Data, open)
			}
			if kind == "tool_use" {
				inputs = append(inputs, input)
			}
			open = none
		case "message_delta":
			if state != "started" || open != none || doc.Get("delta").Get("stop_reason").Kind() != tape.String {
				t.Errorf("%s in state %s, open %d", ev.Data, state, open)
			}
			for _, n := range []string{"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"} {
				if n, ok := doc.Get("usage").Get(n).Int(); !ok || n < 0 {
					t.Errorf("usage in %s", ev.Data)
				}
			}
			state = "finished"
		case "message_stop":
			if state != "finished" {
				t.Errorf("%s in state %s", ev.Data, state)
			}
			state = "end"
		case "error":
			state = "end"
		case "ping":
		default:
			t.Errorf("unknown event %s", ev.Data)
		}
	}
	if state != "end" {
		t.Errorf("the stream ends in state %s:\n%s", state, client)
	}
	return inputs
}
