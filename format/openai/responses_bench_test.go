package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// responsesHistory is the conversation of an agent of about 100 KB, with 20 tools.
func responsesHistory() string {
	var b strings.Builder
	b.WriteString(`{"model":"writer","stream":true,"store":false,"include":["reasoning.encrypted_content"],"reasoning":{"effort":"medium","summary":"auto"},"input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"` + strings.Repeat("You are careful. ", 300) + `"}]}`)
	for i := range 30 {
		fmt.Fprintf(&b, `,{"type":"message","role":"user","content":[{"type":"input_text","text":"Step %d: look at the \"next\" file and tell me.\n"}]}`, i)
		fmt.Fprintf(&b, `,{"type":"reasoning","id":"rs_%d","summary":[{"type":"summary_text","text":"The next file is file_%d."}],"encrypted_content":"%s"}`, i, i, strings.Repeat("gAAAAABo", 40))
		fmt.Fprintf(&b, `,{"type":"message","id":"msg_%d","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Reading it.","annotations":[],"logprobs":[]}]}`, i)
		fmt.Fprintf(&b, `,{"type":"function_call","id":"fc_%d","call_id":"call_%d","name":"read_file","arguments":"{\"path\":\"/src/file_%d.go\",\"limit\":%d}","status":"completed"}`, i, i, i, i)
		fmt.Fprintf(&b, `,{"type":"function_call_output","call_id":"call_%d","output":"%s"}`, i, strings.Repeat(`func main() {\n\tfmt.Println(\"hello\")\n}\n`, 45))
	}
	b.WriteString(`],"tools":[`)
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","name":"tool_%d","description":"%s","parameters":{"type":"object","properties":{"path":{"type":"string","description":"The path"},"limit":{"type":"integer"}},"required":["path"]},"strict":false}`, i, strings.Repeat("Does something useful. ", 25))
	}
	b.WriteString(`]}`)
	return b.String()
}

// BenchmarkResponsesValid is the measure for the others: the cost of looking at the
// bytes of the same request once.
func BenchmarkResponsesValid(b *testing.B) {
	content := []byte(responsesHistory())
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if !gjson.ValidBytes(content) {
			b.Fatal("the request is no JSON")
		}
	}
}

func BenchmarkResponsesDecodeRequest(b *testing.B) {
	doc := formattest.Parse(b, responsesHistory())
	b.SetBytes(int64(doc.End()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Responses{}).DecodeRequest(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResponsesEncodeRequest(b *testing.B) {
	r := decodeResponses(b, responsesHistory())
	// As an Anthropic client has it: arguments are objects.
	r.Format, r.Extra = foreign, nil
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
		if _, err := (Responses{}).EncodeRequest(&body, r, chat.Target{Model: "gpt-x"}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(body.Len()))
}

// BenchmarkResponsesTranslateRequest is what a request costs: tape, decode,
// encode.
func BenchmarkResponsesTranslateRequest(b *testing.B) {
	short := `{"model":"writer","input":[{"role":"user","content":"` + strings.Repeat("x", 900) + `"}]}`
	for _, tc := range []struct{ name, doc string }{{"1KB", short}, {"100KB", responsesHistory()}} {
		b.Run(tc.name, func(b *testing.B) {
			content := []byte(tc.doc)
			var index tape.Tape
			var body format.Body
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if err := index.Parse(content); err != nil {
					b.Fatal(err)
				}
				r, err := Responses{}.DecodeRequest(index.Root())
				if err != nil {
					b.Fatal(err)
				}
				body.Reset()
				if _, err := (Responses{}).EncodeRequest(&body, r, chat.Target{Model: "gpt-x"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// responseDeltas are the events that most of a stream consists of, with what must
// come before them.
var responseDeltas = []struct{ name, before, data string }{
	{
		"text",
		`{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_67ccd2bf17f0819081ff3bb2cf6508e6","type":"message","status":"in_progress","role":"assistant","content":[]}}`,
		`{"type":"response.output_text.delta","sequence_number":9,"item_id":"msg_67ccd2bf17f0819081ff3bb2cf6508e6","output_index":0,"content_index":0,"delta":" token","logprobs":[],"obfuscation":"aB3xYz"}`,
	},
	{
		"arguments",
		`{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"fc_67ca09c6bedc8190a7abfec07b1a1332","type":"function_call","status":"in_progress","call_id":"call_unLAR8MvFNptuiZK6K6HCy5k","name":"f","arguments":""}}`,
		`{"type":"response.function_call_arguments.delta","sequence_number":9,"item_id":"fc_67ca09c6bedc8190a7abfec07b1a1332","output_index":0,"delta":"{\"a","obfuscation":"aB3xYz"}`,
	},
	{
		"free text",
		`{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"ctc_67ca09c6bedc8190a7abfec07b1a1332","type":"custom_tool_call","status":"in_progress","call_id":"call_unLAR8MvFNptuiZK6K6HCy5k","name":"apply_patch","input":""}}`,
		`{"type":"response.custom_tool_call_input.delta","sequence_number":9,"item_id":"ctc_67ca09c6bedc8190a7abfec07b1a1332","output_index":0,"delta":"+ \"a\"\n","obfuscation":"aB3xYz"}`,
	},
	{
		"reasoning",
		`{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_67ccd2bf17f0819081ff3bb2cf6508e6","type":"reasoning","summary":[]}}`,
		`{"type":"response.reasoning_summary_text.delta","sequence_number":9,"item_id":"rs_67ccd2bf17f0819081ff3bb2cf6508e6","output_index":0,"summary_index":0,"delta":" thought","obfuscation":"aB3xYz"}`,
	},
}

// responseSteps returns what decodes and encodes an event over and over. The
// encoder is that of clients of the given format.
func responseSteps(t testing.TB, before, data string, client format.Chat) (decode, encode, watch func()) {
	t.Helper()
	d, e, w := Responses{}.NewStreamDecoder(), client.NewStreamEncoder(exchange()), Responses{}.NewStreamWatcher()
	ev := event(data)
	events, err := d.Decode(nil, event(before))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	encode = func() {
		out = out[:0]
		for i := range events {
			out = e.Encode(out, &events[i])
		}
	}
	encode()
	decode = func() {
		if events, err = d.Decode(events[:0], ev); err != nil {
			t.Fatal(err)
		}
	}
	decode()
	encode()
	watch = func() {
		if _, err := w.Watch(ev); err != nil {
			t.Fatal(err)
		}
	}
	return decode, encode, watch
}

func BenchmarkResponsesStreamDecode(b *testing.B) {
	for _, tc := range responseDeltas {
		b.Run(tc.name, func(b *testing.B) {
			decode, _, _ := responseSteps(b, tc.before, tc.data, Responses{})
			b.ReportAllocs()
			for b.Loop() {
				decode()
			}
		})
	}
}

func BenchmarkResponsesStreamTranslate(b *testing.B) {
	for _, tc := range responseDeltas {
		b.Run(tc.name, func(b *testing.B) {
			decode, encode, _ := responseSteps(b, tc.before, tc.data, Chat{})
			b.ReportAllocs()
			for b.Loop() {
				decode()
				encode()
			}
		})
	}
}

// BenchmarkResponsesStreamEncode grows with the length of the stream: the encoder
// keeps what the last event tells again.
func BenchmarkResponsesStreamEncode(b *testing.B) {
	for _, tc := range responseDeltas {
		b.Run(tc.name, func(b *testing.B) {
			_, encode, _ := responseSteps(b, tc.before, tc.data, Responses{})
			b.ReportAllocs()
			for b.Loop() {
				encode()
			}
		})
	}
}

func BenchmarkResponsesStreamWatch(b *testing.B) {
	for _, tc := range responseDeltas {
		b.Run(tc.name, func(b *testing.B) {
			_, _, watch := responseSteps(b, tc.before, tc.data, Responses{})
			b.ReportAllocs()
			for b.Loop() {
				watch()
			}
		})
	}
}

// TestResponsesStreamsDoNotAllocate shows that events cost no memory, but for what
// the last one tells again, which the encoder keeps in memory that grows now and
// then.
func TestResponsesStreamsDoNotAllocate(t *testing.T) {
	for _, tc := range responseDeltas {
		t.Run(tc.name, func(t *testing.T) {
			decode, encode, watch := responseSteps(t, tc.before, tc.data, Chat{})
			if got := testing.AllocsPerRun(1000, func() { decode(); encode(); watch() }); got > 0 {
				t.Errorf("%v allocations per event", got)
			}
			_, encode, _ = responseSteps(t, tc.before, tc.data, Responses{})
			for range 100 {
				encode()
			}
			if got := testing.AllocsPerRun(1000, encode); got >= 1 {
				t.Errorf("%v allocations per event for a client of this format", got)
			}
		})
	}
}
