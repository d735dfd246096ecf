package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// steps lists the events of a stream: their kind behind "response.", with the
// place they are about.
func steps(t *testing.T, client []byte) string {
	t.Helper()
	var out []string
	for _, raw := range formattest.Raws(t, client) {
		_, data, _ := strings.Cut(string(raw), "data: ")
		doc := formattest.Parse(t, strings.TrimSpace(data))
		step := strings.TrimPrefix(doc.Get("type").Text(), "response.")
		if at := doc.Get("output_index"); at.Exists() {
			step += ":" + string(at.Raw())
		}
		if at := doc.Get("content_index"); at.Exists() {
			step += "/" + string(at.Raw())
		}
		out = append(out, step)
	}
	return strings.Join(out, " ")
}

func TestResponsesEncodeStream(t *testing.T) {
	start := chat.Event{Kind: chat.EventStart, ID: q("msg_x")}
	begin := func(i int, kind chat.BlockKind) chat.Event {
		ev := chat.Event{Kind: chat.EventBlockStart, Index: i, Block: kind}
		if kind == chat.ToolUse {
			ev.ID, ev.Name = q(fmt.Sprint("call_", i)), q("f")
		}
		return ev
	}
	delta := func(i int, kind chat.DeltaKind, text string) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: kind, Text: q(text), Origin: foreign}
	}
	stop := func(i int) chat.Event { return chat.Event{Kind: chat.EventBlockStop, Index: i} }
	finish := chat.Event{Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopEnd}}
	end := chat.Event{Kind: chat.EventEnd}
	failure := chat.Event{Kind: chat.EventError, Err: &chat.Error{Kind: chat.ErrBadUpstream, Message: "gone"}}
	const opened = "created in_progress "
	for _, tc := range []struct {
		name   string
		events []chat.Event
		want   string
	}{
		{"nothing said", []chat.Event{start, finish, end, end}, opened + "completed"},
		{"cut off", []chat.Event{start, {Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopMaxTokens}}, end}, opened + "incomplete"},
		{"empty text makes no item", []chat.Event{start, begin(0, chat.Text), delta(0, chat.DeltaText, ""), stop(0), finish, end}, opened + "completed"},
		{
			"neighbouring texts share a message",
			[]chat.Event{start, begin(0, chat.Text), delta(0, chat.DeltaText, "a"), stop(0), begin(1, chat.Text), delta(1, chat.DeltaText, "b"), stop(1), finish, end},
			opened + "output_item.added:0 content_part.added:0/0 output_text.delta:0/0 output_text.done:0/0 content_part.done:0/0 " +
				"content_part.added:0/1 output_text.delta:0/1 output_text.done:0/1 content_part.done:0/1 output_item.done:0 completed",
		},
		{
			"interleaved calls",
			[]chat.Event{
				start, begin(0, chat.ToolUse), begin(1, chat.ToolUse), delta(0, chat.DeltaArguments, "{"), delta(1, chat.DeltaArguments, "{}"),
				delta(0, chat.DeltaArguments, "}"), stop(0), stop(1), finish, end,
			},
			opened + "output_item.added:0 output_item.added:1 function_call_arguments.delta:0 function_call_arguments.delta:1 function_call_arguments.delta:0 " +
				"function_call_arguments.done:0 output_item.done:0 function_call_arguments.done:1 output_item.done:1 completed",
		},
		{
			"call without arguments, never stopped",
			[]chat.Event{start, begin(0, chat.ToolUse), finish, end},
			opened + "output_item.added:0 function_call_arguments.delta:0 function_call_arguments.done:0 output_item.done:0 completed",
		},
		{
			"reasoning closes before the next item, a late signature is left out",
			[]chat.Event{start, begin(0, chat.Thinking), delta(0, chat.DeltaThinking, "t"), begin(1, chat.Text), delta(1, chat.DeltaText, "a"), delta(0, chat.DeltaSignature, "s"), stop(0), stop(1), finish, end},
			opened + "output_item.added:0 reasoning_summary_part.added:0 reasoning_summary_text.delta:0 reasoning_summary_text.done:0 reasoning_summary_part.done:0 output_item.done:0 " +
				"output_item.added:1 content_part.added:1/0 output_text.delta:1/0 output_text.done:1/0 content_part.done:1/0 output_item.done:1 completed",
		},
		{
			"signature without text",
			[]chat.Event{start, begin(0, chat.Thinking), delta(0, chat.DeltaSignature, "s"), stop(0), begin(1, chat.RedactedThinking), delta(1, chat.DeltaRedacted, "r"), stop(1), finish, end},
			opened + "output_item.added:0 output_item.done:0 output_item.added:1 output_item.done:1 completed",
		},
		{
			"refusal",
			[]chat.Event{start, begin(0, chat.Refusal), delta(0, chat.DeltaRefusal, "no"), {Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopRefusal}}, end},
			opened + "output_item.added:0 content_part.added:0/0 refusal.delta:0/0 refusal.done:0/0 content_part.done:0/0 output_item.done:0 completed",
		},
		{"error after the start", []chat.Event{start, begin(0, chat.Text), delta(0, chat.DeltaText, "a"), failure, finish, end}, opened + "output_item.added:0 content_part.added:0/0 output_text.delta:0/0 failed"},
		{"error before the start", []chat.Event{failure, start, finish, end}, "error"},
		{"error after the finish", []chat.Event{start, finish, failure, end}, opened + "failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := Responses{}.NewStreamEncoder(exchange())
			var out []byte
			for i := range tc.events {
				out = e.Encode(out, &tc.events[i])
			}
			if got := steps(t, out); got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			checkResponseEvents(t, out)
		})
	}
	if got := (Responses{}).NewStreamEncoder(exchange()).Encode(nil, &chat.Event{Kind: chat.EventHeartbeat}); string(got) != ": ping\n\n" {
		t.Errorf("heartbeat %q", got)
	}
}

func TestResponsesErrorCodes(t *testing.T) {
	for kind, want := range map[chat.ErrorKind]string{
		chat.ErrServer: "server_error", chat.ErrTimeout: "server_error", chat.ErrOverloaded: "server_error",
		chat.ErrRateLimit: "rate_limit_exceeded", chat.ErrQuota: "rate_limit_exceeded", chat.ErrContextTooLong: "invalid_prompt",
	} {
		if got := responseErrorCode(&chat.Error{Kind: kind}); got != want {
			t.Errorf("kind %d: %s, want %s", kind, got, want)
		}
	}
}

func TestResponsesDecodeBreaksOn(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON":             `{"type":`,
		"HTML":                `<html>`,
		"end mark":            `[DONE]`,
		"call without a name": `{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := Responses{}.NewStreamDecoder()
			_, err := d.Decode(nil, event(data))
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrBadUpstream {
				t.Errorf("got %v", err)
			}
			events, _ := d.Decode(nil, event(`{"type":"response.completed","response":{"status":"completed","output":[]}}`))
			if events, _ = d.Finish(events); len(events) > 0 {
				t.Errorf("a broken stream goes on: %+v", events)
			}
		})
	}
}

func TestResponsesDecodeLimits(t *testing.T) {
	d := Responses{}.NewStreamDecoder()
	var err error
	for i := 0; i < 5000 && err == nil; i++ {
		_, err = d.Decode(nil, event(fmt.Sprintf(`{"type":"response.output_text.delta","output_index":%d,"content_index":0,"delta":"a"}`, i)))
	}
	if err == nil {
		t.Error("five thousand parts are taken")
	}
}

func TestResponsesWatchMarks(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		want       format.Mark
	}{
		{"comment", ``, format.MarkNothing},
		{"something else", `{"type":"keepalive","sequence_number":3}`, format.MarkNothing},
		{"not an object", `"ping"`, format.MarkNothing},
		{"created", `{"type":"response.created","response":{"id":"x"}}`, format.MarkPreamble},
		{"message added", `{"type":"response.output_item.added","item":{"type":"message"}}`, format.MarkPreamble},
		{"part added", `{"type":"response.content_part.added","part":{"type":"output_text"}}`, format.MarkPreamble},
		{"call added", `{"type":"response.output_item.added","item":{"type":"function_call"}}`, format.MarkContent},
		{"text", `{"type":"response.output_text.delta","delta":"a"}`, format.MarkContent},
		{"empty text", `{"type":"response.output_text.delta","delta":""}`, format.MarkPreamble},
		{"reasoning", `{"type":"response.reasoning_summary_text.delta","delta":"a"}`, format.MarkContent},
		{"arguments", `{"type":"response.function_call_arguments.delta","delta":"a"}`, format.MarkContent},
		{"search", `{"type":"response.web_search_call.searching"}`, format.MarkPreamble},
		{"completed", `{"type":"response.completed","response":{}}`, format.MarkEnd},
		{"incomplete", `{"type":"response.incomplete","response":{}}`, format.MarkEnd},
		{"failed", `{"type":"response.failed","response":{"error":{"message":"no"}}}`, format.MarkError},
		{"error", `{"type":"error","message":"no"}`, format.MarkError},
		{"bare error", `{"error":{"message":"no"}}`, format.MarkError},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Responses{}.NewStreamWatcher()
			got, err := w.Watch(event(tc.data))
			if err != nil || got != tc.want || (w.Err() != nil) != (tc.want == format.MarkError) {
				t.Errorf("got %d, %v, %v, want %d", got, err, w.Err(), tc.want)
			}
		})
	}
	for name, data := range map[string]string{"no JSON": `{"a`, "end mark too early": `[DONE]`} {
		if mark, err := (Responses{}).NewStreamWatcher().Watch(event(data)); err == nil {
			t.Errorf("%s: got mark %d", name, mark)
		}
	}
}

func FuzzResponsesDecodeStream(f *testing.F) {
	f.Add([]byte("data: {\"type\":\"response.created\",\"response\":{\"id\":\"x\"}}\n\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n\ndata: {\"type\":\"response.output_text.done\",\"output_index\":0,\"text\":\"ab\\u00e9\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[]}}\n\n"))
	f.Add([]byte("data: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"custom_tool_call\",\"name\":\"apply_patch\"}}\n\ndata: {\"type\":\"response.custom_tool_call_input.delta\",\"output_index\":1,\"delta\":\"\\\\\"}\n\ndata: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"custom_tool_call\",\"input\":\"\\\\x\"}}\n\n"))
	f.Add([]byte("data: {\"type\":\"response.reasoning_summary_text.delta\",\"summary_index\":1,\"delta\":\"a\"}\r\n\r\ndata: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"reasoning\",\"summary\":[{\"text\":\"a\"},{\"text\":\"b\"},{\"text\":\"c\"}],\"encrypted_content\":\"e\"}}\n\n"))
	f.Add([]byte("event: error\ndata: {\"message\":\"x\"}\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		out := runResponses(bytes.NewReader(stream), Responses{}.NewStreamEncoder(responsesExchange(t)))
		if succeeded(out.Client) && !out.Ended {
			t.Fatalf("a mark of success without an end: %s", out.Client)
		}
		for _, raw := range formattest.Raws(t, out.Client) {
			_, data, _ := bytes.Cut(raw, []byte("data: "))
			if !json.Valid(bytes.TrimSpace(data)) {
				t.Fatalf("not JSON: %s", data)
			}
		}
		if out.Events.Len() > 0 && out.Err == nil {
			formattest.CheckEvents(t, out.Events.String())
		}
	})
}
