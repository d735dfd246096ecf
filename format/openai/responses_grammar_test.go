package openai

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

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

// finalOutput is the output that the last event tells, without ids.
func finalOutput(t *testing.T, client []byte) string {
	t.Helper()
	events := formattest.Raws(t, client)
	_, data, _ := strings.Cut(string(events[len(events)-1]), "data: ")
	return string(sameIDs(formattest.Parse(t, strings.TrimSpace(data)).Get("response").Get("output").Raw()))
}

// checkResponseEvents checks what clients demand of a stream: names, numbers, one
// opening and one end, items that are added once and done once under one id, and
// deltas that add up to what the done events and the last one tell.
func checkResponseEvents(t *testing.T, client []byte) {
	t.Helper()
	var kinds []string
	ids, deltas, items := map[string]string{}, map[string]string{}, map[string]string{}
	open := map[string]bool{}
	events := formattest.Raws(t, client)
	for i, raw := range events {
		head, data, _ := strings.Cut(string(raw), "\n")
		data = strings.TrimSpace(strings.TrimPrefix(data, "data: "))
		doc := formattest.Parse(t, data)
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

// succeeded says that a stream has a mark of success.
func succeeded(stream []byte) bool {
	return bytes.Contains(stream, []byte(`"type":"response.completed"`)) || bytes.Contains(stream, []byte(`"type":"response.incomplete"`))
}

// broke says that a stream tells an error.
func broke(stream []byte) bool {
	return bytes.Contains(stream, []byte(`"type":"response.failed"`)) || bytes.Contains(stream, []byte(`"type":"error"`))
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
