package gemini

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// exchange is what the encoders of the golden files are told: the client wants
// to see thoughts.
func exchange() *chat.Exchange {
	return &chat.Exchange{
		Model: "writer", RequestID: "req-1",
		Request: &chat.Request{Format: origin, Reasoning: chat.Reasoning{Summary: "summarized"}},
	}
}

// decode decodes a request.
func decode(t testing.TB, doc string) *chat.Request {
	t.Helper()
	r, err := GenerateContent{}.DecodeRequest(formattest.Parse(t, doc))
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
	formattest.Parse(t, string(doc))
	return doc, report
}

// What is decoded and encoded again means the same.
func TestGoldenRequests(t *testing.T) {
	formattest.Cases(t, "request.json", func(t *testing.T, dir string, content []byte) {
		to := target("gemini-3-flash")
		once, report := encode(t, decode(t, string(content)), to)
		formattest.Golden(t, dir, "upstream_request.golden.json", formattest.Pretty(t, once))
		formattest.Golden(t, dir, "report.golden.txt", []byte(formattest.Losses(report)))
		twice, second := encode(t, decode(t, string(once)), to)
		if !bytes.Equal(once, twice) {
			t.Errorf("a second round changes the request\ngot:  %s\nwant: %s", twice, once)
		}
		if len(second) > len(report) {
			t.Errorf("a second round loses more: %v, first %v", second, report)
		}
		checkTurns(t, formattest.Parse(t, string(once)))
	})
}

// Requests of clients of other formats.
func TestGoldenForeignRequests(t *testing.T) {
	for file, from := range map[string]format.RequestCodec{"chat_request.json": openai.Chat{}, "messages_request.json": anthropic.Messages{}} {
		formattest.Cases(t, file, func(t *testing.T, dir string, content []byte) {
			r, err := from.DecodeRequest(formattest.Parse(t, string(content)))
			if err != nil {
				t.Fatal(err)
			}
			doc, report := encode(t, r, named(target("gemini-3-pro-preview")))
			formattest.Golden(t, dir, "upstream_request.golden.json", formattest.Pretty(t, doc))
			formattest.Golden(t, dir, "report.golden.txt", []byte(formattest.Losses(report)))
			checkTurns(t, formattest.Parse(t, string(doc)))
			doc, _ = encode(t, r, ownSchemas(target("gemini-2.5-flash")))
			formattest.Golden(t, dir, "upstream_request_25.golden.json", formattest.Pretty(t, doc))
			checkTurns(t, formattest.Parse(t, string(doc)))
		})
	}
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
	formattest.Cases(t, "upstream_response.json", func(t *testing.T, dir string, content []byte) {
		doc := formattest.Parse(t, string(content))
		r, err := GenerateContent{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, report := GenerateContent{}.EncodeResponse(nil, r, exchange())
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		formattest.Golden(t, dir, "client_response.golden.json", formattest.Pretty(t, made.ReplaceAll(got, []byte("call_MADE"))))
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
	if err != nil || out.Err != nil {
		t.Fatal(err, out.Err)
	}
	whole, _ := GenerateContent{}.EncodeResponse(nil, r, exchange())
	folded, _ := GenerateContent{}.EncodeResponse(nil, again, exchange())
	if !bytes.Contains(whole, []byte(`"executableCode"`)) && !bytes.Equal(whole, folded) {
		t.Errorf("replayed and folded again\ngot:  %s\nwant: %s", folded, whole)
	}
}

// run decodes a stream of a format and encodes it.
func run(r io.Reader, from format.Chat, also ...func(*chat.Event)) *formattest.Transcript {
	return formattest.Run(r, from.NewStreamDecoder(), GenerateContent{}.NewStreamEncoder(exchange()), describe, also...)
}

// describe writes an event as one line.
func describe(ev *chat.Event) string {
	switch ev.Kind {
	case chat.EventUsage:
		u := ev.Usage
		return fmt.Sprintf("usage uncached %d read %d output %d reasoning %d", u.InputUncached, u.CacheRead, u.Output, u.Reasoning)
	case chat.EventFinish:
		return strings.TrimSpace(fmt.Sprintf("finish %d %s", ev.Stop.Reason, ev.Stop.Native))
	case chat.EventError:
		return fmt.Sprintf("error kind %d: %s", ev.Err.Kind, ev.Err.Message)
	default:
		return formattest.Describe(ev)
	}
}

// streams calls f for every stream below testdata, of either format.
func streams(t *testing.T, f func(t *testing.T, dir string, from format.Chat, content []byte)) {
	formattest.Cases(t, "upstream_stream.sse", func(t *testing.T, dir string, content []byte) { f(t, dir, GenerateContent{}, content) })
	formattest.Cases(t, "chat_stream.sse", func(t *testing.T, dir string, content []byte) { f(t, dir, openai.Chat{}, content) })
}

func TestGoldenStreams(t *testing.T) {
	streams(t, func(t *testing.T, dir string, from format.Chat, content []byte) {
		out := run(bytes.NewReader(content), from)
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		formattest.Golden(t, dir, "events.golden.txt", out.Events.Bytes())
		formattest.Golden(t, dir, "client_stream.golden.sse", out.Client)
		formattest.CheckEvents(t, out.Events.String())
		checkClient(t, out.Client)
	})
}
