package handler

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// TestOneRepeat shows how often a source is asked if there is no other, and that the
// repeat waits: a moment, or for as long as a short wish of the upstream.
func TestOneRepeat(t *testing.T) {
	for _, tc := range []struct {
		name        string
		retries     int
		status      int
		wish        string
		calls       int
		least, most time.Duration // between the calls
	}{
		{"server", 1, 500, "", 2, 0, firstPause},
		{"short wish", 1, 503, "2", 2, 2 * time.Second, 2 * time.Second},
		{"long wish", 1, 503, "3", 1, 0, 0},
		{"conflict", 1, 409, "", 2, 0, firstPause},
		{"never", 0, 500, "", 1, 0, 0},
		{"unknown model", 1, 404, "", 1, 0, 0},
		{"throttled", 1, 429, "1", 1, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls []time.Time
				refuse := answer(tc.status, "application/json", `{}`, "Retry-After", tc.wish)
				h := newHandler(t, format.OpenAIChat, func(r *http.Request) (*http.Response, error) {
					calls = append(calls, time.Now())
					return refuse(r)
				})
				h.MaxAttempts = 5
				u, _ := h.gateway.(*stubGateway).snapshot.Upstream("u0")
				u.Retries = &tc.retries
				w := serve(t, h, post("/v1/chat/completions", chatRequest))
				if w.Code != tc.status || len(calls) != tc.calls {
					t.Fatalf("status %d after %d calls, want %d after %d: %s", w.Code, len(calls), tc.status, tc.calls, w.Body)
				}
				if tc.calls < 2 {
					return
				}
				if paused := calls[1].Sub(calls[0]); paused < tc.least || paused > tc.most {
					t.Errorf("the repeat came after %s, want %s to %s", paused, tc.least, tc.most)
				}
			})
		})
	}
}

// TestRepeatIsPaidFor shows that the repeat comes out of the model's budget: when that
// is used up, there is none.
func TestRepeatIsPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		refuse := answer(500, "application/json", `{}`)
		h := newHandler(t, format.OpenAIChat, func(r *http.Request) (*http.Response, error) {
			calls++
			return refuse(r)
		})
		const requests = 100
		for range requests {
			serve(t, h, post("/v1/chat/completions", chatRequest))
		}
		// 10 at first, and a fifth for each request.
		if most := requests + 10 + requests/5; calls > most || calls < most-1 {
			t.Errorf("%d calls of %d requests, want %d", calls, requests, most)
		}
	})
}
