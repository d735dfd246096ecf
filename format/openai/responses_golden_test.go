package openai

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
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
	r, err := Responses{}.DecodeRequest(formattest.Parse(t, doc))
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
	formattest.Cases(t, "responses_request.json", func(t *testing.T, dir string, content []byte) {
		r := decodeResponses(t, string(content))
		own, _ := encodeResponses(t, r)
		formattest.Golden(t, dir, "responses_upstream_request.golden.json", formattest.Pretty(t, []byte(own)))
		if again, _ := encodeResponses(t, decodeResponses(t, own)); again != own {
			t.Errorf("a second round changes the request\ngot:  %s\nwant: %s", again, own)
		}

		var b format.Body
		if _, err := (Chat{}).EncodeRequest(&b, r, chat.Target{Model: "gpt-x"}); err != nil {
			formattest.Golden(t, dir, "chat_refusal.golden.txt", []byte(err.Error()+"\n"))
			return
		}
		formattest.Golden(t, dir, "chat_upstream_request.golden.json", formattest.Pretty(t, b.Bytes()))
		// The way of a Chat client to an upstream of this format.
		back, err := Chat{}.DecodeRequest(formattest.Parse(t, string(b.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		crossed, _ := encodeResponses(t, back)
		formattest.Golden(t, dir, "responses_crossed_request.golden.json", formattest.Pretty(t, []byte(crossed)))
	})
}

func TestResponsesGoldenAnswers(t *testing.T) {
	formattest.Cases(t, "responses_answer.json", func(t *testing.T, dir string, content []byte) {
		doc := formattest.Parse(t, string(content))
		r, err := Responses{}.DecodeResponse(doc)
		if err != nil {
			t.Fatal(err)
		}
		x := responsesExchange(t)
		own, report := Responses{}.EncodeResponse(nil, r, x)
		if len(report) > 0 {
			t.Errorf("lost %v", report)
		}
		formattest.Golden(t, dir, "responses_client.golden.json", formattest.Pretty(t, own))
		again, err := Responses{}.DecodeResponse(formattest.Parse(t, string(own)))
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
		formattest.Golden(t, dir, "chat_client.golden.json", formattest.Pretty(t, foreign))
	})
}

// runResponses decodes a stream of Responses and encodes it with an encoder.
func runResponses(r io.Reader, encoder format.StreamEncoder) *formattest.Transcript {
	return formattest.Run(r, Responses{}.NewStreamDecoder(), encoder, describe)
}

func TestResponsesGoldenStreams(t *testing.T) {
	formattest.Cases(t, "responses_stream.sse", func(t *testing.T, dir string, content []byte) {
		out := runResponses(bytes.NewReader(content), Responses{}.NewStreamEncoder(responsesExchange(t)))
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		formattest.Golden(t, dir, "responses_events.golden.txt", out.Events.Bytes())
		formattest.Golden(t, dir, "responses_client.golden.sse", out.Client)
		formattest.CheckEvents(t, out.Events.String())
		checkResponseEvents(t, out.Client)

		// What was encoded means the same when it is decoded again.
		again := runResponses(bytes.NewReader(out.Client), Responses{}.NewStreamEncoder(responsesExchange(t)))
		if again.Err != nil {
			t.Fatal(again.Err)
		}
		if got, want := finalOutput(t, again.Client), finalOutput(t, out.Client); got != want {
			t.Errorf("a second round changes the output\ngot:  %s\nwant: %s", got, want)
		}

		translated := runResponses(bytes.NewReader(content), Chat{}.NewStreamEncoder(exchange()))
		formattest.Golden(t, dir, "chat_client.golden.sse", translated.Client)
		checkChunks(t, translated.Client)
	})
}

func TestResponsesStreamsTruncatedAfterEveryEvent(t *testing.T) {
	formattest.Cases(t, "responses_stream.sse", func(t *testing.T, _ string, content []byte) {
		events := formattest.Raws(t, content)
		for n := range len(events) + 1 {
			part := bytes.Join(events[:n], nil)
			encoder := Responses{}.NewStreamEncoder(responsesExchange(t))
			out := runResponses(bytes.NewReader(part), encoder)
			whole, failed := succeeded(part), broke(part)
			switch {
			case whole && (out.Err != nil || !out.Ended || !succeeded(out.Client)):
				t.Errorf("after %d events: complete stream ends with %v", n, out.Err)
			case !whole && (out.Ended || succeeded(out.Client)):
				t.Errorf("after %d events there is a mark of success: %s", n, out.Client)
			case !whole && !failed && !errors.Is(out.Err, error(format.ErrTruncated)):
				t.Errorf("after %d events: cut stream ends with %v", n, out.Err)
			}
			if !whole && !failed {
				ended := encoder.Encode(out.Client, &chat.Event{Kind: chat.EventError, Err: format.ErrTruncated})
				checkResponseEvents(t, ended)
				if !broke(ended) {
					t.Errorf("after %d events no error is told: %s", n, ended)
				}
			}
			watchedResponse(t, events[:n], n, whole, failed)
		}
	})
}
