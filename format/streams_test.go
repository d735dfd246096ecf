package format_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// heard is what a decoder makes of a stream.
type heard struct {
	// events are the neutral events, a line for each.
	events []byte
	ended  bool
	err    error
}

// same says that two decoders have made the same, but for the ids that are another
// one each time.
func (h *heard) same(other *heard) bool {
	if h.ended != other.ended || !errors.Is(h.err, other.err) {
		return false
	}
	if bytes.Equal(h.events, other.events) {
		return true
	}
	made := []byte("call_MADE")
	return bytes.Equal(madeID.ReplaceAll(h.events, made), madeID.ReplaceAll(other.events, made))
}

// hear decodes a stream, and hands each event on before the next one is read.
func hear(codec format.Chat, r io.Reader, also ...func(*chat.Event)) heard {
	scanner := sse.NewScanner(r, 0)
	defer scanner.Release()
	decoder := codec.NewStreamDecoder()
	var out heard
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
			out.events = appendEvent(out.events, &events[i])
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
			return out
		}
	}
}

// appendEvent appends all of a neutral event as one line.
func appendEvent(dst []byte, ev *chat.Event) []byte {
	for _, n := range [...]int{int(ev.Kind), ev.Index, int(ev.Block), int(ev.Delta), int(ev.Stop.Reason)} {
		dst = append(strconv.AppendInt(dst, int64(n), 10), ' ')
	}
	for _, text := range [...][]byte{ev.ID, ev.Model, ev.Name, ev.Text, ev.Logprobs, ev.Stop.Sequence} {
		dst = append(append(dst, text...), '|')
	}
	dst = append(append(append(dst, ev.Origin...), '|'), ev.Stop.Native...)
	if c := ev.Citation; c != nil {
		dst = fmt.Appendf(dst, " citation %s %s %s %d-%d %s %s", c.URL, c.Title, c.Quote, c.Start, c.End, c.Raw, c.Origin)
	}
	if ev.Usage != nil {
		dst = fmt.Appendf(dst, " usage %+v", *ev.Usage)
	}
	if ev.Err != nil {
		dst = fmt.Appendf(dst, " error %d %s", ev.Err.Kind, ev.Err.Message)
	}
	return append(dst, '\n')
}

// watched is what a watcher makes of a stream that is passed through.
type watched struct {
	// marks are the events' marks in their order.
	marks    []format.Mark
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
			out.marks = append(out.marks, mark)
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
	return slices.Equal(a.marks, b.marks) && a.usage == b.usage && a.rest == b.rest && errors.Is(a.closed, b.closed) && errors.Is(a.err, b.err)
}

// pieceSize is the size of the pieces of a stream but for the first one. With first
// pieces of every size up to it the stream is cut at every byte.
const pieceSize = 256

// pieces brings a stream in pieces, as the network does.
type pieces struct {
	rest []byte
	next int // size of the next piece
}

// Read reads from the next piece only.
func (p *pieces) Read(dst []byte) (int, error) {
	if p.next == 0 {
		p.next = pieceSize
	}
	n := copy(dst, p.rest[:min(p.next, len(p.rest))])
	if n == 0 && len(dst) > 0 {
		return 0, io.EOF
	}
	p.rest, p.next = p.rest[n:], p.next-n
	return n, nil
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
			if got := hear(d.codec, pieces()); !got.same(&wantHeard) {
				t.Fatalf("%s: got %v\n%s\nwant\n%s", how, got.err, got.events, wantHeard.events)
			}
			if got := watch(d.codec, pieces()); !sameWatched(got, wantWatched) {
				t.Fatalf("%s: the watcher says %+v, want %+v", how, got, wantWatched)
			}
		}
		for first := range min(pieceSize, len(content)) {
			compare("first piece of "+strconv.Itoa(first), func() io.Reader { return &pieces{rest: content, next: first} })
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
				if got := hear(d.codec, r()); !got.same(&wantHeard) {
					t.Errorf("%q: got %v\n%s\nwant\n%s", end, got.err, got.events, wantHeard.events)
				}
				if got := watch(d.codec, r()); !sameWatched(got, wantWatched) {
					t.Errorf("%q: the watcher says %+v, want %+v", end, got, wantWatched)
				}
			}
		}
	})
}
