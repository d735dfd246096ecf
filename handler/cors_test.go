package handler

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// preflight is what a browser asks before a page's request.
func preflight(path, origin string) *http.Request {
	r := httptest.NewRequest(http.MethodOptions, path, nil)
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "authorization, content-type")
	return r
}

func TestPreflight(t *testing.T) {
	for _, tc := range []struct {
		name, origin string
		cors         []string
		status       int
		allowed      string
	}{
		{"off", "https://app.example", nil, 405, ""},
		{"all", "https://app.example", []string{"*"}, 204, "*"},
		{"named", "https://app.example", []string{"https://other.example", "https://app.example"}, 204, "https://app.example"},
		{"another", "https://evil.example", []string{"https://app.example"}, 405, ""},
		{"a longer name", "https://app.example.evil", []string{"https://app.example"}, 405, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, format.OpenAIChat, answer(200, "application/json", chatAnswer))
			h.CORS = tc.cors
			w := serve(t, h, preflight("/v1/chat/completions", tc.origin))
			if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != tc.status || got != tc.allowed {
				t.Fatalf("status %d for %q, want %d for %q", w.Code, got, tc.status, tc.allowed)
			}
			if tc.allowed == "" {
				return
			}
			for name, want := range map[string]string{
				"Access-Control-Allow-Methods": "POST, OPTIONS",
				"Access-Control-Allow-Headers": "authorization, content-type",
				"Access-Control-Max-Age":       "600",
				"Vary":                         "Origin",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestCrossOriginAnswers shows that a page may read the answer and the headers of
// the gateway, also those of errors.
func TestCrossOriginAnswers(t *testing.T) {
	h := newHandler(t, format.OpenAIChat, answer(200, "application/json", chatAnswer))
	h.CORS = []string{"https://app.example"}
	for body, status := range map[string]int{chatRequest: 200, `{}`: 400} {
		r := post("/v1/chat/completions", body)
		r.Header.Set("Origin", "https://app.example")
		w := serve(t, h, r)
		if w.Code != status || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Errorf("status %d, allowed %q", w.Code, w.Header().Get("Access-Control-Allow-Origin"))
		}
		if exposed := w.Header().Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "X-Request-Id") {
			t.Errorf("exposed are %q", exposed)
		}
	}
	if w := serve(t, h, preflight("/elsewhere", "https://app.example")); w.Code != http.StatusTeapot {
		t.Errorf("a path of others: status %d", w.Code)
	}
}

func TestOriginsAreChecked(t *testing.T) {
	for _, origins := range [][]string{{"*", "https://app.example"}, {"app.example"}, {"https://app.example/"}, {"https://"}, {"https://me@app.example"}, {""}} {
		if err := checkOrigins(origins); err == nil || !strings.HasPrefix(err.Error(), "cors") {
			t.Errorf("%q: error is %v", origins, err)
		}
	}
	if err := checkOrigins([]string{"https://app.example", "http://localhost:3000"}); err != nil {
		t.Error(err)
	}
}
