package anthropic

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// stream makes a stream of documents.
func stream(documents ...string) *strings.Reader {
	var b strings.Builder
	for _, d := range documents {
		b.WriteString("data: " + d + "\n\n")
	}
	return strings.NewReader(b.String())
}

// Events of streams.
const (
	startMessage = `{"type":"message_start","message":{"id":"msg_1","model":"claude-x","usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}`
	startText    = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	sayHi        = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}`
	stopBlock    = `{"type":"content_block_stop","index":0}`
	stopMessage  = `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}`
	endMessage   = `{"type":"message_stop"}`
)

func TestDecodeStreams(t *testing.T) {
	const start, usage = `start "msg_1" "claude-x"`, "usage uncached 5 read 2 written 0+0 output 1 reasoning 0"
	for _, tc := range []struct {
		name   string
		events []string
		want   string
		err    string
	}{
		{"nothing", nil, "", "ended before"},
		{"no stop reason", []string{startMessage, startText, sayHi, stopBlock}, start + "|" + usage + `|block 0 text|delta 0 text "hi"|stop 0`, "ended before"},
		{"end without a stop reason", []string{startText, sayHi, endMessage}, `start  |block 0 text|delta 0 text "hi"|stop 0|finish 1|end`, ""},
		{"stop reason without an end", []string{startText, sayHi, stopMessage}, `start  |block 0 text|delta 0 text "hi"|usage uncached 0 read 0 written 0+0 output 9 reasoning 0|stop 0|finish 1|end`, ""},
		{"end alone", []string{endMessage}, `start  |finish 1|end`, ""},
		{"what comes behind the end", []string{endMessage, startMessage, "nonsense"}, `start  |finish 1|end`, ""},
		{"what comes behind the stop", []string{stopMessage, startText, sayHi, stopMessage, endMessage}, `usage uncached 0 read 0 written 0+0 output 9 reasoning 0|start  |finish 1|usage uncached 0 read 0 written 0+0 output 9 reasoning 0|end`, ""},
		{
			"counts come in parts",
			[]string{startMessage, `{"type":"message_delta","delta":{},"usage":{"output_tokens":3}}`, `{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"input_tokens":6,"output_tokens":null}}`},
			start + "|" + usage + "|usage uncached 5 read 2 written 0+0 output 3 reasoning 0|usage uncached 6 read 2 written 0+0 output 3 reasoning 0|finish 2|end", "",
		},
		{"not JSON", []string{startMessage, "nonsense"}, start + "|" + usage, "not JSON"},
		{"half an event", []string{startMessage, `{"type":"content_block`}, start + "|" + usage, "not JSON"},
		{"no object", []string{"[1]", "1", endMessage}, `start  |finish 1|end`, ""},
		{"error", []string{startMessage, `{"type":"error","error":{"type":"api_error","message":"boom"}}`, endMessage}, start + "|" + usage + "|error kind 0: boom", ""},
		{"error without a type", []string{`{"error":{"message":"boom"}}`}, "error kind 0: boom", ""},
		{"error without words", []string{`{"type":"error"}`}, "error kind 0: the upstream reported an error and did not say which", ""},
		{"text in the start", []string{`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}`, endMessage}, `start  |block 0 text|delta 0 text "a"|stop 0|finish 1|end`, ""},
		{"thinking in the start", []string{`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"a","signature":"s"}}`, endMessage}, `start  |block 0 thinking|delta 0 thinking "a"|delta 0 signature "s"|stop 0|finish 1|end`, ""},
		{"block without a start", []string{`{"type":"content_block_delta","index":3,"delta":{"type":"thinking_delta","thinking":"a"}}`, endMessage}, `start  |block 0 thinking|delta 0 thinking "a"|stop 0|finish 1|end`, ""},
		{"signature without a start", []string{`{"type":"content_block_delta","index":3,"delta":{"type":"signature_delta","signature":"a"}}`, endMessage}, `start  |finish 1|end`, ""},
		{"call without a start", []string{`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{"}}`}, "", "has not begun"},
		{"call without a name", []string{`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","input":{}}}`}, "", "without a name"},
		{
			"call without an id",
			[]string{startMessage, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f"}}`, endMessage},
			start + "|" + usage + `|block 0 tool_use ` + string(madeID([]byte(`"msg_1"`), 0)) + ` "f"|stop 0|finish 4|end`, "",
		},
		{"call with input in the start and in deltas", []string{
			`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{"a":1}}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"b\":2}"}}`, endMessage,
		}, `start  |block 0 tool_use "a" "f"|delta 0 arguments "{\"b\":2}"|stop 0|finish 4|end`, ""},
		{"text delta in a call", []string{
			`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f"}}`, sayHi, endMessage,
		}, `start  |block 0 tool_use "a" "f"|stop 0|finish 4|end`, ""},
		{"numbers stay dense", []string{
			`{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}`, sayHi, stopBlock,
			`{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`, `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}`, endMessage,
		}, `start  |block 0 text|delta 0 text "a"|stop 0|finish 1|end`, ""},
		{"delta of a closed block", []string{startText, stopBlock, `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta"}}`, endMessage}, `start  |block 0 text|stop 0|finish 1|end`, ""},
		{"stop of an unknown block", []string{stopBlock, endMessage}, `start  |finish 1|end`, ""},
		{"escaped words", []string{`{"\u0074ype":"content_block_delt\u0061","index":0,"delta":{"type":"text_\u0064elta","te\u0078t":"a"}}`, endMessage}, `start  |block 0 text|delta 0 text "a"|stop 0|finish 1|end`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := run(stream(tc.events...), Messages{})
			if got := strings.ReplaceAll(strings.TrimSpace(out.Events.String()), "\n", "|"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if err := fmt.Sprint(out.Err); tc.err == "" && out.Err != nil || !strings.Contains(err, tc.err) {
				t.Errorf("got error %v, want %q", out.Err, tc.err)
			}
			if e, ok := errors.AsType[*chat.Error](out.Err); out.Err != nil && (!ok || e.Kind != chat.ErrBadUpstream) {
				t.Errorf("got error %v", out.Err)
			}
			if tc.err == "" && tc.name != "what comes behind the stop" {
				checkClient(t, out.Client)
			}
		})
	}
}

func TestTooManyBlocks(t *testing.T) {
	d := Messages{}.NewStreamDecoder()
	for range maxAnswerBlocks {
		if _, err := d.Decode(nil, sse.Event{Data: []byte(startText)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Decode(nil, sse.Event{Data: []byte(startText)}); err == nil {
		t.Error("no limit")
	}
}
