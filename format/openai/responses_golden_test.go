package openai

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// responsesExchange is what the encoders of the golden files are told: the client
// has a tool in a namespace and one that takes free text.
func responsesExchange(t testing.TB) *chat.Exchange {
	t.Helper()
	x := exchange()
	x.Request = decodeResponses(t, `{"model":"writer","input":"x","metadata":{"a":"b"},`+"\n"+`"temperature":0.5,"tools":[`+
		`{"type":"function","name":"list"},{"type":"custom","name":"apply_patch"},`+"\n"+
		`{"type":"namespace","name":"notes","description":"Notes","tools":[{"type":"function","name":"read"}]}]}`)
	return x
}

// decodeResponses decodes a request.
func decodeResponses(t testing.TB, doc string) *chat.Request {
	t.Helper()
	r, err := Responses{}.DecodeRequest(parse(t, doc))
	if err != nil {
		t.Fatalf("decoding %s: %v", doc, err)
	}
	return r
}

// encodeResponses encodes a request for a model of which nothing is known.
func encodeResponses(t testing.TB, r *chat.Request) (string, chat.Report) {
	t.Helper()
	return encodeFor(t, r, chat.Target{Model: "gpt-x"})
}

func TestResponsesGoldenRequests(t *testing.T) {
	cases(t, "responses_request.json", func(t *testing.T, dir string, content []byte) {
		r := decodeResponses(t, string(content))
		own, _ := encodeResponses(t, r)
		golden(t, dir, "responses_upstream_request.golden.json", pretty(t, []byte(own)))
		if again, _ := encodeResponses(t, decodeResponses(t, own)); again != own {
			t.Errorf("a second round changes the request\ngot:  %s\nwant: %s", again, own)
		}

		var b format.Body
		if _, err := (Chat{}).EncodeRequest(&b, r, chat.Target{Model: "gpt-x"}); err != nil {
			golden(t, dir, "chat_refusal.golden.txt", []byte(err.Error()+"\n"))
			return
		}
		golden(t, dir, "chat_upstream_request.golden.json", pretty(t, b.Bytes()))
		// The way of a Chat client to an upstream of this format.
		back, err := Chat{}.DecodeRequest(parse(t, string(b.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		crossed, _ := encodeResponses(t, back)
		golden(t, dir, "responses_crossed_request.golden.json", pretty(t, []byte(crossed)))
	})
}

func TestResponsesGoldenAnswers(t *testing.T) {
	cases(t, "responses_answer.json", func(t *testing.T, dir string, content []byte) {
		doc := parse(t, string(content))
		r, err := Responses{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		x := responsesExchange(t)
		own, report := Responses{}.EncodeResponse(nil, r, x)
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		golden(t, dir, "responses_client.golden.json", pretty(t, own))
		again, err := Responses{}.DecodeResponse(parse(t, string(own)))
		if err != nil {
			t.Fatal(err)
		}
		if twice, _ := (Responses{}).EncodeResponse(nil, again, x); !bytes.Equal(sameIDs(twice), sameIDs(own)) {
			t.Errorf("a second round changes the answer\ngot:  %s\nwant: %s", twice, own)
		}
		usage, err := Responses{}.InspectResponse(doc)
		if err != nil || usage != r.Usage {
			t.Errorf("inspected usage %+v, %v, decoded %+v", usage, err, r.Usage)
		}
		foreign, _ := Chat{}.EncodeResponse(nil, r, exchange())
		golden(t, dir, "chat_client.golden.json", pretty(t, foreign))
	})
}

// runResponses decodes a stream of Responses and encodes it with an encoder.
func runResponses(r io.Reader, encoder format.StreamEncoder) *transcript {
	return runWith(r, Responses{}.NewStreamDecoder(), encoder)
}

func TestResponsesGoldenStreams(t *testing.T) {
	cases(t, "responses_stream.sse", func(t *testing.T, dir string, content []byte) {
		out := runResponses(bytes.NewReader(content), Responses{}.NewStreamEncoder(responsesExchange(t)))
		if out.err != nil {
			t.Fatal(out.err)
		}
		golden(t, dir, "responses_events.golden.txt", out.events.Bytes())
		golden(t, dir, "responses_client.golden.sse", out.client)
		checkGrammar(t, out.events.String())
		checkResponseEvents(t, out.client)

		// What was encoded means the same when it is decoded again.
		again := runResponses(bytes.NewReader(out.client), Responses{}.NewStreamEncoder(responsesExchange(t)))
		if again.err != nil {
			t.Fatal(again.err)
		}
		if got, want := finalOutput(t, again.client), finalOutput(t, out.client); got != want {
			t.Errorf("a second round changes the output\ngot:  %s\nwant: %s", got, want)
		}

		translated := runResponses(bytes.NewReader(content), Chat{}.NewStreamEncoder(exchange()))
		golden(t, dir, "chat_client.golden.sse", translated.client)
		checkChunks(t, translated.client)
	})
}

func TestResponsesStreamsCutAtEveryByte(t *testing.T) {
	cases(t, "responses_stream.sse", func(t *testing.T, _ string, content []byte) {
		x := responsesExchange(t)
		run := func(r io.Reader) *transcript { return runResponses(r, Responses{}.NewStreamEncoder(x)) }
		want := run(bytes.NewReader(content))
		for i := range content {
			got := run(io.MultiReader(bytes.NewReader(content[:i]), bytes.NewReader(content[i:])))
			if got.err != nil || !bytes.Equal(got.client, want.client) {
				t.Fatalf("cut at %d: %v\ngot:\n%s\nwant:\n%s", i, got.err, got.client, want.client)
			}
		}
		got := run(iotest.OneByteReader(bytes.NewReader(content)))
		if got.err != nil || !bytes.Equal(got.client, want.client) {
			t.Fatalf("byte by byte: %v\ngot:\n%s\nwant:\n%s", got.err, got.client, want.client)
		}
	})
}

func TestResponsesStreamsTruncatedAfterEveryEvent(t *testing.T) {
	cases(t, "responses_stream.sse", func(t *testing.T, _ string, content []byte) {
		events := split(t, content)
		for n := range len(events) + 1 {
			part := bytes.Join(events[:n], nil)
			encoder := Responses{}.NewStreamEncoder(responsesExchange(t))
			out := runResponses(bytes.NewReader(part), encoder)
			whole, failed := succeeded(part), broke(part)
			switch {
			case whole && (out.err != nil || !out.ended || !succeeded(out.client)):
				t.Errorf("after %d events: complete stream ends with %v", n, out.err)
			case !whole && (out.ended || succeeded(out.client)):
				t.Errorf("after %d events there is a mark of success: %s", n, out.client)
			case !whole && !failed && !errors.Is(out.err, error(format.ErrTruncated)):
				t.Errorf("after %d events: cut stream ends with %v", n, out.err)
			}
			if !whole && !failed {
				ended := encoder.Encode(out.client, &chat.Event{Kind: chat.EventError, Err: format.ErrTruncated})
				checkResponseEvents(t, ended)
				if !broke(ended) {
					t.Errorf("after %d events no error is told: %s", n, ended)
				}
			}
			watchedResponse(t, events[:n], n, whole, failed)
		}
	})
}
