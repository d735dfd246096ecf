package handler

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// TestSuperseded: requests that reach a config a while after it was in force move their
// clients on; earlier ones, and those that are not the gateway's, leave connections alone.
func TestSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		h := &Handler{logger: zap.NewNop()}
		h.watchOver(ctx)
		expect := func(when, path, want string) {
			t.Helper()
			synctest.Wait()
			w := httptest.NewRecorder()
			next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			if err := h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil), next); err != nil {
				t.Fatal(err)
			}
			if got := w.Header().Get("Connection"); got != want {
				t.Errorf("%s, %s: Connection is %q, want %q", when, path, got, want)
			}
		}
		const ours = "/v1/responses/x"
		expect("in force", ours, "")
		end()
		expect("at the end", ours, "")
		time.Sleep(settling)
		expect("a while later", ours, "close")
		expect("a while later", "/elsewhere", "")
	})
}
