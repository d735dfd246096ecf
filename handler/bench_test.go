package handler

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// discard is a response writer that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Flush()                      {}

// bodyOf is a request of about the given size.
func bodyOf(size int, stream bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":"m","stream":%t,"messages":[`, stream)
	const line = `{\"path\":\"main.go\",\"text\":\"func main() {}\"}\n`
	for i := 0; b.Len() < size-200; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		role := "user"
		if i%2 == 1 {
			role = "assistant"
		}
		fmt.Fprintf(&b, `{"role":%q,"content":"%s"}`, role, strings.Repeat(line, 10))
	}
	if strings.HasSuffix(b.String(), "[") {
		b.WriteString(`{"role":"user","content":"hi"}`)
	}
	b.WriteString(`]}`)
	return b.String()
}

// limited is a request's context as Caddy's server makes it, which limits slow clients.
func limited(r *http.Request) *http.Request {
	return r.WithContext(caddyhttp.ContextWithIdleTimeouts(r.Context(), new(caddyhttp.IdleTimeoutReader), new(caddyhttp.IdleTimeoutWriter)))
}

// inProcess is an upstream that reads the request and answers from memory, with
// as few allocations as an upstream can have.
func inProcess(contentType, body string) roundTrip {
	header := http.Header{"Content-Type": {contentType}}
	return func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		return &http.Response{
			StatusCode: http.StatusOK, Header: header, ContentLength: int64(len(body)),
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

// BenchmarkPassThrough measures what the handler adds to a request that is not
// translated: time and allocations between Caddy's server and an upstream inside
// the process. The baseline is that upstream alone.
func BenchmarkPassThrough(b *testing.B) {
	for _, bench := range []struct {
		name, contentType, answer, body string
	}{
		{"1KB", "application/json", chatAnswer, bodyOf(1<<10, false)},
		{"100KB", "application/json", chatAnswer, bodyOf(100<<10, false)},
		{"stream200", "text/event-stream", chatRole + strings.Repeat(chatWord, 200) + chatEnd + chatDone, bodyOf(1<<10, true)},
	} {
		upstream := inProcess(bench.contentType, bench.answer)
		b.Run("baseline/"+bench.name, func(b *testing.B) {
			b.ReportAllocs()
			body := []byte(bench.body)
			r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil)
			for b.Loop() {
				r.Body = io.NopCloser(bytes.NewReader(body))
				resp, err := upstream(r)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
			}
		})
		b.Run("handler/"+bench.name, func(b *testing.B) {
			b.ReportAllocs()
			h := newHandler(b, format.OpenAIChat, upstream)
			body := []byte(bench.body)
			r := limited(httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil))
			r.ContentLength = int64(len(body))
			w := &discard{make(http.Header)}
			for b.Loop() {
				clear(w.header)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if err := h.ServeHTTP(w, r, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTranslated measures the same for a request and an answer that are
// translated.
func BenchmarkTranslated(b *testing.B) {
	const messages = `{"id":"msg_1","type":"message","role":"assistant","model":"real","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`
	for _, bench := range []struct {
		name, body string
	}{
		{"1KB", bodyOf(1<<10, false)},
		{"100KB", bodyOf(100<<10, false)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			h := newHandler(b, format.AnthropicMessages, inProcess("application/json", messages))
			body := []byte(bench.body)
			r := limited(httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil))
			r.ContentLength = int64(len(body))
			w := &discard{make(http.Header)}
			for b.Loop() {
				clear(w.header)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if err := h.ServeHTTP(w, r, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
