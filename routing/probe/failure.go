package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// maxMessage is how long a message is at most, in bytes.
const maxMessage = 512

// failure is why a call came to nothing.
type failure struct {
	code    Code
	message string
	status  int
	// class is what circuits are told; own says that they are told nothing.
	class routing.Class
	own   bool
	wait  time.Duration
	// param is the field of the request that the upstream says is at fault.
	param string
}

// verdict is what the failure means.
func (f *failure) verdict() Verdict {
	if f.code == CodeTimeout {
		return TimedOut
	}
	return Failed
}

// codes are the codes of the classes.
var codes = map[routing.Class]Code{
	routing.ClassConnect:      CodeNetworkError,
	routing.ClassTimeout:      CodeTimeout,
	routing.ClassServer:       CodeUpstreamUnavailable,
	routing.ClassBadAnswer:    CodeResponseIncompatible,
	routing.ClassBrokenStream: CodeResponseIncompatible,
	routing.ClassThrottled:    CodeRateLimited,
	routing.ClassExhausted:    CodeQuotaExhausted,
	routing.ClassCredential:   CodeAuthFailed,
	routing.ClassMissing:      CodeModelNotFound,
	routing.ClassClientFault:  CodeRequestInvalid,
	routing.ClassConflict:     CodeUpstreamUnavailable,
}

// interrupted is the failure of a call whose context has ended; nil if it has not.
func interrupted(ctx context.Context) *failure {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: CodeTimeout, message: "no complete answer in time", class: routing.ClassTimeout}
	default:
		return &failure{code: CodeCancelled, message: "the probe was cancelled", class: routing.ClassAbandoned, own: true}
	}
}

// sendFailure is the failure of a call that no answer came to.
func sendFailure(ctx context.Context, u *upstream.Upstream, err error) *failure {
	if f := interrupted(ctx); f != nil {
		return f
	}
	f := &failure{class: routing.ClassConnect, code: networkCode(err), own: upstream.OwnFault(err), message: scrubbed(u, err.Error())}
	switch {
	case errors.Is(err, upstream.ErrUnavailable) && u.Disabled:
		f.code, f.own = CodeDisabled, true
	case errors.Is(err, upstream.ErrUnavailable):
		f.code, f.own = CodeNotConfigured, true
	case upstream.NotHTTP(err):
		f.code, f.class = CodeResponseIncompatible, routing.ClassBadAnswer
	}
	return f
}

// networkCode says what kept a connection from being made or used.
func networkCode(err error) Code {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return CodeNameNotResolved
	}
	if isTLS(err) {
		return CodeTLSError
	}
	if limit, ok := errors.AsType[net.Error](err); ok && limit.Timeout() {
		return CodeTimeout
	}
	return CodeNetworkError
}

// isTLS says that an error is one of TLS. Some have no types: those of a server that
// speaks plain HTTP, and the alerts of the other side.
func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "tls: ") || strings.Contains(text, "server gave HTTP response to HTTPS client") ||
		strings.Contains(text, `"\x15\x03`)
}

// statusFailure is the failure of an answer with an error status.
func statusFailure(u *upstream.Upstream, status int, e *chat.Error) *failure {
	f := told(u, routing.ClassOf(status, e), e)
	f.status = status
	return f
}

// answerFailure is the failure of an answer with a success status that is an error
// or cannot be read. The fallback is the class of one that merely cannot be read.
func answerFailure(ctx context.Context, u *upstream.Upstream, fallback routing.Class, err error) *failure {
	if f := interrupted(ctx); f != nil {
		return f
	}
	e, ok := errors.AsType[*chat.Error](err)
	if !ok {
		f := &failure{code: CodeResponseIncompatible, class: fallback, status: http.StatusOK, message: scrubbed(u, err.Error())}
		if isNetwork(err) {
			f.code = networkCode(err)
		}
		return f
	}
	c := fallback
	if implied := routing.ImpliedStatus(e); implied != 0 {
		c = routing.ClassOf(implied, e)
	}
	f := told(u, c, e)
	f.status = http.StatusOK
	return f
}

// isNetwork says that reading failed because the connection did.
func isNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// told is a failure in the upstream's own words.
func told(u *upstream.Upstream, c routing.Class, e *chat.Error) *failure {
	return &failure{
		code: codes[c], class: c, wait: e.RetryAfter, param: e.Param,
		message: scrubbed(u, e.Message),
	}
}

// scrubbed is a message without the upstream's secrets. Codecs shorten what they
// read, so that half a secret may stand at the end of it: what follows the last one
// that was hidden is left out then, if it would be shown at all.
func scrubbed(u *upstream.Upstream, message string) string {
	const hidden, ellipsis = "[hidden]", "…"
	text := u.Scrub(message)
	if strings.HasSuffix(message, ellipsis) && len(text) <= maxMessage {
		if i := strings.LastIndex(text, hidden); i >= 0 {
			text = text[:i+len(hidden)] + ellipsis
		}
	}
	return format.Bounded(text, maxMessage)
}
