package handler

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// endWait is how long a complete stream may take to say that it is: for the end
// mark after the last content, and for the end of the body after the end mark.
const endWait = time.Second

// relay sends the answer to the client. It is the commit point: from here on no
// other source is asked.
func (a *attempt) relay() outcome {
	if a.same || a.x.neutral == nil || !a.x.needsRequest(a.x.neutral) {
		a.x.letBodyGo()
	}
	a.x.setHeaders(a)
	a.tellLosses()
	switch {
	case a.raw != nil:
		return a.relayRaw()
	case a.relays != nil:
		return a.relayStream()
	default:
		return a.relayComplete()
	}
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
		return outcome{class: routing.ClassAbandoned, detail: err}
	}
	return outcome{}
}

// relayStream sends what is held, and then each event as it comes: one write
// and one flush for all that one read has brought.
func (a *attempt) relayStream() outcome {
	header := a.x.w.Header()
	contentType, array := "text/event-stream; charset=utf-8", a.x.wantsArray()
	if array {
		contentType = "application/json; charset=utf-8"
	}
	a.x.values.set(header, "Content-Type", contentType)
	a.x.values.set(header, "Cache-Control", "no-cache")
	a.x.values.set(header, "X-Accel-Buffering", "no")
	a.x.commit(http.StatusOK)
	a.admission.Started(time.Now())
	client := newClientStream(a.x.w, a.x.codec.Heartbeat(), a.x.h.heartbeat(), array)
	defer client.close()

	out := a.held
	defer func() { a.held = out }() // freed with the attempt
	a.enterPhase()
	for a.mark < format.MarkEnd {
		if len(out) > bufferSize/2 || !a.events.Buffered() {
			a.clock.hold()
			if err := client.write(out); err != nil {
				return outcome{class: routing.ClassAbandoned, detail: err}
			}
			out = out[:0]
			a.clock.touch()
		}
		before := a.mark
		mark, err := a.step(&out)
		if failed := a.streamFailure(mark, err); failed.class != routing.ClassOK {
			if a.mark == format.MarkComplete && (failed.class != routing.ClassAbandoned || errors.Is(failed.detail, errExiting)) {
				out, _, _ = a.relays.finish(out) // everything has been said
				break
			}
			a.x.usage = a.relays.usage()
			out = a.relays.fail(out, failed.err)
			client.finish(out) // the last word, whether it arrives or not
			return failed
		}
		if a.mark != before {
			a.enterPhase()
		}
	}
	a.x.usage = a.relays.usage()
	if err := client.finish(out); err != nil {
		return outcome{class: routing.ClassAbandoned, detail: err}
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
		out := readFailure(a.ctx, a.name(), routing.ClassBrokenStream, err)
		out.err.Code = "stream_interrupted"
		return out
	}
	if mark != format.MarkError {
		return outcome{}
	}
	return a.reportedError(a.relays.reported(), routing.ClassBrokenStream)
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

// abort ends a stream that the gateway itself could not carry on.
func (x *exchange) abort(e *chat.Error) {
	event := x.codec.NewStreamWatcher().AppendError(nil, e)
	x.w.Write(event) // the last word, whether it arrives or not
}
