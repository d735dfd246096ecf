package gemini

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// data is an event with data.
func data(s string) sse.Event { return sse.Event{Data: []byte(s)} }

func TestDecodeBreaksOn(t *testing.T) {
	for _, tc := range []struct{ name, event string }{
		{"no JSON", `{"candidates":[`},
		{"HTML", `<html>`},
		{"call without a name", `{"candidates":[{"content":{"parts":[{"functionCall":{"args":{}}}]},"finishReason":"STOP"}]}`},
		{"piece without a call", `{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"x"}]}}]},"finishReason":"STOP"}]}`},
		{"piece without a path", `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a","partialArgs":[{"stringValue":"x"}]}}]},"finishReason":"STOP"}]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := GenerateContent{}.NewStreamDecoder()
			events, err := d.Decode(nil, data(tc.event))
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrBadUpstream {
				t.Errorf("got %v", err)
			}
			events, _ = d.Decode(events, data(`{"candidates":[{"finishReason":"STOP"}]}`))
			events, _ = d.Finish(events)
			for _, ev := range events {
				if ev.Kind == chat.EventFinish || ev.Kind == chat.EventEnd {
					t.Errorf("a broken stream has event %d", ev.Kind)
				}
			}
		})
	}
}

// encodeAll encodes events for a client.
func encodeAll(x *chat.Exchange, events ...chat.Event) string {
	e := GenerateContent{}.NewStreamEncoder(x)
	var out []byte
	for i := range events {
		out = e.Encode(out, &events[i])
	}
	return string(out)
}

func TestEncodeStream(t *testing.T) {
	quiet := &chat.Exchange{Model: "writer", RequestID: "req-1"}
	begins := func(i int, kind chat.BlockKind) chat.Event {
		return chat.Event{Kind: chat.EventBlockStart, Index: i, Block: kind, ID: chat.Literal(`"id"`), Name: chat.Literal(`"f"`)}
	}
	delta := func(i int, kind chat.DeltaKind, text, from string) chat.Event {
		return chat.Event{Kind: chat.EventDelta, Index: i, Delta: kind, Text: chat.Quote(text), Origin: from}
	}
	ends := func(i int) chat.Event { return chat.Event{Kind: chat.EventBlockStop, Index: i} }
	starts, beats, over := chat.Event{Kind: chat.EventStart}, chat.Event{Kind: chat.EventHeartbeat}, chat.Event{Kind: chat.EventEnd}
	finishes := chat.Event{Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopToolUse}}
	failed := chat.Event{Kind: chat.EventError, Err: format.ErrTruncated}
	for _, tc := range []struct {
		name   string
		x      *chat.Exchange
		events []chat.Event
		has    []string
		hasNot []string
	}{
		{"thoughts nobody asked for", quiet, []chat.Event{starts, begins(0, chat.Thinking), delta(0, chat.DeltaThinking, "secret", ""), delta(0, chat.DeltaSignature, "c2ln", origin), ends(0), finishes, over}, []string{`"finishReason":"STOP"`}, []string{"secret", "thought"}},
		{"foreign signature", exchange(), []chat.Event{starts, begins(0, chat.Thinking), delta(0, chat.DeltaThinking, "hm", ""), delta(0, chat.DeltaSignature, "x", "anthropic_messages"), ends(0), finishes, over}, []string{`{"text":"","thought":true,"thoughtSignature":"YWlndzEuYW50aHJvcGljX21lc3NhZ2VzLng="}`}, nil},
		{"foreign signature of a thought nobody asked for", quiet, []chat.Event{starts, begins(0, chat.Thinking), delta(0, chat.DeltaThinking, "hm", ""), delta(0, chat.DeltaSignature, "x", "anthropic_messages"), ends(0), finishes, over}, nil, []string{"thoughtSignature", "hm"}},
		{"signature in pieces", exchange(), []chat.Event{starts, begins(0, chat.Thinking), delta(0, chat.DeltaSignature, "x", "anthropic_messages"), delta(0, chat.DeltaSignature, "y", "anthropic_messages"), finishes, over}, []string{`"thoughtSignature":"YWlndzEuYW50aHJvcGljX21lc3NhZ2VzLnh5"`}, nil},
		{"call without arguments", quiet, []chat.Event{begins(0, chat.ToolUse), ends(0), finishes, over}, []string{`{"functionCall":{"id":"id","name":"f","args":{}}}`}, nil},
		{"call that is never closed", quiet, []chat.Event{begins(0, chat.ToolUse), delta(0, chat.DeltaArguments, `{"a":`, ""), delta(0, chat.DeltaArguments, `1}`, ""), finishes, over}, []string{`"args":{"a":1}`}, nil},
		{"signed call", quiet, []chat.Event{begins(0, chat.ToolUse), delta(0, chat.DeltaSignature, "c2ln", origin), ends(0), finishes, over}, []string{`"args":{}},"thoughtSignature":"c2ln"}`}, nil},
		{"refusal", quiet, []chat.Event{begins(0, chat.Refusal), delta(0, chat.DeltaRefusal, "no", ""), ends(0), {Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopEnd}}, over}, []string{`{"text":"no"}`, `"finishReason":"SAFETY"`}, nil},
		{"broken in a call", quiet, []chat.Event{starts, begins(0, chat.ToolUse), delta(0, chat.DeltaArguments, `{"a":`, ""), failed, over}, []string{`{"error":{"code":503,`}, []string{"finishReason", "functionCall"}},
		{"heartbeat", quiet, []chat.Event{beats, starts, beats}, nil, []string{"data"}},
		{"call too large", quiet, []chat.Event{begins(0, chat.ToolUse), delta(0, chat.DeltaArguments, strings.Repeat("x", maxHeld+1), ""), finishes, over}, []string{`"error"`}, []string{"finishReason"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := encodeAll(tc.x, tc.events...)
			for _, s := range tc.has {
				if !strings.Contains(got, s) {
					t.Errorf("want %s in\n%s", s, got)
				}
			}
			for _, s := range tc.hasNot {
				if strings.Contains(got, s) {
					t.Errorf("want no %s in\n%s", s, got)
				}
			}
		})
	}
	if got := encodeAll(quiet, beats, starts, beats); got != "\n\n" {
		t.Errorf("heartbeats: %q", got)
	}
}

// Several candidates are complete when all of them are.
func TestWatchSeveralCandidates(t *testing.T) {
	w := GenerateContent{}.NewStreamWatcher()
	for _, tc := range []struct {
		event string
		want  format.Mark
	}{
		{`{"candidates":[{"index":0,"content":{"parts":[{"text":""}]}}]}`, format.MarkPreamble},
		{`{"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]}}]}`, format.MarkContent},
		{`{"candidates":[{"index":0,"finishReason":"STOP"}]}`, format.MarkPreamble},
		{`{"candidates":[{"index":1,"finishReason":"STOP"}]}`, format.MarkComplete},
		{`{"usageMetadata":{"promptTokenCount":1}}`, format.MarkComplete},
		{`{}`, format.MarkNothing},
	} {
		if mark, err := w.Watch(data(tc.event)); err != nil || mark != tc.want {
			t.Errorf("%s: %d %v, want %d", tc.event, mark, err, tc.want)
		}
	}
}

func TestEventsDoNotAllocate(t *testing.T) {
	const chunk = `{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":3,"totalTokenCount":11},"modelVersion":"m","responseId":"r"}`
	d := GenerateContent{}.NewStreamDecoder()
	e := GenerateContent{}.NewStreamEncoder(exchange())
	w := GenerateContent{}.NewStreamWatcher()
	ev := data(chunk)
	var events []chat.Event
	var out []byte
	n := testing.AllocsPerRun(100, func() {
		events, _ = d.Decode(events[:0], ev)
		out = out[:0]
		for i := range events {
			out = e.Encode(out, &events[i])
		}
		if mark, _ := w.Watch(ev); mark != format.MarkContent {
			t.Error(mark)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations per event", n)
	}
}
