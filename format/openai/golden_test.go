package openai

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// exchange is what the encoders of the golden files are told.
func exchange() *chat.Exchange {
	return &chat.Exchange{Model: "writer", RequestID: "req-1", Created: 1700000000, IncludeUsage: true}
}

// cases calls f for every folder below testdata that has the file.
func cases(t *testing.T, file string, f func(t *testing.T, dir string, content []byte)) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("testdata", "*", file))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases with %s: %v", file, err)
	}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, dir, content) })
	}
}

// golden compares got with a golden file.
func golden(t *testing.T, dir, file string, got []byte) {
	t.Helper()
	path := filepath.Join(dir, file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// parse indexes a document.
func parse(t testing.TB, doc string) tape.Value {
	t.Helper()
	var index tape.Tape
	if err := index.Parse([]byte(doc)); err != nil {
		t.Fatalf("parsing %s: %v", doc, err)
	}
	return index.Root()
}

// pretty breaks a document into lines, so that differences can be read.
func pretty(t testing.TB, doc []byte) []byte {
	t.Helper()
	root := parse(t, string(doc))
	var out bytes.Buffer
	lines(&out, root, "")
	return append(out.Bytes(), '\n')
}

func lines(out *bytes.Buffer, v tape.Value, indent string) {
	const short = 100
	switch {
	case len(v.Raw()) <= short || v.Kind() < tape.Array:
		out.Write(v.Raw())
	case v.Kind() == tape.Array:
		separator := "[\n"
		for element := range v.Elements {
			out.WriteString(separator + indent + " ")
			lines(out, element, indent+" ")
			separator = ",\n"
		}
		out.WriteString("\n" + indent + "]")
	default:
		separator := "{\n"
		for key, value := range v.Members {
			out.WriteString(separator + indent + " ")
			out.Write(key.Raw())
			out.WriteString(": ")
			lines(out, value, indent+" ")
			separator = ",\n"
		}
		out.WriteString("\n" + indent + "}")
	}
}

func TestGoldenRequests(t *testing.T) {
	cases(t, "request.json", func(t *testing.T, dir string, content []byte) {
		r, err := Chat{}.DecodeRequest(parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		var b format.Body
		report, err := Chat{}.EncodeRequest(&b, r, chat.Target{Model: "gpt-x"})
		if err != nil {
			t.Fatal(err)
		}
		golden(t, dir, "upstream_request.golden.json", pretty(t, b.Bytes()))

		// What was encoded means the same when it is decoded again.
		again, err := Chat{}.DecodeRequest(parse(t, string(b.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		var twice format.Body
		second, err := Chat{}.EncodeRequest(&twice, again, chat.Target{Model: "gpt-x"})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := twice.Bytes(), b.Bytes(); !bytes.Equal(got, want) {
			t.Errorf("a second round changes the request\ngot:  %s\nwant: %s", got, want)
		}
		if len(second) > len(report) {
			t.Errorf("a second round loses more: %v, first %v", second, report)
		}
	})
}

func TestGoldenResponses(t *testing.T) {
	cases(t, "upstream_response.json", func(t *testing.T, dir string, content []byte) {
		doc := parse(t, string(content))
		r, err := Chat{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, report := Chat{}.EncodeResponse(nil, r, exchange())
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		golden(t, dir, "client_response.golden.json", pretty(t, got))

		usage, err := Chat{}.InspectResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		if usage != r.Usage {
			t.Errorf("inspected usage %+v, decoded %+v", usage, r.Usage)
		}
	})
}

// transcript is what became of a stream.
type transcript struct {
	events bytes.Buffer
	client []byte
	err    error
	ended  bool
}

// run decodes and encodes a stream of Chat.
func run(r io.Reader) *transcript {
	return runWith(r, Chat{}.NewStreamDecoder(), Chat{}.NewStreamEncoder(exchange()))
}

// runWith decodes and encodes a stream.
func runWith(r io.Reader, decoder format.StreamDecoder, encoder format.StreamEncoder) *transcript {
	var out transcript
	scanner := sse.NewScanner(r, 0)
	defer scanner.Release()
	var events []chat.Event
	for {
		ev, err := scanner.Next()
		switch {
		case errors.Is(err, io.EOF):
			events, out.err = decoder.Finish(events[:0])
			out.take(encoder, events)
			return &out
		case err != nil:
			out.err = err
			return &out
		}
		events, out.err = decoder.Decode(events[:0], ev)
		out.take(encoder, events)
		if out.err != nil {
			return &out
		}
	}
}

// take writes down events and what the client gets for them.
func (out *transcript) take(encoder format.StreamEncoder, events []chat.Event) {
	for i := range events {
		ev := &events[i]
		out.client = encoder.Encode(out.client, ev)
		out.ended = out.ended || ev.Kind == chat.EventEnd
		fmt.Fprintln(&out.events, describe(ev))
	}
}

// describe writes an event as one line.
func describe(ev *chat.Event) string {
	switch ev.Kind {
	case chat.EventStart:
		return fmt.Sprintf("start %s %s", []byte(ev.ID), []byte(ev.Model))
	case chat.EventBlockStart:
		return strings.TrimSpace(fmt.Sprintf("block %d %s %s %s", ev.Index, kindName(ev.Block), []byte(ev.ID), []byte(ev.Name)))
	case chat.EventDelta:
		return describeDelta(ev)
	case chat.EventBlockStop:
		return fmt.Sprintf("stop %d", ev.Index)
	case chat.EventUsage:
		u := ev.Usage
		return fmt.Sprintf("usage uncached %d read %d written %d output %d reasoning %d", u.InputUncached, u.CacheRead, u.CacheWrite(), u.Output, u.Reasoning)
	case chat.EventFinish:
		return strings.TrimSpace(fmt.Sprintf("finish %d %s %s", ev.Stop.Reason, []byte(ev.Stop.Sequence), ev.Stop.Native))
	case chat.EventError:
		return fmt.Sprintf("error kind %d status %d: %s", ev.Err.Kind, ev.Err.Status, ev.Err.Message)
	case chat.EventEnd:
		return "end"
	default:
		return fmt.Sprintf("event %d", ev.Kind)
	}
}

// describeDelta writes a piece of a block as one line.
func describeDelta(ev *chat.Event) string {
	if c := ev.Citation; ev.Delta == chat.DeltaCitation {
		return fmt.Sprintf("delta %d citation %s %s %d-%d", ev.Index, []byte(c.URL), []byte(c.Title), c.Start, c.End)
	}
	kind := [...]string{
		chat.DeltaText: "text", chat.DeltaThinking: "thinking", chat.DeltaSignature: "signature", chat.DeltaArguments: "arguments",
		chat.DeltaRefusal: "refusal", chat.DeltaRedacted: "redacted",
	}[ev.Delta]
	return strings.TrimSpace(fmt.Sprintf("delta %d %s %s %s", ev.Index, kind, []byte(ev.Text), []byte(ev.Logprobs)))
}

func TestGoldenStreams(t *testing.T) {
	cases(t, "upstream_stream.sse", func(t *testing.T, dir string, content []byte) {
		out := run(bytes.NewReader(content))
		if out.err != nil {
			t.Fatal(out.err)
		}
		golden(t, dir, "events.golden.txt", out.events.Bytes())
		golden(t, dir, "client_stream.golden.sse", out.client)
		checkGrammar(t, out.events.String())
		checkChunks(t, out.client)
	})
}

func TestStreamsCutAtEveryByte(t *testing.T) {
	cases(t, "upstream_stream.sse", func(t *testing.T, _ string, content []byte) {
		want := run(bytes.NewReader(content))
		for i := range content {
			got := run(io.MultiReader(bytes.NewReader(content[:i]), bytes.NewReader(content[i:])))
			if got.err != nil || !bytes.Equal(got.client, want.client) {
				t.Fatalf("cut at %d: %v\ngot:\n%s\nwant:\n%s", i, got.err, got.client, want.client)
			}
		}
		got := run(iotest.OneByteReader(bytes.NewReader(content)))
		if got.err != nil || !bytes.Equal(got.client, want.client) {
			t.Fatalf("byte by byte: %v\ngot:\n%s\nwant:\n%s", got.err, got.client, want.client)
		}
	})
}

// split returns the events of a stream.
func split(t testing.TB, content []byte) (raws [][]byte) {
	t.Helper()
	scanner := sse.NewScanner(bytes.NewReader(content), 0)
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return raws
		}
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, bytes.Clone(ev.Raw))
	}
}

// hasFinish says that a finish_reason is among the events.
func hasFinish(events []byte) bool {
	return bytes.Contains(events, []byte(`"finish_reason":"`))
}

func TestStreamsTruncatedAfterEveryEvent(t *testing.T) {
	cases(t, "upstream_stream.sse", func(t *testing.T, _ string, content []byte) {
		events := split(t, content)
		for n := range len(events) + 1 {
			part := bytes.Join(events[:n], nil)
			out := run(bytes.NewReader(part))
			mark := bytes.Contains(out.client, []byte("[DONE]")) || hasFinish(out.client)
			switch {
			case bytes.Contains(part, []byte(`"error"`)):
				if mark || out.ended {
					t.Errorf("after %d events with an error there is a mark of success: %s", n, out.client)
				}
			case hasFinish(part):
				if out.err != nil || !out.ended || !mark {
					t.Errorf("after %d events: complete stream ends with %v: %s", n, out.err, out.client)
				}
			case out.err == nil || out.ended || mark:
				t.Errorf("after %d events: cut stream ends with %v: %s", n, out.err, out.client)
			}
			watched(t, part, n)
		}
	})
}

// watched checks that the watcher agrees about a part of a stream.
func watched(t *testing.T, part []byte, n int) {
	t.Helper()
	scanner := sse.NewScanner(bytes.NewReader(part), 0)
	w := Chat{}.NewStreamWatcher()
	furthest := format.MarkNothing
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		mark, err := w.Watch(ev)
		if err != nil {
			t.Fatalf("after %d events: watching: %v", n, err)
		}
		furthest = max(furthest, mark)
	}
	rest, err := w.Close(nil)
	done := bytes.Contains(part, []byte("[DONE]"))
	switch {
	case bytes.Contains(part, []byte(`"error"`)):
		if furthest != format.MarkError || w.Err() == nil || err == nil {
			t.Errorf("after %d events: mark %d, error %v, close %v", n, furthest, w.Err(), err)
		}
	case !hasFinish(part):
		if furthest >= format.MarkComplete || !errors.Is(err, error(format.ErrTruncated)) || len(rest) > 0 {
			t.Errorf("after %d events: mark %d, close %v %q", n, furthest, err, rest)
		}
	case done:
		if furthest != format.MarkEnd || err != nil || len(rest) > 0 {
			t.Errorf("after %d events: mark %d, close %v %q", n, furthest, err, rest)
		}
	default:
		if furthest != format.MarkComplete || err != nil || string(rest) != "data: [DONE]\n\n" {
			t.Errorf("after %d events: mark %d, close %v %q", n, furthest, err, rest)
		}
	}
}
