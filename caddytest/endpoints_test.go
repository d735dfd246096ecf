package caddytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// service is an upstream of any kind: it answers with a function and keeps what
// it was asked.
type service struct {
	url string

	mu    sync.Mutex
	asked []servedRequest
}

// servedRequest is a request that a service got.
type servedRequest struct {
	path, contentType, body string
	header                  http.Header
}

// startService runs a service.
func startService(t *testing.T, answer func(w http.ResponseWriter, r servedRequest)) *service {
	t.Helper()
	s := &service{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		got := servedRequest{path: r.URL.RequestURI(), contentType: r.Header.Get("Content-Type"), body: string(body), header: r.Header}
		s.mu.Lock()
		s.asked = append(s.asked, got)
		s.mu.Unlock()
		answer(w, got)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// answering is a service that gives one answer to everything.
func answering(t *testing.T, status int, contentType, body string) *service {
	return startService(t, func(w http.ResponseWriter, _ servedRequest) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// last is the latest request; hits is how many there were.
func (s *service) last(t *testing.T) (got servedRequest, hits int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		t.Fatal("the service was not asked")
	}
	return s.asked[len(s.asked)-1], len(s.asked)
}

// never fails the test if the service was asked.
func (s *service) never(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) > 0 {
		t.Errorf("the service was asked: %+v", s.asked)
	}
}

// served is a block with one upstream of a format and one model on it.
func served(s *service, format string) string {
	return fmt.Sprintf("upstream one %s {\n formats %s\n}\nmodel m {\n source one real\n}", s.url, format)
}

// sameJSON fails the test if two documents differ.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("not JSON: %s", got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("not JSON: %s", want)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if !bytes.Equal(x, y) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// status fails the test if an answer has another status.
func status(t *testing.T, resp *http.Response, body string, want int) {
	t.Helper()
	if resp.StatusCode != want {
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, want, body)
	}
}

// TestNoSourceForTheOperation: each client is told in its own shape.
func TestNoSourceForTheOperation(t *testing.T) {
	s := answering(t, 200, "application/json", `{}`)
	g := startGateway(t, served(s, "openai_chat"))
	for _, tc := range []struct{ path, body, field, want string }{
		{"/v1/embeddings", `{"model":"m","input":"x"}`, "error.code", "task_not_supported"},
		{"/v1/images/generations", `{"model":"m","prompt":"x"}`, "error.code", "task_not_supported"},
		{"/v1/audio/speech", `{"model":"m","input":"x","voice":"alloy"}`, "error.code", "task_not_supported"},
		{"/v1/rerank", `{"model":"m","query":"x","documents":["a"]}`, "error.code", "task_not_supported"},
		{"/v1beta/models/m:embedContent", `{"content":{"parts":[{"text":"x"}]}}`, "error.status", "INVALID_ARGUMENT"},
	} {
		resp, body := g.post(tc.path, tc.body)
		if resp.StatusCode != 400 {
			t.Errorf("%s: status %d: %s", tc.path, resp.StatusCode, body)
		}
		sameJSONField(t, body, tc.field, tc.want)
	}
	for _, tc := range []struct{ path, body, field, want string }{
		{"/v1/embeddings", `{"input":"x"}`, "error.param", "model"},
		{"/v1/embeddings", `{"model":"m","model":"n"}`, "error.param", "model"},
		{"/v1/embeddings", `[]`, "error.type", "invalid_request_error"},
		{"/v1beta/models/m:embedContent", `{`, "error.status", "INVALID_ARGUMENT"},
		{"/v1/messages/count_tokens", `{"model":"m"}`, "error.type", "invalid_request_error"},
	} {
		resp, body := g.post(tc.path, tc.body)
		if resp.StatusCode != 400 {
			t.Errorf("%s %s: status %d: %s", tc.path, tc.body, resp.StatusCode, body)
		}
		sameJSONField(t, body, tc.field, tc.want)
	}
	s.never(t)
}

// accessLine is what the access log says of the latest request.
func (g *gateway) accessLine(t *testing.T) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, "a line in the access log", func() bool {
		for line := range strings.Lines(g.log.String()) {
			var entry struct{ AI map[string]any }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.AI != nil {
				found = entry.AI
			}
		}
		return found != nil
	})
	return found
}

// sameJSONField fails the test if a string in a document is another one.
func sameJSONField(t *testing.T, body, path, want string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("not JSON: %s", body)
	}
	for key := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	if v != want {
		t.Errorf("%s is %v, want %s: %s", path, v, want, body)
	}
}
