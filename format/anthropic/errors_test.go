package anthropic

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestDecodeError(t *testing.T) {
	shape := func(kind, message string) string {
		return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + `"},"request_id":"req_1"}`
	}
	for _, tc := range []struct {
		name    string
		status  int
		body    string
		kind    chat.ErrorKind
		message string
	}{
		{"invalid", 400, shape("invalid_request_error", "bad"), chat.ErrInvalidRequest, "bad"},
		{"too long", 400, shape("invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum"), chat.ErrContextTooLong, "prompt is too long: 200001 tokens > 200000 maximum"},
		{"too long with the answer", 400, shape("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"), chat.ErrContextTooLong, "input length and `max_tokens` exceed context limit: 1 + 2 > 2"},
		{"no credit", 400, shape("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), chat.ErrBilling, "Your credit balance is too low to access the Anthropic API."},
		{"spent", 400, shape("invalid_request_error", "You have reached your specified API usage limits."), chat.ErrQuota, "You have reached your specified API usage limits."},
		{"authentication", 401, shape("authentication_error", "invalid x-api-key"), chat.ErrAuthentication, "invalid x-api-key"},
		{"billing", 402, shape("billing_error", "pay"), chat.ErrBilling, "pay"},
		{"billing as 403", 403, shape("billing_error", "pay"), chat.ErrBilling, "pay"},
		{"permission", 403, shape("permission_error", "no"), chat.ErrPermission, "no"},
		{"model", 404, shape("not_found_error", "model: x"), chat.ErrNotFound, "model: x"},
		{"conflict", 409, shape("conflict_error", "x"), chat.ErrConflict, "x"},
		{"too large", 413, shape("request_too_large", "x"), chat.ErrTooLarge, "x"},
		{"rate", 429, shape("rate_limit_error", "x"), chat.ErrRateLimit, "x"},
		{"server", 500, shape("api_error", "x"), chat.ErrServer, "x"},
		{"timeout", 504, shape("timeout_error", "x"), chat.ErrTimeout, "x"},
		{"overloaded", 529, shape("overloaded_error", "x"), chat.ErrOverloaded, "x"},
		{"overloaded as 503", 503, shape("overloaded_error", "x"), chat.ErrOverloaded, "x"},
		{"unknown type", 503, shape("new_error", "x"), chat.ErrUnavailable, "x"},
		{"api_error as 400", 400, shape("api_error", "x"), chat.ErrInvalidRequest, "x"},
		{"overloaded without a body", 529, "", chat.ErrOverloaded, "the upstream answered with status 529"},
		{"HTML", 502, "<html><body>Bad gateway</body></html>", chat.ErrBadUpstream, "the upstream answered with status 502 Bad Gateway"},
		{"plain text", 500, "boom\x00\n", chat.ErrServer, "boom"},
		{"error as a string", 400, `{"error":"bad"}`, chat.ErrInvalidRequest, "bad"},
		{"message", 400, `{"message":"bad"}`, chat.ErrInvalidRequest, "bad"},
		{"detail", 422, `{"detail":[{"msg":"bad","loc":["body"]}]}`, chat.ErrInvalidRequest, "bad"},
		{"array", 500, `[{"error":{"message":"bad"}}]`, chat.ErrServer, "bad"},
		{"JSON without words", 418, `{}`, chat.ErrInvalidRequest, "the upstream answered with status 418 I'm a teapot"},
		{"control characters", 400, `{"error":{"message":"a\u0000\n\u001bb"}}`, chat.ErrInvalidRequest, "a   b"},
		{"long", 400, `{"error":{"message":"` + strings.Repeat("é", 600) + `"}}`, chat.ErrInvalidRequest, strings.Repeat("é", 510) + "…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := Messages{}.DecodeError(tc.status, http.Header{}, []byte(tc.body))
			if e.Kind != tc.kind || e.Message != tc.message || e.Status != tc.status || e.RequestID != "" {
				t.Errorf("got kind %d, status %d: %q", e.Kind, e.Status, e.Message)
			}
		})
	}
}

func TestDetailsSurvive(t *testing.T) {
	body := []byte("{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"x\",\"details\":{\n\"error_code\":\"thread_not_found\"}}}")
	e := Messages{}.DecodeError(404, http.Header{}, body)
	clear(body)
	e.RequestID = "req-1"
	status, got := Messages{}.EncodeError([]byte("x"), e)
	if want := `x{"type":"error","error":{"type":"not_found_error","message":"x","details":{ "error_code":"thread_not_found"}},"request_id":"req-1"}`; status != 404 || string(got) != want {
		t.Errorf("got %d %s\nwant %s", status, got, want)
	}
	if got := formattest.Split(t, appendStreamError(nil, e)); len(got) != 1 {
		t.Errorf("got events %v", got)
	}
	e = Messages{}.DecodeError(400, http.Header{}, []byte(`{"error":{"message":"x","details":"`+strings.Repeat("x", 5000)+`"}}`))
	if e.Details != nil {
		t.Error("large details are kept")
	}
}

func TestEncodeError(t *testing.T) {
	for _, tc := range []struct {
		name   string
		e      chat.Error
		status int
		body   string
	}{
		{"server", chat.Error{}, 500, `{"type":"error","error":{"type":"api_error","message":""}}`},
		{"invalid", chat.Error{Kind: chat.ErrInvalidRequest, Message: `say "x"`}, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"say \"x\""}}`},
		{"too long", chat.Error{Kind: chat.ErrContextTooLong}, 400, `{"type":"error","error":{"type":"invalid_request_error","message":""}}`},
		{"authentication", chat.Error{Kind: chat.ErrAuthentication}, 401, `{"type":"error","error":{"type":"authentication_error","message":""}}`},
		{"billing", chat.Error{Kind: chat.ErrBilling}, 402, `{"type":"error","error":{"type":"billing_error","message":""}}`},
		{"permission", chat.Error{Kind: chat.ErrPermission}, 403, `{"type":"error","error":{"type":"permission_error","message":""}}`},
		{"not found", chat.Error{Kind: chat.ErrNotFound}, 404, `{"type":"error","error":{"type":"not_found_error","message":""}}`},
		{"conflict", chat.Error{Kind: chat.ErrConflict}, 409, `{"type":"error","error":{"type":"conflict_error","message":""}}`},
		{"too large", chat.Error{Kind: chat.ErrTooLarge}, 413, `{"type":"error","error":{"type":"request_too_large","message":""}}`},
		{"rate", chat.Error{Kind: chat.ErrRateLimit}, 429, `{"type":"error","error":{"type":"rate_limit_error","message":""}}`},
		{"quota", chat.Error{Kind: chat.ErrQuota}, 429, `{"type":"error","error":{"type":"rate_limit_error","message":""}}`},
		{"bad upstream", chat.Error{Kind: chat.ErrBadUpstream}, 502, `{"type":"error","error":{"type":"api_error","message":""}}`},
		{"unavailable", chat.Error{Kind: chat.ErrUnavailable}, 503, `{"type":"error","error":{"type":"overloaded_error","message":""}}`},
		{"timeout", chat.Error{Kind: chat.ErrTimeout}, 504, `{"type":"error","error":{"type":"timeout_error","message":""}}`},
		{"overloaded", chat.Error{Kind: chat.ErrOverloaded}, 529, `{"type":"error","error":{"type":"overloaded_error","message":""}}`},
		{"status as it came", chat.Error{Kind: chat.ErrInvalidRequest, Status: 422}, 422, `{"type":"error","error":{"type":"invalid_request_error","message":""}}`},
		{"status that is no error", chat.Error{Kind: chat.ErrRateLimit, Status: 200}, 429, `{"type":"error","error":{"type":"rate_limit_error","message":""}}`},
		{"unknown kind", chat.Error{Kind: 200, RequestID: "r"}, 500, `{"type":"error","error":{"type":"api_error","message":""},"request_id":"r"}`},
		{"control characters", chat.Error{Message: "a\x00\nb\xff"}, 500, `{"type":"error","error":{"type":"api_error","message":"a  b"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, body := Messages{}.EncodeError(nil, &tc.e)
			if status != tc.status || string(body) != tc.body {
				t.Errorf("got %d %s, want %d %s", status, body, tc.status, tc.body)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Sat, 21 Nov 2026 12:00:00 GMT"
	for _, tc := range []struct {
		name   string
		status int
		header map[string]string
		want   time.Duration
	}{
		{"none", 429, nil, 0},
		{"seconds", 429, map[string]string{"Retry-After": "7"}, 7 * time.Second},
		{"milliseconds win", 503, map[string]string{"Retry-After": "7", "Retry-After-Ms": "1500"}, 1500 * time.Millisecond},
		{"date", 503, map[string]string{"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT", "Date": date}, 30 * time.Second},
		{"date without a clock", 503, map[string]string{"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT"}, 0},
		{"negative", 429, map[string]string{"Retry-After": "-1"}, 0},
		{"endless", 429, map[string]string{"Retry-After": "1e300"}, 365 * 24 * time.Hour},
		{"not a number", 429, map[string]string{"Retry-After": "NaN"}, 0},
		{"reset of what is used up", 429, map[string]string{
			"Date": date, "Anthropic-Ratelimit-Requests-Remaining": "5", "Anthropic-Ratelimit-Requests-Reset": "2026-11-21T12:00:01Z",
			"Anthropic-Ratelimit-Input-Tokens-Remaining": "0", "Anthropic-Ratelimit-Input-Tokens-Reset": "2026-11-21T12:00:20Z",
		}, 20 * time.Second},
		{"next reset", 429, map[string]string{
			"Date": date, "Anthropic-Ratelimit-Requests-Reset": "2026-11-21T12:00:09Z", "Anthropic-Ratelimit-Tokens-Reset": "2026-11-21T12:00:04Z",
		}, 4 * time.Second},
		{"reset in Unix seconds", 429, map[string]string{"Date": date, "Anthropic-Ratelimit-Unified-Reset": "1795262460"}, 60 * time.Second},
		{"reset of no limit", 500, map[string]string{"Date": date, "Anthropic-Ratelimit-Tokens-Reset": "2026-11-21T12:00:04Z"}, 0},
		{"reset in the past", 429, map[string]string{"Date": date, "Anthropic-Ratelimit-Tokens-Reset": "2026-11-21T11:00:04Z"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := http.Header{}
			for k, v := range tc.header {
				header.Set(k, v)
			}
			if got := (Messages{}).DecodeError(tc.status, header, nil).RetryAfter; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
