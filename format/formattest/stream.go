package formattest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// Transcript is what became of a stream.
type Transcript struct {
	// Events are the neutral events, a line for each.
	Events bytes.Buffer
	// Client is what the client got.
	Client []byte
	// Err is what broke the stream, and Ended says that it came to its end.
	Err   error
	Ended bool
}

// Run decodes a stream and encodes it again. A neutral event is written down as
// describe tells it, and handed to each of also.
func Run(r io.Reader, decoder format.StreamDecoder, encoder format.StreamEncoder, describe func(*chat.Event) string, also ...func(*chat.Event)) *Transcript {
	var out Transcript
	scanner := sse.NewScanner(r, 0)
	defer scanner.Release()
	var events []chat.Event
	for {
		ev, err := scanner.Next()
		switch {
		case errors.Is(err, io.EOF):
			events, out.Err = decoder.Finish(events[:0])
		case err != nil:
			out.Err = err
			return &out
		default:
			events, out.Err = decoder.Decode(events[:0], ev)
		}
		for i := range events {
			out.Client = encoder.Encode(out.Client, &events[i])
			out.Ended = out.Ended || events[i].Kind == chat.EventEnd
			fmt.Fprintln(&out.Events, describe(&events[i]))
			for _, f := range also {
				f(&events[i])
			}
		}
		// What the decoder hands out is a view: nobody may keep it.
		for i := range ev.Raw {
			ev.Raw[i] = '#'
		}
		if err != nil || out.Err != nil {
			return &out
		}
	}
}

// Event is one event of a stream.
type Event struct {
	Name string
	Data []byte
	// Raw is all of the event, with the comments behind it.
	Raw []byte
}

// Split returns the events of a stream.
func Split(tb testing.TB, content []byte) (events []Event) {
	tb.Helper()
	eachEvent(tb, content, func(ev sse.Event) {
		if ev.Data != nil || len(events) == 0 {
			events = append(events, Event{string(ev.Name), bytes.Clone(ev.Data), bytes.Clone(ev.Raw)})
			return
		}
		last := &events[len(events)-1]
		last.Raw = append(last.Raw, ev.Raw...)
	})
	return events
}

// Raws returns the bytes of the events of a stream. A comment stands for itself.
func Raws(tb testing.TB, content []byte) (raws [][]byte) {
	tb.Helper()
	eachEvent(tb, content, func(ev sse.Event) { raws = append(raws, bytes.Clone(ev.Raw)) })
	return raws
}

// eachEvent calls f for the events of a stream, which are views.
func eachEvent(tb testing.TB, content []byte, f func(ev sse.Event)) {
	tb.Helper()
	scanner := sse.NewScanner(bytes.NewReader(content), 0)
	defer scanner.Release()
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			tb.Fatal(err)
		}
		f(ev)
	}
}
