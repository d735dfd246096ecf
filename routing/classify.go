package routing

import (
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// ClassOf says how an attempt has ended that was answered with an error: e is what
// the body says. What the error says comes before the status, for one 429 covers
// both "too fast" and "no money left".
func ClassOf(status int, e *chat.Error) Class {
	switch {
	case e.Kind == chat.ErrQuota || e.Kind == chat.ErrBilling || status == http.StatusPaymentRequired:
		return ClassExhausted
	case status == http.StatusTooManyRequests:
		return ClassThrottled
	case status == http.StatusForbidden && e.Kind == chat.ErrNotFound:
		return ClassMissing
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ClassCredential
	case status == http.StatusNotFound:
		return ClassMissing
	case status == http.StatusRequestTimeout || status == http.StatusConflict || status == http.StatusTooEarly:
		return ClassConflict
	case status >= 500 || status < 200:
		return ClassServer
	case status >= 400:
		return ClassClientFault
	default:
		return ClassBadAnswer
	}
}

// ImpliedStatus is the status that an error in an answer with a success status
// amounts to; 0 if the answer is merely of the wrong shape.
func ImpliedStatus(e *chat.Error) int {
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
