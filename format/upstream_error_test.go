package format

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRetryAfter(t *testing.T) {
	const date = "Sat, 21 Nov 2026 12:00:00 GMT"
	const year = 365 * 24 * time.Hour
	for _, tc := range []struct {
		name   string
		status int
		header []string
		want   time.Duration
	}{
		{"none", 429, nil, 0},
		{"seconds", 503, []string{"Retry-After", "7"}, 7 * time.Second},
		{"fraction", 429, []string{"Retry-After", "0.5"}, 500 * time.Millisecond},
		{"milliseconds win", 429, []string{"Retry-After-Ms", "250", "Retry-After", "7"}, 250 * time.Millisecond},
		{"date", 429, []string{"Retry-After", "Sat, 21 Nov 2026 12:01:00 GMT", "Date", date}, time.Minute},
		{"date without a clock", 429, []string{"Retry-After", "Sat, 21 Nov 2026 12:01:00 GMT"}, 0},
		{"date in the past", 429, []string{"Retry-After", "Sat, 21 Nov 2026 11:00:00 GMT", "Date", date}, 0},
		{"negative", 429, []string{"Retry-After", "-5"}, 0},
		{"text", 429, []string{"Retry-After", "soon"}, 0},
		{"not a number", 429, []string{"Retry-After", "NaN"}, 0},
		{"for ever", 429, []string{"Retry-After", "1e300"}, year},
		{"duration of OpenAI", 429, []string{"X-Ratelimit-Reset-Requests", "6m0s"}, 6 * time.Minute},
		{"the one that is used up", 429, []string{
			"X-Ratelimit-Reset-Requests", "1s", "X-Ratelimit-Remaining-Requests", "5",
			"X-Ratelimit-Reset-Tokens", "30s", "X-Ratelimit-Remaining-Tokens", "0",
		}, 30 * time.Second},
		{"the next one", 429, []string{"X-Ratelimit-Reset-Requests", "10", "X-Ratelimit-Reset-Tokens", "3"}, 3 * time.Second},
		{"moment of Anthropic", 429, []string{"Anthropic-Ratelimit-Tokens-Reset", "2026-11-21T12:00:20Z", "Date", date}, 20 * time.Second},
		{"seconds since 1970", 429, []string{"Anthropic-Ratelimit-Unified-Reset", "1795262410", "Date", date}, 10 * time.Second},
		{"milliseconds since 1970", 429, []string{"X-Ratelimit-Reset", "1795262410000", "Date", date}, 10 * time.Second},
		{"reset without 429", 500, []string{"X-Ratelimit-Reset-Requests", "6m0s"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := make(http.Header)
			for i := 0; i+1 < len(tc.header); i += 2 {
				header.Set(tc.header[i], tc.header[i+1])
			}
			if got := RetryAfter(tc.status, header); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"7", "Sat, 21 Nov 2026 12:01:00 GMT", "6m0s", "1e309", "-1", "2026-11-21T12:00:20Z"} {
		f.Add(value, value)
	}
	f.Fuzz(func(t *testing.T, retry, reset string) {
		header := http.Header{"Retry-After": {retry}, "X-Ratelimit-Reset": {reset}, "Date": {"Sat, 21 Nov 2026 12:00:00 GMT"}}
		if got := RetryAfter(429, header); got < 0 || got > 366*24*time.Hour {
			t.Errorf("%q, %q: %s", retry, reset, got)
		}
	})
}

func TestBounded(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		most       int
		want       string
	}{
		{"as it is", "hello", math.MaxInt, "hello"},
		{"control characters", " a\r\nb\x00c ", 100, "a  b c"},
		{"not UTF-8", "a\xffb", 100, "ab"},
		{"too long", strings.Repeat("x", 20), 10, "xxxxxxx…"},
		{"cut in a character", "ééééé", 8, "éé…"},
		{"no room", "hello", 1, "…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Bounded(tc.text, tc.most)
			if got != tc.want || !utf8.ValidString(got) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
