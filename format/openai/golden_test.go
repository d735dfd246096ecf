package openai

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// exchange is what the encoders of the golden files are told.
func exchange() *chat.Exchange {
	return &chat.Exchange{Model: "writer", RequestID: "req-1", Created: 1700000000, IncludeUsage: true}
}

func TestGoldenRequests(t *testing.T) {
	formattest.Cases(t, "request.json", func(t *testing.T, dir string, content []byte) {
		r, err := Chat{}.DecodeRequest(formattest.Parse(t, string(content)))
		if err != nil {
			t.Fatal(err)
		}
		var b format.Body
		report, err := Chat{}.EncodeRequest(&b, r, chat.Target{Model: "gpt-x"})
		if err != nil {
			t.Fatal(err)
		}
		formattest.Golden(t, dir, "upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))

		// What was encoded means the same when it is decoded again.
		again, err := Chat{}.DecodeRequest(formattest.Parse(t, string(b.Bytes())))
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
	formattest.Cases(t, "upstream_response.json", func(t *testing.T, dir string, content []byte) {
		doc := formattest.Parse(t, string(content))
		r, err := Chat{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, report := Chat{}.EncodeResponse(nil, r, exchange())
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		formattest.Golden(t, dir, "client_response.golden.json", formattest.Pretty(t, got))

		usage, err := Chat{}.InspectResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		if usage != r.Usage {
			t.Errorf("inspected usage %+v, decoded %+v", usage, r.Usage)
		}
	})
}

// run decodes and encodes a stream of Chat.
func run(r io.Reader) *formattest.Transcript {
	return formattest.Run(r, Chat{}.NewStreamDecoder(), Chat{}.NewStreamEncoder(exchange()), describe)
}

// describe writes an event as one line.
func describe(ev *chat.Event) string {
	switch ev.Kind {
	case chat.EventUsage:
		u := ev.Usage
		return fmt.Sprintf("usage uncached %d read %d written %d output %d reasoning %d", u.InputUncached, u.CacheRead, u.CacheWrite(), u.Output, u.Reasoning)
	case chat.EventError:
		return fmt.Sprintf("error kind %d status %d: %s", ev.Err.Kind, ev.Err.Status, ev.Err.Message)
	default:
		return formattest.Describe(ev)
	}
}

func TestGoldenStreams(t *testing.T) {
	formattest.Cases(t, "upstream_stream.sse", func(t *testing.T, dir string, content []byte) {
		out := run(bytes.NewReader(content))
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		formattest.Golden(t, dir, "events.golden.txt", out.Events.Bytes())
		formattest.Golden(t, dir, "client_stream.golden.sse", out.Client)
		formattest.CheckEvents(t, out.Events.String())
		checkChunks(t, out.Client)
	})
}

// hasFinish says that a finish_reason is among the events.
func hasFinish(events []byte) bool {
	return bytes.Contains(events, []byte(`"finish_reason":"`))
}
