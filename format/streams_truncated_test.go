package format_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// TestStreamsTruncatedAfterEveryEvent shows that a stream that ends too early is
// never taken for a success: not by the decoder, not by a client of any format,
// not by the watcher.
func TestStreamsTruncatedAfterEveryEvent(t *testing.T) {
	eachStream(t, func(t *testing.T, d *dialect, content []byte) {
		var part []byte
		events := formattest.Raws(t, content)
		for n := range len(events) + 1 {
			if n > 0 {
				part = append(part, events[n-1]...)
			}
			state := d.stateOf(part)
			for i := range dialects {
				checkTruncated(t, d, &dialects[i], part, n, state)
			}
			d.checkWatched(t, part, n, state)
		}
	})
}

// TestStreamsTruncatedInsideEvents shows the same for a stream that ends inside an
// event: only one with a mark of success may end well.
func TestStreamsTruncatedInsideEvents(t *testing.T) {
	eachStream(t, func(t *testing.T, d *dialect, content []byte) {
		from := 0
		for _, event := range formattest.Raws(t, content) {
			for _, cut := range []int{1, len(event) / 3, len(event) / 2, len(event) - 4, len(event) - 2, len(event) - 1} {
				d.checkCut(t, content[:from+max(cut, 0)])
			}
			from += len(event)
		}
	})
}

// checkCut checks what becomes of a part of a stream that ends anywhere.
func (d *dialect) checkCut(t *testing.T, part []byte) {
	t.Helper()
	want := d.stateOf(part)
	got := hear(d.codec, bytes.NewReader(part))
	if got.ended && (want != stateWhole || got.err != nil) || !got.ended && want == stateOpen && got.err == nil {
		t.Errorf("cut at %d, which is %s: the decoder's end is %v, %v", len(part), want, got.ended, got.err)
	}
	if w := watch(d.codec, bytes.NewReader(part)); w.err == nil && w.closed == nil && want != stateWhole {
		t.Errorf("cut at %d, which is %s: the watcher says %+v", len(part), want, w)
	}
}

// state is how far a stream has come.
type state string

const (
	stateOpen   state = "not complete"
	stateWhole  state = "complete"
	stateFailed state = "failed"
)

// stateOf says how far a stream of the format has come. An error counts more than
// a mark of success before it.
func (d *dialect) stateOf(stream []byte) state {
	switch {
	case d.failure.Match(stream):
		return stateFailed
	case d.success.Match(stream):
		return stateWhole
	default:
		return stateOpen
	}
}

// checkTruncated checks what a client gets of the first n events of an upstream.
func checkTruncated(t *testing.T, from, to *dialect, part []byte, n int, want state) {
	t.Helper()
	encoder := to.codec.NewStreamEncoder(asked())
	var client []byte
	got := hear(from.codec, bytes.NewReader(part), func(ev *chat.Event) { client = encoder.Encode(client, ev) })
	if told := to.stateOf(client); told != want {
		t.Errorf("after %d events, %s client: the upstream's stream is %s, the client's %s:\n%s", n, to.name, want, told, client)
	}
	if got.ended != (want == stateWhole) {
		t.Errorf("after %d events, which are %s: the decoder's end is %v", n, want, got.ended)
	}
	switch want {
	case stateWhole:
		if got.err != nil || !strings.HasSuffix(string(client), to.end) {
			t.Errorf("after %d events, %s client: a complete stream ends with %v:\n%s", n, to.name, got.err, client)
		}
	case stateFailed:
		if to.success.Match(client) {
			t.Errorf("after %d events with an error, %s client: there is a mark of success:\n%s", n, to.name, client)
		}
	default:
		if !errors.Is(got.err, error(format.ErrTruncated)) {
			t.Errorf("after %d events: a cut stream ends with %v", n, got.err)
		}
		client = encoder.Encode(client, &chat.Event{Kind: chat.EventError, Err: format.ErrTruncated})
		if to.stateOf(client) != stateFailed || to.success.Match(client) {
			t.Errorf("after %d events, %s client: no error is told:\n%s", n, to.name, client)
		}
	}
}

// checkWatched checks that the watcher agrees about the first n events.
func (d *dialect) checkWatched(t *testing.T, part []byte, n int, want state) {
	t.Helper()
	got := watch(d.codec, bytes.NewReader(part))
	ok := got.err == nil
	switch want {
	case stateFailed:
		ok = ok && got.furthest == format.MarkError && got.failure != nil && got.closed != nil && got.rest == ""
	case stateWhole:
		rest := d.end
		if d.end != "" && d.endsWell(part) {
			rest = ""
		}
		ok = ok && got.furthest >= format.MarkComplete && got.furthest != format.MarkError && got.closed == nil && got.rest == rest
	default:
		ok = ok && got.furthest < format.MarkComplete && errors.Is(got.closed, error(format.ErrTruncated)) && got.rest == "" &&
			d.stateOf([]byte(got.told)) == stateFailed && !d.success.MatchString(got.told)
	}
	if !ok {
		t.Errorf("after %d events, which are %s, the watcher says %+v", n, want, got)
	}
}

// endsWell says that a stream has the event that clients wait for.
func (d *dialect) endsWell(stream []byte) bool {
	_, data, _ := strings.Cut(d.end, "data: ")
	return bytes.Contains(bytes.ReplaceAll(stream, []byte(" "), nil), []byte("data:"+strings.TrimSpace(data)))
}
