package openai

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// TestResponsesHostileLists shows that lists of many tiny values are refused or
// cut, and cost little memory on the way.
func TestResponsesHostileLists(t *testing.T) {
	const many = 200_000
	list := func(element string) string { return "[" + strings.Repeat(element+",", many) + element + "]" }
	part, item, tool := `{"type":"input_text","text":"x"}`, `{"role":"user","content":"x"}`, `{"type":"function","name":"f"}`
	request := func(root tape.Value) error {
		_, err := Responses{}.DecodeRequest(root)
		return err
	}
	answer := func(root tape.Value) error {
		_, err := Responses{}.DecodeResponse(root)
		return err
	}
	for _, tc := range []struct {
		name, body string
		decode     func(tape.Value) error
		refused    bool
		kind       chat.ErrorKind
	}{
		{"items", `{"input":` + list(item) + `}`, request, true, chat.ErrInvalidRequest},
		{"parts of a message", `{"input":[{"role":"user","content":` + list(part) + `}]}`, request, true, chat.ErrInvalidRequest},
		{"parts of a result", `{"input":[{"type":"function_call_output","call_id":"c","output":` + list(part) + `}]}`, request, true, chat.ErrInvalidRequest},
		{"tools", `{"input":"x","tools":` + list(tool) + `}`, request, true, chat.ErrInvalidRequest},
		{"tools of a namespace", `{"input":"x","tools":[{"type":"namespace","name":"n","tools":` + list(tool) + `}]}`, request, true, chat.ErrInvalidRequest},
		{"tools of an item", `{"input":[{"type":"additional_tools","tools":` + list(tool) + `}]}`, request, true, chat.ErrInvalidRequest},
		{"repeated fields", `{"input":"x"` + strings.Repeat(`,"max_tool_calls":1`, many) + `}`, request, false, 0},
		{"parts of an answer", `{"output":[{"type":"message","content":` + list(`{"type":"output_text","text":"x"}`) + `}]}`, answer, true, chat.ErrBadUpstream},
		{"items of an answer", `{"output":` + list(`{"type":"x"}`) + `}`, answer, true, chat.ErrBadUpstream},
		{"annotations", `{"output":[{"type":"message","content":[{"type":"output_text","text":"x","annotations":` + list(`{"type":"y"}`) + `}]}]}`, answer, false, 0},
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
			e, failed := errors.AsType[*chat.Error](err)
			if failed != tc.refused || failed && e.Kind != tc.kind {
				t.Errorf("error is %v", err)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 128 {
				t.Errorf("decoding took %d MiB", used)
			}
		})
	}
}
