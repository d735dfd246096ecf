package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// class says how an attempt ended. Every attempt has exactly one.
type class uint8

const (
	// classOK is a complete answer.
	classOK class = iota
	// classConnect: no connection, or it broke before any byte of an answer.
	classConnect
	// classTimeout: no answer, or no content, within its limit.
	classTimeout
	// classServer: a status of 500 and above.
	classServer
	// classBadAnswer: a success that is none.
	classBadAnswer
	// classBrokenStream: a stream that ended without its end mark.
	classBrokenStream
	// classThrottled: too many requests for now.
	classThrottled
	// classExhausted: no money or quota left.
	classExhausted
	// classCredential: the upstream does not take our credential.
	classCredential
	// classMissing: the upstream does not know the model or the path.
	classMissing
	// classClientFault: the request itself is at fault.
	classClientFault
	// classUnsupported: the request cannot be said in the upstream's format. It was
	// not sent.
	classUnsupported
	// classConflict: a state of the moment forbids the request.
	classConflict
	// classAbandoned: the client has left.
	classAbandoned
)

var classNames = [...]string{
	classOK:           "ok",
	classConnect:      "connect",
	classTimeout:      "timeout",
	classServer:       "server",
	classBadAnswer:    "bad_answer",
	classBrokenStream: "broken_stream",
	classThrottled:    "throttled",
	classExhausted:    "exhausted",
	classCredential:   "credential",
	classMissing:      "missing",
	classClientFault:  "client_fault",
	classUnsupported:  "unsupported",
	classConflict:     "conflict",
	classAbandoned:    "abandoned",
}

// String returns the name of the class as logs show it.
func (c class) String() string { return classNames[c] }

// failover says whether another source may be asked after an attempt of this
// class, as long as the client has seen nothing.
func (c class) failover() bool {
	return c != classOK && c != classClientFault && c != classAbandoned
}

// harmless says that an attempt which ended so has left no trace at the upstream,
// so that a request that would leave one may be sent to another.
func (o *outcome) harmless() bool {
	switch o.class {
	case classConnect, classThrottled, classUnsupported:
		return true
	case classServer:
		return o.err.Status == 529 || o.err.Kind == chat.ErrOverloaded || (o.err.Kind == chat.ErrUnavailable && o.err.RetryAfter > 0)
	default:
		return false
	}
}

// final says that repeating the same request cannot help the client.
func (c class) final() bool {
	switch c {
	case classClientFault, classUnsupported, classExhausted, classCredential, classMissing:
		return true
	default:
		return false
	}
}

// outcome is how one attempt ended.
type outcome struct {
	class class
	// detail is what happened, for the log.
	detail error
	// err is what the client is told if this outcome is the last word.
	err *chat.Error
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
	return outcome{class: classConnect, detail: err, err: &chat.Error{
		Kind:    chat.ErrBadUpstream,
		Code:    "upstream_unreachable",
		Message: fmt.Sprintf("upstream %q could not be reached", name),
	}}
}

// readFailure makes an outcome of an error in the middle of an answer.
func readFailure(ctx context.Context, name string, c class, err error) outcome {
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
	if limit, ok := errors.AsType[*timeoutError](cause); ok {
		return outcome{class: classTimeout, detail: limit, err: &chat.Error{
			Kind:    chat.ErrTimeout,
			Code:    "timeout",
			Message: fmt.Sprintf("upstream %q did not answer in time: %s", name, limit),
		}}, true
	}
	return outcome{class: classAbandoned, detail: cause, err: &chat.Error{
		Kind: chat.ErrClientTimeout, Message: "the client has left",
	}}, true
}

// codeOf is the error code shown for an answer that could not be used.
func codeOf(c class) string {
	if c == classBrokenStream {
		return "stream_interrupted"
	}
	return "bad_upstream_answer"
}

// statusFailure makes an outcome of an answer whose status is no success. e is
// what its body says.
func statusFailure(name string, status int, e *chat.Error) outcome {
	out := outcome{class: classOf(status, e), detail: fmt.Errorf("status %d: %s", status, e.Message)}
	out.err = tell(name, out.class, status, e)
	return out
}

// upstreamError makes an outcome of an error that came with a success status:
// an error object in the body, an error event, or a body of the wrong shape
// (fallback is its class then).
func upstreamError(name string, e *chat.Error, fallback class) outcome {
	c := fallback
	if status := statusOf(e); status != 0 {
		c = classOf(status, e)
	}
	out := outcome{class: c, detail: e}
	out.err = tell(name, c, http.StatusOK, e)
	return out
}

// statusOf is the status that an error in a 200 answer amounts to, 0 if the
// answer is merely of the wrong shape.
func statusOf(e *chat.Error) int {
	switch e.Kind {
	case chat.ErrBadUpstream:
		return 0
	case chat.ErrServer, chat.ErrUnavailable, chat.ErrOverloaded, chat.ErrTimeout:
		return http.StatusServiceUnavailable
	case chat.ErrRateLimit, chat.ErrQuota:
		return http.StatusTooManyRequests
	case chat.ErrBilling:
		return http.StatusPaymentRequired
	case chat.ErrAuthentication:
		return http.StatusUnauthorized
	case chat.ErrPermission:
		return http.StatusForbidden
	case chat.ErrNotFound:
		return http.StatusNotFound
	case chat.ErrConflict:
		return http.StatusConflict
	default:
		return http.StatusBadRequest
	}
}

// classOf reads what the error says before it reads the status: one 429 covers
// both "too fast" and "no money left".
func classOf(status int, e *chat.Error) class {
	switch {
	case e.Kind == chat.ErrQuota || e.Kind == chat.ErrBilling || status == http.StatusPaymentRequired:
		return classExhausted
	case status == http.StatusTooManyRequests:
		return classThrottled
	case status == http.StatusForbidden && e.Kind == chat.ErrNotFound:
		return classMissing
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return classCredential
	case status == http.StatusNotFound:
		return classMissing
	case status == http.StatusRequestTimeout || status == http.StatusConflict || status == http.StatusTooEarly:
		return classConflict
	case status >= 500 || status < 200:
		return classServer
	case status >= 400:
		return classClientFault
	default:
		return classBadAnswer
	}
}

// tell makes the error that the client sees if the attempt was the last one.
// The upstream's own words are kept where the client can act on them, and left
// to the log where they are about the gateway's account or the upstream's
// inside.
func tell(name string, c class, status int, e *chat.Error) *chat.Error {
	switch c {
	case classClientFault:
		kept := *e
		if status != http.StatusOK {
			kept.Status = status
		}
		return &kept
	case classThrottled:
		return &chat.Error{Kind: chat.ErrRateLimit, Message: fmt.Sprintf("upstream %q is rate limited", name), RetryAfter: max(e.RetryAfter, time.Second)}
	case classExhausted:
		return &chat.Error{Kind: chat.ErrUnavailable, Code: "upstream_exhausted", Message: fmt.Sprintf("upstream %q has no quota left", name)}
	case classCredential:
		return &chat.Error{Kind: chat.ErrBadUpstream, Code: "upstream_credential", Message: fmt.Sprintf("upstream %q does not accept the gateway's credential", name)}
	case classMissing:
		return &chat.Error{Kind: chat.ErrNotFound, Code: "model_not_found", Message: fmt.Sprintf("upstream %q does not know the model", name)}
	case classConflict:
		if status == http.StatusRequestTimeout {
			return &chat.Error{Kind: chat.ErrBadUpstream, Code: "upstream_error", Message: fmt.Sprintf("upstream %q did not get the request in time", name)}
		}
		return &chat.Error{Kind: chat.ErrConflict, Message: fmt.Sprintf("upstream %q answered with a conflict; try again", name)}
	case classServer:
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
