package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// answer answers a request and says whether the connection can take another one.
func (s Step) answer(c *connection, r *Request) (keep bool) {
	w := &writer{c: c, r: r, step: s, last: s.waits()}
	if !w.begin() {
		return false
	}
	if s.run != nil {
		return s.run(c, r)
	}
	if s.content == nil {
		return w.document(s.status, s.body(r))
	}
	asked := parse(r)
	if s.mode == alwaysStream || s.mode == asAsked && asked.Stream {
		return w.stream(events(r, asked, s))
	}
	return w.document(http.StatusOK, document(r, asked, s))
}

// waits says that the answer has a silence in it. Then the client is watched
// meanwhile by reading, and the connection cannot take another request.
func (s Step) waits() bool {
	return slices.ContainsFunc(s.faults, func(f fault) bool { return f.kind == faultWait })
}

// asked is what a step must know of a request's body.
type asked struct {
	Model         string
	Stream        bool
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	number int // of the request
}

// id is the identity of the answer, as JSON: clients take answers with the same one
// for parts of one answer.
func (a asked) id(prefix string) string {
	return quote(fmt.Sprintf("%s-scripted-%d", prefix, a.number))
}

// parse reads the body of a request; one that is not JSON asks for nothing. With
// Gemini the path says what is asked.
func parse(r *Request) asked {
	var out asked
	if err := json.Unmarshal(r.Body, &out); err != nil {
		return asked{}
	}
	if r.Format() == Gemini {
		path, _, _ := strings.Cut(r.Path, "?")
		model, verb, _ := strings.Cut(path[strings.LastIndexByte(path, '/')+1:], ":")
		out.Model, out.Stream = model, verb == "streamGenerateContent"
	}
	out.number = r.number
	return out
}

// writer writes one answer. After a failed write it does nothing more.
type writer struct {
	c    *connection
	r    *Request
	step Step
	// last says that the connection cannot take another request.
	last bool
}

// write sends bytes as they are.
func (w *writer) write(raw string) bool {
	if _, err := io.WriteString(w.c, raw); err != nil {
		w.r.leave()
		return false
	}
	return true
}

// begin sends what comes before the header.
func (w *writer) begin() bool {
	if w.step.delay > 0 && !w.c.pause(w.r, w.step.delay) {
		return false
	}
	for range w.step.early {
		if !w.write("HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n") {
			return false
		}
	}
	return true
}

// head sends the status line and the header.
func (w *writer) head(status int, fields ...string) bool {
	header := http.Header{}
	if w.last {
		header.Set("Connection", "close")
	}
	for i := 0; i+1 < len(fields); i += 2 {
		header.Set(fields[i], fields[i+1])
	}
	for _, field := range w.step.header {
		header.Del(field[0])
	}
	for _, field := range w.step.header {
		header.Add(field[0], field[1])
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(status))
	header.Write(&out)
	return w.write(out.String() + "\r\n")
}

// document sends a plain answer.
func (w *writer) document(status int, body string) bool {
	if status == http.StatusNoContent {
		return w.head(status)
	}
	kind := "application/json"
	if strings.HasPrefix(body, "<") {
		kind = "text/html; charset=utf-8"
	}
	half := body[:len(body)/2]
	for _, f := range w.step.faults {
		if f.kind == faultEnd && f.place != End {
			body = half // the length tells nothing
		}
	}
	if !w.head(status, "Content-Type", kind, "Content-Length", fmt.Sprint(len(body))) {
		return false
	}
	sent := 0
	for _, f := range w.step.faults {
		until := len(half)
		switch f.place {
		case Start:
			until = 0
		case End:
			until = len(body)
		}
		if !w.write(body[min(sent, until):until]) || !w.meet(f) {
			return false
		}
		sent = max(sent, until)
	}
	return w.write(body[sent:]) && !w.last
}

// meet lets a fault happen to a plain answer and says whether to go on.
func (w *writer) meet(f fault) bool {
	switch f.kind {
	case faultCut:
		return false
	case faultReset:
		w.c.reset()
		return false
	case faultWait:
		return w.c.silence(w.r, f.goOn)
	default: // the others are of streams
		return true
	}
}

// stream sends events in chunks, each in its own.
func (w *writer) stream(all []event) bool {
	if !w.head(http.StatusOK, "Content-Type", "text/event-stream", "Transfer-Encoding", "chunked") {
		return false
	}
	if end, ok := w.place(Start); end {
		return ok
	}
	content := 0
	for _, ev := range all {
		if ev.content {
			if content == 0 {
				if end, ok := w.place(Preamble); end {
					return ok
				}
			}
			content++
		}
		if !w.chunk(ev.raw) {
			return false
		}
		if ev.content {
			if end, ok := w.place(content); end {
				return ok
			}
		}
	}
	if end, ok := w.place(End); end {
		return ok
	}
	return w.write("0\r\n\r\n") && !w.last
}

// place lets the faults of a place happen. It says whether they end the answer
// and, if so, whether the connection can take another request.
func (w *writer) place(place int) (end, keep bool) {
	for _, f := range w.step.faults {
		if f.place != place {
			continue
		}
		switch f.kind {
		case faultInsert:
			if !w.chunk(f.insert) {
				return true, false
			}
		case faultError:
			return true, w.chunk(errorEvent(w.r, place != Start)) && w.write("0\r\n\r\n") && !w.last
		case faultEnd:
			return true, w.write("0\r\n\r\n") && !w.last
		default:
			if !w.meet(f) {
				return true, false
			}
		}
	}
	return false, false
}

// chunk sends bytes of a stream, in one chunk or one for each byte.
func (w *writer) chunk(raw string) bool {
	if raw == "" {
		return true // an empty chunk would end the body
	}
	if w.step.crlf {
		raw = strings.ReplaceAll(raw, "\n", "\r\n")
	}
	if !w.step.drip {
		return w.write(fmt.Sprintf("%x\r\n%s\r\n", len(raw), raw))
	}
	for i := range len(raw) {
		if !w.write("1\r\n" + raw[i:i+1] + "\r\n") {
			return false
		}
	}
	return true
}

// pause waits, or until the client has gone. It reads nothing, so that the
// connection stays good for other requests.
func (c *connection) pause(r *Request, d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	defer c.SetReadDeadline(time.Time{})
	if _, err := c.reader.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.leave()
		return false
	}
	return true
}
