package handler

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// A form of output that had to be asked for as a tool is text again in the
// client's stream.
func TestOutputToolIsTextInStreams(t *testing.T) {
	upstream, ok := format.ChatOf(format.AnthropicMessages)
	client, ok2 := format.ChatOf(format.OpenAIChat)
	if !ok || !ok2 {
		t.Fatal("a codec is missing")
	}
	var names chat.Names
	names.SetOutputTool("person")
	stream := &translated{decoder: upstream.NewStreamDecoder(), encoder: client.NewStreamEncoder(&chat.Exchange{Model: "m"}), names: &names}
	const body = `data: {"type":"message_start","message":{"id":"msg_1"}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"person","input":{}}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"name\":1}"}}

data: {"type":"content_block_stop","index":0}

data: {"type":"message_delta","delta":{"stop_reason":"tool_use"}}

data: {"type":"message_stop"}

`
	scanner := sse.NewScanner(strings.NewReader(body), 0)
	defer scanner.Release()
	var got []byte
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err = stream.event(got, ev); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := stream.finish(got)
	text := string(got)
	if err != nil || !strings.Contains(text, `"content":"{\"name\":1}"`) || !strings.Contains(text, `"finish_reason":"stop"`) || strings.Contains(text, "tool_calls") {
		t.Errorf("error %v, stream:\n%s", err, text)
	}
}
