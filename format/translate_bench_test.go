package format_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// chatFormats are the formats that are translated into each other.
var chatFormats = []format.ID{format.OpenAIChat, format.OpenAIResponses, format.AnthropicMessages, format.Gemini}

// benchRequests are the requests of the benchmarks, as a Chat client sends them.
var benchRequests = []struct{ name, body string }{
	{"1KB", `{"model":"writer","stream":true,"max_tokens":256,"temperature":0.5,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"` + strings.Repeat("Tell me about it. ", 45) + `"}]}`},
	{"100KB", formattest.AgentHistory()},
	{"2MB", `{"model":"writer","stream":true,"max_tokens":256,"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo` + strings.Repeat("A", 2<<20) + `"}}]}]}`},
}

// asClient returns the Chat request as a client of the format sends it.
func asClient(tb testing.TB, id format.ID, body string) []byte {
	tb.Helper()
	if id == format.OpenAIChat {
		return []byte(body)
	}
	var b format.Body
	request := decodeRequest(tb, format.OpenAIChat, []byte(body))
	if _, err := codec(tb, id).EncodeRequest(&b, request, chat.Target{Model: "writer"}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func codec(tb testing.TB, id format.ID) format.Chat {
	tb.Helper()
	c, ok := format.ChatOf(id)
	if !ok {
		tb.Fatalf("no codec of %s", id)
	}
	return c
}

func decodeRequest(tb testing.TB, id format.ID, body []byte) *chat.Request {
	tb.Helper()
	var index tape.Tape
	if err := index.Parse(body); err != nil {
		tb.Fatal(err)
	}
	request, err := codec(tb, id).DecodeRequest(index.Root())
	if err != nil {
		tb.Fatal(err)
	}
	return request
}

// BenchmarkTranslateRequest measures the way of a request from one format into
// another: the index, the neutral form, the body. The metric "x-valid" is the
// time as a multiple of one pass of gjson.Valid over the same body in the same
// run.
func BenchmarkTranslateRequest(b *testing.B) {
	for _, from := range chatFormats {
		for _, to := range chatFormats {
			if from == to {
				continue
			}
			for _, request := range benchRequests {
				b.Run(fmt.Sprintf("%s_to_%s/%s", from, to, request.name), func(b *testing.B) {
					body := asClient(b, from, request.body)
					source, target := codec(b, from), codec(b, to)
					var index tape.Tape
					var out format.Body
					translate := func() {
						if err := index.Parse(body); err != nil {
							b.Fatal(err)
						}
						decoded, err := source.DecodeRequest(index.Root())
						if err != nil {
							b.Fatal(err)
						}
						out.Reset()
						if _, err := target.EncodeRequest(&out, decoded, chat.Target{Model: "real"}); err != nil {
							b.Fatal(err)
						}
						decoded.Release()
					}
					b.SetBytes(int64(len(body)))
					b.ReportAllocs()
					valid := timeOf(func() {
						if !gjson.ValidBytes(body) {
							b.Fatal("not JSON")
						}
					})
					for b.Loop() {
						translate()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/valid, "x-valid")
				})
			}
		}
	}
}

// timeOf is how long f takes, in nanoseconds: the mean of as many calls as fit
// into a fifth of a second.
func timeOf(f func()) float64 {
	began, calls := time.Now(), 0
	for time.Since(began) < 200*time.Millisecond {
		f()
		calls++
	}
	return float64(time.Since(began).Nanoseconds()) / float64(calls)
}

// textEvents is a stream of the format up to its second word: its first events,
// and the event of one more word.
func textEvents(tb testing.TB, id format.ID) (start []sse.Event, word sse.Event) {
	tb.Helper()
	encoder := codec(tb, id).NewStreamEncoder(&chat.Exchange{Model: "writer", RequestID: "r", Created: 1, Request: new(chat.Request)})
	var stream []byte
	for _, ev := range []chat.Event{
		{Kind: chat.EventStart, ID: chat.Quote("answer"), Model: chat.Quote("real")},
		{Kind: chat.EventBlockStart, Block: chat.Text},
		{Kind: chat.EventDelta, Delta: chat.DeltaText, Text: chat.Quote("Some")},
		{Kind: chat.EventDelta, Delta: chat.DeltaText, Text: chat.Quote(" more words")},
	} {
		stream = encoder.Encode(stream, &ev)
	}
	scanner := sse.NewScanner(bytes.NewReader(stream), 0)
	for {
		ev, err := scanner.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		ev.Name, ev.Data, ev.Raw = bytes.Clone(ev.Name), bytes.Clone(ev.Data), bytes.Clone(ev.Raw)
		start = append(start, ev)
	}
	return start[:len(start)-1], start[len(start)-1]
}

// wordTranslator returns what translates the event of one more word, in the
// middle of a stream, from one format into another.
func wordTranslator(tb testing.TB, from, to format.ID) func() {
	tb.Helper()
	start, word := textEvents(tb, from)
	decoder := codec(tb, from).NewStreamDecoder()
	encoder := codec(tb, to).NewStreamEncoder(&chat.Exchange{Model: "writer", RequestID: "r", Created: 1, Request: new(chat.Request)})
	var events []chat.Event
	var out []byte
	step := func(ev sse.Event) {
		var err error
		if events, err = decoder.Decode(events[:0], ev); err != nil {
			tb.Fatal(err)
		}
		out = out[:0]
		for i := range events {
			out = encoder.Encode(out, &events[i])
		}
	}
	for _, ev := range start {
		step(ev)
	}
	return func() {
		step(word)
		if len(out) == 0 {
			tb.Fatal("the word is lost")
		}
	}
}

// BenchmarkTranslateEvent measures one event of a stream, in the middle of it.
func BenchmarkTranslateEvent(b *testing.B) {
	for _, from := range chatFormats {
		for _, to := range chatFormats {
			if from == to {
				continue
			}
			b.Run(fmt.Sprintf("%s_to_%s", from, to), func(b *testing.B) {
				step := wordTranslator(b, from, to)
				b.ReportAllocs()
				for b.Loop() {
					step()
				}
			})
		}
	}
}

// TestEventsDoNotAllocate shows that the words of a stream between Chat and
// Anthropic cost no allocation.
func TestEventsDoNotAllocate(t *testing.T) {
	for _, pair := range [][2]format.ID{
		{format.OpenAIChat, format.AnthropicMessages},
		{format.AnthropicMessages, format.OpenAIChat},
	} {
		step := wordTranslator(t, pair[0], pair[1])
		for range 100 { // buffers grow to their size
			step()
		}
		if n := testing.AllocsPerRun(1000, step); n > 0 {
			t.Errorf("%s to %s: %v allocations an event", pair[0], pair[1], n)
		}
	}
}
