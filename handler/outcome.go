package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// harmless says that an attempt which ended so has left no trace at the upstream,
// so that a request that would leave one may be sent to another.
func (o *outcome) harmless() bool {
	switch o.class {
	case routing.ClassThrottled, routing.ClassUnsupported:
		return true
	case routing.ClassConnect:
		return !o.sent
	case routing.ClassServer:
		return o.err.Status == 529 || o.err.Kind == chat.ErrOverloaded || (o.err.Kind == chat.ErrUnavailable && o.err.RetryAfter > 0)
	default:
		return false
	}
}

// tooLong says that the request is too large for the upstream model, or for the
// upstream, so that one with a larger context window may take it.
func (o *outcome) tooLong() bool {
	if o.class != routing.ClassClientFault {
		return false
	}
	return o.err.Kind == chat.ErrContextTooLong || o.err.Kind == chat.ErrTooLarge || o.status == http.StatusRequestEntityTooLarge
}

// outcome is how one attempt ended.
type outcome struct {
	class routing.Class
	// detail is what happened, for the log.
	detail error
	// err is what the client is told if this outcome is the last word.
	err *chat.Error
	// status is the upstream's; 0 if there was no answer.
	status int
	// wait is how long the upstream asked to be left alone; 0 if it did not.
	wait time.Duration
	// sent says that the request may have reached the upstream although no answer
	// came. It is known of requests that leave a trace only.
	sent bool
}

// timeoutError is the cause of a context that one of the attempt's limits has
// cancelled.
type timeoutError struct {
	what  string
	limit time.Duration
}

// Error implements error.
func (e *timeoutError) Error() string {
	return fmt.Sprintf("no %s within %s", e.what, e.limit)
}

// sendFailure makes an outcome of an error from which no answer came. ctx is
// the attempt's context.
func sendFailure(ctx context.Context, name string, err error) outcome {
	if out, ok := interrupted(ctx, name); ok {
		return out
	}
	if errors.Is(err, upstream.ErrOverride) {
		return outcome{class: routing.ClassClientFault, detail: err, err: &chat.Error{
			Kind: chat.ErrAuthentication, Message: "the key of the request holds characters that cannot be sent on",
		}}
	}
	if errors.Is(err, upstream.ErrNoPlace) {
		return outcome{class: routing.ClassCredential, detail: err, err: &chat.Error{
			Kind: chat.ErrBadUpstream, Code: "upstream_configuration",
			Message: fmt.Sprintf("upstream %q is configured with a credential that goes into a JSON object, and this request is none", name),
		}}
	}
	if upstream.NotHTTP(err) {
		return outcome{class: routing.ClassBadAnswer, detail: err, err: tell(name, routing.ClassBadAnswer, 0, nil)}
	}
	return unreachable(name, err)
}

// unreachable is the outcome of an attempt that did not come through to the service.
func unreachable(name string, err error) outcome {
	return outcome{class: routing.ClassConnect, detail: err, err: &chat.Error{
		Kind:    chat.ErrBadUpstream,
		Code:    "upstream_unreachable",
		Message: fmt.Sprintf("upstream %q could not be reached", name),
	}}
}

// readFailure makes an outcome of an error in the middle of an answer.
func readFailure(ctx context.Context, name string, c routing.Class, err error) outcome {
	if out, ok := interrupted(ctx, name); ok {
		return out
	}
	if e, ok := errors.AsType[*chat.Error](err); ok {
		return upstreamError(name, e, c)
	}
	return outcome{class: c, detail: err, err: &chat.Error{
		Kind:    chat.ErrBadUpstream,
		Code:    codeOf(c),
		Message: fmt.Sprintf("the answer of upstream %q broke off or could not be read", name),
	}}
}

// interrupted says whether the attempt was ended by the client's leaving or by
// one of its limits.
func interrupted(ctx context.Context, name string) (outcome, bool) {
	cause := context.Cause(ctx)
	if cause == nil {
		return outcome{}, false
	}
	if errors.Is(cause, errExiting) {
		return ended(), true
	}
	if limit, ok := errors.AsType[*timeoutError](cause); ok {
		return outcome{class: routing.ClassTimeout, detail: limit, err: &chat.Error{
			Kind:    chat.ErrTimeout,
			Code:    "timeout",
			Message: fmt.Sprintf("upstream %q did not answer in time: %s", name, limit),
		}}, true
	}
	return outcome{class: routing.ClassAbandoned, detail: cause, err: &chat.Error{
		Kind: chat.ErrClientTimeout, Message: "the client has left",
	}}, true
}

// codeOf is the error code shown for an answer that could not be used.
func codeOf(c routing.Class) string {
	if c == routing.ClassBrokenStream {
		return "stream_interrupted"
	}
	return "bad_upstream_answer"
}

// statusFailure makes an outcome of an answer whose status is no success. e is
// what its body says.
func statusFailure(name string, status int, e *chat.Error) outcome {
	out := outcome{class: routing.ClassOf(status, e), status: status, wait: e.RetryAfter, detail: fmt.Errorf("status %d: %s", status, e.Message)}
	out.err = tell(name, out.class, status, e)
	return out
}

// upstreamError makes an outcome of an error that came with a success status:
// an error object in the body, an error event, or a body of the wrong shape
// (fallback is its class then).
func upstreamError(name string, e *chat.Error, fallback routing.Class) outcome {
	c := fallback
	if status := routing.ImpliedStatus(e); status != 0 {
		c = routing.ClassOf(status, e)
	}
	out := outcome{class: c, status: http.StatusOK, wait: e.RetryAfter, detail: e}
	out.err = tell(name, c, http.StatusOK, e)
	return out
}

// tell makes the error that the client sees if the attempt was the last one.
// The upstream's own words are kept where the client can act on them, and left
// to the log where they are about the gateway's account or the upstream's
// inside.
func tell(name string, c routing.Class, status int, e *chat.Error) *chat.Error {
	switch c {
	case routing.ClassClientFault:
		kept := *e
		if status != http.StatusOK {
			kept.Status = status
		}
		return &kept
	case routing.ClassThrottled:
		return &chat.Error{Kind: chat.ErrRateLimit, Message: fmt.Sprintf("upstream %q is rate limited", name), RetryAfter: max(e.RetryAfter, time.Second)}
	case routing.ClassExhausted:
		return &chat.Error{Kind: chat.ErrUnavailable, Code: "upstream_exhausted", Message: fmt.Sprintf("upstream %q has no quota left", name)}
	case routing.ClassCredential:
		return &chat.Error{Kind: chat.ErrBadUpstream, Code: "upstream_credential", Message: fmt.Sprintf("upstream %q does not accept the gateway's credential", name)}
	case routing.ClassMissing:
		return &chat.Error{Kind: chat.ErrNotFound, Code: "model_not_found", Message: fmt.Sprintf("upstream %q does not know the model", name)}
	case routing.ClassConflict:
		if status == http.StatusRequestTimeout {
			return &chat.Error{Kind: chat.ErrBadUpstream, Code: "upstream_error", Message: fmt.Sprintf("upstream %q did not get the request in time", name)}
		}
		return &chat.Error{Kind: chat.ErrConflict, Message: fmt.Sprintf("upstream %q answered with a conflict; try again", name)}
	case routing.ClassServer:
		return serverError(name, status, e)
	default:
		return &chat.Error{Kind: chat.ErrBadUpstream, Code: codeOf(c), Message: fmt.Sprintf("upstream %q gave an answer that cannot be used", name)}
	}
}

// serverError keeps a status of the upstream that the client's format knows.
func serverError(name string, status int, e *chat.Error) *chat.Error {
	out := &chat.Error{Kind: chat.ErrServer, RetryAfter: e.RetryAfter}
	switch {
	case e.Kind == chat.ErrOverloaded || status == 529:
		out.Kind = chat.ErrOverloaded
	case status == http.StatusServiceUnavailable || e.Kind == chat.ErrUnavailable:
		out.Kind = chat.ErrUnavailable
	case status == http.StatusGatewayTimeout:
		out.Kind = chat.ErrTimeout
	case status == http.StatusBadGateway || status == http.StatusOK:
		out.Kind = chat.ErrBadUpstream
	}
	text := "an error"
	if status != http.StatusOK {
		text = "status " + strconv.Itoa(status)
	}
	out.Code = "upstream_error"
	out.Message = fmt.Sprintf("upstream %q answered with %s", name, text)
	return out
}
