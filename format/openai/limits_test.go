package openai

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// TestHostileLists shows that lists of millions of tiny values are refused, and
// cost little memory on the way.
func TestHostileLists(t *testing.T) {
	const many = 200_000
	parts := strings.Repeat(`{"type":"text","text":"x"},`, many) + `{"type":"text","text":"x"}`
	calls := strings.Repeat(`{"id":"a","function":{"name":"f"}},`, many/2) + `{"id":"a","function":{"name":"f"}}`
	request := func(root tape.Value) error {
		_, err := Chat{}.DecodeRequest(root)
		return err
	}
	answer := func(root tape.Value) error {
		_, err := Chat{}.DecodeResponse(root)
		return err
	}
	for _, tc := range []struct {
		name, body string
		decode     func(tape.Value) error
		kind       chat.ErrorKind
	}{
		{"parts of a message", `{"model":"m","messages":[{"role":"user","content":[` + parts + `]}]}`, request, chat.ErrInvalidRequest},
		{"parts of a result", `{"model":"m","messages":[{"role":"tool","tool_call_id":"a","content":[` + parts + `]}]}`, request, chat.ErrInvalidRequest},
		{"calls of a message", `{"model":"m","messages":[{"role":"assistant","tool_calls":[` + calls + `]}]}`, request, chat.ErrInvalidRequest},
		{"calls of an answer", `{"choices":[{"message":{"role":"assistant","tool_calls":[` + calls + `]},"finish_reason":"stop"}]}`, answer, chat.ErrBadUpstream},
		{"thoughts of an answer", `{"choices":[{"message":{"role":"assistant","content":[` + parts + `]},"finish_reason":"stop"}]}`, answer, chat.ErrBadUpstream},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var index tape.Tape
			if err := index.Parse([]byte(tc.body)); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := tc.decode(index.Root())
			runtime.ReadMemStats(&after)
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Kind != tc.kind {
				t.Errorf("error is %v", err)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 128 {
				t.Errorf("decoding took %d MiB", used)
			}
		})
	}
}
