package format_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/gemini"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// The trickiest cases of translation have a test each, TestCase01 to TestCase40:
// those that a codec decides stand here, those that the gateway decides in
// package caddytest. Most stand for a bug that other gateways had.

// The codecs of the formats, by the short names that the cases use.
var (
	chatFormat      format.Chat = openai.Chat{}
	responsesFormat format.Chat = openai.Responses{}
	messagesFormat  format.Chat = anthropic.Messages{}
	geminiFormat    format.Chat = gemini.GenerateContent{}
)

// index parses a document.
func index(t *testing.T, doc string) tape.Value {
	t.Helper()
	parsed := new(tape.Tape)
	if err := parsed.Parse([]byte(doc)); err != nil {
		t.Fatalf("parsing %s: %v", doc, err)
	}
	return parsed.Root()
}

// translateRequest takes a client's request to an upstream of another format and
// returns what the upstream gets.
func translateRequest(t *testing.T, from, to format.Chat, body string, target chat.Target) (gjson.Result, chat.Report) {
	t.Helper()
	request, err := from.DecodeRequest(index(t, body))
	if err != nil {
		t.Fatalf("decoding the request: %v", err)
	}
	if target.Model == "" {
		target.Model = "real"
	}
	var out format.Body
	report, err := to.EncodeRequest(&out, request, target)
	if err != nil {
		t.Fatalf("encoding the request: %v", err)
	}
	if !gjson.ValidBytes(out.Bytes()) {
		t.Fatalf("the upstream's request is not JSON: %s", out.Bytes())
	}
	return gjson.ParseBytes(out.Bytes()), report
}

// translateAnswer takes an upstream's answer to a client of another format.
func translateAnswer(t *testing.T, from, to format.Chat, body string) gjson.Result {
	t.Helper()
	response, err := from.DecodeResponse(index(t, body))
	if err != nil {
		t.Fatalf("decoding the answer: %v", err)
	}
	out, _ := to.EncodeResponse(nil, response, asked())
	if !gjson.ValidBytes(out) {
		t.Fatalf("the client's answer is not JSON: %s", out)
	}
	return gjson.ParseBytes(out)
}

// asked is what the encoders of answers know of the request: the client wants
// usage and, if its format lets it choose, thoughts.
func asked() *chat.Exchange {
	return &chat.Exchange{
		Model: "m", RequestID: "req-1", Created: 1700000000, IncludeUsage: true,
		Request: &chat.Request{Reasoning: chat.Reasoning{Summary: "summarized"}},
	}
}

// pipeStream takes an upstream's stream to a client of another format. The error
// is that of a stream that broke off; the client's bytes are complete up to
// there.
func pipeStream(from, to format.Chat, upstream io.Reader) (client string, err error) {
	scanner := sse.NewScanner(upstream, 0)
	defer scanner.Release()
	decoder, encoder := from.NewStreamDecoder(), to.NewStreamEncoder(asked())
	var out []byte
	var events []chat.Event
	for done := false; !done; {
		ev, err := scanner.Next()
		switch {
		case err == nil:
			events, err = decoder.Decode(events[:0], ev)
		case errors.Is(err, io.EOF):
			done = true
			events, err = decoder.Finish(events[:0])
		}
		for i := range events {
			out = encoder.Encode(out, &events[i])
			done = done || events[i].Kind == chat.EventEnd || events[i].Kind == chat.EventError
		}
		if err != nil {
			return string(out), err
		}
	}
	return string(out), nil
}

// translateStream takes an upstream's complete stream to a client of another
// format and returns the client's events.
func translateStream(t *testing.T, from, to format.Chat, upstream string) []gjson.Result {
	t.Helper()
	client, err := pipeStream(from, to, strings.NewReader(upstream))
	if err != nil {
		t.Fatalf("the stream broke: %v\n%s", err, client)
	}
	return eventsOf(t, client)
}

// eventsOf are the data fields of a stream that are JSON.
func eventsOf(t *testing.T, stream string) []gjson.Result {
	t.Helper()
	scanner := sse.NewScanner(strings.NewReader(stream), 0)
	defer scanner.Release()
	var out []gjson.Result
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data := string(bytes.TrimSpace(ev.Data))
		if data == "[DONE]" {
			continue
		}
		if !gjson.Valid(data) {
			t.Fatalf("an event is not JSON: %s", data)
		}
		out = append(out, gjson.Parse(data))
	}
}

// streamed writes documents as the events of a stream; those with a type get it
// as their name.
func streamed(docs ...string) string {
	var out strings.Builder
	for _, doc := range docs {
		if name := gjson.Get(doc, "type"); name.Exists() {
			out.WriteString("event: " + name.String() + "\n")
		}
		out.WriteString("data: " + doc + "\n\n")
	}
	return out.String()
}

// chatStream writes deltas, and at last a reason to stop, as a stream of OpenAI
// chat.
func chatStream(finish string, deltas ...string) string {
	var docs []string
	for _, delta := range deltas {
		docs = append(docs, `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"real","choices":[{"index":0,"delta":`+delta+`,"finish_reason":null}]}`)
	}
	docs = append(docs, `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"real","choices":[{"index":0,"delta":{},"finish_reason":"`+finish+`"}]}`)
	return streamed(docs...) + "data: [DONE]\n\n"
}

// piece is a block that a client of Anthropic messages has collected.
type piece struct{ kind, name, text string }

// collectMessages collects a stream of Anthropic messages as their SDKs do, and
// fails the test if a block opens before the one before it is closed.
func collectMessages(t *testing.T, events []gjson.Result) (pieces []piece, last gjson.Result) {
	t.Helper()
	if len(events) == 0 || events[0].Get("type").String() != "message_start" {
		t.Fatalf("the stream does not start with message_start: %v", events)
	}
	open := int64(-1)
	for _, ev := range events {
		at := ev.Get("index").Int()
		switch ev.Get("type").String() {
		case "content_block_start":
			if open >= 0 || at != int64(len(pieces)) {
				t.Fatalf("block %d starts while %d is open", at, open)
			}
			open = at
			block := ev.Get("content_block")
			pieces = append(pieces, piece{kind: block.Get("type").String(), name: block.Get("name").String()})
		case "content_block_delta":
			if at != open {
				t.Fatalf("a delta of block %d while %d is open", at, open)
			}
			for _, member := range []string{"text", "thinking", "partial_json"} {
				pieces[at].text += ev.Get("delta." + member).String()
			}
		case "content_block_stop":
			if at != open {
				t.Fatalf("block %d stops while %d is open", at, open)
			}
			open = -1
		case "message_delta":
			if last.Exists() || open >= 0 {
				t.Fatalf("message_delta comes twice, or with an open block")
			}
			last = ev
		}
	}
	return pieces, last
}

// call is a tool call that a client of OpenAI chat has collected.
type call struct{ id, name, arguments string }

// collectChat collects a stream of OpenAI chat: calls by their index.
func collectChat(events []gjson.Result) (text, thinking string, calls []call, finish string) {
	for _, ev := range events {
		delta := ev.Get("choices.0.delta")
		text += delta.Get("content").String()
		thinking += delta.Get("reasoning_content").String()
		for _, tool := range delta.Get("tool_calls").Array() {
			at := int(tool.Get("index").Int())
			for len(calls) <= at {
				calls = append(calls, call{})
			}
			calls[at].id += tool.Get("id").String()
			calls[at].name += tool.Get("function.name").String()
			calls[at].arguments += tool.Get("function.arguments").String()
		}
		if reason := ev.Get("choices.0.finish_reason").String(); reason != "" {
			finish = reason
		}
	}
	return text, thinking, calls, finish
}

// reported says that a report has a loss at a path.
func reported(report chat.Report, path string) bool {
	for _, loss := range report {
		if strings.HasPrefix(loss.Path, path) {
			return true
		}
	}
	return false
}

// want compares what stands at a path of a document with the raw JSON that is
// wanted there; "" means that nothing may stand there.
func want(t *testing.T, doc gjson.Result, path, raw string) {
	t.Helper()
	if got := doc.Get(path).Raw; got != raw {
		t.Errorf("%s is %s, want %s, in\n%s", path, got, raw, doc.Raw)
	}
}
