package provider

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

// Places in an answer. A number from 1 stands for the place behind that many
// events with content. A plain answer has three places: before its body, in the
// middle of it, and its end.
const (
	// Start is the place behind the header, before any event.
	Start = -1
	// Preamble is the place before the first event with content.
	Preamble = 0
	// End is the place behind the last event, before the end of the body.
	End = math.MaxInt
)

// Step is how the provider answers one request. Steps are made by functions such
// as Say and varied by methods such as CutAt, which leave the original as it is.
type Step struct {
	// unread steps do not wait for a request.
	unread bool
	// run answers instead of what follows, but for early and delay, if it is set.
	run func(c *connection, r *Request) (keep bool)

	content  []block
	stop     Stop
	counts   Usage
	mode     mode
	status   int
	header   [][2]string
	body     func(*Request) string // of an answer without content
	early    int
	delay    time.Duration
	faults   []fault
	crlf     bool
	drip     bool
	unmarked bool
}

// mode says whether an answer is a stream.
type mode uint8

const (
	asAsked mode = iota
	alwaysPlain
	alwaysStream
)

// fault is what happens at a place of an answer.
type fault struct {
	place  int
	kind   faultKind
	insert string
	goOn   <-chan struct{}
}

type faultKind uint8

const (
	faultInsert faultKind = iota // go on behind the inserted bytes
	faultError                   // write an error event and end the body
	faultEnd                     // end the body as if all were well
	faultCut                     // close the connection
	faultReset                   // reset the connection
	faultWait                    // be silent
)

// Status answers with a status and a body. The content type is JSON, or HTML if
// the body begins like it.
func Status(status int, body string) Step {
	return Step{status: status, body: func(*Request) string { return body }}
}

// Fail answers with an error in the shape of the format.
func Fail(status int, message string) Step {
	return Step{status: status, body: func(r *Request) string { return errorBody(r, status, "scripted_error", message) }}
}

// Redirect answers with a redirection.
func Redirect(status int, location string) Step {
	return Status(status, "").Header("Location", location)
}

// HTML answers 200 with a page, as a captive portal does.
func HTML() Step { return Status(http.StatusOK, "<!doctype html><title>Welcome</title>") }

// Empty answers 200 without a body.
func Empty() Step { return Status(http.StatusOK, "") }

// NoContent answers 204.
func NoContent() Step { return Status(http.StatusNoContent, "") }

// WrongShape answers 200 with JSON of no format.
func WrongShape() Step { return Status(http.StatusOK, `{"result":["not","an","answer"]}`) }

// NotJSON answers 200 with a body that claims to be JSON.
func NotJSON() Step { return Status(http.StatusOK, `{"choices": [ {{`) }

// ErrorObject answers 200 with an error object of the format.
func ErrorObject(code, message string) Step {
	return Step{status: http.StatusOK, body: func(r *Request) string { return errorBody(r, http.StatusOK, code, message) }}
}

// HugeError answers with an error whose body has about size bytes.
func HugeError(status, size int) Step {
	return Status(status, `{"error":{"message":"`+strings.Repeat("x", size)+`"}}`)
}

// CloseAtOnce closes a new connection without reading from it. On a connection
// that is kept alive it closes behind the next request.
func CloseAtOnce() Step {
	return Step{unread: true, run: func(*connection, *Request) bool { return false }}
}

// ResetAtOnce resets a new connection, or a kept one behind the next request.
func ResetAtOnce() Step { return Step{unread: true, run: reset} }

// SilentAtOnce accepts a connection and does nothing until the client leaves.
func SilentAtOnce() Step { return Step{unread: true, run: silence} }

// CloseAfterRequest reads the request and closes the connection.
func CloseAfterRequest() Step {
	return Step{run: func(*connection, *Request) bool { return false }}
}

// ResetAfterRequest reads the request and resets the connection.
func ResetAfterRequest() Step { return Step{run: reset} }

// Silent reads the request and does nothing until the client leaves.
func Silent() Step { return Step{run: silence} }

// NotHTTP reads the request and answers with bytes that are not HTTP.
func NotHTTP() Step { return Raw("\x16\x03\x01 this is not HTTP\r\n\r\n") }

// Switches switches to another protocol, for which nobody has asked, and is silent
// until the client leaves.
func Switches() Step {
	return Step{run: func(c *connection, r *Request) bool {
		if _, err := c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")); err != nil {
			r.leave()
			return false
		}
		return silence(c, r)
	}}
}

// Raw reads the request, answers with bytes as they are, and closes the
// connection.
func Raw(answer string) Step {
	return Step{run: func(c *connection, r *Request) bool {
		if _, err := c.Write([]byte(answer)); err != nil {
			r.leave()
		}
		return false
	}}
}

// EndlessHeader begins an answer whose header never ends, with a pause between
// its lines, until the client leaves.
func EndlessHeader(pause time.Duration) Step {
	return Step{run: func(c *connection, r *Request) bool {
		line := "HTTP/1.1 200 OK\r\n"
		for n := 0; ; n++ {
			if _, err := c.Write([]byte(line)); err != nil {
				r.leave()
				return false
			}
			line = fmt.Sprintf("X-Endless-%d: %s\r\n", n, strings.Repeat("x", 1000))
			if pause > 0 && !c.pause(r, pause) {
				return false
			}
		}
	}}
}

func reset(c *connection, _ *Request) bool {
	c.reset()
	return false
}

func silence(c *connection, r *Request) bool {
	c.silence(r, nil)
	return false
}

// Header adds a header field to the answer; it replaces one that the provider
// would have sent.
func (s Step) Header(name, value string) Step {
	s.header = append(s.header[:len(s.header):len(s.header)], [2]string{name, value})
	return s
}

// Early sends n answers with status 103 before the real one.
func (s Step) Early(n int) Step {
	s.early = n
	return s
}

// Delay waits before the header.
func (s Step) Delay(d time.Duration) Step {
	s.delay = d
	return s
}

// Plain answers without a stream, whatever was asked.
func (s Step) Plain() Step {
	s.mode = alwaysPlain
	return s
}

// Stream answers with a stream, whatever was asked.
func (s Step) Stream() Step {
	s.mode = alwaysStream
	return s
}

// CRLF ends the lines of a stream with CR LF.
func (s Step) CRLF() Step {
	s.crlf = true
	return s
}

// Drip sends the body of a stream byte by byte.
func (s Step) Drip() Step {
	s.drip = true
	return s
}

// NoEndMark leaves out a stream's last event: [DONE], message_stop, the whole
// response, or the chunk with the reason to stop.
func (s Step) NoEndMark() Step {
	s.unmarked = true
	return s
}

// InsertAt sends bytes at a place of a stream and goes on.
func (s Step) InsertAt(place int, raw string) Step {
	return s.at(fault{place: place, kind: faultInsert, insert: raw})
}

// GarbageAt sends an event that is not JSON at a place of a stream and goes on.
func (s Step) GarbageAt(place int) Step { return s.InsertAt(place, "data: {\"broken\":\n\n") }

// ErrorAt ends a stream at a place with an error event of the format.
func (s Step) ErrorAt(place int) Step { return s.at(fault{place: place, kind: faultError}) }

// EndAt ends the body cleanly at a place, as if the answer were complete there.
func (s Step) EndAt(place int) Step { return s.at(fault{place: place, kind: faultEnd}) }

// CutAt closes the connection at a place.
func (s Step) CutAt(place int) Step { return s.at(fault{place: place, kind: faultCut}) }

// ResetAt resets the connection at a place.
func (s Step) ResetAt(place int) Step { return s.at(fault{place: place, kind: faultReset}) }

// StallAt is silent from a place on until the client leaves.
func (s Step) StallAt(place int) Step { return s.WaitAt(place, nil) }

// WaitAt is silent at a place until goOn is closed or the client leaves.
func (s Step) WaitAt(place int, goOn <-chan struct{}) Step {
	return s.at(fault{place: place, kind: faultWait, goOn: goOn})
}

// at adds a fault.
func (s Step) at(f fault) Step {
	s.faults = append(s.faults[:len(s.faults):len(s.faults)], f)
	return s
}
