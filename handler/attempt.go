package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// attempt is one call to one source. It ends with an outcome; if that is a
// success the attempt holds the answer, ready to be relayed.
type attempt struct {
	x      *exchange
	source *routing.Candidate
	codec  format.Chat // of the upstream's format
	same   bool        // the client speaks that format too

	ctx    context.Context
	cancel context.CancelCauseFunc
	clock  clock
	// phases of the clock
	header, content, idle, ending timeoutError

	body     *pooledBody
	names    chat.Names // that the request's encoder had to change
	response *http.Response

	// A complete answer is either passed through or encoded.
	passed  *document
	encoded []byte
	// A streamed answer: what came before and with the first content is held.
	stream streamer
	events *sse.Scanner
	held   []byte
	// mark is the furthest that the stream has come.
	mark format.Mark
}

// newAttempt prepares a call to the source.
func (x *exchange) newAttempt(source *routing.Candidate) (*attempt, error) {
	codec, ok := format.ChatOf(source.Format)
	if !ok {
		return nil, fmt.Errorf("no codec for format %s", source.Format)
	}
	a := &attempt{x: x, source: source, codec: codec, same: source.Format == x.endpoint.Format}
	limits := source.Upstream.Limits(x.endpoint.Operation, x.envelope.stream)
	a.header = timeoutError{"answer", limits.Header}
	a.content = timeoutError{"content", limits.FirstContent}
	a.idle = timeoutError{"event", limits.Idle}
	a.ending = timeoutError{"end of the stream", endWait}
	a.ctx, a.cancel = context.WithCancelCause(x.r.Context())
	total := limits.Total
	if own := x.h.total(); !x.envelope.stream && own > 0 {
		total = min(total, own)
	}
	a.clock.start(a.cancel, x.began, total, &a.header)
	return a, nil
}

// run calls the source and reads the answer up to where it can be relayed: its
// end, or the first content of a stream.
func (a *attempt) run() outcome {
	if err := a.encode(); err != nil {
		a.body.Release()
		return refused(err)
	}
	if out := a.send(); out.class != classOK {
		return out
	}
	body, err := plainBody(a.response)
	if err != nil {
		return readFailure(a.ctx, a.name(), classBadAnswer, err)
	}
	if status := a.response.StatusCode; status < 200 || status > 299 {
		return a.readError(body)
	}
	streams, body, err := isEventStream(a.response, body)
	switch {
	case err != nil:
		return readFailure(a.ctx, a.name(), classBadAnswer, err)
	case streams && a.x.envelope.stream:
		return a.hold(body)
	case streams:
		return a.gather(body)
	default:
		return a.readComplete(body)
	}
}

// name is the name of the upstream.
func (a *attempt) name() string { return a.source.Upstream.Name() }

// refused is the outcome of a request that cannot be expressed in the
// upstream's format.
func refused(err error) outcome {
	out := outcome{class: classClientFault, detail: err}
	if e, ok := errors.AsType[*chat.Error](err); ok {
		out.err = e
		return out
	}
	out.err = chat.Invalid("", err.Error())
	return out
}

// encode writes the request's body in the upstream's format, always from the
// client's own bytes.
func (a *attempt) encode() error {
	a.body = newBody(a.x.document)
	if a.same {
		a.x.document.splice(&a.body.Body, &a.x.envelope, a.source.Model)
		return nil
	}
	request, err := a.x.decoded()
	if err != nil {
		return err
	}
	a.body.Grow(min(len(a.x.document.data)+1<<10, pooledLimit))
	target := a.source.Upstream.Target(a.source.Model)
	target.Names = &a.names
	report, err := a.codec.EncodeRequest(&a.body.Body, request, target)
	a.x.report(a.source.Format, report)
	return err
}

// send makes the call. The request's bytes are free again when the transport
// lets go of them.
func (a *attempt) send() outcome {
	response, err := a.source.Upstream.Do(a.ctx, &upstream.Call{
		Format:    a.source.Format,
		Operation: a.x.endpoint.Operation,
		Body:      &a.body.Body,
		Header:    a.x.forwarded(a.source.Format),
		Stream:    a.x.envelope.stream,
	})
	a.body.Release()
	if err != nil {
		return sendFailure(a.ctx, a.name(), err)
	}
	a.response = response
	return outcome{}
}

// close ends the call and frees what it holds. An answer that was not read to
// its end closes the connection.
func (a *attempt) close() {
	a.clock.stop()
	a.cancel(nil)
	if a.response != nil {
		a.response.Body.Close()
	}
	if a.events != nil {
		a.events.Release()
	}
	if a.passed != nil {
		a.passed.release()
	}
	releaseBuffer(a.held)
	a.held = nil
}

// log tells how the attempt ended, for those who look for it. What an operator
// has to mend is a warning.
func (a *attempt) log(out outcome) {
	level := zap.DebugLevel
	switch out.class {
	case classCredential, classExhausted, classMissing:
		level = zap.WarnLevel
	}
	entry := a.x.h.logger.Check(level, "attempt failed")
	if entry == nil {
		return
	}
	entry.Write(
		zap.String("request_id", a.x.id),
		zap.String("model", a.x.envelope.model),
		zap.String("upstream", a.name()),
		zap.String("upstream_model", a.source.Model),
		zap.Int("attempt", a.x.attempts),
		zap.Stringer("outcome", out.class),
		zap.String("detail", a.source.Upstream.Scrub(out.detail.Error())),
	)
}
