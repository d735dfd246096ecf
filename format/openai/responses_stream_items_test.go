package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// told is a neutral event as one line.
func told(ev *chat.Event) string {
	switch ev.Delta {
	case chat.DeltaSignature:
		return "signature of " + ev.Origin + " " + string(ev.Text)
	case chat.DeltaCitation:
		return "citation " + string(ev.Citation.URL)
	default:
		return strings.TrimSpace(describe(ev))
	}
}

// TestResponsesDecodeStream shows what becomes of the liberties that servers take.
func TestResponsesDecodeStream(t *testing.T) {
	const end = `{"type":"response.completed","response":{"status":"completed","output":[]}}`
	for _, tc := range []struct {
		name   string
		events []string
		want   []string
	}{
		{
			"ids that change with every event",
			[]string{
				`{"type":"response.output_item.added","output_index":0,"item":{"id":"a","type":"function_call","call_id":"c","name":"f"}}`,
				`{"type":"response.function_call_arguments.delta","output_index":0,"item_id":"b","delta":"{\"x\""}`,
				`{"type":"response.function_call_arguments.delta","output_index":0,"item_id":"c","delta":":1}"}`,
				`{"type":"response.output_item.done","output_index":0,"item":{"id":"d","type":"function_call","call_id":"c","name":"f","arguments":"{\"x\":1}"}}`,
				end,
			},
			[]string{`block 0 tool_use "c" "f"`, `delta 0 arguments "{\"x\""`, `delta 0 arguments ":1}"`, "stop 0", "finish 4", "end"},
		},
		{
			"one index for items that follow each other",
			[]string{
				`{"type":"response.output_item.done","output_index":0,"item":{"id":"a","type":"message","content":[{"type":"output_text","text":"x"}]}}`,
				`{"type":"response.output_item.done","output_index":0,"item":{"id":"b","type":"function_call","call_id":"c","name":"f","arguments":"{}"}}`,
				end,
			},
			[]string{"block 0 text", `delta 0 text "x"`, "stop 0", `block 1 tool_use "c" "f"`, `delta 1 arguments "{}"`, "stop 1", "finish 4", "end"},
		},
		{
			"neither index nor id",
			[]string{`{"type":"response.output_text.delta","delta":"x"}`, `{"type":"response.output_text.delta","delta":"y"}`, `{"type":"response.output_text.done","text":"xyz"}`, end},
			[]string{"block 0 text", `delta 0 text "x"`, `delta 0 text "y"`, `delta 0 text "z"`, "stop 0", "finish 1", "end"},
		},
		{
			"a call told by the last event only",
			[]string{
				`{"type":"response.output_text.delta","output_index":0,"item_id":"m","content_index":0,"delta":"x"}`,
				`{"type":"response.completed","response":{"status":"completed","output":[{"id":"m","type":"message","content":[{"type":"output_text","text":"x"}]},{"id":"c","type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}}`,
			},
			[]string{"block 0 text", `delta 0 text "x"`, `block 1 tool_use "c" "f"`, `delta 1 arguments "{}"`, "stop 1", "stop 0", "finish 4", "end"},
		},
		{
			"indexes from one, and other ids at the end",
			[]string{
				`{"type":"response.output_item.done","output_index":1,"item":{"id":"m","type":"message","content":[{"type":"output_text","text":"x"}]}}`,
				`{"type":"response.completed","response":{"status":"completed","output":[{"id":"n","type":"message","content":[{"type":"output_text","text":"x"}]}]}}`,
			},
			[]string{"block 0 text", `delta 0 text "x"`, "stop 0", "finish 1", "end"},
		},
		{
			"reasoning told twice",
			[]string{
				`{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"raw"}`,
				`{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"short"}`,
				`{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","summary":[{"type":"summary_text","text":"short"}],"content":[{"type":"reasoning_text","text":"raw."}],"encrypted_content":"e"}}`,
				end,
			},
			[]string{"block 0 thinking", `delta 0 thinking "raw"`, `delta 0 thinking "."`, `signature of openai_responses "e"`, "stop 0", "finish 1", "end"},
		},
		{
			"steps of the upstream's own",
			[]string{
				`{"type":"response.output_item.added","output_index":0,"item":{"id":"w","type":"web_search_call","status":"in_progress"}}`,
				`{"type":"response.web_search_call.searching","output_index":0,"item_id":"w"}`,
				`{"type":"response.code_interpreter_call_code.delta","output_index":1,"item_id":"c","delta":"print"}`,
				`{"type":"response.output_item.done","output_index":1,"item":{"id":"c","type":"code_interpreter_call","code":"print","outputs":[]}}`,
				`{"type":"response.output_text.delta","output_index":2,"content_index":0,"item_id":"m","delta":"x"}`,
				end,
			},
			[]string{"block 0 text", `delta 0 text "x"`, "stop 0", "finish 1", "end"},
		},
		{
			"free text in pieces",
			[]string{
				`{"type":"response.output_item.added","output_index":0,"item":{"id":"a","type":"custom_tool_call","call_id":"c","name":"f","input":""}}`,
				`{"type":"response.custom_tool_call_input.delta","output_index":0,"item_id":"a","delta":"a \"b"}`,
				`{"type":"response.custom_tool_call_input.done","output_index":0,"item_id":"a","input":"a \"b\"\n"}`,
				`{"type":"response.output_item.done","output_index":0,"item":{"id":"a","type":"custom_tool_call","call_id":"c","name":"f","input":"a \"b\"\n"}}`,
				end,
			},
			[]string{`block 0 tool_use "c" "f"`, `delta 0 arguments "{\"input\":\""`, `delta 0 arguments "a \\\"b"`, `delta 0 arguments "\\\"\\n"`, `delta 0 arguments "\"}"`, "stop 0", "finish 4", "end"},
		},
		{
			"citations and probabilities that come late",
			[]string{
				`{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"x","logprobs":[{"token":"x","logprob":0}]}`,
				`{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"x","annotations":[{"type":"url_citation","url":"u","title":"t","start_index":0,"end_index":1}]}}`,
				end,
			},
			[]string{"block 0 text", `delta 0 text "x" [{"token":"x","logprob":0}]`, `citation "u"`, "stop 0", "finish 1", "end"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := Responses{}.NewStreamDecoder()
			var got []string
			for _, data := range tc.events {
				events, err := d.Decode(nil, event(data))
				if err != nil {
					t.Fatal(err)
				}
				for i := range events {
					if events[i].Kind != chat.EventStart {
						got = append(got, told(&events[i]))
					}
				}
			}
			if got, want := strings.Join(got, "\n"), strings.Join(tc.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
