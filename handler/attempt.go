package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
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
	// admission is the leave to ask the source.
	admission *routing.Admission
	began     time.Time
	latency   time.Duration // to the answer or its first content; 0 if there was none
	override  string        // the client's own key, if it is sent
	format    format.ID     // of the upstream
	codec     format.Chat   // of that format
	same      bool          // the client speaks that format too
	stream    bool          // the upstream is asked for a stream

	ctx    context.Context
	cancel context.CancelCauseFunc
	clock  clock
	total  time.Duration // for the whole request; 0 is no limit
	// phases of the clock
	header, content, idle, ending timeoutError

	edits splice // of a body that is passed on
	body  *pooledBody
	// verb and contentType are how a request is sent that is no conversation:
	// see upstream.Call.
	verb, contentType string
	names             chat.Names // that the request's encoder had to change
	link              link       // to the upstream, as far as it is watched
	response          *http.Response

	// A complete answer is either passed through or encoded.
	passed  *document
	encoded []byte
	// raw is what is left of an answer that is relayed as it is, behind held.
	raw io.Reader
	// A streamed answer: what came before and with the first content is held.
	relays streamer
	events *sse.Scanner
	held   []byte
	// mark is the furthest that the stream has come.
	mark format.Mark
}

// newAttempt prepares a call to the source.
func (x *exchange) newAttempt(admission *routing.Admission) (*attempt, error) {
	source := admission.Candidate
	spoken := x.formatFor(source)
	codec, ok := format.ChatOf(format.Family(spoken))
	if !ok {
		return nil, fmt.Errorf("no codec for format %s", spoken)
	}
	a := &attempt{x: x, source: source, admission: admission, began: time.Now(), format: spoken, codec: codec}
	if source.Upstream.AllowsOverride() {
		a.override = x.clientKey
	}
	a.same = spoken == x.endpoint.Format
	a.stream = x.envelope.stream || x.work == nil && source.Source.ForceStream
	limits := source.Upstream.Limits(x.endpoint.Operation, a.stream)
	a.header = timeoutError{"answer", limits.Header}
	a.content = timeoutError{"content", limits.FirstContent}
	a.idle = timeoutError{"event", limits.Idle}
	a.ending = timeoutError{"end of the stream", endWait}
	a.ctx, a.cancel = context.WithCancelCause(x.r.Context())
	a.total = limits.Total
	if own := x.h.total(); !x.envelope.stream && own > 0 {
		a.total = min(a.total, own)
	}
	a.clock.start(a.cancel, x.began, a.total, &a.header)
	x.h.exiting().enter(a)
	return a, nil
}

// formatFor is the format that the request is sent in: some models take tools in
// one of their formats only.
func (x *exchange) formatFor(source *routing.Candidate) format.ID {
	if source.ToolFormat == "" || !x.envelope.tools {
		return source.Format
	}
	if source.Target.Can.ChatTools == capability.ChatToolsEffort && source.Format == x.endpoint.Format && !x.envelope.effort {
		return source.Format
	}
	return source.ToolFormat
}

// run calls the source and reads the answer up to where it can be relayed: its
// end, or the first content of a stream.
func (a *attempt) run() outcome {
	if err := a.encode(); err != nil {
		a.body.Release()
		return refused(err)
	}
	if out := a.send(); out.class != routing.ClassOK {
		return out
	}
	body, err := upstream.PlainBody(a.response)
	if err != nil {
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
	}
	if status := a.response.StatusCode; status < 200 || status > 299 {
		return a.readError(body)
	}
	if a.x.work != nil {
		return a.x.work.answer(a, body)
	}
	streams, body, err := upstream.IsEventStream(a.response, body)
	switch {
	case err != nil:
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
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
	out := outcome{class: routing.ClassUnsupported, detail: err}
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
	if a.x.work != nil {
		return a.x.work.encode(a)
	}
	if a.same {
		a.pass()
		return nil
	}
	request, err := a.x.decoded()
	if err != nil {
		return err
	}
	if a.stream && !request.Stream {
		streamed := *request
		streamed.Stream = true
		request = &streamed
	}
	if a.x.unsigned {
		request = withoutSignatures(request)
	}
	a.body.Grow(min(len(a.x.document.data)+1<<10, pooledLimit))
	target := a.source.Target
	target.Names = &a.names
	report, err := a.codec.EncodeRequest(&a.body.Body, request, target)
	if err != nil {
		return err
	}
	return a.account(report)
}

// pass writes the client's own body with what has to be changed in it.
func (a *attempt) pass() {
	edits, env := &a.edits, &a.x.envelope
	edits.setModel(env, a.source.Model)
	if a.stream && !env.stream && !a.x.endpoint.InPath() {
		edits.setStream(env)
	}
	if a.stream && a.format == format.OpenAIChat && !env.usage && !a.source.Target.NoStreamOptions {
		edits.askForUsage(env)
	}
	if a.x.unsigned {
		edits.unsign(a.format, a.x.document.index.Root())
	}
	edits.write(&a.body.Body, a.x.document, env)
}

// send makes the call. The request's bytes are free again when the transport
// lets go of them.
func (a *attempt) send() outcome {
	response, err := a.source.Upstream.Do(a.watch(), &upstream.Call{
		Format:    a.format,
		Operation: a.x.endpoint.Operation,
		Model:     a.source.Model,
		Verb:      a.verb,
		Type:      a.contentType,
		Body:      &a.body.Body,
		Header:    a.x.forwarded(a.format),
		Own:       a.source.Source.Header(),
		Stream:    a.stream,

		Credential: a.admission.Credential,
		Override:   a.override,
	})
	a.body.Release()
	if err != nil {
		return a.sendFailure(err)
	}
	a.response = response
	return outcome{}
}

// close ends the call and frees what it holds. An answer that was not read to
// its end closes the connection.
func (a *attempt) close() {
	a.x.h.exiting().leave(a)
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
	case routing.ClassCredential, routing.ClassExhausted, routing.ClassMissing:
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
