package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// refusal reads the error of an answer.
func refusal(t *testing.T, w *httptest.ResponseRecorder) Error {
	t.Helper()
	var body struct{ Error Error }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("the error is not JSON: %v: %s", err, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	return body.Error
}

func TestRefusals(t *testing.T) {
	const open, reset = "/upstreams/openai/circuit/open", "/upstreams/openai/circuit/reset"
	long := strings.Repeat("ä", 256)
	cases := []struct {
		name                 string
		method, target, body string
		headers              []string
		status               int
		code, field          string
	}{
		{"unknown path", "GET", "/nothing", "", nil, 404, "not_found", ""},
		{"root", "GET", "/", "", nil, 404, "not_found", ""},
		{"slash at the end", "GET", "/status/", "", nil, 404, "not_found", ""},
		{"path that is not clean", "GET", "//status", "", nil, 404, "not_found", ""},
		{"way up", "GET", "/x/../status", "", nil, 404, "not_found", ""},
		{"empty name", "GET", "/upstreams//circuits", "", nil, 404, "not_found", ""},
		{"wrong method", "DELETE", "/status", "", nil, 405, "method_not_allowed", ""},
		{"change by GET", "GET", open + "?reason=x", "", nil, 405, "method_not_allowed", ""},
		{"post to a list", "POST", "/circuits", "{}", nil, 405, "method_not_allowed", ""},

		{"another site", "POST", reset, "{}", []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross_origin", ""},
		{"a neighbour's site", "POST", reset, "{}", []string{"Sec-Fetch-Site", "same-site"}, 403, "cross_origin", ""},
		{"another origin", "POST", reset, "{}", []string{"Origin", "https://evil.example"}, 403, "cross_origin", ""},
		{"another port", "POST", reset, "{}", []string{"Origin", "http://example.com:8080"}, 403, "cross_origin", ""},
		{"no origin", "POST", reset, "{}", []string{"Origin", "null"}, 403, "cross_origin", ""},
		{"form", "POST", reset, "{}", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"text", "POST", reset, "{}", []string{"Content-Type", "text/plain; application/json"}, 415, "unsupported_media_type", ""},
		{"no type", "POST", reset, "{}", []string{"Content-Type", ""}, 415, "unsupported_media_type", ""},

		{"not JSON", "POST", open, "reason=x", nil, 400, "invalid_request", ""},
		{"cut off", "POST", open, `{"reason":`, nil, 400, "invalid_request", ""},
		{"list", "POST", open, `["x"]`, nil, 400, "invalid_request", ""},
		{"two documents", "POST", open, `{"reason":"x"}{}`, nil, 400, "invalid_request", ""},
		{"unknown field", "POST", open, `{"reason":"x","model":"m"}`, nil, 400, "invalid_request", "model"},
		{"wrong type", "POST", open, `{"reason":5}`, nil, 400, "invalid_request", "reason"},
		{"too large", "POST", open, `{"reason":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "body_too_large", ""},

		{"no body", "POST", open, "", nil, 400, "invalid_request", "reason"},
		{"null", "POST", open, "null", nil, 400, "invalid_request", "reason"},
		{"no reason", "POST", open, `{"for":"1h"}`, nil, 400, "invalid_request", "reason"},
		{"blank reason", "POST", open, `{"reason":" \t "}`, nil, 400, "invalid_request", "reason"},
		{"long reason", "POST", open, `{"reason":"` + long + `x"}`, nil, 400, "invalid_request", "reason"},
		{"reason of two lines", "POST", open, `{"reason":"a\nb"}`, nil, 400, "invalid_request", "reason"},
		{"reason that steers terminals", "POST", open, `{"reason":"a\u001b[2Jb"}`, nil, 400, "invalid_request", "reason"},
		{"reason that turns around", "POST", open, `{"reason":"a\u202eb"}`, nil, 400, "invalid_request", "reason"},
		{"until and for", "POST", open, `{"reason":"x","for":"1h","until":"2030-01-01T00:00:00Z"}`, nil, 400, "invalid_request", "for"},
		{"until in the past", "POST", open, `{"reason":"x","until":"2026-11-21T11:59:59Z"}`, nil, 400, "invalid_request", "until"},
		{"until now", "POST", open, `{"reason":"x","until":"2026-11-21T12:00:00Z"}`, nil, 400, "invalid_request", "until"},
		{"until some day", "POST", open, `{"reason":"x","until":"tomorrow"}`, nil, 400, "invalid_request", "until"},
		{"for nothing", "POST", open, `{"reason":"x","for":"0s"}`, nil, 400, "invalid_request", "for"},
		{"for less than nothing", "POST", open, `{"reason":"x","for":"-1h"}`, nil, 400, "invalid_request", "for"},
		{"for ever and ever", "POST", open, `{"reason":"x","for":"999999999d"}`, nil, 400, "invalid_request", "for"},
		{"unknown upstream opened", "POST", "/upstreams/opnai/circuit/open", `{"reason":"x"}`, nil, 404, "unknown_upstream", ""},
		{"unknown upstream reset", "POST", "/upstreams/opnai/circuit/reset", `{}`, nil, 404, "unknown_upstream", ""},
		{"unknown upstream listed", "GET", "/upstreams/opnai/circuits", "", nil, 404, "unknown_upstream", ""},
		{"unknown upstream shown", "GET", "/upstreams/opnai/circuit", "", nil, 404, "unknown_upstream", ""},
		{"stale open", "POST", open, `{"reason":"x"}`, []string{"If-Match", `"6"`}, 412, "stale", ""},
		{"weak tag", "POST", open, `{"reason":"x"}`, []string{"If-Match", `W/"7"`}, 412, "stale", ""},
		{"stale reset", "POST", reset, `{}`, []string{"If-Match", `"7"`}, 412, "stale", ""},

		{"page of text", "GET", "/circuits?page=x", "", nil, 400, "invalid_request", "page"},
		{"page zero", "GET", "/circuits?page=0", "", nil, 400, "invalid_request", "page"},
		{"page size below one", "GET", "/circuits?page_size=-1", "", nil, 400, "invalid_request", "page_size"},
		{"unknown state", "GET", "/circuits?status=broken", "", nil, 400, "invalid_request", "status"},

		{"no model", "POST", "/explain", `{}`, nil, 400, "invalid_request", "model"},
		{"unknown format", "POST", "/explain", `{"model":"m","format":"soap"}`, nil, 400, "invalid_request", "format"},
		{"operation of another format", "POST", "/explain", `{"model":"m","format":"rerank","operation":"chat"}`, nil, 400, "invalid_request", "operation"},
		{"request that is none", "POST", "/explain", `{"model":"m","request":"x"}`, nil, 400, "invalid_request", "request"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			g := newStub()
			a, _ := newAPI(g)
			w := call(a, tc.method, tc.target, tc.body, tc.headers...)
			got := refusal(t, w)
			if w.Code != tc.status || got.Code != tc.code || got.Field != tc.field {
				t.Errorf("got %d %+v, want %d %s field %q", w.Code, got, tc.status, tc.code, tc.field)
			}
			if got.Message == "" {
				t.Error("the error says nothing to people")
			}
			if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", w.Header())
			}
			if len(g.opened) > 0 || len(g.resets) > 0 {
				t.Error("something was changed")
			}
		})
	}
}

func TestMethods(t *testing.T) {
	a, _ := newAPI(newStub())
	w := call(a, http.MethodPut, "/upstreams/openai/circuit/open", "{}")
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("PUT: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	w = call(a, http.MethodOptions, "/status", "")
	if w.Code != http.StatusNoContent || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("OPTIONS: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	if w = call(a, http.MethodHead, "/status", ""); w.Code != http.StatusOK {
		t.Errorf("HEAD: %d", w.Code)
	}
}

func TestOwnOriginMayChange(t *testing.T) {
	for _, headers := range [][]string{
		{"Origin", "http://example.com"},
		{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"},
		{"Content-Type", "application/json; charset=utf-8"},
		{},
	} {
		a, _ := newAPI(newStub())
		if w := call(a, "POST", "/upstreams/openai/circuit/reset", "{}", headers...); w.Code != http.StatusOK {
			t.Errorf("%q: %d %s", headers, w.Code, w.Body)
		}
	}
}

func TestFaultsOfTheGateway(t *testing.T) {
	t.Run("a refusal keeps its status", func(t *testing.T) {
		g := newStub()
		g.fault = &Error{Status: http.StatusInsufficientStorage, Code: "store_full", Message: "the disk is full"}
		a, logs := newAPI(g)
		w := call(a, "POST", "/upstreams/openai/circuit/open", `{"reason":"x"}`)
		if got := refusal(t, w); w.Code != 507 || got.Code != "store_full" {
			t.Errorf("got %d %+v", w.Code, got)
		}
		if logs.Len() != 0 {
			t.Errorf("logged %v", logs.All())
		}
	})
	t.Run("anything else is logged", func(t *testing.T) {
		g := newStub()
		g.fault = errors.New("the roof is on fire")
		a, logs := newAPI(g)
		w := call(a, "GET", "/circuits", "")
		if got := refusal(t, w); w.Code != 500 || got.Code != "internal" || strings.Contains(got.Message, "roof") {
			t.Errorf("got %d %+v", w.Code, got)
		}
		if logs.FilterMessage("management request failed").Len() != 1 {
			t.Errorf("logged %v", logs.All())
		}
	})
	t.Run("in force but not stored", func(t *testing.T) {
		g := newStub()
		g.unstored = fmt.Errorf("%w: the disk is full", routing.ErrNotPersisted)
		a, logs := newAPI(g)
		for action, body := range map[string]string{"open": `{"reason":"x"}`, "reset": "{}"} {
			w := call(a, "POST", "/upstreams/openai/circuit/"+action, body)
			if got := refusal(t, w); w.Code != 503 || got.Code != "not_stored" || !strings.Contains(got.Message, "the disk is full") {
				t.Errorf("%s: got %d %+v", action, w.Code, got)
			}
		}
		if logs.FilterMessage("circuit opened by hand").Len() != 1 || logs.FilterMessage("circuit reset by hand").Len() != 1 {
			t.Errorf("what is in force is not logged: %v", logs.All())
		}
	})
	t.Run("no gateway", func(t *testing.T) {
		a, _ := newAPI(nil)
		a.gateway = func() (Gateway, error) { return nil, &Error{Status: 404, Code: "not_configured", Message: "none"} }
		if w := call(a, "GET", "/status", ""); w.Code != 404 || refusal(t, w).Code != "not_configured" {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
}

func TestActor(t *testing.T) {
	r := httptest.NewRequest("POST", "/", nil)
	if got := actor(r); got != "admin" {
		t.Errorf("nobody in particular: %q", got)
	}
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "ops\nrobot"}}}}}
	if got := actor(r); got != "ops\ufffdrobot" {
		t.Errorf("certificate: %q", got)
	}
	repl := caddy.NewReplacer()
	repl.Set("http.auth.user.id", strings.Repeat("u", 300))
	r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
	if got := actor(r); got != strings.Repeat("u", 256) {
		t.Errorf("user: %q", got)
	}
	repl.Set("http.auth.user.id", "")
	if got := actor(r); got != "ops\ufffdrobot" {
		t.Errorf("user without a name: %q", got)
	}
}

func FuzzRequests(f *testing.F) {
	f.Add("/upstreams/openai/circuit/open", `{"reason":"x","for":"1h"}`, `"1"`)
	f.Add("/upstreams/a%2Fb%20../circuit/reset", `{}`, `*`)
	f.Add("/explain", `{"model":"m","format":"gemini","request":{}}`, ``)
	f.Fuzz(func(t *testing.T, path, body, match string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		u, err := r.URL.Parse(path)
		if err != nil {
			return
		}
		r.URL = u
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", match)
		a, _ := newAPI(newStub())
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d: not JSON: %q", w.Code, w.Body)
		}
		if w.Code >= 500 || w.Code >= 300 && w.Code < 400 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
