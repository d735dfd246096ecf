package handler

import (
	"errors"
	"io"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

const (
	// maxAnswer is the largest complete answer that is taken, in bytes.
	maxAnswer = 64 << 20
	// maxErrorBody is how much of an error answer is read.
	maxErrorBody = 64 << 10
	// maxHeld and maxHeldEvents bound what a stream may say before its first
	// content; a stream that says more is committed as it is.
	maxHeld       = 256 << 10
	maxHeldEvents = 64
)

// readError makes an outcome of an answer with an error status.
func (a *attempt) readError(body io.Reader) outcome {
	text, _ := io.ReadAll(io.LimitReader(body, maxErrorBody)) // what came is enough
	if refusesPlainHTTP(a.response, text) {
		return unreachable(a.name(), errPlainHTTP)
	}
	text = []byte(a.source.Upstream.Scrub(string(text))) // before the decoder cuts off what is too long
	e := a.scrubbed(a.codec.DecodeError(a.response.StatusCode, a.response.Header, text))
	out := statusFailure(a.name(), a.response.StatusCode, e)
	if a.override != "" && out.class == routing.ClassCredential {
		out.class = routing.ClassClientFault // the credential is the client's own
		out.err = tell(a.name(), out.class, out.status, e)
	}
	return out
}

// readComplete reads an answer that is one JSON document.
func (a *attempt) readComplete(body io.Reader) outcome {
	if out := a.take(body); out.class != routing.ClassOK {
		return out
	}
	if err := a.passed.index.Parse(a.passed.data); err != nil {
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
	}
	if a.same && !a.x.envelope.stream {
		usage, err := a.codec.InspectResponse(a.passed.index.Root())
		if err != nil {
			return a.badAnswer(err)
		}
		if a.mindsEmpty() {
			if response, err := a.codec.DecodeResponse(a.passed.index.Root()); err == nil && isEmpty(response) {
				return a.emptyAnswer()
			}
		}
		a.x.usage = usage
		a.rememberComplete(a.passed.index.Root())
		return outcome{}
	}
	response, err := a.codec.DecodeResponse(a.passed.index.Root())
	if err != nil {
		return a.badAnswer(err)
	}
	if a.mindsEmpty() && isEmpty(response) {
		return a.emptyAnswer()
	}
	a.convert(response)
	return outcome{}
}

// gather reads a stream for a client that wants one document.
func (a *attempt) gather(body io.Reader) outcome {
	a.events = sse.NewScanner(io.LimitReader(body, maxAnswer), 0)
	decoder := a.codec.NewStreamDecoder()
	var collector chat.Collector
	var events []chat.Event
	for done := false; !done; {
		ev, err := a.events.Next()
		if err == nil {
			events, err = decoder.Decode(events[:0], ev)
		} else if err == io.EOF {
			done = true
			events, err = decoder.Finish(events[:0])
		}
		if err != nil {
			return readFailure(a.ctx, a.name(), routing.ClassBrokenStream, err)
		}
		for i := range events {
			collector.Add(&events[i])
			done = done || events[i].Kind == chat.EventEnd || events[i].Kind == chat.EventError
		}
	}
	response, err := collector.Response()
	if err != nil {
		return a.badAnswer(err)
	}
	if a.mindsEmpty() && isEmpty(response) {
		return a.emptyAnswer()
	}
	a.convert(response)
	return outcome{}
}

// convert writes a decoded answer in the client's format, as a document or as a
// stream.
func (a *attempt) convert(response *chat.Response) {
	x := a.x
	a.names.Restore(response)
	x.usage = response.Usage
	x.losses.add(response.Lost)
	if !x.envelope.stream {
		var report chat.Report
		a.encoded, report = x.codec.EncodeResponse(nil, response, a.answer())
		x.losses.add(report)
		return
	}
	t := &translated{encoder: x.codec.NewStreamEncoder(a.answer())}
	for ev := range response.Replay {
		a.held = t.encoder.Encode(a.held, ev)
	}
	t.counted = response.Usage
	a.relays, a.mark = t, format.MarkEnd
}

// answer tells encoders of answers what they must know of the request.
func (a *attempt) answer() *chat.Exchange {
	told := &chat.Exchange{Model: a.x.envelope.model, RequestID: a.x.id, Created: a.x.began.Unix(), Names: &a.names}
	if request, err := a.x.decoded(); err == nil {
		told.IncludeUsage = request.IncludeUsage
		told.LegacyFunctions = request.LegacyFunctions
		if a.x.needsRequest(request) {
			told.Request = request
		}
	}
	return told
}

// badAnswer is the outcome of an answer with a success status that is an error
// or has the wrong shape.
func (a *attempt) badAnswer(err error) outcome {
	e, ok := errors.AsType[*chat.Error](err)
	if !ok {
		e = chat.BadAnswer(err.Error())
	}
	return a.reportedError(e, routing.ClassBadAnswer)
}

// reportedError is the outcome of an error that the upstream reports in an answer
// with a success status; fallback is its class if it is merely a wrong shape.
func (a *attempt) reportedError(e *chat.Error, fallback routing.Class) outcome {
	return upstreamError(a.name(), a.scrubbed(e), fallback)
}

// scrubbed is an error of the upstream without secrets in its words.
func (a *attempt) scrubbed(e *chat.Error) *chat.Error {
	told, u := *e, a.source.Upstream
	for _, word := range [...]*string{&told.Message, &told.Code, &told.Type, &told.Param} {
		*word = u.Scrub(*word)
	}
	if details := string(e.Details); u.Scrub(details) != details {
		told.Details = nil
	}
	return &told
}

// hold reads a stream up to its first content. Until then nothing has gone to
// the client, and a failure is an ordinary one.
func (a *attempt) hold(body io.Reader) outcome {
	a.relays = a.newStreamer()
	a.events = sse.NewScanner(body, 0)
	a.held = newBuffer()
	a.clock.enter(&a.content)
	for counted := 0; a.mark < format.MarkContent; {
		before := len(a.held)
		mark, err := a.step(&a.held)
		switch {
		case err != nil:
			return readFailure(a.ctx, a.name(), routing.ClassBrokenStream, err)
		case mark == format.MarkError:
			return a.reportedError(a.relays.reported(), routing.ClassBrokenStream)
		case mark == format.MarkNothing && len(a.held) > maxHeld:
			a.held = a.held[:before] // comments without end
		case mark > format.MarkNothing:
			if counted++; counted >= maxHeldEvents || len(a.held) > maxHeld {
				return outcome{}
			}
		}
	}
	if a.mark >= format.MarkComplete && a.mindsEmpty() && !a.heldSays() {
		return a.emptyAnswer()
	}
	return outcome{}
}

// newStreamer returns what turns the upstream's events into the client's.
func (a *attempt) newStreamer() streamer {
	if a.same {
		return &passthrough{
			watcher:   a.codec.NewStreamWatcher(),
			hideUsage: a.format == format.OpenAIChat && !a.x.envelope.usage,
		}
	}
	return &translated{decoder: a.codec.NewStreamDecoder(), encoder: a.x.codec.NewStreamEncoder(a.answer()), names: &a.names}
}

// step reads one event and appends what the client gets for it.
func (a *attempt) step(dst *[]byte) (mark format.Mark, err error) {
	ev, err := a.events.Next()
	switch err {
	case nil:
		if a.same && a.mark == format.MarkNothing {
			a.rememberEvent(ev.Data)
		}
		*dst, mark, err = a.relays.event(*dst, ev)
	case io.EOF:
		*dst, mark, err = a.relays.finish(*dst)
	}
	if err == nil {
		a.mark = max(a.mark, mark)
	}
	return mark, err
}
