package anthropic

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// exchange is what the encoders of the golden files are told.
func exchange() *chat.Exchange { return &chat.Exchange{Model: "writer", RequestID: "req-1"} }

// decode decodes a request.
func decode(t testing.TB, doc string) *chat.Request {
	t.Helper()
	r, err := Messages{}.DecodeRequest(formattest.Parse(t, doc))
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
	formattest.Parse(t, string(doc))
	return doc, report
}

// What is decoded and encoded again means the same.
func TestGoldenRequests(t *testing.T) {
	formattest.Cases(t, "request.json", func(t *testing.T, dir string, content []byte) {
		once, report := encode(t, decode(t, string(content)), chat.Target{Model: "claude-x"})
		formattest.Golden(t, dir, "upstream_request.golden.json", formattest.Pretty(t, once))
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
	formattest.Cases(t, "chat_request.json", func(t *testing.T, dir string, content []byte) {
		r, err := openai.Chat{}.DecodeRequest(formattest.Parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		to := chat.Target{Model: "claude-x", Names: new(chat.Names)}
		if named, err := os.ReadFile(filepath.Join(dir, "model.txt")); err == nil {
			to.Model = strings.TrimSpace(string(named))
			to.Can = capability.Of(to.Model)
		}
		doc, report := encode(t, r, to)
		formattest.Golden(t, dir, "upstream_request.golden.json", formattest.Pretty(t, doc))
		formattest.Golden(t, dir, "report.golden.txt", []byte(formattest.Losses(report)))
		checkTurns(t, formattest.Parse(t, string(doc)))
	})
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
				if seen[id] || !format.PlainName([]byte(id)) || b.Get("input").Kind() != tape.Object {
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
	formattest.Cases(t, "upstream_response.json", func(t *testing.T, dir string, content []byte) {
		doc := formattest.Parse(t, string(content))
		r, err := Messages{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, report := Messages{}.EncodeResponse(nil, r, exchange())
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		formattest.Golden(t, dir, "client_response.golden.json", formattest.Pretty(t, got))
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
	if err != nil || out.Err != nil {
		t.Fatal(err, out.Err)
	}
	whole, _ := Messages{}.EncodeResponse(nil, r, exchange())
	folded, _ := Messages{}.EncodeResponse(nil, again, exchange())
	opaque := bytes.Contains(whole, []byte(`"server_tool_use"`))
	if !opaque && !bytes.Equal(whole, folded) {
		t.Errorf("replayed and folded again\ngot:  %s\nwant: %s", folded, whole)
	}
}

// run decodes a stream of a format and encodes it.
func run(r io.Reader, from format.Chat, also ...func(*chat.Event)) *formattest.Transcript {
	return formattest.Run(r, from.NewStreamDecoder(), Messages{}.NewStreamEncoder(exchange()), describe, also...)
}

// describe writes an event as one line.
func describe(ev *chat.Event) string {
	switch ev.Kind {
	case chat.EventDelta:
		if c := ev.Citation; c != nil {
			return fmt.Sprintf("delta %d citation url %s title %s quote %s", ev.Index, []byte(c.URL), []byte(c.Title), []byte(c.Quote))
		}
	case chat.EventUsage:
		u := ev.Usage
		return fmt.Sprintf("usage uncached %d read %d written %d+%d output %d reasoning %d",
			u.InputUncached, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h, u.Output, u.Reasoning)
	case chat.EventError:
		return fmt.Sprintf("error kind %d: %s", ev.Err.Kind, ev.Err.Message)
	}
	return formattest.Describe(ev)
}

// streams calls f for every stream below testdata, of either format.
func streams(t *testing.T, f func(t *testing.T, dir string, from format.Chat, content []byte)) {
	formattest.Cases(t, "upstream_stream.sse", func(t *testing.T, dir string, content []byte) { f(t, dir, Messages{}, content) })
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
