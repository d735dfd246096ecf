package format_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// pairOf chooses two formats by a number.
func pairOf(n byte) (from, to format.ID) {
	return chatFormats[n/4%4], chatFormats[n%4]
}

// addGoldens makes seeds of the golden files of that name, for every pair of
// formats.
func addGoldens(f *testing.F, pattern string) {
	f.Helper()
	found, err := filepath.Glob(filepath.Join("*", "testdata", "*", pattern))
	if err != nil || len(found) == 0 {
		f.Fatalf("no %s: %v", pattern, err)
	}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for n := range byte(16) {
			f.Add(n, content)
		}
	}
}

// FuzzTranslateRequest shows that whatever a codec takes for a request becomes a
// JSON document in every format, or is refused with a message.
func FuzzTranslateRequest(f *testing.F) {
	addGoldens(f, "request.json")
	f.Fuzz(func(t *testing.T, pair byte, content []byte) {
		from, to := pairOf(pair)
		var index tape.Tape
		if index.Parse(content) != nil {
			return
		}
		request, err := codec(t, from).DecodeRequest(index.Root())
		if err != nil {
			checkRefusal(t, err)
			return
		}
		var b format.Body
		var names chat.Names
		if _, err := codec(t, to).EncodeRequest(&b, request, chat.Target{Model: "real", Names: &names}); err != nil {
			checkRefusal(t, err)
			return
		}
		if doc := b.Bytes(); !json.Valid(doc) || len(doc) != b.Len() {
			t.Fatalf("%s to %s: no JSON: %s", from, to, doc)
		}
	})
}

// checkRefusal holds an error of a codec against what clients can act on.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	e, ok := err.(*chat.Error)
	if !ok || e.Message == "" {
		t.Fatalf("the refusal %#v has no message for the client", err)
	}
}

// FuzzTranslateStream shows what holds for every stream of any two formats: the
// client's stream can be read, it has the text of the upstream's, and after an
// error it has no mark of success.
func FuzzTranslateStream(f *testing.F) {
	addGoldens(f, "upstream_stream.sse")
	f.Fuzz(func(t *testing.T, pair byte, content []byte) {
		from, to := pairOf(pair)
		told, stream := carryStream(t, from, to, content)
		read := readStream(t, to, stream)
		switch {
		case told.failed && read.finished && !told.finished:
			t.Fatalf("%s to %s: a mark of success after an error: %s", from, to, stream)
		case told.failed && !read.failed && told.begun:
			t.Fatalf("%s to %s: the error is lost: %s", from, to, stream)
		case told.ended && !read.ended:
			t.Fatalf("%s to %s: the stream has no end: %s", from, to, stream)
		case told.ended && told.text != read.text:
			t.Fatalf("%s to %s: text %q came out as %q: %s", from, to, told.text, read.text, stream)
		}
	})
}

// summary is what a stream amounts to.
type summary struct {
	text                           string // with refusals
	begun, failed, finished, ended bool
}

// add takes an event; it is false if nothing may follow.
func (s *summary) add(ev *chat.Event) bool {
	switch ev.Kind {
	case chat.EventStart:
		s.begun = true
	case chat.EventDelta:
		if ev.Delta == chat.DeltaText || ev.Delta == chat.DeltaRefusal {
			s.text += ev.Text.String()
		}
	case chat.EventFinish:
		s.finished = true
	case chat.EventError:
		s.failed = true
		return false
	case chat.EventEnd:
		s.ended = true
		return false
	}
	return true
}

// carryStream does with a stream what the gateway does, and tells what the
// upstream said.
func carryStream(t *testing.T, from, to format.ID, content []byte) (told summary, client []byte) {
	t.Helper()
	encoder := codec(t, to).NewStreamEncoder(&chat.Exchange{Model: "m", RequestID: "r", Created: 1, IncludeUsage: true, Request: new(chat.Request)})
	err := eachEvent(codec(t, from).NewStreamDecoder(), content, func(ev *chat.Event) bool {
		client = encoder.Encode(client, ev)
		return told.add(ev)
	})
	if err != nil && !told.ended && !told.failed && !told.finished {
		told.failed = true
		client = encoder.Encode(client, &chat.Event{Kind: chat.EventError, Err: chat.BadAnswer("broken")})
	}
	return told, client
}

// readStream reads what a client gets.
func readStream(t *testing.T, id format.ID, client []byte) (read summary) {
	t.Helper()
	err := eachEvent(codec(t, id).NewStreamDecoder(), client, func(ev *chat.Event) bool { return read.add(ev) })
	if err != nil && read.ended {
		t.Fatalf("%s: the client's stream cannot be read: %v: %s", id, err, client)
	}
	return read
}

// eachEvent decodes a stream until it ends, breaks, or yield says to stop.
func eachEvent(decoder format.StreamDecoder, content []byte, yield func(*chat.Event) bool) error {
	scanner := sse.NewScanner(bytes.NewReader(content), 0)
	defer scanner.Release()
	var events []chat.Event
	for {
		ev, err := scanner.Next()
		last := err == io.EOF
		switch {
		case last:
			events, err = decoder.Finish(events[:0])
		case err == nil:
			events, err = decoder.Decode(events[:0], ev)
		}
		for i := range events {
			if !yield(&events[i]) {
				return nil
			}
		}
		if err != nil || last {
			return err
		}
	}
}
