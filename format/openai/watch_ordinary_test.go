package openai

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// TestWatchOrdinaryEvents shows that an event which looks like the one before is
// still looked at where it matters.
func TestWatchOrdinaryEvents(t *testing.T) {
	const head, tail = `{"id":"c","choices":[{"index":0,"delta":{"content":"`, `"},"finish_reason":null}]}`
	for _, tc := range []struct {
		name, data string
		mark       format.Mark
		broken     bool
	}{
		{"a text", head + "more" + tail, format.MarkContent, false},
		{"an escaped text", head + `a\n\"b\"` + tail, format.MarkContent, false},
		{"a broken escape", head + `a\x` + tail, 0, true},
		{"a control character", head + "a\x01" + tail, 0, true},
		{"not UTF-8", head + "a\xff" + tail, 0, true},
		{"an open string", head + `a" ` + tail, 0, true},
		{"a finish", head + `"},"finish_reason":"stop"}]}`, format.MarkComplete, false},
		{"a finish inside the frame", head + `a"},"finish_reason":"stop","x":{"y":"` + `"}}]}`, format.MarkComplete, false},
		{"an error", `{"error":{"message":"boom"}}`, format.MarkError, false},
		{"cut", head + "mo", 0, true},
		{"the end without a finish", "[DONE]", 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Chat{}.NewStreamWatcher()
			for _, text := range []string{"", "a", "b", "c"} {
				if _, err := w.Watch(event(head + text + tail)); err != nil {
					t.Fatal(err)
				}
			}
			mark, err := w.Watch(event(tc.data))
			if (err != nil) != tc.broken || err == nil && mark != tc.mark {
				t.Errorf("mark %d, error %v", mark, err)
			}
		})
	}
}
