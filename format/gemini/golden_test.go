package gemini

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// exchange is what the encoders of the golden files are told: the client wants
// to see thoughts.
func exchange() *chat.Exchange {
	return &chat.Exchange{
		Model: "writer", RequestID: "req-1",
		Request: &chat.Request{Format: origin, Reasoning: chat.Reasoning{Summary: "summarized"}},
	}
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
	r, err := GenerateContent{}.DecodeRequest(parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// target is an upstream's model with what is known of it.
func target(model string) chat.Target {
	return chat.Target{Model: model, Can: capability.Of(model)}
}

// named is a target that remembers the names of tools that were changed.
func named(to chat.Target) chat.Target {
	to.Names = new(chat.Names)
	return to
}

// ownSchemas is a target that knows Gemini's own schemas only.
func ownSchemas(to chat.Target) chat.Target {
	to.OwnSchemas = true
	return to
}

// encode encodes a request, and checks that it stays as it was.
func encode(t testing.TB, r *chat.Request, to chat.Target) ([]byte, chat.Report) {
	t.Helper()
	before := fmt.Sprintf("%+v", *r)
	var b format.Body
	report, err := GenerateContent{}.EncodeRequest(&b, r, to)
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
		to := target("gemini-3-flash")
		once, report := encode(t, decode(t, string(content)), to)
		golden(t, dir, "upstream_request.golden.json", pretty(t, once))
		golden(t, dir, "report.golden.txt", []byte(paths(report)))
		twice, second := encode(t, decode(t, string(once)), to)
		if !bytes.Equal(once, twice) {
			t.Errorf("a second round changes the request\ngot:  %s\nwant: %s", twice, once)
		}
		if len(second) > len(report) {
			t.Errorf("a second round loses more: %v, first %v", second, report)
		}
		checkTurns(t, parse(t, string(once)))
	})
}

// Requests of clients of other formats.
func TestGoldenForeignRequests(t *testing.T) {
	for file, from := range map[string]format.RequestCodec{"chat_request.json": openai.Chat{}, "messages_request.json": anthropic.Messages{}} {
		cases(t, file, func(t *testing.T, dir string, content []byte) {
			r, err := from.DecodeRequest(parse(t, string(content)))
			if err != nil {
				t.Fatal(err)
			}
			doc, report := encode(t, r, named(target("gemini-3-pro-preview")))
			golden(t, dir, "upstream_request.golden.json", pretty(t, doc))
			golden(t, dir, "report.golden.txt", []byte(paths(report)))
			checkTurns(t, parse(t, string(doc)))
			doc, _ = encode(t, r, ownSchemas(target("gemini-2.5-flash")))
			golden(t, dir, "upstream_request_25.golden.json", pretty(t, doc))
			checkTurns(t, parse(t, string(doc)))
		})
	}
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

// checkTurns checks the rules of turns that Gemini refuses a request for.
func checkTurns(t testing.TB, doc tape.Value) {
	t.Helper()
	want := "user"
	var calls []string
	for c := range doc.Get("contents").Elements {
		if !c.Get("role").Is(want) {
			t.Errorf("want a content of %s: %s", want, c.Raw())
		}
		var results, open []string
		others := false
		if c.Get("parts").Len() == 0 {
			t.Errorf("an empty content: %s", c.Raw())
		}
		for p := range c.Get("parts").Elements {
			if call := p.Get("functionCall"); call.Exists() {
				if call.Get("args").Kind() != tape.Object || call.Get("name").Literal().Empty() {
					t.Errorf("call %s", call.Raw())
				}
				open = append(open, call.Get("id").Text()+" "+call.Get("name").Text())
			}
			if r := p.Get("functionResponse"); r.Exists() {
				if others || r.Get("response").Kind() != tape.Object {
					t.Errorf("result %s", c.Raw())
				}
				results = append(results, r.Get("id").Text()+" "+r.Get("name").Text())
				continue
			}
			others = true
		}
		if fmt.Sprint(results) != fmt.Sprint(calls) {
			t.Errorf("results of %v, want %v", results, calls)
		}
		calls = open
		if want == "user" {
			want = "model"
		} else {
			want = "user"
		}
	}
	if len(calls) > 0 {
		t.Errorf("calls without results at the end: %v", calls)
	}
}

// made are ids that are different each time.
var made = regexp.MustCompile(`call_[A-Z2-7]{24}`)

func TestGoldenResponses(t *testing.T) {
	cases(t, "upstream_response.json", func(t *testing.T, dir string, content []byte) {
		doc := parse(t, string(content))
		r, err := GenerateContent{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, report := GenerateContent{}.EncodeResponse(nil, r, exchange())
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		golden(t, dir, "client_response.golden.json", pretty(t, made.ReplaceAll(got, []byte("call_MADE"))))
		usage, err := GenerateContent{}.InspectResponse(doc)
		if err != nil || usage != r.Usage {
			t.Errorf("inspected %+v, %v; decoded %+v", usage, err, r.Usage)
		}
		replayed(t, r)
	})
}

// replayed checks that a stream made of an answer holds the same.
func replayed(t *testing.T, r *chat.Response) {
	t.Helper()
	encoder := GenerateContent{}.NewStreamEncoder(exchange())
	var client []byte
	for ev := range r.Replay {
		client = encoder.Encode(client, ev)
	}
	checkClient(t, client)
	var collector chat.Collector
	out := run(bytes.NewReader(client), GenerateContent{}, collector.Add)
	again, err := collector.Response()
	if err != nil || out.err != nil {
		t.Fatal(err, out.err)
	}
	whole, _ := GenerateContent{}.EncodeResponse(nil, r, exchange())
	folded, _ := GenerateContent{}.EncodeResponse(nil, again, exchange())
	if !bytes.Contains(whole, []byte(`"executableCode"`)) && !bytes.Equal(whole, folded) {
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
	encoder := GenerateContent{}.NewStreamEncoder(exchange())
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
		return strings.TrimSpace(fmt.Sprintf("block %d %s %s %s", ev.Index, kindNames[ev.Block], []byte(ev.ID), []byte(ev.Name)))
	case chat.EventDelta:
		if c := ev.Citation; c != nil {
			return fmt.Sprintf("delta %d citation %s %s %d-%d", ev.Index, []byte(c.URL), []byte(c.Title), c.Start, c.End)
		}
		kind := [...]string{
			chat.DeltaText: "text", chat.DeltaThinking: "thinking", chat.DeltaSignature: "signature",
			chat.DeltaArguments: "arguments", chat.DeltaRefusal: "refusal", chat.DeltaRedacted: "redacted",
		}[ev.Delta]
		return fmt.Sprintf("delta %d %s %s", ev.Index, kind, []byte(ev.Text))
	case chat.EventBlockStop:
		return fmt.Sprintf("stop %d", ev.Index)
	case chat.EventUsage:
		u := ev.Usage
		return fmt.Sprintf("usage uncached %d read %d output %d reasoning %d", u.InputUncached, u.CacheRead, u.Output, u.Reasoning)
	case chat.EventFinish:
		return strings.TrimSpace(fmt.Sprintf("finish %d %s", ev.Stop.Reason, ev.Stop.Native))
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
	cases(t, "upstream_stream.sse", func(t *testing.T, dir string, content []byte) { f(t, dir, GenerateContent{}, content) })
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
