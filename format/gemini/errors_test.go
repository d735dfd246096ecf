package gemini

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

func TestDecodeError(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		header http.Header
		body   string
		kind   chat.ErrorKind
		says   string
		wait   time.Duration
	}{
		{"invalid", 400, nil, `{"error":{"code":400,"message":"Bad field.","status":"INVALID_ARGUMENT"}}`, chat.ErrInvalidRequest, "Bad field.", 0},
		{"in an array", 404, nil, `[{"error":{"code":404,"message":"No model.","status":"NOT_FOUND"}}]`, chat.ErrNotFound, "No model.", 0},
		{"bad key", 400, nil, `{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}`, chat.ErrAuthentication, "API key not valid. Please pass a valid API key.", 0},
		{"too long", 400, nil, `{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}`, chat.ErrContextTooLong, "The input token count (9) exceeds the maximum number of tokens allowed (8).", 0},
		{"rate limit", 429, nil, `{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.5s"}]}}`, chat.ErrRateLimit, "m", 2500 * time.Millisecond},
		{"quota of a day", 429, nil, `{"error":{"code":429,"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]}}`, chat.ErrQuota, "m", 0},
		{"header", 503, http.Header{"Retry-After": {"3"}}, `{"error":{"message":"The model is overloaded."}}`, chat.ErrOverloaded, "The model is overloaded.", 3 * time.Second},
		{"HTML", 502, nil, `<html>`, chat.ErrBadUpstream, "the upstream answered with status 502 Bad Gateway", 0},
		{"text", 500, nil, "oops\x00", chat.ErrServer, "oops", 0},
		{"word", 418, nil, `{"error":{"message":"m","status":"PERMISSION_DENIED"}}`, chat.ErrPermission, "m", 0},
		{"error of a string", 500, nil, `{"error":"m"}`, chat.ErrServer, "m", 0},
		{"hostile delay", 429, nil, `{"error":{"message":"m","details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"-99999999h"}]}}`, chat.ErrRateLimit, "m", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := GenerateContent{}.DecodeError(tc.status, tc.header, []byte(tc.body))
			if e.Kind != tc.kind || e.Message != tc.says || e.RetryAfter != tc.wait || e.Status != tc.status {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestEncodeError(t *testing.T) {
	for kind := range vocabulary {
		status, body := GenerateContent{}.EncodeError(nil, &chat.Error{Kind: chat.ErrorKind(kind), Message: "a \"quoted\"\nline"})
		if status < 400 || !json.Valid(body) {
			t.Errorf("kind %d: %d %s", kind, status, body)
		}
	}
	status, body := GenerateContent{}.EncodeError(nil, &chat.Error{Kind: chat.ErrRateLimit, Message: "m", RetryAfter: 1500 * time.Millisecond})
	const want = `{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}`
	if status != 429 || string(body) != want {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := (GenerateContent{}).EncodeError(nil, &chat.Error{Kind: chat.ErrOverloaded, Status: 529}); status != 503 {
		t.Errorf("overloaded: %d", status)
	}
	const broken = `data: {"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}` + "\n\n"
	if got := (GenerateContent{}).NewStreamWatcher().AppendError(nil, chat.BadAnswer("m")); string(got) != broken {
		t.Errorf("%s", got)
	}
}
