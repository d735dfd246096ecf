package anthropic

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// history is the same conversation of a client that speaks Messages.
func history(t testing.TB) string {
	doc, _ := encode(t, chatRequest(t, formattest.AgentHistory()), chat.Target{Model: "m"})
	return string(doc)
}

// chatRequest decodes a request of a Chat client.
func chatRequest(t testing.TB, doc string) *chat.Request {
	t.Helper()
	r, err := openai.Chat{}.DecodeRequest(formattest.Parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func BenchmarkDecodeRequest(b *testing.B) {
	doc := formattest.Parse(b, history(b))
	b.SetBytes(int64(doc.End()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Messages{}).DecodeRequest(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	r := chatRequest(b, formattest.AgentHistory())
	var body format.Body
	b.ReportAllocs()
	for b.Loop() {
		body.Reset()
		if _, err := (Messages{}).EncodeRequest(&body, r, chat.Target{Model: "m"}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(body.Len()))
}

func BenchmarkTranslateResponse(b *testing.B) {
	content := []byte(`{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"` + strings.Repeat("x", 900) + `"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9}}`)
	var index tape.Tape
	var dst []byte
	x := exchange()
	b.ReportAllocs()
	for b.Loop() {
		if err := index.Parse(content); err != nil {
			b.Fatal(err)
		}
		r, err := Messages{}.DecodeResponse(index.Root())
		if err != nil {
			b.Fatal(err)
		}
		dst, _ = Messages{}.EncodeResponse(dst[:0], r, x)
	}
}

func BenchmarkInspectResponse(b *testing.B) {
	doc := formattest.Parse(b, `{"id":"msg_1","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":9}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Messages{}).InspectResponse(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// deltas are the events that most of a stream consists of, behind the start of
// their block.
var deltas = map[string][2]string{
	"text": {startText, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" some more words"}}`},
	"thinking": {
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" some more words"}}`,
	},
	"arguments": {
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"path\":\"x"}}`,
	},
}

// streaming is a stream in the middle of a block.
type streaming struct {
	decoder format.StreamDecoder
	encoder format.StreamEncoder
	watcher format.StreamWatcher
	event   sse.Event
	events  []chat.Event
	client  []byte
}

func newStreaming(t testing.TB, delta [2]string) *streaming {
	t.Helper()
	s := &streaming{Messages{}.NewStreamDecoder(), Messages{}.NewStreamEncoder(exchange()), Messages{}.NewStreamWatcher(), sse.Event{}, nil, nil}
	for _, data := range []string{startMessage, delta[0], delta[1]} {
		s.event = sse.Event{Data: []byte(data)}
		s.watch(t)
		s.decode(t)
		s.encode()
	}
	return s
}

func (s *streaming) watch(t testing.TB) {
	if _, err := s.watcher.Watch(s.event); err != nil {
		t.Fatal(err)
	}
}

func (s *streaming) decode(t testing.TB) {
	var err error
	if s.events, err = s.decoder.Decode(s.events[:0], s.event); err != nil {
		t.Fatal(err)
	}
}

func (s *streaming) encode() {
	s.client = s.client[:0]
	for i := range s.events {
		s.client = s.encoder.Encode(s.client, &s.events[i])
	}
}

func BenchmarkStream(b *testing.B) {
	for name, delta := range deltas {
		s := newStreaming(b, delta)
		b.Run("decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.decode(b)
			}
		})
		b.Run("encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.encode()
			}
		})
		b.Run("watch/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.watch(b)
			}
		})
	}
}

func TestStreamsDoNotAllocate(t *testing.T) {
	for name, delta := range deltas {
		t.Run(name, func(t *testing.T) {
			s := newStreaming(t, delta)
			for what, f := range map[string]func(){
				"decode": func() { s.decode(t) }, "encode": s.encode, "watch": func() { s.watch(t) },
			} {
				if n := testing.AllocsPerRun(100, f); n > 0 {
					t.Errorf("%s: %v allocations per event", what, n)
				}
			}
			if len(s.client) == 0 {
				t.Error("nothing was encoded")
			}
		})
	}
}
