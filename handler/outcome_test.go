package handler

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// TestOutcomeOfStatus holds what an upstream answers against the outcome's class
// and what a client sees if it is the last word, through the real codec.
func TestOutcomeOfStatus(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		class  routing.Class
		client int
	}{
		{"bad request", 400, `{"error":{"message":"no","type":"invalid_request_error"}}`, routing.ClassClientFault, 400},
		{"context too long", 400, `{"error":{"message":"long","code":"context_length_exceeded"}}`, routing.ClassClientFault, 400},
		{"wrong key", 401, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`, routing.ClassCredential, 502},
		{"no money", 402, `{"error":{"message":"pay"}}`, routing.ClassExhausted, 503},
		{"forbidden", 403, `{"error":{"message":"no access"}}`, routing.ClassCredential, 502},
		{"forbidden model", 403, `{"error":{"message":"no","code":"model_not_found"}}`, routing.ClassMissing, 404},
		{"unknown model", 404, `{"error":{"message":"no","code":"model_not_found"}}`, routing.ClassMissing, 404},
		{"method", 405, ``, routing.ClassClientFault, 405},
		{"timeout", 408, ``, routing.ClassConflict, 502},
		{"conflict", 409, ``, routing.ClassConflict, 409},
		{"too large", 413, ``, routing.ClassClientFault, 413},
		{"media type", 415, ``, routing.ClassClientFault, 415},
		{"teapot", 418, ``, routing.ClassClientFault, 418},
		{"unprocessable", 422, `{"error":{"message":"no"}}`, routing.ClassClientFault, 422},
		{"too early", 425, ``, routing.ClassConflict, 409},
		{"too fast", 429, `{"error":{"message":"slow","code":"rate_limit_exceeded"}}`, routing.ClassThrottled, 429},
		{"quota", 429, `{"error":{"message":"quota","code":"insufficient_quota"}}`, routing.ClassExhausted, 503},
		{"server", 500, `<html>oops</html>`, routing.ClassServer, 500},
		{"gateway", 502, `<html>oops</html>`, routing.ClassServer, 502},
		{"unavailable", 503, ``, routing.ClassServer, 503},
		{"gateway timeout", 504, ``, routing.ClassServer, 504},
		{"overloaded", 529, ``, routing.ClassServer, 503},
		{"odd status", 999, ``, routing.ClassServer, 500},
		{"redirect", 302, ``, routing.ClassBadAnswer, 502},
	} {
		t.Run(tc.name, func(t *testing.T) {
			codec, _ := format.ChatOf(format.OpenAIChat)
			e := codec.DecodeError(tc.status, http.Header{}, []byte(tc.body))
			out := statusFailure("u", tc.status, e)
			if out.class != tc.class {
				t.Errorf("class is %s, want %s", out.class, tc.class)
			}
			if status, body := codec.EncodeError(nil, out.err); status != tc.client {
				t.Errorf("the client sees %d %s, want %d", status, body, tc.client)
			}
		})
	}
}

func TestOutcomeOfErrorInSuccess(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  *chat.Error
		want routing.Class
	}{
		{"overloaded", &chat.Error{Kind: chat.ErrOverloaded}, routing.ClassServer},
		{"rate limit", &chat.Error{Kind: chat.ErrRateLimit}, routing.ClassThrottled},
		{"quota", &chat.Error{Kind: chat.ErrQuota}, routing.ClassExhausted},
		{"authentication", &chat.Error{Kind: chat.ErrAuthentication}, routing.ClassCredential},
		{"unknown model", &chat.Error{Kind: chat.ErrNotFound}, routing.ClassMissing},
		{"invalid request", &chat.Error{Kind: chat.ErrInvalidRequest}, routing.ClassClientFault},
		{"wrong shape", chat.BadAnswer("no choices"), routing.ClassBadAnswer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := upstreamError("u", tc.err, routing.ClassBadAnswer).class; got != tc.want {
				t.Errorf("class is %s, want %s", got, tc.want)
			}
		})
	}
}

func TestThrottledTellsWhenToComeBack(t *testing.T) {
	out := statusFailure("u", 429, &chat.Error{Kind: chat.ErrRateLimit, RetryAfter: 7 * time.Second})
	if out.err.RetryAfter != 7*time.Second {
		t.Errorf("Retry-After is %s, want 7s", out.err.RetryAfter)
	}
	out = statusFailure("u", 429, &chat.Error{Kind: chat.ErrRateLimit})
	if out.err.RetryAfter <= 0 {
		t.Error("a bare 429 tells the client nothing about when to come back")
	}
}

func TestEveryClassHasAName(t *testing.T) {
	for c := routing.ClassOK; c <= routing.ClassAbandoned; c++ {
		if c.String() == "" {
			t.Errorf("class %d has no name", c)
		}
	}
}
