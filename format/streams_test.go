package format_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// dialect is a format with the marks of its streams, by which these tests tell
// what became of a stream without asking the code under test.
type dialect struct {
	name  string
	codec format.Chat
	// files are the patterns of the streams in this format, below this folder.
	files []string
	// success is what says that the answer is complete, failure that it is not.
	success, failure *regexp.Regexp
	// end is the event that clients wait for behind success; empty if they do not.
	end string
}

// dialects are the formats.
var dialects = []dialect{
	{
		name: "chat", codec: chatFormat, files: []string{"openai/testdata/*/upstream_stream.sse", "*/testdata/*/chat_stream.sse"},
		success: regexp.MustCompile(`"finish_reason": ?"[a-df-z]|\[DONE\]`), failure: regexp.MustCompile(`"error": ?[{"]|"finish_reason": ?"error"`),
		end: "data: [DONE]\n\n",
	},
	{
		name: "responses", codec: responsesFormat, files: []string{"openai/testdata/*/responses_stream.sse"},
		success: regexp.MustCompile(`"type": ?"response\.(completed|incomplete)"`), failure: regexp.MustCompile(`"type": ?"(error|response\.failed)"`),
	},
	{
		name: "messages", codec: messagesFormat, files: []string{"anthropic/testdata/*/upstream_stream.sse"},
		success: regexp.MustCompile(`"stop_reason": ?"|"message_stop"`), failure: regexp.MustCompile(`"type": ?"error"`),
		end: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
	},
	{
		name: "gemini", codec: geminiFormat, files: []string{"gemini/testdata/*/upstream_stream.sse"},
		success: regexp.MustCompile(`"finishReason"|"blockReason"`), failure: regexp.MustCompile(`"error": ?\{`),
	},
}

// eachStream calls f for every stream below testdata, whichever codec it was
// written for.
func eachStream(t *testing.T, f func(t *testing.T, d *dialect, content []byte)) {
	t.Helper()
	for i := range dialects {
		d := &dialects[i]
		for _, pattern := range d.files {
			found, err := filepath.Glob(pattern)
			if err != nil || len(found) == 0 {
				t.Fatalf("no streams at %s: %v", pattern, err)
			}
			for _, path := range found {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(d.name+"/"+filepath.Base(filepath.Dir(path)), func(t *testing.T) {
					t.Parallel()
					f(t, d, content)
				})
			}
		}
	}
}

// madeID is an id that is another one each time.
var madeID = regexp.MustCompile(`call_[A-Z2-7]{24}`)

// sameIDs replaces the ids that are different each time.
func sameIDs(s string) string { return madeID.ReplaceAllString(s, "call_MADE") }

// heard is what a decoder makes of a stream.
type heard struct {
	// events are the neutral events, a line for each.
	events string
	ended  bool
	err    error
}

// hear decodes a stream, and hands each event on before the next one is read.
func hear(codec format.Chat, r io.Reader, also ...func(*chat.Event)) heard {
	scanner := sse.NewScanner(r, 0)
	defer scanner.Release()
	decoder := codec.NewStreamDecoder()
	var out heard
	var log strings.Builder
	var events []chat.Event
	for {
		ev, err := scanner.Next()
		last := errors.Is(err, io.EOF)
		switch {
		case last:
			events, out.err = decoder.Finish(events[:0])
		case err != nil:
			events, out.err = events[:0], err
		default:
			events, out.err = decoder.Decode(events[:0], ev)
		}
		for i := range events {
			writeEvent(&log, &events[i])
			out.ended = out.ended || events[i].Kind == chat.EventEnd
			for _, f := range also {
				f(&events[i])
			}
		}
		// Neutral events are views: nobody may keep them.
		for i := range ev.Raw {
			ev.Raw[i] = '#'
		}
		if last || out.err != nil {
			out.events = sameIDs(log.String())
			return out
		}
	}
}

// writeEvent writes all of a neutral event as one line.
func writeEvent(w io.Writer, ev *chat.Event) {
	fmt.Fprintf(w, "%d index %d block %d delta %d id %s model %s name %s text %s origin %s logprobs %s stop %d %s %s",
		ev.Kind, ev.Index, ev.Block, ev.Delta, ev.ID, ev.Model, ev.Name, ev.Text, ev.Origin, ev.Logprobs,
		ev.Stop.Reason, ev.Stop.Sequence, ev.Stop.Native)
	if c := ev.Citation; c != nil {
		fmt.Fprintf(w, " citation %s %s %s %d-%d %s %s", c.URL, c.Title, c.Quote, c.Start, c.End, c.Raw, c.Origin)
	}
	if ev.Usage != nil {
		fmt.Fprintf(w, " usage %+v", *ev.Usage)
	}
	if ev.Err != nil {
		fmt.Fprintf(w, " error %d %s", ev.Err.Kind, ev.Err.Message)
	}
	fmt.Fprintln(w)
}

// watched is what a watcher makes of a stream that is passed through.
type watched struct {
	// marks are the events' marks in their order.
	marks    string
	furthest format.Mark
	usage    chat.Usage
	failure  *chat.Error
	// rest is what Close appends, closed its error, told what AppendError appends
	// for a stream that breaks here.
	rest   string
	closed error
	told   string
	err    error
}

// watch passes a stream through a watcher.
func watch(codec format.Chat, r io.Reader) watched {
	scanner := sse.NewScanner(r, 0)
	defer scanner.Release()
	w := codec.NewStreamWatcher()
	var out watched
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var mark format.Mark
		if err == nil {
			mark, err = w.Watch(ev)
		}
		if err != nil {
			out.err = err
			return out
		}
		if len(ev.Data) > 0 {
			out.marks += fmt.Sprint(mark, " ")
		}
		out.furthest = max(out.furthest, mark)
	}
	out.usage, out.failure = w.Usage(), w.Err()
	out.told = string(w.AppendError(nil, format.ErrTruncated))
	rest, err := w.Close(nil)
	out.rest, out.closed = string(rest), err
	return out
}

// sameWatched compares what two watchers say.
func sameWatched(a, b watched) bool {
	return a.marks == b.marks && a.usage == b.usage && a.rest == b.rest && errors.Is(a.closed, b.closed) && fmt.Sprint(a.err) == fmt.Sprint(b.err)
}

// TestStreamsCutAtEveryByte shows that it does not matter in which pieces the
// network brings a stream.
func TestStreamsCutAtEveryByte(t *testing.T) {
	eachStream(t, func(t *testing.T, d *dialect, content []byte) {
		wantHeard, wantWatched := hear(d.codec, bytes.NewReader(content)), watch(d.codec, bytes.NewReader(content))
		if wantHeard.err != nil || wantWatched.err != nil {
			t.Fatalf("uncut: %v, %v", wantHeard.err, wantWatched.err)
		}
		compare := func(how string, pieces func() io.Reader) {
			t.Helper()
			if got := hear(d.codec, pieces()); got != wantHeard {
				t.Fatalf("%s: got %v\n%s\nwant\n%s", how, got.err, got.events, wantHeard.events)
			}
			if got := watch(d.codec, pieces()); !sameWatched(got, wantWatched) {
				t.Fatalf("%s: the watcher says %+v, want %+v", how, got, wantWatched)
			}
		}
		for i := range content {
			compare(fmt.Sprint("cut at ", i), func() io.Reader {
				return io.MultiReader(bytes.NewReader(content[:i]), bytes.NewReader(content[i:]))
			})
		}
		compare("byte by byte", func() io.Reader { return iotest.OneByteReader(bytes.NewReader(content)) })
	})
}

// TestStreamsWithEveryLineEnd shows that lines may end in LF, CRLF or CR.
func TestStreamsWithEveryLineEnd(t *testing.T) {
	eachStream(t, func(t *testing.T, d *dialect, content []byte) {
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
		wantHeard, wantWatched := hear(d.codec, bytes.NewReader(content)), watch(d.codec, bytes.NewReader(content))
		for _, end := range []string{"\r\n", "\r"} {
			changed := bytes.ReplaceAll(content, []byte("\n"), []byte(end))
			for _, r := range []func() io.Reader{
				func() io.Reader { return bytes.NewReader(changed) },
				func() io.Reader { return iotest.OneByteReader(bytes.NewReader(changed)) },
			} {
				if got := hear(d.codec, r()); got != wantHeard {
					t.Errorf("%q: got %v\n%s\nwant\n%s", end, got.err, got.events, wantHeard.events)
				}
				if got := watch(d.codec, r()); !sameWatched(got, wantWatched) {
					t.Errorf("%q: the watcher says %+v, want %+v", end, got, wantWatched)
				}
			}
		}
	})
}

// TestStreamsTruncatedAfterEveryEvent shows that a stream that ends too early is
// never taken for a success: not by the decoder, not by a client of any format,
// not by the watcher.
func TestStreamsTruncatedAfterEveryEvent(t *testing.T) {
	eachStream(t, func(t *testing.T, d *dialect, content []byte) {
		var part []byte
		events := rawEvents(t, content)
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

// TestStreamsTruncatedAtEveryByte shows the same for a stream that ends inside an
// event: only one with a mark of success may end well.
func TestStreamsTruncatedAtEveryByte(t *testing.T) {
	eachStream(t, func(t *testing.T, d *dialect, content []byte) {
		for i := range content {
			part := content[:i]
			want := d.stateOf(part)
			got := hear(d.codec, bytes.NewReader(part))
			if got.ended && (want != stateWhole || got.err != nil) || !got.ended && want == stateOpen && got.err == nil {
				t.Fatalf("cut at %d, which is %s: the decoder's end is %v, %v", i, want, got.ended, got.err)
			}
			if w := watch(d.codec, bytes.NewReader(part)); w.err == nil && w.closed == nil && want != stateWhole {
				t.Fatalf("cut at %d, which is %s: the watcher says %+v", i, want, w)
			}
		}
	})
}

// rawEvents are the bytes of the events of a stream.
func rawEvents(t *testing.T, content []byte) (out [][]byte) {
	t.Helper()
	scanner := sse.NewScanner(bytes.NewReader(content), 0)
	defer scanner.Release()
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.Clone(ev.Raw))
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
