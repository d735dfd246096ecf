package openai

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// event is an event with data.
func event(data string) sse.Event {
	return sse.Event{Data: []byte(data), Raw: []byte("data: " + data + "\n\n")}
}

func TestDecodeBreaksOn(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []string
	}{
		{"no JSON", []string{`{"choices":[`}},
		{"HTML", []string{`<html>`}},
		{"end mark without finish_reason", []string{`{"id":"x","choices":[{"delta":{"content":"a"}}]}`, `[DONE]`}},
		{"call without a name", []string{`{"id":"x","choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}}]}`, `{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := Chat{}.NewStreamDecoder()
			var events []chat.Event
			var err error
			for _, data := range tc.events {
				if err != nil {
					t.Fatalf("broke too early: %v", err)
				}
				events, err = d.Decode(events, event(data))
			}
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrBadUpstream {
				t.Errorf("got %v", err)
			}
			events, _ = d.Decode(events, event(`{"choices":[{"delta":{},"finish_reason":"stop"}]}`))
			events, _ = d.Finish(events)
			for _, ev := range events {
				if ev.Kind == chat.EventFinish || ev.Kind == chat.EventEnd {
					t.Errorf("a broken stream has event %d", ev.Kind)
				}
			}
		})
	}
}

func TestDecodeCountsAfterTheFinish(t *testing.T) {
	d := Chat{}.NewStreamDecoder()
	kinds := func(data string) (out []chat.EventKind) {
		events, err := d.Decode(nil, event(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			out = append(out, ev.Kind)
		}
		return out
	}
	kinds(`{"id":"x","choices":[{"delta":{"content":"a"}}]}`)
	if got := kinds(`{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}`); len(got) != 2 || got[0] != chat.EventBlockStop || got[1] != chat.EventFinish {
		t.Errorf("at the finish: %v", got)
	}
	if got := kinds(`{"choices":[{"delta":{"content":"too late"}}]}`); len(got) != 0 {
		t.Errorf("after the finish: %v", got)
	}
	if got := kinds(`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}`); len(got) != 1 || got[0] != chat.EventUsage {
		t.Errorf("at the counts: %v", got)
	}
	if got := kinds(`[DONE]`); len(got) != 1 || got[0] != chat.EventEnd {
		t.Errorf("at the end: %v", got)
	}
	if got := kinds(`not JSON`); len(got) != 0 {
		t.Errorf("after the end: %v", got)
	}
}

func TestDecodeLimits(t *testing.T) {
	d := Chat{}.NewStreamDecoder()
	var err error
	for i := 0; i < 2000 && err == nil; i++ {
		_, err = d.Decode(nil, event(`{"choices":[{"delta":{"tool_calls":[{"id":"`+strings.Repeat("a", i+1)+`","function":{"name":"f"}}]}}]}`))
	}
	if err == nil {
		t.Error("two thousand calls are taken")
	}
	d = Chat{}.NewStreamDecoder()
	piece := event(`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"` + strings.Repeat("a", 100<<10) + `"}}]}}]}`)
	for range 3 {
		_, err = d.Decode(nil, piece)
	}
	if err == nil {
		t.Error("arguments without a name are held without end")
	}
}

// encodeAll encodes events.
func encodeAll(x *chat.Exchange, events ...chat.Event) string {
	e := Chat{}.NewStreamEncoder(x)
	var out []byte
	for i := range events {
		out = e.Encode(out, &events[i])
	}
	return string(out)
}

// short takes what all chunks have in common out of a stream.
func short(stream string) string {
	for _, s := range []string{
		`{"id":"chatcmpl-req-1","object":"chat.completion.chunk","created":1700000000,"model":"writer","choices":`,
		`,"logprobs":null,"finish_reason":null`, `"index":0,"delta":`,
	} {
		stream = strings.ReplaceAll(stream, s, "")
	}
	return stream
}

func TestEncodeStream(t *testing.T) {
	tool := func(i int, id string) chat.Event {
		return chat.Event{Kind: chat.EventBlockStart, Index: i, Block: chat.ToolUse, ID: q(id), Name: q("f")}
	}
	arguments := func(i int, s string) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaArguments, Text: q(s)}
	}
	text := func(i int, s string) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaText, Text: q(s)}
	}
	start := chat.Event{Kind: chat.EventStart}
	stop := func(i int) chat.Event { return chat.Event{Kind: chat.EventBlockStop, Index: i} }
	finish := chat.Event{Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopEnd}}
	end := chat.Event{Kind: chat.EventEnd}
	failure := chat.Event{Kind: chat.EventError, Err: &chat.Error{Kind: chat.ErrBadUpstream, Message: "gone"}}
	const role = "data: [{{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
	const stopped = "data: [{{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n"
	const called = "data: [{{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}]}\n\n"
	for _, tc := range []struct {
		name   string
		events []chat.Event
		want   string
	}{
		{"the role comes first, whatever the first event", []chat.Event{text(0, "a")}, role + "data: [{{\"content\":\"a\"}}]}\n\n"},
		{"nothing for empty pieces", []chat.Event{start, text(0, ""), {Kind: chat.EventDelta, Delta: chat.DeltaSignature, Text: q("s")}}, role},
		{
			"tools are numbered among tools",
			[]chat.Event{start, text(0, "a"), tool(1, "x"), arguments(1, "{}"), stop(1), tool(2, "y"), stop(2), finish, end},
			role + "data: [{{\"content\":\"a\"}}]}\n\n" +
				"data: [{{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n" +
				"data: [{{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n" +
				"data: [{{\"tool_calls\":[{\"index\":1,\"id\":\"y\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n" +
				"data: [{{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n" + called + done,
		},
		{
			"a tool that never stops gets its arguments at the finish",
			[]chat.Event{start, tool(0, "x"), finish, finish, end, end},
			role + "data: [{{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n" +
				"data: [{{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n" + called + done,
		},
		{"no counts unless asked for", []chat.Event{start, {Kind: chat.EventUsage, Usage: &chat.Usage{Known: true, Output: 1}}, finish, end}, role + stopped + done},
		{
			"nothing after an error",
			[]chat.Event{start, failure, text(0, "a"), finish, end},
			role + "data: {\"error\":{\"message\":\"gone\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"stream_interrupted\"}}\n\n",
		},
		{"heartbeat", []chat.Event{{Kind: chat.EventHeartbeat}}, ": ping\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := exchange()
			x.IncludeUsage = false
			if got := short(encodeAll(x, tc.events...)); got != tc.want {
				t.Errorf("\ngot:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

func TestEncodeStreamForFunctions(t *testing.T) {
	x := exchange()
	x.LegacyFunctions, x.IncludeUsage = true, false
	got := short(encodeAll(x,
		chat.Event{Kind: chat.EventBlockStart, Block: chat.ToolUse, ID: q("a"), Name: q("f")},
		chat.Event{Kind: chat.EventBlockStart, Index: 1, Block: chat.ToolUse, ID: q("b"), Name: q("g")},
		chat.Event{Kind: chat.EventDelta, Index: 1, Delta: chat.DeltaArguments, Text: q("{}")},
		chat.Event{Kind: chat.EventBlockStop}, chat.Event{Kind: chat.EventBlockStop, Index: 1},
		chat.Event{Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopToolUse}}))
	want := "data: [{{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n" +
		"data: [{{\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}}}]}\n\n" +
		"data: [{{\"function_call\":{\"arguments\":\"{}\"}}}]}\n\n" +
		"data: [{{},\"logprobs\":null,\"finish_reason\":\"function_call\"}]}\n\n"
	if got != want {
		t.Errorf("\ngot:\n%s\nwant:\n%s", got, want)
	}
}

func TestEncodeReplayedAnswer(t *testing.T) {
	r := &chat.Response{
		ID: q("msg_1"), Stop: chat.Stop{Reason: chat.StopToolUse}, Usage: chat.Usage{Known: true, InputUncached: 3, Output: 4},
		Blocks: []chat.Block{{Kind: chat.Thinking, Text: q("hm")}, textBlock("a"), call("t", "f", `{"x":1}`)},
	}
	e := Chat{}.NewStreamEncoder(exchange())
	var out []byte
	for ev := range r.Replay {
		out = e.Encode(out, ev)
	}
	checkChunks(t, out)
	// What was encoded means the same when it is decoded and gathered again.
	d := Chat{}.NewStreamDecoder()
	var c chat.Collector
	for _, raw := range formattest.Raws(t, out) {
		events, err := d.Decode(nil, event(string(bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("data: "))))))
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			c.Add(&events[i])
		}
	}
	again, err := c.Response()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := Chat{}.EncodeResponse(nil, r, exchange())
	got, _ := Chat{}.EncodeResponse(nil, again, exchange())
	if !bytes.Equal(got, want) {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestWatchMarks(t *testing.T) {
	chunk := func(delta, finish string) string {
		return `{"id":"x","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}`
	}
	for _, tc := range []struct {
		name, data string
		want       format.Mark
	}{
		{"comment", ``, format.MarkNothing},
		{"role", chunk(`{"role":"assistant","content":"","refusal":null}`, `null`), format.MarkPreamble},
		{"empty choices", `{"id":"","choices":[],"prompt_filter_results":[]}`, format.MarkPreamble},
		{"null delta", chunk(`null`, `null`), format.MarkPreamble},
		{"something else", `{"ping":1}`, format.MarkNothing},
		{"not an object", `"ping"`, format.MarkNothing},
		{"content", chunk(`{"content":"a"}`, `null`), format.MarkContent},
		{"content in parts", chunk(`{"content":[{"type":"text","text":"a"}]}`, `null`), format.MarkContent},
		{"reasoning_content", chunk(`{"content":null,"reasoning_content":"a"}`, `null`), format.MarkContent},
		{"reasoning", chunk(`{"reasoning":"a"}`, `null`), format.MarkContent},
		{"refusal", chunk(`{"refusal":"a"}`, `null`), format.MarkContent},
		{"tool_calls", chunk(`{"tool_calls":[{"index":0}]}`, `null`), format.MarkContent},
		{"function_call", chunk(`{"function_call":{"name":"f"}}`, `null`), format.MarkContent},
		{"audio", chunk(`{"audio":{"id":"a"}}`, `null`), format.MarkContent},
		{"finish", chunk(`{}`, `"stop"`), format.MarkComplete},
		{"finish with content", chunk(`{"content":"a"}`, `"length"`), format.MarkComplete},
		{"finish with an error", chunk(`{}`, `"error"`), format.MarkError},
		{"error", `{"error":{"message":"no"}}`, format.MarkError},
		{"error text", `{"error":"no"}`, format.MarkError},
		{"null error", `{"error":null,"choices":[]}`, format.MarkPreamble},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Chat{}.NewStreamWatcher()
			got, err := w.Watch(event(tc.data))
			if err != nil || got != tc.want {
				t.Errorf("got %d, %v, want %d", got, err, tc.want)
			}
			if (w.Err() != nil) != (tc.want == format.MarkError) {
				t.Errorf("error %v", w.Err())
			}
		})
	}
}

func TestWatchRefuses(t *testing.T) {
	for name, data := range map[string]string{"no JSON": `{"a`, "HTML": `<p>`, "end mark without a finish": `[DONE]`} {
		t.Run(name, func(t *testing.T) {
			if mark, err := (Chat{}).NewStreamWatcher().Watch(event(data)); err == nil {
				t.Errorf("got mark %d", mark)
			}
		})
	}
}

func TestWatchWaitsForAllChoices(t *testing.T) {
	w := Chat{}.NewStreamWatcher()
	for i, step := range []struct {
		data string
		want format.Mark
	}{
		{`{"choices":[{"index":0,"delta":{"content":"a"}}]}`, format.MarkContent},
		{`{"choices":[{"index":1,"delta":{"content":"b"}}]}`, format.MarkContent},
		{`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`, format.MarkPreamble},
		{`{"choices":[{"index":1,"delta":{"content":"c"}}]}`, format.MarkContent},
		{`{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}`, format.MarkComplete},
		{`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, format.MarkComplete},
		{`[DONE]`, format.MarkEnd},
		{`not JSON`, format.MarkNothing},
	} {
		if got, err := w.Watch(event(step.data)); err != nil || got != step.want {
			t.Errorf("event %d: got %d, %v, want %d", i, got, err, step.want)
		}
	}
	if u := w.Usage(); !u.Known || u.InputUncached != 3 || u.Output != 2 {
		t.Errorf("usage %+v", u)
	}
}
