package openai

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
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

// encodeResponses encodes a request.
func encodeResponses(t testing.TB, r *chat.Request) (string, chat.Report) {
	t.Helper()
	var b format.Body
	report, err := Responses{}.EncodeRequest(&b, r, chat.Target{Model: "gpt-x"})
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b.Bytes())
	parse(t, doc)
	return doc, report
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

// sameIDs takes the made part of ids out.
func sameIDs(doc []byte) []byte {
	out := doc[:0:0]
	for i := 0; i < len(doc); i++ {
		out = append(out, doc[i])
		for _, prefix := range []string{"msg_", "fc_", "ctc_", "rs_"} {
			if bytes.HasSuffix(out, []byte(`"`+prefix)) && i+37 < len(doc) {
				i += 32
			}
		}
	}
	return out
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

// finalOutput is the output that the last event tells, without ids.
func finalOutput(t *testing.T, client []byte) string {
	t.Helper()
	events := split(t, client)
	_, data, _ := strings.Cut(string(events[len(events)-1]), "data: ")
	return string(sameIDs(parse(t, strings.TrimSpace(data)).Get("response").Get("output").Raw()))
}

// checkResponseEvents checks what clients demand of a stream: names, numbers, one
// opening and one end, items that are added once and done once under one id, and
// deltas that add up to what the done events and the last one tell.
func checkResponseEvents(t *testing.T, client []byte) {
	t.Helper()
	var kinds []string
	ids, deltas, items := map[string]string{}, map[string]string{}, map[string]string{}
	open := map[string]bool{}
	events := split(t, client)
	for i, raw := range events {
		head, data, _ := strings.Cut(string(raw), "\n")
		data = strings.TrimSpace(strings.TrimPrefix(data, "data: "))
		doc := parse(t, data)
		kind := doc.Get("type").Text()
		kinds = append(kinds, kind)
		if head != "event: "+kind || strings.Contains(data, "\n") {
			t.Errorf("event %d is named %q and has type %q", i, head, kind)
		}
		if got := string(doc.Get("sequence_number").Raw()); got != strconv.Itoa(i) {
			t.Errorf("event %d has sequence_number %s", i, got)
		}
		at := string(doc.Get("output_index").Raw())
		id := doc.Get("item").Get("id")
		if !id.Exists() {
			id = doc.Get("item_id")
		}
		if id.Exists() {
			if known, ok := ids[at]; ok && known != id.Text() {
				t.Errorf("item %s has id %s, then %s", at, known, id.Text())
			}
			ids[at] = id.Text()
		}
		place := at + "/" + string(doc.Get("content_index").Raw()) + string(doc.Get("summary_index").Raw())
		switch {
		case kind == "response.output_item.added":
			if at != strconv.Itoa(len(open)) {
				t.Errorf("item %s is added after %d others", at, len(open))
			}
			open[at] = true
		case kind == "response.output_item.done":
			if !open[at] {
				t.Errorf("item %s is done but not open", at)
			}
			open[at] = false
			items[ids[at]] = string(doc.Get("item").Raw())
		case strings.HasSuffix(kind, ".delta"):
			if !open[at] {
				t.Errorf("%s of item %s, which is not open", kind, at)
			}
			deltas[place] += doc.Get("delta").Text()
		case strings.HasSuffix(kind, "_text.done"), strings.HasSuffix(kind, "refusal.done"), strings.HasSuffix(kind, "arguments.done"), strings.HasSuffix(kind, "input.done"):
			whole := doc.Get("text").Text() + doc.Get("refusal").Text() + doc.Get("arguments").Text() + doc.Get("input").Text()
			if deltas[place] != whole {
				t.Errorf("%s tells %q, the deltas %q", kind, whole, deltas[place])
			}
		}
		for item := range doc.Get("response").Get("output").Elements {
			if done := items[item.Get("id").Text()]; string(item.Raw()) != done {
				t.Errorf("the last event tells item %s, it was done as %s", item.Raw(), done)
			}
		}
		if succeeded(raw) && doc.Get("response").Get("output").Len() != len(items) {
			t.Errorf("the last event does not tell all of %d items: %s", len(items), data)
		}
	}
	switch last := kinds[len(kinds)-1]; {
	case len(kinds) == 1 && last == "error":
		return
	case last != "response.completed" && last != "response.incomplete" && last != "response.failed":
		t.Errorf("the last event is %s", last)
	}
	if kinds[0] != "response.created" || kinds[1] != "response.in_progress" {
		t.Errorf("the first events are %s", kinds[:2])
	}
	for _, once := range []string{"response.created", "response.completed", "response.incomplete", "response.failed"} {
		if n := strings.Count(" "+strings.Join(kinds, " ")+" ", " "+once+" "); n > 1 {
			t.Errorf("%d times %s", n, once)
		}
	}
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

// succeeded says that a stream has a mark of success.
func succeeded(stream []byte) bool {
	return bytes.Contains(stream, []byte(`"type":"response.completed"`)) || bytes.Contains(stream, []byte(`"type":"response.incomplete"`))
}

// broke says that a stream tells an error.
func broke(stream []byte) bool {
	return bytes.Contains(stream, []byte(`"type":"response.failed"`)) || bytes.Contains(stream, []byte(`"type":"error"`))
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

// watchedResponse checks that the watcher agrees about a part of a stream.
func watchedResponse(t *testing.T, events [][]byte, n int, whole, failed bool) {
	t.Helper()
	part := bytes.Join(events, nil)
	scanner := sse.NewScanner(bytes.NewReader(part), 0)
	w := Responses{}.NewStreamWatcher()
	furthest := format.MarkNothing
	last := int64(-1)
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		mark, err := w.Watch(ev)
		if err != nil {
			t.Fatalf("after %d events: watching: %v", n, err)
		}
		furthest = max(furthest, mark)
		var index tape.Tape
		if index.Parse(ev.Data) == nil {
			last, _ = index.Root().Get("sequence_number").Int()
		}
	}
	rest, err := w.Close(nil)
	switch {
	case len(rest) > 0:
		t.Errorf("after %d events: close adds %q", n, rest)
	case failed:
		if furthest != format.MarkError || w.Err() == nil || err == nil {
			t.Errorf("after %d events: mark %d, error %v, close %v", n, furthest, w.Err(), err)
		}
	case whole:
		if furthest != format.MarkEnd || err != nil || !w.Usage().Known {
			t.Errorf("after %d events: mark %d, close %v", n, furthest, err)
		}
	case furthest >= format.MarkComplete || !errors.Is(err, error(format.ErrTruncated)):
		t.Errorf("after %d events: mark %d, close %v", n, furthest, err)
	default:
		got := w.AppendError(nil, format.ErrTruncated)
		if !bytes.Contains(got, []byte(`"sequence_number":`+strconv.FormatInt(last+1, 10)+`,`)) || !broke(got) {
			t.Errorf("after %d events, the last of which has number %d: %s", n, last, got)
		}
		if opened := bytes.Contains(part, []byte("response.created")); opened != bytes.HasPrefix(got, []byte("event: response.failed\n")) {
			t.Errorf("after %d events: %s", n, got)
		}
	}
}
