package anthropic

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// checkEvents checks the grammar of neutral events: blocks open and close once,
// and nothing stands outside of them.
func checkEvents(t testing.TB, events string) {
	t.Helper()
	open := map[string]bool{}
	seen, last := 0, ""
	for i, line := range strings.Split(strings.TrimSpace(events), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		number, _, _ := strings.Cut(rest, " ")
		switch word {
		case "start":
			if i != 0 {
				t.Errorf("start is event %d", i)
			}
		case "block":
			if number != fmt.Sprint(seen) {
				t.Errorf("block %s opens after %d others", number, seen)
			}
			open[number] = true
			seen++
		case "delta":
			if !open[number] {
				t.Errorf("%q outside of its block", line)
			}
		case "stop":
			if !open[number] {
				t.Errorf("%q of a block that is not open", line)
			}
			delete(open, number)
		case "finish":
			if len(open) > 0 {
				t.Errorf("finish with open blocks %v", open)
			}
		case "usage", "error", "end":
		default:
			t.Errorf("unknown event %q", line)
		}
		last = word
	}
	if last != "end" && last != "error" {
		t.Errorf("the last event is %q", last)
	}
}

// checkClient checks the grammar of the client's stream: one start, blocks one
// after the other with numbers from 0, one finish, one end or one error. It
// returns the inputs of the calls.
func checkClient(t testing.TB, client []byte) (inputs []string) {
	t.Helper()
	open, next, state := none, 0, "new"
	kind, input := "", ""
	for _, ev := range split(t, client) {
		var index tape.Tape
		if err := index.Parse(ev.data); err != nil {
			t.Fatalf("%v: %s", err, ev.data)
		}
		doc := index.Root()
		if !doc.Get("type").Is(ev.name) {
			t.Errorf("event %s is named %q", ev.data, ev.name)
		}
		if state == "end" || state == "finished" && ev.name != "message_stop" && ev.name != "error" {
			t.Errorf("%s in state %s", ev.data, state)
		}
		number, _ := doc.Get("index").Int()
		switch ev.name {
		case "message_start":
			if state != "new" || doc.Get("message").Get("content").Len() != 0 {
				t.Errorf("%s in state %s", ev.data, state)
			}
			state = "started"
		case "content_block_start":
			if state != "started" || open != none || number != int64(next) {
				t.Errorf("%s in state %s, open %d, next %d", ev.data, state, open, next)
			}
			open, input = next, ""
			kind = doc.Get("content_block").Get("type").Text()
			next++
		case "content_block_delta":
			delta := doc.Get("delta").Get("type").Text()
			wants := map[string]string{"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking", "input_json_delta": "tool_use", "citations_delta": "text"}
			if int64(open) != number || open == none || wants[delta] != kind {
				t.Errorf("%s while %d is open, a block of %s", ev.data, open, kind)
			}
			input += doc.Get("delta").Get("partial_json").Text()
		case "content_block_stop":
			if int64(open) != number || open == none {
				t.Errorf("%s while %d is open", ev.data, open)
			}
			if kind == "tool_use" {
				inputs = append(inputs, input)
			}
			open = none
		case "message_delta":
			if state != "started" || open != none || doc.Get("delta").Get("stop_reason").Kind() != tape.String {
				t.Errorf("%s in state %s, open %d", ev.data, state, open)
			}
			for _, n := range []string{"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"} {
				if n, ok := doc.Get("usage").Get(n).Int(); !ok || n < 0 {
					t.Errorf("usage in %s", ev.data)
				}
			}
			state = "finished"
		case "message_stop":
			if state != "finished" {
				t.Errorf("%s in state %s", ev.data, state)
			}
			state = "end"
		case "error":
			state = "end"
		case "ping":
		default:
			t.Errorf("unknown event %s", ev.data)
		}
	}
	if state != "end" {
		t.Errorf("the stream ends in state %s:\n%s", state, client)
	}
	return inputs
}

// event is one event of a stream.
type event struct {
	name      string
	data, raw []byte
}

// split returns the events of a stream.
func split(t testing.TB, content []byte) (events []event) {
	t.Helper()
	scanner := sse.NewScanner(bytes.NewReader(content), 0)
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.Data != nil || len(events) == 0 {
			events = append(events, event{string(ev.Name), bytes.Clone(ev.Data), bytes.Clone(ev.Raw)})
			continue
		}
		last := &events[len(events)-1]
		last.raw = append(last.raw, ev.Raw...)
	}
}

func TestStreamsCutAtEveryByte(t *testing.T) {
	streams(t, func(t *testing.T, _ string, from format.Chat, content []byte) {
		want := run(bytes.NewReader(content), from)
		for i := range content {
			got := run(io.MultiReader(bytes.NewReader(content[:i]), bytes.NewReader(content[i:])), from)
			if got.err != nil || !bytes.Equal(got.client, want.client) {
				t.Fatalf("cut at %d: %v\ngot:\n%s\nwant:\n%s", i, got.err, got.client, want.client)
			}
		}
		got := run(iotest.OneByteReader(bytes.NewReader(content)), from)
		if got.err != nil || !bytes.Equal(got.client, want.client) {
			t.Fatalf("byte by byte: %v\ngot:\n%s\nwant:\n%s", got.err, got.client, want.client)
		}
		for _, end := range []string{"\r\n", "\r"} {
			got := run(bytes.NewReader(bytes.ReplaceAll(content, []byte("\n"), []byte(end))), from)
			if got.err != nil || !bytes.Equal(got.client, want.client) {
				t.Fatalf("line ends %q: %v\ngot:\n%s\nwant:\n%s", end, got.err, got.client, want.client)
			}
		}
	})
}

func TestStreamsTruncatedAfterEveryEvent(t *testing.T) {
	cases(t, "upstream_stream.sse", func(t *testing.T, _ string, content []byte) {
		events := split(t, content)
		for n := range len(events) + 1 {
			var part []byte
			var failed, stopped, done bool
			for _, ev := range events[:n] {
				part = append(part, ev.raw...)
				failed = failed || bytes.Contains(ev.data, []byte(`"error"`))
				stopped = stopped || bytes.Contains(ev.data, []byte(`"stop_reason":"`))
				done = done || bytes.Contains(ev.data, []byte(`"message_stop"`))
			}
			out := run(bytes.NewReader(part), Messages{})
			mark := bytes.Contains(out.client, []byte("message_stop")) || bytes.Contains(out.client, []byte(`"stop_reason":"`))
			switch {
			case failed:
				if mark || out.ended || !bytes.Contains(out.client, []byte("event: error\n")) {
					t.Errorf("after %d events with an error: %s", n, out.client)
				}
			case stopped || done:
				if out.err != nil || !out.ended || !mark {
					t.Errorf("after %d events: complete stream ends with %v: %s", n, out.err, out.client)
				}
			case !errors.Is(out.err, error(format.ErrTruncated)) || out.ended || mark:
				t.Errorf("after %d events: cut stream ends with %v: %s", n, out.err, out.client)
			}
			checkWatched(t, events[:n], failed, stopped, done)
		}
	})
}

// checkWatched checks that the watcher agrees about a part of a stream.
func checkWatched(t *testing.T, events []event, failed, stopped, done bool) {
	t.Helper()
	w := Messages{}.NewStreamWatcher()
	furthest := format.MarkNothing
	for _, ev := range events {
		mark, err := w.Watch(sse.Event{Name: []byte(ev.name), Data: ev.data, Raw: ev.raw})
		if err != nil {
			t.Fatalf("after %d events: watching: %v", len(events), err)
		}
		furthest = max(furthest, mark)
	}
	rest, err := w.Close(nil)
	ok := false
	switch {
	case failed:
		ok = furthest == format.MarkError && w.Err() != nil && err != nil
	case done:
		ok = furthest == format.MarkEnd && err == nil && len(rest) == 0
	case stopped:
		ok = furthest == format.MarkComplete && err == nil && string(rest) == messageStop
	default:
		ok = furthest < format.MarkComplete && errors.Is(err, error(format.ErrTruncated)) && len(rest) == 0
	}
	if !ok {
		t.Errorf("after %d events: mark %d, error %v, close %v %q", len(events), furthest, w.Err(), err, rest)
	}
}
