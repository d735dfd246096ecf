package gemini

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

// checkClient checks the client's stream as Google's SDKs read it: blocks that
// begin with "data:" and end with two LF, each of one line with a JSON document.
// The last one has the only finishReason, and the counts; or it is the only
// error.
func checkClient(t testing.TB, client []byte) {
	t.Helper()
	if bytes.IndexByte(client, '\r') >= 0 || !bytes.HasSuffix(client, []byte("\n\n")) {
		t.Errorf("line ends of the stream: %q", client)
	}
	blocks := strings.Split(strings.TrimSuffix(string(client), "\n\n"), "\n\n")
	for i, block := range blocks {
		data, ok := strings.CutPrefix(block, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("block %q", block)
		}
		doc := parse(t, data)
		last := i == len(blocks)-1
		if doc.Get("error").Exists() {
			if n, _ := doc.Get("error").Get("code").Int(); !last || n < 400 || doc.Get("error").Get("status").Literal().Empty() {
				t.Errorf("error in block %d of %d: %s", i, len(blocks), data)
			}
			continue
		}
		a := membersOf(doc)
		if a.id.Literal().Empty() || !a.model.Is("writer") || a.parts.Len() != 1 {
			t.Errorf("chunk %s", data)
		}
		if isReason(a.reason) != last || a.usage.Exists() != last {
			t.Errorf("chunk %d of %d: %s", i, len(blocks), data)
		}
		for p := range a.parts.Elements {
			if call := p.Get("functionCall"); call.Exists() && call.Get("args").Kind() != tape.Object {
				t.Errorf("call %s", call.Raw())
			}
		}
	}
}

// event is one event of a stream.
type event struct{ data, raw []byte }

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
		events = append(events, event{bytes.Clone(ev.Data), bytes.Clone(ev.Raw)})
	}
}

// same compares streams but for the ids that are made at random.
func same(a, b []byte) bool {
	return bytes.Equal(made.ReplaceAll(a, []byte("made")), made.ReplaceAll(b, []byte("made")))
}

func TestStreamsCutAtEveryByte(t *testing.T) {
	streams(t, func(t *testing.T, _ string, from format.Chat, content []byte) {
		want := run(bytes.NewReader(content), from)
		for i := range content {
			got := run(io.MultiReader(bytes.NewReader(content[:i]), bytes.NewReader(content[i:])), from)
			if got.err != nil || !same(got.client, want.client) {
				t.Fatalf("cut at %d: %v\ngot:\n%s\nwant:\n%s", i, got.err, got.client, want.client)
			}
		}
		got := run(iotest.OneByteReader(bytes.NewReader(content)), from)
		if got.err != nil || !same(got.client, want.client) {
			t.Fatalf("byte by byte: %v\ngot:\n%s\nwant:\n%s", got.err, got.client, want.client)
		}
		for _, end := range []string{"\r\n", "\r"} {
			got := run(bytes.NewReader(bytes.ReplaceAll(content, []byte("\n"), []byte(end))), from)
			if got.err != nil || !same(got.client, want.client) {
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
			var failed, finished bool
			for _, ev := range events[:n] {
				part = append(part, ev.raw...)
				failed = failed || bytes.Contains(ev.data, []byte(`"error"`))
				finished = finished || bytes.Contains(ev.data, []byte(`"finishReason"`)) || bytes.Contains(ev.data, []byte(`"blockReason"`))
			}
			out := run(bytes.NewReader(part), GenerateContent{})
			mark := bytes.Contains(out.client, []byte("finishReason"))
			switch {
			case failed:
				if mark || out.ended || !bytes.Contains(out.client, []byte(`data: {"error":{"code":`)) {
					t.Errorf("after %d events with an error: %s", n, out.client)
				}
			case finished:
				if out.err != nil || !out.ended || !mark {
					t.Errorf("after %d events: complete stream ends with %v: %s", n, out.err, out.client)
				}
			case !errors.Is(out.err, error(format.ErrTruncated)) || out.ended || mark:
				t.Errorf("after %d events: cut stream ends with %v: %s", n, out.err, out.client)
			}
			checkWatched(t, events[:n], failed, finished)
		}
	})
}

// checkWatched checks that the watcher agrees about a part of a stream.
func checkWatched(t *testing.T, events []event, failed, finished bool) {
	t.Helper()
	w := GenerateContent{}.NewStreamWatcher()
	furthest := format.MarkNothing
	for _, ev := range events {
		mark, err := w.Watch(sse.Event{Data: ev.data, Raw: ev.raw})
		if err != nil {
			t.Fatalf("after %d events: watching: %v", len(events), err)
		}
		furthest = max(furthest, mark)
	}
	rest, err := w.Close(nil)
	ok := len(rest) == 0
	switch {
	case failed:
		ok = ok && furthest == format.MarkError && w.Err() != nil && err != nil
	case finished:
		ok = ok && furthest == format.MarkComplete && err == nil
	default:
		ok = ok && furthest < format.MarkComplete && errors.Is(err, error(format.ErrTruncated))
	}
	if !ok {
		t.Errorf("after %d events: mark %d, error %v, close %v %q", len(events), furthest, w.Err(), err, rest)
	}
}
