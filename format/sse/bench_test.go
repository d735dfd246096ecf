package sse

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// The streams that translation sees most: a delta of each of the two formats.
var deltas = []struct{ name, event string }{
	{"chat", `data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}` + "\n\n"},
	{"messages", "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}` + "\n\n"},
	{"chatCRLF", `data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}` + "\r\n\r\n"},
	{"pretty", "data: {\ndata:   \"type\": \"text_delta\",\ndata:   \"text\": \" word\"\ndata: }\n\n"},
}

// BenchmarkNext is the cost of one event when many of them arrive in a read.
func BenchmarkNext(b *testing.B) {
	for _, d := range deltas {
		b.Run(d.name, func(b *testing.B) {
			s := NewScanner(endless(d.event), 0)
			defer s.Release()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Next(); err != nil {
					b.Fatal(err)
				}
				_ = s.Buffered()
			}
		})
	}
}

// BenchmarkNextPerRead is the cost of one event that arrives alone.
func BenchmarkNextPerRead(b *testing.B) {
	for _, d := range deltas {
		b.Run(d.name, func(b *testing.B) {
			s := NewScanner(oneEvent(d.event), 0)
			defer s.Release()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Next(); err != nil {
					b.Fatal(err)
				}
				_ = s.Buffered()
			}
		})
	}
}

// BenchmarkLargeEvent shows that the cost of an event is linear in its size:
// MB/s stay the same.
func BenchmarkLargeEvent(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"1MB", 1 << 20}, {"4MB", 4 << 20}, {"16MB", 16 << 20}} {
		for _, kind := range []struct{ name, line string }{
			{"oneLine", "data: " + strings.Repeat("x", size.n) + "\n\n"},
			{"manyLinesCR", strings.Repeat("data: "+strings.Repeat("x", 58)+"\r", size.n/65) + "\r"},
		} {
			stream := []byte(kind.line)
			b.Run(kind.name+"/"+size.name, func(b *testing.B) {
				b.SetBytes(int64(len(stream)))
				for b.Loop() {
					s := NewScanner(smallReads{bytes.NewReader(stream)}, 0)
					if e, err := s.Next(); err != nil || len(e.Raw) != len(stream) {
						b.Fatal(err)
					}
					s.Release()
				}
			})
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	dst := make([]byte, 0, 1024)
	data := []byte(strings.TrimSpace(strings.TrimPrefix(deltas[0].event, "data: ")))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendEvent(dst[:0], "", data)
	}
}

// oneEvent returns one event with each read.
type oneEvent string

func (e oneEvent) Read(p []byte) (int, error) { return copy(p, e), nil }

// smallReads reads 4 KiB at most.
type smallReads struct{ r io.Reader }

func (s smallReads) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 4<<10)]) }
