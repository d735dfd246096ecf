package openai

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

func TestDecodeError(t *testing.T) {
	for _, tc := range []struct {
		name    string
		status  int
		body    string
		kind    chat.ErrorKind
		message string
	}{
		{"OpenAI", 400, `{"error":{"message":"Bad temperature","type":"invalid_request_error","param":"temperature","code":null}}`, chat.ErrInvalidRequest, "Bad temperature"},
		{"too long", 400, `{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}`, chat.ErrContextTooLong, "m"},
		{"too long at vLLM", 400, `{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}`, chat.ErrContextTooLong, "This model's maximum context length is 4096 tokens."},
		{"too long at llama.cpp", 400, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`, chat.ErrContextTooLong, "the request exceeds the available context size"},
		{"too long at TGI", 422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096\",\"error_type\":\"validation\"}", chat.ErrContextTooLong, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"},
		{"words about context in another error", 500, `{"error":{"message":"lost the context window"}}`, chat.ErrServer, "lost the context window"},
		{"no money in a 402", 402, `{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}`, chat.ErrBilling, "Insufficient Balance"},
		{"no money in a 429", 429, `{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}`, chat.ErrQuota, "m"},
		{"too fast", 429, `{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}`, chat.ErrRateLimit, "m"},
		{"unknown model", 404, `{"error":{"message":"m","type":"invalid_request_error","code":"model_not_found"}}`, chat.ErrNotFound, "m"},
		{"unknown model in a 403", 403, `{"error":{"message":"m","code":"model_not_found"}}`, chat.ErrNotFound, "m"},
		{"key", 401, `{"error":{"message":"m","type":"invalid_request_error","code":"invalid_api_key"}}`, chat.ErrAuthentication, "m"},
		{"key without a code", 401, `{"error":{"message":"m","type":"invalid_request_error"}}`, chat.ErrAuthentication, "m"},
		{"error as text", 500, `{"error":"boom"}`, chat.ErrServer, "boom"},
		{"message", 503, `{"message":"busy"}`, chat.ErrUnavailable, "busy"},
		{"detail", 404, `{"detail":"Not Found"}`, chat.ErrNotFound, "Not Found"},
		{"details", 422, `{"detail":[{"loc":["body","model"],"msg":"field required","type":"value_error"}]}`, chat.ErrInvalidRequest, "field required"},
		{"array", 429, `[{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED"}}]`, chat.ErrRateLimit, "Resource exhausted"},
		{"HTML", 502, "<html><body>Bad Gateway</body></html>", chat.ErrBadUpstream, "the upstream answered with status 502 Bad Gateway"},
		{"text", 500, "upstream \x00request\nfailed", chat.ErrServer, "upstream  request failed"},
		{"nothing", 504, "", chat.ErrTimeout, "the upstream answered with status 504 Gateway Timeout"},
		{"odd status", 599, "{}", chat.ErrServer, "the upstream answered with status 599"},
		{"teapot", 418, `{"error":{}}`, chat.ErrInvalidRequest, "the upstream answered with status 418 I'm a teapot"},
		{"overloaded", 529, `{"error":{"type":"overloaded_error","message":"m"}}`, chat.ErrOverloaded, "m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := Chat{}.DecodeError(tc.status, nil, []byte(tc.body))
			if e.Kind != tc.kind || e.Message != tc.message || e.Status != tc.status {
				t.Errorf("got kind %d, status %d, %q; want kind %d, %q", e.Kind, e.Status, e.Message, tc.kind, tc.message)
			}
		})
	}
	if e := (Chat{}).DecodeError(400, nil, []byte(`{"error":{"message":"m","param":"stop"}}`)); e.Param != "stop" {
		t.Errorf("param %q", e.Param)
	}
}

func TestErrorMessagesAreBounded(t *testing.T) {
	e := Chat{}.DecodeError(400, nil, []byte(`{"error":{"message":"`+strings.Repeat("é", 2000)+`"}}`))
	if len(e.Message) > format.MaxErrorMessage || !strings.HasSuffix(e.Message, "é…") {
		t.Errorf("%d bytes, ending in %q", len(e.Message), e.Message[len(e.Message)-8:])
	}
	_, body := Chat{}.EncodeError(nil, &chat.Error{Message: strings.Repeat("x", 9000) + "\x1b"})
	if len(body) > format.MaxErrorMessage+100 {
		t.Errorf("%d bytes", len(body))
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Fri, 20 Nov 2026 10:00:00 GMT"
	for _, tc := range []struct {
		name   string
		status int
		header map[string]string
		want   time.Duration
	}{
		{"nothing", 429, nil, 0},
		{"seconds", 503, map[string]string{"Retry-After": "7"}, 7 * time.Second},
		{"fractions", 503, map[string]string{"Retry-After": "0.5"}, 500 * time.Millisecond},
		{"milliseconds win", 429, map[string]string{"Retry-After": "7", "Retry-After-Ms": "250"}, 250 * time.Millisecond},
		{"date", 429, map[string]string{"Date": date, "Retry-After": "Fri, 20 Nov 2026 10:00:30 GMT"}, 30 * time.Second},
		{"past date", 429, map[string]string{"Date": date, "Retry-After": "Fri, 20 Nov 2026 09:00:30 GMT"}, 0},
		{"date without a clock", 429, map[string]string{"Retry-After": "Fri, 20 Nov 2026 10:00:30 GMT"}, 0},
		{"negative", 429, map[string]string{"Retry-After": "-1"}, 0},
		{"without end", 429, map[string]string{"Retry-After": "1e300"}, 365 * 24 * time.Hour},
		{"the limit that is used up", 429, map[string]string{"X-Ratelimit-Reset-Requests": "1s", "X-Ratelimit-Remaining-Requests": "9", "X-Ratelimit-Reset-Tokens": "6m0s", "X-Ratelimit-Remaining-Tokens": "0"}, 6 * time.Minute},
		{"the sooner limit", 429, map[string]string{"X-Ratelimit-Reset-Requests": "120ms", "X-Ratelimit-Reset-Tokens": "6m0s"}, 120 * time.Millisecond},
		{"a moment in milliseconds", 429, map[string]string{"Date": date, "X-Ratelimit-Reset": "1795168805000", "X-Ratelimit-Remaining": "0"}, 5 * time.Second},
		{"limits mean nothing beside another status", 500, map[string]string{"X-Ratelimit-Reset-Requests": "1s"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := http.Header{}
			for k, v := range tc.header {
				header.Set(k, v)
			}
			if got := (Chat{}).DecodeError(tc.status, header, nil).RetryAfter; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestEncodeError(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    chat.Error
		status int
		want   string
	}{
		{"invalid", chat.Error{Kind: chat.ErrInvalidRequest, Param: "n"}, 400, `"type":"invalid_request_error","param":"n","code":null`},
		{"too long", chat.Error{Kind: chat.ErrContextTooLong}, 400, `"type":"invalid_request_error","param":null,"code":"context_length_exceeded"`},
		{"key", chat.Error{Kind: chat.ErrAuthentication}, 401, `"type":"authentication_error","param":null,"code":"invalid_api_key"`},
		{"billing", chat.Error{Kind: chat.ErrBilling}, 402, `"type":"insufficient_quota","param":null,"code":"insufficient_quota"`},
		{"permission", chat.Error{Kind: chat.ErrPermission}, 403, `"type":"permission_error","param":null,"code":null`},
		{"not found", chat.Error{Kind: chat.ErrNotFound, Param: "model"}, 404, `"type":"invalid_request_error","param":"model","code":"model_not_found"`},
		{"too large", chat.Error{Kind: chat.ErrTooLarge}, 413, `"type":"invalid_request_error","param":null,"code":null`},
		{"rate limit", chat.Error{Kind: chat.ErrRateLimit}, 429, `"type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"`},
		{"quota", chat.Error{Kind: chat.ErrQuota}, 429, `"type":"insufficient_quota","param":null,"code":"insufficient_quota"`},
		{"server", chat.Error{Kind: chat.ErrServer}, 500, `"type":"server_error","param":null,"code":null`},
		{"bad upstream", chat.Error{Kind: chat.ErrBadUpstream, Code: "upstream_unreachable"}, 502, `"type":"server_error","param":null,"code":"upstream_unreachable"`},
		{"timeout", chat.Error{Kind: chat.ErrTimeout}, 504, `"type":"server_error","param":null,"code":"timeout"`},
		{"overloaded", chat.Error{Kind: chat.ErrOverloaded, Status: 529}, 503, `"type":"server_error","param":null,"code":null`},
		{"a status of its own", chat.Error{Kind: chat.ErrInvalidRequest, Status: 422}, 422, `"type":"invalid_request_error","param":null,"code":null`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.err.Message = "m"
			status, body := Chat{}.EncodeError(nil, &tc.err)
			if want := `{"error":{"message":"m",` + tc.want + `}}`; status != tc.status || string(body) != want {
				t.Errorf("got %d %s, want %d %s", status, body, tc.status, want)
			}
		})
	}
}

func TestAppendError(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  chat.Error
		want string
	}{
		{"timeout", chat.Error{Kind: chat.ErrTimeout}, `"type":"upstream_error","param":null,"code":"stream_interrupted"`},
		{"code", chat.Error{Kind: chat.ErrBadUpstream, Code: "timeout"}, `"type":"upstream_error","param":null,"code":"timeout"`},
		{"rate limit", chat.Error{Kind: chat.ErrRateLimit}, `"type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.err.Message = "m"
			got := string(Chat{}.NewStreamWatcher().AppendError(nil, &tc.err))
			if want := `data: {"error":{"message":"m",` + tc.want + "}}\n\n"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
