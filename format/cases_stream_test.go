package format_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tidwall/gjson"
)

// interleaved is a stream whose two calls get their arguments in turns.
var interleaved = chatStream("tool_calls",
	`{"role":"assistant","content":null}`,
	`{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"weather","arguments":""}}]}`,
	`{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"clock","arguments":""}}]}`,
	`{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}`,
	`{"tool_calls":[{"index":1,"function":{"arguments":"{\"zone\":"}}]}`,
	`{"tool_calls":[{"index":0,"function":{"arguments":"\"Rome\"}"}}]}`,
	`{"tool_calls":[{"index":1,"function":{"arguments":"\"CET\"}"}}]}`)

// TestCase01InterleavedArguments: each input arrives intact, and blocks do not
// overlap (praxis-proxy/ai #266, NVIDIA-NeMo/Switchyard #760).
func TestCase01InterleavedArguments(t *testing.T) {
	pieces, last := collectMessages(t, translateStream(t, chatFormat, messagesFormat, interleaved))
	if got, want := pieces, []piece{{"tool_use", "weather", `{"city":"Rome"}`}, {"tool_use", "clock", `{"zone":"CET"}`}}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want(t, last, "delta.stop_reason", `"tool_use"`)
}

// messagesStream is a stream of Anthropic messages with blocks, each of them its
// start and its deltas.
func messagesStream(stop string, blocks ...[]string) string {
	docs := []string{`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"real","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}`}
	for i, block := range blocks {
		docs = append(docs, fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":%s}`, i, block[0]))
		for _, delta := range block[1:] {
			docs = append(docs, fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":%s}`, i, delta))
		}
		docs = append(docs, fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, i))
	}
	return streamed(append(docs, `{"type":"message_delta","delta":{"stop_reason":"`+stop+`","stop_sequence":null},"usage":{"output_tokens":9}}`, `{"type":"message_stop"}`)...)
}

// TestCase02ToolIndexesBehindText: calls are counted among calls, not among
// blocks (BerriAI/litellm #5231, maximhq/bifrost #1961, agentgateway #2965).
func TestCase02ToolIndexesBehindText(t *testing.T) {
	stream := messagesStream("tool_use",
		[]string{`{"type":"text","text":""}`, `{"type":"text_delta","text":"Let me see."}`},
		[]string{`{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}`, `{"type":"input_json_delta","partial_json":"{\"city\":\"Rome\"}"}`},
		[]string{`{"type":"tool_use","id":"toolu_2","name":"clock","input":{}}`, `{"type":"input_json_delta","partial_json":"{\"zone\":\"CET\"}"}`})
	text, _, calls, finish := collectChat(translateStream(t, messagesFormat, chatFormat, stream))
	wantCalls := []call{{"toolu_1", "weather", `{"city":"Rome"}`}, {"toolu_2", "clock", `{"zone":"CET"}`}}
	if text != "Let me see." || finish != "tool_calls" || !slices.Equal(calls, wantCalls) {
		t.Errorf("got %q, %q, finish %s", text, calls, finish)
	}
}

// TestCase03GeminiCallsInSeparateChunks: the index goes on across chunks
// (BerriAI/litellm #16194).
func TestCase03GeminiCallsInSeparateChunks(t *testing.T) {
	stream := streamed(
		`{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"a","name":"weather","args":{"city":"Rome"}}}]},"index":0}],"responseId":"r"}`,
		`{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"b","name":"clock","args":{"zone":"CET"}}}]},"finishReason":"STOP","index":0}],"responseId":"r"}`)
	_, _, calls, finish := collectChat(translateStream(t, geminiFormat, chatFormat, stream))
	wantCalls := []call{{"a", "weather", `{"city":"Rome"}`}, {"b", "clock", `{"zone":"CET"}`}}
	if finish != "tool_calls" || !slices.Equal(calls, wantCalls) {
		t.Errorf("got %q, finish %s, want %q", calls, finish, wantCalls)
	}
}

// TestCase04ResponsesParallelCalls: parallel calls get distinct indexes
// (BerriAI/litellm #21331).
func TestCase04ResponsesParallelCalls(t *testing.T) {
	stream := streamed(
		`{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"real","output":[]}}`,
		`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"fc_1","type":"function_call","call_id":"a","name":"weather","arguments":"","status":"in_progress"}}`,
		`{"type":"response.output_item.added","sequence_number":2,"output_index":1,"item":{"id":"fc_2","type":"function_call","call_id":"b","name":"clock","arguments":"","status":"in_progress"}}`,
		`{"type":"response.function_call_arguments.delta","sequence_number":3,"item_id":"fc_2","output_index":1,"delta":"{\"zone\":\"CET\"}"}`,
		`{"type":"response.function_call_arguments.delta","sequence_number":4,"item_id":"fc_1","output_index":0,"delta":"{\"city\":\"Rome\"}"}`,
		`{"type":"response.completed","sequence_number":5,"response":{"id":"resp_1","object":"response","status":"completed","model":"real","output":[{"id":"fc_1","type":"function_call","call_id":"a","name":"weather","arguments":"{\"city\":\"Rome\"}","status":"completed"},{"id":"fc_2","type":"function_call","call_id":"b","name":"clock","arguments":"{\"zone\":\"CET\"}","status":"completed"}]}}`)
	_, _, calls, finish := collectChat(translateStream(t, responsesFormat, chatFormat, stream))
	wantCalls := []call{{"a", "weather", `{"city":"Rome"}`}, {"b", "clock", `{"zone":"CET"}`}}
	if finish != "tool_calls" || !slices.Equal(calls, wantCalls) {
		t.Errorf("got %q, finish %s, want %q", calls, finish, wantCalls)
	}
}

// TestCase05ResponsesOutputIndexes: every item has an index of its own, also in
// the final list (kitty-bridge #116).
func TestCase05ResponsesOutputIndexes(t *testing.T) {
	stream := chatStream("tool_calls", `{"role":"assistant","reasoning_content":"Hm."}`, `{"content":"Let me see."}`,
		`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"weather","arguments":"{}"}}]}`,
		`{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"clock","arguments":"{}"}}]}`)
	var ids []string
	events := translateStream(t, chatFormat, responsesFormat, stream)
	for i, ev := range events {
		if got := ev.Get("sequence_number").Int(); got != int64(i) {
			t.Errorf("event %d has the number %d", i, got)
		}
		if ev.Get("type").String() == "response.output_item.added" {
			if at := ev.Get("output_index").Int(); at != int64(len(ids)) {
				t.Errorf("item %d has the index %d", len(ids), at)
			}
			ids = append(ids, ev.Get("item.id").String())
		} else if ev.Get("item_id").Exists() && ids[ev.Get("output_index").Int()] != ev.Get("item_id").String() {
			t.Errorf("another item has this index: %s", ev.Raw)
		}
	}
	var final, kinds []string
	for _, item := range events[len(events)-1].Get("response.output").Array() {
		final = append(final, item.Get("id").String())
		kinds = append(kinds, item.Get("type").String())
	}
	if !slices.Equal(final, ids) || !slices.Equal(kinds, []string{"reasoning", "message", "function_call", "function_call"}) {
		t.Errorf("the final list has %q of types %q, the stream %q", final, kinds, ids)
	}
}

// TestCase06FirstChunkIsACall: message_start comes first, and no empty text
// block (CLIProxyAPI #561).
func TestCase06FirstChunkIsACall(t *testing.T) {
	stream := chatStream("tool_calls", `{"role":"assistant","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}}]}`)
	pieces, _ := collectMessages(t, translateStream(t, chatFormat, messagesFormat, stream))
	if want := []piece{{"tool_use", "weather", `{"city":"Rome"}`}}; !slices.Equal(pieces, want) {
		t.Errorf("got %q, want %q", pieces, want)
	}
}

// TestCase19ToolWithoutArguments: Chat clients get {}, Messages clients the
// input:{} of the start and no delta.
func TestCase19ToolWithoutArguments(t *testing.T) {
	stream := messagesStream("tool_use", []string{`{"type":"tool_use","id":"toolu_1","name":"now","input":{}}`})
	_, _, calls, _ := collectChat(translateStream(t, messagesFormat, chatFormat, stream))
	if want := []call{{"toolu_1", "now", "{}"}}; !slices.Equal(calls, want) {
		t.Errorf("chat: got %q, want %q", calls, want)
	}
	stream = chatStream("tool_calls", `{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"now","arguments":""}}]}`)
	events := translateStream(t, chatFormat, messagesFormat, stream)
	pieces, _ := collectMessages(t, events)
	if want := []piece{{"tool_use", "now", ""}}; !slices.Equal(pieces, want) {
		t.Errorf("messages: got %q, want %q", pieces, want)
	}
	want(t, events[1], "content_block.input", "{}")
}

// TestCase20StopAlthoughToolsWereCalled: what the answer holds counts more than
// the word for its end.
func TestCase20StopAlthoughToolsWereCalled(t *testing.T) {
	stream := chatStream("stop", `{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"now","arguments":"{}"}}]}`)
	_, last := collectMessages(t, translateStream(t, chatFormat, messagesFormat, stream))
	want(t, last, "delta.stop_reason", `"tool_use"`)
	answer := translateAnswer(t, chatFormat, messagesFormat, `{"id":"c","object":"chat.completion","model":"real","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"now","arguments":"{}"}}]},"finish_reason":"stop"}]}`)
	want(t, answer, "stop_reason", `"tool_use"`)
}

// TestCase21GeminiStopWithCalls: the same for STOP with a functionCall.
func TestCase21GeminiStopWithCalls(t *testing.T) {
	doc := `{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"now","args":{}}}]},"finishReason":"STOP","index":0}],"responseId":"r"}`
	want(t, translateAnswer(t, geminiFormat, chatFormat, doc), "choices.0.finish_reason", `"tool_calls"`)
	want(t, translateAnswer(t, geminiFormat, messagesFormat, doc), "stop_reason", `"tool_use"`)
	_, _, calls, finish := collectChat(translateStream(t, geminiFormat, chatFormat, streamed(doc)))
	if finish != "tool_calls" || len(calls) != 1 || calls[0].id == "" {
		t.Errorf("the stream has %q, finish %s", calls, finish)
	}
	_, last := collectMessages(t, translateStream(t, geminiFormat, messagesFormat, streamed(doc)))
	want(t, last, "delta.stop_reason", `"tool_use"`)
}

// TestCase30RedactedThinking: Chat clients see nothing of it.
func TestCase30RedactedThinking(t *testing.T) {
	const sealed = `{"type":"redacted_thinking","data":"c2VjcmV0"}`
	text, thinking, _, _ := collectChat(translateStream(t, messagesFormat, chatFormat, messagesStream("end_turn",
		[]string{sealed}, []string{`{"type":"text","text":""}`, `{"type":"text_delta","text":"Hi."}`})))
	if text != "Hi." || thinking != "" {
		t.Errorf("the client sees %q, %q", text, thinking)
	}
	answer := translateAnswer(t, messagesFormat, chatFormat, `{"id":"m","type":"message","role":"assistant","model":"real","content":[`+sealed+`,{"type":"text","text":"Hi."}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`)
	want(t, answer, "choices.0.message.content", `"Hi."`)
	want(t, answer, "choices.0.message.reasoning_content", "")
}

// TestCase31ReasoningAndContentInTurns: the thinking is closed before a text,
// also when one chunk has both.
func TestCase31ReasoningAndContentInTurns(t *testing.T) {
	stream := chatStream("stop", `{"reasoning_content":"One. "}`, `{"reasoning_content":"Two.","content":"Three. "}`, `{"content":"Four."}`, `{"reasoning_content":"Five."}`, `{"content":"Six."}`)
	pieces, _ := collectMessages(t, translateStream(t, chatFormat, messagesFormat, stream))
	wantPieces := []piece{{"thinking", "", "One. Two."}, {"text", "", "Three. Four."}, {"thinking", "", "Five."}, {"text", "", "Six."}}
	if !slices.Equal(pieces, wantPieces) {
		t.Errorf("got %q, want %q", pieces, wantPieces)
	}
}

// TestCase35EndWithoutDone: a stream that ends behind its finish_reason is
// complete.
func TestCase35EndWithoutDone(t *testing.T) {
	stream := strings.TrimSuffix(chatStream("stop", `{"content":"Hi."}`), "data: [DONE]\n\n")
	pieces, last := collectMessages(t, translateStream(t, chatFormat, messagesFormat, stream))
	if len(pieces) != 1 || pieces[0].text != "Hi." {
		t.Errorf("got %q", pieces)
	}
	want(t, last, "delta.stop_reason", `"end_turn"`)
	watcher := chatFormat.NewStreamWatcher()
	watchAll(t, watcher, stream)
	if rest, err := watcher.Close(nil); err != nil || string(rest) != "data: [DONE]\n\n" {
		t.Errorf("passed through it ends with %q, %v", rest, err)
	}
}

// TestCase36LineEndsAndComments: every legal way to write the same events, and
// one byte at a time, gives the same.
func TestCase36LineEndsAndComments(t *testing.T) {
	stream := messagesStream("end_turn", []string{`{"type":"text","text":""}`, `{"type":"text_delta","text":"wörter 😀"}`})
	wanted, err := pipeStream(messagesFormat, chatFormat, strings.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(string) string{
		"CRLF":       func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"CR":         func(s string) string { return strings.ReplaceAll(s, "\n", "\r") },
		"comments":   func(s string) string { return ": hi\n\n" + strings.ReplaceAll(s, "\n\n", "\n: wait\n\n") },
		"no space":   func(s string) string { return strings.ReplaceAll(s, "data: ", "data:") },
		"many lines": func(s string) string { return strings.ReplaceAll(s, `,"index"`, ",\ndata: \"index\"") },
		"BOM":        func(s string) string { return "\ufeff" + s },
		"no end":     func(s string) string { return strings.TrimRight(s, "\n") },
	} {
		t.Run(name, func(t *testing.T) {
			changed := change(stream)
			if got, err := pipeStream(messagesFormat, chatFormat, strings.NewReader(changed)); err != nil || got != wanted {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, wanted)
			}
			if got, err := pipeStream(messagesFormat, chatFormat, iotest.OneByteReader(strings.NewReader(changed))); err != nil || got != wanted {
				t.Errorf("byte by byte: %v\ngot  %s\nwant %s", err, got, wanted)
			}
		})
	}
}

// TestCase37AzureAndOthers: an empty first chunk, calls without an index, and a
// whole call in the chunk that ends the stream.
func TestCase37AzureAndOthers(t *testing.T) {
	const empty = `{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}`
	whole := func(calls string) string {
		return `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"real","choices":[{"index":0,"delta":{"tool_calls":[` + calls + `]},"finish_reason":"tool_calls"}]}`
	}
	const first, second = `"id":"a","type":"function","function":{"name":"weather","arguments":"{}"}`, `"id":"b","type":"function","function":{"name":"clock","arguments":"{}"}`
	wanted := []piece{{"tool_use", "weather", "{}"}, {"tool_use", "clock", "{}"}}
	for name, stream := range map[string]string{
		"empty first chunk": streamed(empty, whole(`{"index":0,`+first+`},{"index":1,`+second+`}`)),
		"no index":          streamed(whole(`{`+first+`},{`+second+`}`)) + "data: [DONE]\n\n",
		"the same index":    streamed(whole(`{"index":0,`+first+`},{"index":0,`+second+`}`)) + "data: [DONE]\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			pieces, last := collectMessages(t, translateStream(t, chatFormat, messagesFormat, stream))
			for i := range pieces {
				if pieces[i].text == "" {
					pieces[i].text = "{}" // that of the start
				}
			}
			if !slices.Equal(pieces, wanted) {
				t.Errorf("got %q, want %q", pieces, wanted)
			}
			want(t, last, "delta.stop_reason", `"tool_use"`)
		})
	}
}

// TestCase38GeminiBlockedAndEmpty: an answer without candidates is a filtered
// one, one without parts may have met its limit; both keep their usage.
func TestCase38GeminiBlockedAndEmpty(t *testing.T) {
	const usage = `"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8}`
	for _, tc := range []struct{ name, doc, chat, messages string }{
		{"blocked", `{"promptFeedback":{"blockReason":"SAFETY"},` + usage + `,"responseId":"r"}`, `"content_filter"`, `"refusal"`},
		{"no parts", `{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS","index":0}],` + usage + `,"responseId":"r"}`, `"length"`, `"max_tokens"`},
		{"no content", `{"candidates":[{"finishReason":"MAX_TOKENS","index":0}],` + usage + `,"responseId":"r"}`, `"length"`, `"max_tokens"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := translateAnswer(t, geminiFormat, chatFormat, tc.doc)
			want(t, answer, "choices.0.finish_reason", tc.chat)
			want(t, answer, "usage.prompt_tokens", "8")
			answer = translateAnswer(t, geminiFormat, messagesFormat, tc.doc)
			want(t, answer, "stop_reason", tc.messages)
			want(t, answer, "content", "[]")
			want(t, answer, "usage.input_tokens", "8")
			_, last := collectMessages(t, translateStream(t, geminiFormat, messagesFormat, streamed(tc.doc)))
			want(t, last, "delta.stop_reason", tc.messages)
			want(t, last, "usage.input_tokens", "8")
		})
	}
}

// collectUsage is the usage object of a stream's last event that has one.
func collectUsage(t *testing.T, events []gjson.Result) (usage gjson.Result, times int) {
	t.Helper()
	for _, ev := range events {
		if got := ev.Get("usage"); got.IsObject() {
			usage = got
			times++
		}
	}
	return usage, times
}
