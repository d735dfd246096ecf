package anthropic

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

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// exchange is what the encoders of the golden files are told.
func exchange() *chat.Exchange { return &chat.Exchange{Model: "writer", RequestID: "req-1"} }

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
	var out bytes.Buffer
	lines(&out, parse(t, string(doc)), "")
	return append(out.Bytes(), '\n')
}

// lines writes a value, one that is long with a line for each of its parts.
func lines(out *bytes.Buffer, v tape.Value, indent string) {
	const short = 100
	separator, end := "[", "]"
	if v.Kind() == tape.Object {
		separator, end = "{", "}"
	}
	part := func(key, value tape.Value) bool {
		out.WriteString(separator + "\n" + indent + " ")
		if key.Exists() {
			fmt.Fprintf(out, "%s: ", key.Raw())
		}
		lines(out, value, indent+" ")
		separator = ","
		return true
	}
	switch {
	case len(v.Raw()) <= short || v.Kind() < tape.Array:
		out.Write(v.Raw())
		return
	case v.Kind() == tape.Array:
		v.Elements(func(value tape.Value) bool { return part(tape.Value{}, value) })
	default:
		v.Members(part)
	}
	out.WriteString("\n" + indent + end)
}

// decode decodes a request.
func decode(t testing.TB, doc string) *chat.Request {
	t.Helper()
	r, err := Messages{}.DecodeRequest(parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// encode encodes a request, and checks that it stays as it was.
func encode(t testing.TB, r *chat.Request, to chat.Target) ([]byte, chat.Report) {
	t.Helper()
	before := fmt.Sprintf("%+v", *r)
	var b format.Body
	report, err := Messages{}.EncodeRequest(&b, r, to)
	if err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprintf("%+v", *r); after != before {
		t.Errorf("the request was changed\nbefore: %s\nafter:  %s", before, after)
	}
	doc := b.Bytes()
	parse(t, string(doc))
	return doc, report
}

// What is decoded and encoded again means the same.
func TestGoldenRequests(t *testing.T) {
	cases(t, "request.json", func(t *testing.T, dir string, content []byte) {
		once, report := encode(t, decode(t, string(content)), chat.Target{Model: "claude-x"})
		golden(t, dir, "upstream_request.golden.json", pretty(t, once))
		twice, second := encode(t, decode(t, string(once)), chat.Target{Model: "claude-x"})
		if !bytes.Equal(once, twice) {
			t.Errorf("a second round changes the request\ngot:  %s\nwant: %s", twice, once)
		}
		if len(second) > len(report) {
			t.Errorf("a second round loses more: %v, first %v", second, report)
		}
	})
}

// Requests of Chat clients, for the model that model.txt names or for one of which
// nothing is known.
func TestGoldenChatRequests(t *testing.T) {
	cases(t, "chat_request.json", func(t *testing.T, dir string, content []byte) {
		r, err := openai.Chat{}.DecodeRequest(parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		to := chat.Target{Model: "claude-x", Names: new(chat.Names)}
		if named, err := os.ReadFile(filepath.Join(dir, "model.txt")); err == nil {
			to.Model = strings.TrimSpace(string(named))
			to.Can = capability.Of(to.Model)
		}
		doc, report := encode(t, r, to)
		golden(t, dir, "upstream_request.golden.json", pretty(t, doc))
		golden(t, dir, "report.golden.txt", []byte(paths(report)))
		checkTurns(t, parse(t, string(doc)))
	})
}

// paths lists what a report tells.
func paths(r chat.Report) string {
	var out strings.Builder
	for _, l := range r {
		out.WriteString(l.Path + " " + string(l.Reason))
		if l.Meaning {
			out.WriteString("!")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// checkTurns checks the rules of turns that Anthropic refuses a request for.
func checkTurns(t testing.TB, doc tape.Value) {
	t.Helper()
	want, seen, last := "user", map[string]bool{}, ""
	var calls []string
	for m := range doc.Get("messages").Elements {
		role := m.Get("role").Text()
		switch {
		case role == "system" && last == "user":
			// Directly behind a user's turn; what follows must be an answer.
			last = role
			continue
		case role != want:
			t.Errorf("want a turn of %s: %s", want, m.Raw())
		}
		last = role
		var results, open []string
		others := false
		for b := range m.Get("content").Elements {
			switch kind := b.Get("type"); {
			case kind.Is("tool_use"):
				id := b.Get("id").Text()
				if seen[id] || !plain([]byte(id)) || b.Get("input").Kind() != tape.Object {
					t.Errorf("call %s", b.Raw())
				}
				seen[id] = true
				open = append(open, id)
			case kind.Is("tool_result"):
				if others {
					t.Errorf("a result behind other blocks: %s", m.Raw())
				}
				results = append(results, b.Get("tool_use_id").Text())
				continue
			case kind.Is("text") && b.Get("text").Literal().Blank():
				t.Errorf("an empty text: %s", m.Raw())
			}
			others = true
		}
		if c := m.Get("content"); c.Kind() == tape.String && c.Literal().Blank() || c.Kind() == tape.Array && c.Len() == 0 {
			t.Errorf("an empty turn: %s", m.Raw())
		}
		if fmt.Sprint(results) != fmt.Sprint(calls) {
			t.Errorf("results of %v, want %v", results, calls)
		}
		calls = open
		if want == "user" {
			want = "assistant"
		} else {
			want = "user"
		}
	}
	if len(calls) > 0 {
		t.Errorf("calls without results at the end: %v", calls)
	}
	if len(seen) > 0 && doc.Get("tools").Len() == 0 {
		t.Error("calls without tools")
	}
}

func TestGoldenResponses(t *testing.T) {
	cases(t, "upstream_response.json", func(t *testing.T, dir string, content []byte) {
		doc := parse(t, string(content))
		r, err := Messages{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, report := Messages{}.EncodeResponse(nil, r, exchange())
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		golden(t, dir, "client_response.golden.json", pretty(t, got))
		usage, err := Messages{}.InspectResponse(doc)
		if err != nil || usage != r.Usage {
			t.Errorf("inspected %+v, %v; decoded %+v", usage, err, r.Usage)
		}
		replayed(t, r)
	})
}

// replayed checks that a stream made of an answer holds the same.
func replayed(t *testing.T, r *chat.Response) {
	t.Helper()
	encoder := Messages{}.NewStreamEncoder(exchange())
	var client []byte
	for ev := range r.Replay {
		client = encoder.Encode(client, ev)
	}
	checkClient(t, client)
	var collector chat.Collector
	out := run(bytes.NewReader(client), Messages{}, collector.Add)
	again, err := collector.Response()
	if err != nil || out.err != nil {
		t.Fatal(err, out.err)
	}
	whole, _ := Messages{}.EncodeResponse(nil, r, exchange())
	folded, _ := Messages{}.EncodeResponse(nil, again, exchange())
	opaque := bytes.Contains(whole, []byte(`"server_tool_use"`))
	if !opaque && !bytes.Equal(whole, folded) {
		t.Errorf("replayed and folded again\ngot:  %s\nwant: %s", folded, whole)
	}
}

// transcript is what became of a stream.
type transcript struct {
	events bytes.Buffer
	client []byte
	err    error
	ended  bool
}

// run decodes a stream of a format and encodes it.
func run(r io.Reader, from format.Chat, also ...func(*chat.Event)) *transcript {
	var out transcript
	scanner := sse.NewScanner(r, 0)
	defer scanner.Release()
	decoder := from.NewStreamDecoder()
	encoder := Messages{}.NewStreamEncoder(exchange())
	var events []chat.Event
	for {
		ev, err := scanner.Next()
		switch {
		case errors.Is(err, io.EOF):
			events, out.err = decoder.Finish(events[:0])
		case err != nil:
			out.err = err
			return &out
		default:
			events, out.err = decoder.Decode(events[:0], ev)
		}
		for i := range events {
			out.client = encoder.Encode(out.client, &events[i])
			out.ended = out.ended || events[i].Kind == chat.EventEnd
			fmt.Fprintln(&out.events, describe(&events[i]))
			for _, f := range also {
				f(&events[i])
			}
		}
		// What the decoder hands out is a view: nobody may keep it.
		for i := range ev.Raw {
			ev.Raw[i] = '#'
		}
		if err != nil || out.err != nil {
			return &out
		}
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
		kind := [...]string{
			chat.DeltaText: "text", chat.DeltaThinking: "thinking", chat.DeltaSignature: "signature",
			chat.DeltaArguments: "arguments", chat.DeltaRefusal: "refusal", chat.DeltaRedacted: "redacted",
			chat.DeltaCitation: "citation",
		}[ev.Delta]
		if c := ev.Citation; c != nil {
			return fmt.Sprintf("delta %d %s url %s title %s quote %s", ev.Index, kind, []byte(c.URL), []byte(c.Title), []byte(c.Quote))
		}
		return fmt.Sprintf("delta %d %s %s", ev.Index, kind, []byte(ev.Text))
	case chat.EventBlockStop:
		return fmt.Sprintf("stop %d", ev.Index)
	case chat.EventUsage:
		u := ev.Usage
		return fmt.Sprintf("usage uncached %d read %d written %d+%d output %d reasoning %d",
			u.InputUncached, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h, u.Output, u.Reasoning)
	case chat.EventFinish:
		return strings.TrimSpace(fmt.Sprintf("finish %d %s %s", ev.Stop.Reason, []byte(ev.Stop.Sequence), ev.Stop.Native))
	case chat.EventError:
		return fmt.Sprintf("error kind %d: %s", ev.Err.Kind, ev.Err.Message)
	case chat.EventEnd:
		return "end"
	default:
		return fmt.Sprintf("event %d", ev.Kind)
	}
}

// streams calls f for every stream below testdata, of either format.
func streams(t *testing.T, f func(t *testing.T, dir string, from format.Chat, content []byte)) {
	cases(t, "upstream_stream.sse", func(t *testing.T, dir string, content []byte) { f(t, dir, Messages{}, content) })
	cases(t, "chat_stream.sse", func(t *testing.T, dir string, content []byte) { f(t, dir, openai.Chat{}, content) })
}

func TestGoldenStreams(t *testing.T) {
	streams(t, func(t *testing.T, dir string, from format.Chat, content []byte) {
		out := run(bytes.NewReader(content), from)
		if out.err != nil {
			t.Fatal(out.err)
		}
		golden(t, dir, "events.golden.txt", out.events.Bytes())
		golden(t, dir, "client_stream.golden.sse", out.client)
		checkEvents(t, out.events.String())
		checkClient(t, out.client)
	})
}
