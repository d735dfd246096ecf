package anthropic

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// TestWatchOrdinaryEvents shows that an event which looks like the one before is
// still looked at where it matters.
func TestWatchOrdinaryEvents(t *testing.T) {
	const head, tail = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`, `"}}`
	named := func(name, data string) sse.Event { return sse.Event{Name: []byte(name), Data: []byte(data)} }
	for _, tc := range []struct {
		name   string
		event  sse.Event
		mark   format.Mark
		broken bool
	}{
		{"a text", named("content_block_delta", head+"more"+tail), format.MarkContent, false},
		{"an escaped text", named("content_block_delta", head+`a\n`+tail), format.MarkContent, false},
		{"a broken escape", named("content_block_delta", head+`a\x`+tail), 0, true},
		{"a control character", named("content_block_delta", head+"a\x01"+tail), 0, true},
		{"not UTF-8", named("content_block_delta", head+"a\xff"+tail), 0, true},
		{"an open string", named("content_block_delta", head+`a" `+tail), 0, true},
		{"an error", named("error", `{"type":"error","error":{"type":"api_error","message":"boom"}}`), format.MarkError, false},
		{"a stop", named("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`), format.MarkComplete, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Messages{}.NewStreamWatcher()
			for _, text := range []string{"a", "b", "c"} {
				if mark, err := w.Watch(named("content_block_delta", head+text+tail)); err != nil || mark != format.MarkContent {
					t.Fatal(mark, err)
				}
			}
			mark, err := w.Watch(tc.event)
			if (err != nil) != tc.broken || err == nil && mark != tc.mark {
				t.Errorf("mark %d, error %v", mark, err)
			}
		})
	}
}
