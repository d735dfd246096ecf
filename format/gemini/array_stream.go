package gemini

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// ArrayStream turns a stream of events into the JSON array that clients get who
// ask for :streamGenerateContent without alt=sse: each event's data is an element,
// sent as soon as the event is complete. It can stand behind an encoder or behind
// a stream that is passed through. What is no data, such as a heartbeat, becomes
// white space, which is legal between elements. An event that tells an error is an
// element like any other: the client knows it by its "error".
//
// The zero value is ready. It serves one stream and is not safe for concurrent
// use. Events may be cut anywhere between two calls.
type ArrayStream struct {
	line     []byte // a line that has no end yet
	begun    bool   // an element was sent
	open     bool   // data of the current event was sent
	returned bool   // the last line ended in CR: an LF that follows belongs to it
	closed   bool
}

// Append appends the part of the array that the events amount to.
func (a *ArrayStream) Append(dst, events []byte) []byte {
	for len(events) > 0 && !a.closed {
		if a.returned && events[0] == '\n' {
			events = events[1:]
			a.returned = false
			continue
		}
		a.returned = false
		end := bytes.IndexAny(events, "\r\n")
		if end < 0 {
			a.line = append(a.line, events...)
			return dst
		}
		a.returned = events[end] == '\r'
		line := events[:end]
		if len(a.line) > 0 {
			a.line = append(a.line, line...)
			line = a.line
		}
		dst = a.take(dst, line)
		a.line = a.line[:0]
		events = events[end+1:]
	}
	return dst
}

// take takes a line.
func (a *ArrayStream) take(dst, line []byte) []byte {
	if !a.begun {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	switch {
	case ok && isDone(data):
		return dst
	case ok && a.open:
		// One event's data on several lines: they are one document.
		return append(append(dst, '\n'), data...)
	case ok && len(bytes.TrimSpace(data)) > 0:
		if a.begun {
			dst = append(dst, ",\r\n"...)
		} else {
			dst = append(dst, '[')
		}
		a.begun, a.open = true, true
		return append(dst, bytes.TrimPrefix(data, []byte(" "))...)
	case len(line) == 0 && a.open:
		a.open = false
		return dst
	case len(line) == 0 || line[0] == ':':
		return append(dst, '\n')
	default:
		return dst // The name of an event, its id, how long to wait.
	}
}

// Close appends the end of the array. It may be called again, and then appends
// nothing.
func (a *ArrayStream) Close(dst []byte) []byte {
	if a.closed {
		return dst
	}
	if data, ok := bytes.CutPrefix(a.line, []byte("data:")); ok && !a.open && format.IsObject(data) {
		dst = a.take(dst, a.line) // The last event lacks its end.
	}
	a.closed = true
	if !a.begun {
		dst = append(dst, '[')
	}
	return append(dst, "]"...)
}
