package handler

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// endWait is how long a complete stream may take to say that it is: for the end
// mark after the last content, and for the end of the body after the end mark.
const endWait = time.Second

// relay sends the answer to the client. It is the commit point: from here on no
// other source is asked.
func (a *attempt) relay() outcome {
	a.x.letBodyGo()
	a.x.setHeaders(a)
	if a.stream == nil {
		return a.relayComplete()
	}
	return a.relayStream()
}

// relayComplete sends an answer that is one document.
func (a *attempt) relayComplete() outcome {
	a.clock.stop()
	answer := a.encoded
	if answer == nil {
		answer = a.passed.data
	}
	header := a.x.w.Header()
	a.x.values.set(header, "Content-Type", "application/json")
	a.x.values.set(header, "Content-Length", strconv.Itoa(len(answer)))
	a.x.commit(http.StatusOK)
	if _, err := a.x.w.Write(answer); err != nil {
		return outcome{class: classAbandoned, detail: err}
	}
	return outcome{}
}

// relayStream sends what is held, and then each event as it comes: one write
// and one flush for all that one read has brought.
func (a *attempt) relayStream() outcome {
	header := a.x.w.Header()
	a.x.values.set(header, "Content-Type", "text/event-stream; charset=utf-8")
	a.x.values.set(header, "Cache-Control", "no-cache")
	a.x.values.set(header, "X-Accel-Buffering", "no")
	a.x.commit(http.StatusOK)
	client := newClientStream(a.x.w, a.x.codec.Heartbeat(), a.x.h.heartbeat())
	defer client.close()

	out := a.held
	defer func() { a.held = out }() // freed with the attempt
	a.enterPhase()
	for a.mark < format.MarkEnd {
		if len(out) > bufferSize/2 || !a.events.Buffered() {
			if err := client.write(out); err != nil {
				return outcome{class: classAbandoned, detail: err}
			}
			out = out[:0]
			a.clock.touch()
		}
		before := a.mark
		mark, err := a.step(&out)
		if failed := a.streamFailure(mark, err); failed.class != classOK {
			if a.mark == format.MarkComplete && failed.class != classAbandoned {
				out, _, _ = a.stream.finish(out) // everything has been said
				break
			}
			a.x.usage = a.stream.usage()
			out = a.stream.fail(out, failed.err)
			client.write(out) // the last word, whether it arrives or not
			return failed
		}
		if a.mark != before {
			a.enterPhase()
		}
	}
	a.x.usage = a.stream.usage()
	if err := client.write(out); err != nil {
		return outcome{class: classAbandoned, detail: err}
	}
	a.drain()
	return outcome{}
}

// enterPhase sets the clock for a committed stream: once the answer is complete,
// only its end is waited for.
func (a *attempt) enterPhase() {
	if a.mark >= format.MarkComplete {
		a.clock.enter(&a.ending)
		return
	}
	a.clock.enter(&a.idle)
}

// streamFailure says whether a committed stream has failed.
func (a *attempt) streamFailure(mark format.Mark, err error) outcome {
	if err != nil {
		out := readFailure(a.ctx, a.name(), classBrokenStream, err)
		out.err.Code = "stream_interrupted"
		return out
	}
	if mark != format.MarkError {
		return outcome{}
	}
	return a.reportedError(a.stream.reported(), classBrokenStream)
}

// buffers hold what goes to the client of a stream.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// bufferSize is the size of a stream's output buffer. Thousands of streams may
// wait at the same time, each with its buffer.
const bufferSize = 8 << 10

func newBuffer() []byte { return buffers.Get().(*[bufferSize]byte)[:0] }

// releaseBuffer keeps the buffer for another stream, unless an event has made it
// grow.
func releaseBuffer(b []byte) {
	if cap(b) == bufferSize {
		buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}

// drain reads what is left of an answer whose end mark has been seen, so that
// its connection can serve another request.
func (a *attempt) drain() {
	if a.events == nil {
		return
	}
	a.enterPhase()
	for {
		if _, err := a.events.Next(); err != nil {
			return
		}
	}
}

// clientStream writes a stream to the client. When the upstream is silent it
// sends heartbeats, so that nobody on the way takes the connection for dead.
type clientStream struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	heartbeat  []byte
	every      time.Duration

	// mu lets the heartbeat's timer and the relay take turns.
	mu    sync.Mutex
	timer *time.Timer
	wrote time.Time
	err   error // the first failed write, or errStreamClosed
}

// errStreamClosed is what a write after the end of a stream answers.
var errStreamClosed = errors.New("the client's stream is closed")

// newClientStream returns a stream on w. An interval of 0 or less means no
// heartbeats.
func newClientStream(w http.ResponseWriter, heartbeat []byte, every time.Duration) *clientStream {
	s := &clientStream{w: w, controller: http.NewResponseController(w), heartbeat: heartbeat, every: every}
	if every > 0 {
		s.mu.Lock() // the timer may fire before it is known
		s.timer = time.AfterFunc(every, s.beat)
		s.mu.Unlock()
	}
	return s
}

// write sends whole events and flushes them. It fails once the client is gone.
func (s *clientStream) write(events []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.send(events)
}

// beat sends a heartbeat if nothing else was sent for long enough. The timer is
// not set anew for each write, which would cost more than the write.
func (s *clientStream) beat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.every - time.Since(s.wrote)
	if left <= 0 {
		s.send(s.heartbeat)
		left = s.every
	}
	if s.err == nil {
		s.timer.Reset(left)
	}
}

// send writes and flushes with mu held.
func (s *clientStream) send(events []byte) error {
	if s.err != nil || len(events) == 0 {
		return s.err
	}
	if _, s.err = s.w.Write(events); s.err != nil {
		return s.err
	}
	if err := s.controller.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.err = err
	}
	s.wrote = time.Now()
	return s.err
}

// close ends the heartbeats; no write happens after it.
func (s *clientStream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errStreamClosed
	if s.timer != nil {
		s.timer.Stop()
	}
}

// abort ends a stream that the gateway itself could not carry on.
func (x *exchange) abort(e *chat.Error) {
	event := x.codec.NewStreamWatcher().AppendError(nil, e)
	x.w.Write(event) // the last word, whether it arrives or not
}
