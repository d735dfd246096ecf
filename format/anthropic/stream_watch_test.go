package anthropic

import (
	"errors"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

func TestMarks(t *testing.T) {
	block := func(kind string) string {
		return `{"type":"content_block_start","content_block":{"type":"` + kind + `"}}`
	}
	delta := func(kind string) string { return `{"type":"content_block_delta","delta":{"type":"` + kind + `"}}` }
	for _, tc := range []struct {
		name, event, data string
		want              format.Mark
	}{
		{"comment", "", "", format.MarkNothing},
		{"ping", "ping", `{"type": "ping"}`, format.MarkNothing},
		{"unknown", "new", `{"type":"new"}`, format.MarkNothing},
		{"no object", "", `[]`, format.MarkNothing},
		{"start", "message_start", startMessage, format.MarkPreamble},
		{"start by its name", "message_start", `{}`, format.MarkPreamble},
		{"text", "", block("text"), format.MarkPreamble},
		{"thinking", "", block("thinking"), format.MarkPreamble},
		{"call", "", block("tool_use"), format.MarkContent},
		{"server's call", "", block("server_tool_use"), format.MarkContent},
		{"server's result", "", block("web_search_tool_result"), format.MarkContent},
		{"text delta", "", delta("text_delta"), format.MarkContent},
		{"thinking delta", "", delta("thinking_delta"), format.MarkContent},
		{"arguments delta", "", delta("input_json_delta"), format.MarkContent},
		{"signature delta", "", delta("signature_delta"), format.MarkPreamble},
		{"block stop", "", stopBlock, format.MarkPreamble},
		{"counts", "", `{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":1}}`, format.MarkPreamble},
		{"stop", "", stopMessage, format.MarkComplete},
		{"end", "", endMessage, format.MarkEnd},
		{"error", "", `{"type":"error","error":{"type":"overloaded_error","message":"x"}}`, format.MarkError},
		{"error by its name", "error", `{"message":"x"}`, format.MarkError},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Messages{}.NewStreamWatcher()
			got, err := w.Watch(sse.Event{Name: []byte(tc.event), Data: []byte(tc.data)})
			if got != tc.want || err != nil {
				t.Errorf("got %d, %v; want %d", got, err, tc.want)
			}
			if (w.Err() != nil) != (tc.want == format.MarkError) {
				t.Errorf("error %v", w.Err())
			}
		})
	}
	for _, data := range []string{"nonsense", `{"type":`, "[DONE]", `{"text":"` + "\xff" + `"}`} {
		if _, err := (Messages{}).NewStreamWatcher().Watch(sse.Event{Data: []byte(data)}); err == nil {
			t.Errorf("%s is no error", data)
		}
	}
}

func TestWatcherCounts(t *testing.T) {
	w := Messages{}.NewStreamWatcher()
	for _, data := range []string{startMessage, startText, sayHi, `{"type":"content_block_delta","delta":{"type":"text_delta","text":"\"usage\":{\"output_tokens\":7}"}}`, stopBlock, stopMessage, endMessage} {
		if _, err := w.Watch(sse.Event{Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := w.Usage(), (chat.Usage{Known: true, InputUncached: 5, CacheRead: 2, Output: 9}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if mark, err := w.Watch(sse.Event{Data: []byte("[DONE]")}); mark != format.MarkNothing || err != nil {
		t.Errorf("behind the end: %d, %v", mark, err)
	}
	if rest, err := w.Close(nil); len(rest) > 0 || err != nil {
		t.Errorf("close: %q, %v", rest, err)
	}
}

func TestWatcherClosesOnce(t *testing.T) {
	w := Messages{}.NewStreamWatcher()
	if _, err := w.Close(nil); !errors.Is(err, error(format.ErrTruncated)) {
		t.Errorf("got %v", err)
	}
	if _, err := w.Watch(sse.Event{Data: []byte(stopMessage)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"x" + messageStop, "x"} {
		if got, err := w.Close([]byte("x")); string(got) != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if got := string(w.AppendError(nil, &chat.Error{Kind: chat.ErrTimeout, Message: "x"})); got != "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"x\"}}\n\n" {
		t.Errorf("got %q", got)
	}
}
