package handler

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

func init() { caddy.RegisterModule(stubTransport{}) }

// stubTransport is an upstream inside the process: it answers with the function
// of its name.
type stubTransport struct {
	Name string `json:"name,omitempty"`
}

// stubs are the functions by name.
var stubs sync.Map

func (stubTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.handler_stub",
		New: func() caddy.Module { return new(stubTransport) },
	}
}

func (s *stubTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, _ := stubs.Load(s.Name)
	resp, err := answer.(roundTrip)(r)
	if r.Body != nil {
		r.Body.Close()
	}
	return resp, err
}

type roundTrip func(*http.Request) (*http.Response, error)

// stubGateway has one upstream per function, "u0", "u1", …, and a model "m" with
// a source on each of them, in that order of priority.
type stubGateway struct{ snapshot *routing.Snapshot }

func (g *stubGateway) Declare(string, routing.Definitions) error { return nil }
func (g *stubGateway) Snapshot() (*routing.Snapshot, error)      { return g.snapshot, nil }

// newHandler returns a handler whose upstreams speak f and answer with the given
// functions.
func newHandler(tb testing.TB, f format.ID, answers ...roundTrip) *Handler {
	tb.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	upstreams := make(map[string]*upstream.Upstream)
	model := new(routing.Model)
	for i, answer := range answers {
		name := fmt.Sprintf("u%d", i)
		key := tb.Name() + name
		stubs.Store(key, answer)
		u := &upstream.Upstream{
			BaseURL:      "http://upstream.example",
			Formats:      []format.ID{f},
			TransportRaw: []byte(fmt.Sprintf(`{"protocol":"handler_stub","name":%q}`, key)),
		}
		if err := u.Provision(ctx, name); err != nil {
			tb.Fatal(err)
		}
		upstreams[name] = u
		model.Sources = append(model.Sources, routing.Source{Upstream: name, Model: "real", Priority: i + 1})
	}
	snapshot, err := routing.NewSnapshot(routing.Definitions{Upstreams: upstreams, Models: map[string]*routing.Model{"m": model}})
	if err != nil {
		tb.Fatal(err)
	}
	return &Handler{gateway: &stubGateway{snapshot}, logger: zap.NewNop()}
}

// serve sends a request through the handler.
func serve(tb testing.TB, h *Handler, r *http.Request) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	if err := h.ServeHTTP(w, r, next); err != nil {
		tb.Fatalf("ServeHTTP: %v", err)
	}
	return w
}

// post is a request with a body.
func post(path, body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
}

// answer is an upstream that always says the same.
func answer(status int, contentType, body string, headers ...string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		header := http.Header{"Content-Type": {contentType}}
		for i := 0; i+1 < len(headers); i += 2 {
			header.Set(headers[i], headers[i+1])
		}
		return &http.Response{
			StatusCode: status, Header: header, ContentLength: int64(len(body)),
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

// stream is an upstream whose body comes from a function that writes to a pipe.
func stream(write func(ctx context.Context, w io.Writer)) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		reader, writer := io.Pipe()
		stop := context.AfterFunc(r.Context(), func() { writer.CloseWithError(r.Context().Err()) })
		go func() {
			defer stop()
			write(r.Context(), writer)
			writer.Close()
		}()
		return &http.Response{
			StatusCode: http.StatusOK, ContentLength: -1, Body: reader,
			Header: http.Header{"Content-Type": {"text/event-stream"}},
		}, nil
	}
}

// pause waits for a time or the end of the context.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

const (
	chatAnswer = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
	chatRole   = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
	chatWord   = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":null}]}\n\n"
	chatEnd    = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
	chatDone   = "data: [DONE]\n\n"
	chatStream = chatRole + chatWord + chatEnd + chatDone

	chatRequest       = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	chatStreamRequest = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
)
