package handler

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// statusClientClosed is the status that logs show for a client that has left.
const statusClientClosed = 499

// fail answers with an error in the client's format. Errors that are not
// *chat.Error are the gateway's own and told to the log only.
func (x *exchange) fail(err error) error {
	e, ok := errors.AsType[*chat.Error](err)
	if !ok {
		x.h.logger.Error("request failed", zap.String("request_id", x.id), zap.Error(err))
		e = &chat.Error{Kind: chat.ErrServer, Message: "the gateway failed to handle the request; its log says why under this request's id"}
	}
	// The server cancels a request whose body is late, though its client still waits.
	late := isLate(e)
	if x.r.Context().Err() != nil && !late {
		x.commit(statusClientClosed)
		return nil
	}
	told := *e
	told.RequestID = x.id
	status, body := x.codec.EncodeError(nil, &told)
	x.setHeaders(nil)
	header := x.w.Header()
	if told.RetryAfter > 0 {
		seconds := int(math.Ceil(told.RetryAfter.Seconds()))
		header.Set("Retry-After", strconv.Itoa(max(seconds, 1)))
	}
	unread := x.bodyUnread()
	if unread || late && x.r.ProtoMajor == 1 {
		header.Set("Connection", "close")
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.commit(status)
	if x.r.Method != http.MethodHead {
		x.w.Write(body) // a client that has left is no failure of ours
	}
	if unread {
		x.linger()
	}
	return nil
}

// failMethod answers a request whose method the path does not take. Clients of
// Responses may try a websocket first; 426 makes them fall back at once.
func (x *exchange) failMethod() error {
	want := x.endpoint.Method
	x.w.Header().Set("Allow", want)
	if x.endpoint.Format == format.OpenAIResponses && x.r.Header.Get("Upgrade") != "" {
		x.w.Header().Set("Upgrade", "HTTP/1.1")
		return x.fail(&chat.Error{
			Kind: chat.ErrMethod, Status: http.StatusUpgradeRequired,
			Message: fmt.Sprintf("%s is not served over websockets; send the request as an HTTP %s", x.r.URL.Path, want),
		})
	}
	return x.fail(&chat.Error{Kind: chat.ErrMethod, Message: fmt.Sprintf("%s takes %s, not %s", x.r.URL.Path, want, x.r.Method)})
}

// linger sends the answer and reads on for a moment. A connection that is closed
// with bytes unread is reset, and a client that is still sending would lose the
// answer.
func (x *exchange) linger() {
	const moment, most = 500 * time.Millisecond, 8 << 20
	controller := http.NewResponseController(x.w)
	if controller.Flush() != nil || controller.SetReadDeadline(time.Now().Add(moment)) != nil {
		return
	}
	io.CopyN(io.Discard, x.r.Body, most) // how it ends does not matter
}

// bodyUnread says that the client may still be sending a body that nobody wants.
// Without "Connection: close" the server would wait for a part of it before it
// sends the answer.
func (x *exchange) bodyUnread() bool {
	const drained = 256 << 10 // what the server reads in any case
	length := x.r.ContentLength
	return x.r.ProtoMajor == 1 && !x.bodyRead && (length < 0 || length > drained)
}

// failAttempts answers with what the last attempt has ended with. SDKs are told
// not to repeat what cannot succeed, or what has been tried enough.
func (x *exchange) failAttempts() error {
	if x.last.class.Final() || x.attempts >= x.h.maxAttempts() {
		x.w.Header().Set("X-Should-Retry", "false")
	}
	return x.fail(x.last.err)
}

// planError is the client's error for a model that has no plan. Why its sources
// cannot be used is told unless the operator hides where answers come from.
func (h *Handler) planError(model string, err error) error {
	unknown := &chat.Error{Kind: chat.ErrNotFound, Code: "model_not_found", Param: "model"}
	none, unusable := errors.AsType[*routing.NoSourceError](err)
	if unusable && none.Unable() {
		unknown.Kind, unknown.Code = chat.ErrInvalidRequest, "task_not_supported"
	}
	switch {
	case unusable && h.ExposeHeaders != exposeOff:
		unknown.Message = none.Error()
	case unknown.Kind == chat.ErrInvalidRequest:
		unknown.Message = fmt.Sprintf("the model %q does not serve such requests; use another model", model)
	case unusable || errors.Is(err, routing.ErrUnknownModel):
		unknown.Message = fmt.Sprintf("the model %q does not exist or you do not have access to it", model)
	default:
		return err
	}
	return unknown
}

// recovered answers for a panic in the request's work, so that one request's
// fault stays its own.
func (x *exchange) recovered(p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	x.h.logger.Error("panic while serving a request",
		zap.String("request_id", x.id), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	e := &chat.Error{Kind: chat.ErrServer, Message: "the gateway failed to handle the request", RequestID: x.id}
	switch {
	case !x.committed:
		x.fail(e)
	case x.envelope.stream:
		x.abort(e)
	}
}
