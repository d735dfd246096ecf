package handler

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// TestSuperseded: requests that reach a config that is no longer in force move their
// clients on; those that reach the one in force, and those that are not the gateway's,
// leave connections alone.
func TestSuperseded(t *testing.T) {
	over := make(chan struct{})
	close(over)
	for _, tc := range []struct {
		name, path string
		over       <-chan struct{}
		want       string
	}{
		{"in force", "/v1/responses/x", make(chan struct{}), ""},
		{"superseded", "/v1/responses/x", over, "close"},
		{"not ours", "/elsewhere", over, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &Handler{over: tc.over, logger: zap.NewNop()}
			w := httptest.NewRecorder()
			next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			if err := h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tc.path, nil), next); err != nil {
				t.Fatal(err)
			}
			if got := w.Header().Get("Connection"); got != tc.want {
				t.Errorf("Connection is %q, want %q", got, tc.want)
			}
		})
	}
}
