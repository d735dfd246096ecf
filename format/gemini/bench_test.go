package gemini

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// chatRequest decodes the request of the Chat client.
func chatRequest(t testing.TB) *chat.Request {
	t.Helper()
	r, err := openai.Chat{}.DecodeRequest(formattest.Parse(t, formattest.AgentHistory()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// history is the same conversation of a client that speaks Gemini.
func history(t testing.TB) string {
	doc, _ := encode(t, chatRequest(t), target("gemini-3-flash"))
	return string(doc)
}

// The measure of the next ones: what it takes to check the same bytes.
func BenchmarkValid(b *testing.B) {
	doc := []byte(history(b))
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if !gjson.ValidBytes(doc) {
			b.Fatal("not valid")
		}
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	doc := formattest.Parse(b, history(b))
	b.SetBytes(int64(doc.End()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (GenerateContent{}).DecodeRequest(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	r := chatRequest(b)
	to := target("gemini-3-flash")
	var body format.Body
	b.ReportAllocs()
	for b.Loop() {
		body.Reset()
		if _, err := (GenerateContent{}).EncodeRequest(&body, r, to); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(body.Len()))
}

// The whole way of a request from a client of Chat's, with its parsing.
func BenchmarkTranslateRequest(b *testing.B) {
	content := []byte(formattest.AgentHistory())
	to := target("gemini-3-flash")
	var index tape.Tape
	var body format.Body
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if err := index.Parse(content); err != nil {
			b.Fatal(err)
		}
		r, err := openai.Chat{}.DecodeRequest(index.Root())
		if err != nil {
			b.Fatal(err)
		}
		body.Reset()
		if _, err := (GenerateContent{}).EncodeRequest(&body, r, to); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTranslateResponse(b *testing.B) {
	content := []byte(`{"candidates":[{"content":{"parts":[{"text":"` + strings.Repeat("x", 900) + `"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":3,"totalTokenCount":11},"modelVersion":"m","responseId":"r"}`)
	var index tape.Tape
	var dst []byte
	x := exchange()
	b.ReportAllocs()
	for b.Loop() {
		if err := index.Parse(content); err != nil {
			b.Fatal(err)
		}
		r, err := GenerateContent{}.DecodeResponse(index.Root())
		if err != nil {
			b.Fatal(err)
		}
		dst, _ = GenerateContent{}.EncodeResponse(dst[:0], r, x)
	}
}

// chunk is one of those that most of a stream consists of.
func chunk(part string) string {
	return `{"candidates":[{"content":{"parts":[` + part + `],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":3,"totalTokenCount":11},"modelVersion":"m","responseId":"r"}`
}

// chunks are the parts that most of a stream consists of.
var chunks = map[string]string{
	"text":     `{"text":" some more words"}`,
	"escapes":  `{"text":"\n\tif x == \"y\" {\n"}`,
	"thinking": `{"text":" some more words","thought":true}`,
}

func BenchmarkStream(b *testing.B) {
	for name, part := range chunks {
		b.Run("decode "+name, func(b *testing.B) {
			d := GenerateContent{}.NewStreamDecoder()
			ev := data(chunk(part))
			var events []chat.Event
			b.SetBytes(int64(len(ev.Data)))
			b.ReportAllocs()
			for b.Loop() {
				events, _ = d.Decode(events[:0], ev)
			}
		})
		b.Run("encode "+name, func(b *testing.B) {
			d := GenerateContent{}.NewStreamDecoder()
			e := GenerateContent{}.NewStreamEncoder(exchange())
			events, _ := d.Decode(nil, data(chunk(part)))
			var out []byte
			for i := range events {
				out = e.Encode(out[:0], &events[i])
			}
			ev := &events[2] // Behind the start and that of the block.
			b.ReportAllocs()
			for b.Loop() {
				out = e.Encode(out[:0], ev)
			}
			b.SetBytes(int64(len(out)))
		})
		b.Run("watch "+name, func(b *testing.B) {
			w := GenerateContent{}.NewStreamWatcher()
			ev := data(chunk(part))
			b.SetBytes(int64(len(ev.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if mark, err := w.Watch(ev); mark != format.MarkContent || err != nil {
					b.Fatal(mark, err)
				}
			}
		})
	}
}
