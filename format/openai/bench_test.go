package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func BenchmarkDecodeRequest(b *testing.B) {
	doc := formattest.Parse(b, formattest.AgentHistory())
	b.SetBytes(int64(doc.End()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Chat{}).DecodeRequest(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	r, err := Chat{}.DecodeRequest(formattest.Parse(b, formattest.AgentHistory()))
	if err != nil {
		b.Fatal(err)
	}
	// As an Anthropic client has it: arguments are objects.
	r.Format = foreign
	for t := range r.Turns {
		for i := range r.Turns[t].Blocks {
			if a := &r.Turns[t].Blocks[i].Arguments; a.Text != nil {
				a.Object, a.Text = chat.Raw(a.Text.String()), nil
			}
		}
	}
	var body format.Body
	b.ReportAllocs()
	for b.Loop() {
		body.Reset()
		if _, err := (Chat{}).EncodeRequest(&body, r, chat.Target{Model: "gpt-x"}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(body.Len()))
}

// BenchmarkTranslateRequest is what a request costs: tape, decode, encode.
func BenchmarkTranslateRequest(b *testing.B) {
	for name, doc := range map[string]string{"1KB": withMessages(`{"role":"user","content":"` + strings.Repeat("x", 900) + `"}`), "100KB": formattest.AgentHistory()} {
		b.Run(name, func(b *testing.B) {
			content := []byte(doc)
			var index tape.Tape
			var body format.Body
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if err := index.Parse(content); err != nil {
					b.Fatal(err)
				}
				r, err := Chat{}.DecodeRequest(index.Root())
				if err != nil {
					b.Fatal(err)
				}
				body.Reset()
				if _, err := (Chat{}).EncodeRequest(&body, r, chat.Target{Model: "gpt-x"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTranslateResponse(b *testing.B) {
	content := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("x", 900) + `","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`)
	var index tape.Tape
	var dst []byte
	x := exchange()
	b.ReportAllocs()
	for b.Loop() {
		if err := index.Parse(content); err != nil {
			b.Fatal(err)
		}
		r, err := Chat{}.DecodeResponse(index.Root())
		if err != nil {
			b.Fatal(err)
		}
		dst, _ = Chat{}.EncodeResponse(dst[:0], r, x)
	}
}

func BenchmarkInspectResponse(b *testing.B) {
	doc := formattest.Parse(b, `{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Chat{}).InspectResponse(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// deltas are the events that most of a stream consists of.
var deltas = map[string]string{
	"text":      `{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aB3xYz"}`,
	"arguments": `{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"a"}}]},"logprobs":null,"finish_reason":null}],"usage":null}`,
}

func BenchmarkStreamDecode(b *testing.B) {
	for name, data := range deltas {
		b.Run(name, func(b *testing.B) {
			d := Chat{}.NewStreamDecoder()
			ev := event(data)
			events, err := d.Decode(nil, ev)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if events, err = d.Decode(events[:0], ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStreamTranslate(b *testing.B) {
	for name, data := range deltas {
		b.Run(name, func(b *testing.B) {
			d := Chat{}.NewStreamDecoder()
			e := Chat{}.NewStreamEncoder(exchange())
			ev := event(data)
			events, err := d.Decode(nil, ev)
			if err != nil {
				b.Fatal(err)
			}
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst = dst[:0]
				for i := range events {
					dst = e.Encode(dst, &events[i])
				}
				if events, err = d.Decode(events[:0], ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStreamWatch(b *testing.B) {
	for name, data := range deltas {
		b.Run(name, func(b *testing.B) {
			w := Chat{}.NewStreamWatcher()
			ev := event(data)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Watch(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestStreamsDoNotAllocate(t *testing.T) {
	for name, data := range deltas {
		t.Run(name, func(t *testing.T) {
			d := Chat{}.NewStreamDecoder()
			e := Chat{}.NewStreamEncoder(exchange())
			w := Chat{}.NewStreamWatcher()
			ev := event(data)
			events := make([]chat.Event, 0, 8)
			dst := make([]byte, 0, 1<<12)
			allocated := testing.AllocsPerRun(100, func() {
				if _, err := w.Watch(ev); err != nil {
					t.Fatal(err)
				}
				var err error
				if events, err = d.Decode(events[:0], ev); err != nil {
					t.Fatal(err)
				}
				dst = dst[:0]
				for i := range events {
					dst = e.Encode(dst, &events[i])
				}
			})
			if allocated > 0 {
				t.Errorf("%v allocations per event", allocated)
			}
		})
	}
}
