package handler

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// write writes pieces of a stream.
func write(w io.Writer, pieces ...string) {
	for _, piece := range pieces {
		io.WriteString(w, piece)
	}
}

func TestHeartbeatInSilence(t *testing.T) {
	h := newHandler(t, format.OpenAIChat, stream(func(ctx context.Context, w io.Writer) {
		write(w, chatRole)
		pause(ctx, 40*time.Second) // before the first content: no heartbeat
		write(w, chatWord)
		pause(ctx, 50*time.Second)
		write(w, chatEnd, chatDone)
	}))
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, h, post("/v1/chat/completions", chatStreamRequest))
		want := chatRole + chatWord + strings.Repeat(": ping\n\n", 3) + chatEnd + chatDone
		if got := w.Body.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestHeartbeatOff(t *testing.T) {
	h := newHandler(t, format.OpenAIChat, stream(func(ctx context.Context, w io.Writer) {
		write(w, chatRole, chatWord)
		pause(ctx, 50*time.Second)
		write(w, chatEnd, chatDone)
	}))
	h.Heartbeat = -1
	synctest.Test(t, func(t *testing.T) {
		if got := serve(t, h, post("/v1/chat/completions", chatStreamRequest)).Body.String(); got != chatStream {
			t.Errorf("got\n%s\nwant\n%s", got, chatStream)
		}
	})
}

// TestLimits shows that each limit of an attempt ends it: with another source
// before the first content, with an error event after it.
func TestLimits(t *testing.T) {
	forever := func(ctx context.Context) { <-ctx.Done() }
	hangs := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	for _, tc := range []struct {
		name    string
		first   roundTrip
		request string
		after   time.Duration // when the request has been answered
		body    string        // of the answer; "" is the second source's
	}{
		{"no answer to a stream", hangs, chatStreamRequest, 60 * time.Second, ""},
		{"no answer", hangs, chatRequest, 300 * time.Second, ""},
		{"no content", stream(func(ctx context.Context, w io.Writer) {
			write(w, chatRole)
			for ctx.Err() == nil { // comments are no content
				pause(ctx, time.Second)
				write(w, ": wait\n\n")
			}
		}), chatStreamRequest, 120 * time.Second, ""},
		{"silence in the middle", stream(func(ctx context.Context, w io.Writer) {
			write(w, chatRole, chatWord)
			forever(ctx)
		}), chatStreamRequest, 90 * time.Second, `"stream_interrupted"`},
		{"no end of the body", stream(func(ctx context.Context, w io.Writer) {
			write(w, chatStream)
			forever(ctx)
		}), chatStreamRequest, endWait, chatDone},
		{"no end mark", stream(func(ctx context.Context, w io.Writer) {
			write(w, chatRole, chatWord, chatEnd)
			forever(ctx)
		}), chatStreamRequest, endWait, chatDone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			second := answer(200, "application/json", strings.Replace(chatAnswer, "hello", "second", 1))
			if strings.Contains(tc.request, `"stream"`) {
				second = answer(200, "text/event-stream", strings.Replace(chatStream, "hello", "second", 1))
			}
			h := newHandler(t, format.OpenAIChat, tc.first, second)
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				w := serve(t, h, post("/v1/chat/completions", tc.request))
				if took := time.Since(began); took != tc.after {
					t.Errorf("answered after %s, want %s", took, tc.after)
				}
				body := w.Body.String()
				if tc.body == "" && (!strings.Contains(body, "second") || w.Code != 200) {
					t.Errorf("the second source did not answer: %d %s", w.Code, body)
				}
				if tc.body != "" && !strings.Contains(body, tc.body) {
					t.Errorf("got\n%s\nwant it to hold %s", body, tc.body)
				}
				if strings.Contains(body, "stream_interrupted") && strings.Contains(body, "[DONE]") {
					t.Errorf("a mark of success after an error:\n%s", body)
				}
			})
		})
	}
}

func TestTotalTimeSpansAllAttempts(t *testing.T) {
	hangs := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	h := newHandler(t, format.OpenAIChat, hangs, hangs, hangs)
	h.Timeouts.Total = caddy.Duration(400 * time.Second)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := serve(t, h, post("/v1/chat/completions", chatRequest))
		if took := time.Since(began); took != 400*time.Second {
			t.Errorf("answered after %s, want 400s", took)
		}
		if w.Code != http.StatusGatewayTimeout {
			t.Errorf("status %d, want 504: %s", w.Code, w.Body)
		}
	})
}

// TestClientLeaves shows that an upstream is released when the client goes: while
// it has not answered, before the first content, and in the middle.
func TestClientLeaves(t *testing.T) {
	for _, tc := range []struct {
		name  string
		sends string
	}{
		{"before the first content", chatRole},
		{"in the middle", chatRole + chatWord},
	} {
		t.Run(tc.name, func(t *testing.T) {
			released := false
			h := newHandler(t, format.OpenAIChat, stream(func(ctx context.Context, w io.Writer) {
				write(w, tc.sends)
				<-ctx.Done()
				released = true
			}), answer(200, "text/event-stream", chatStream))
			synctest.Test(t, func(t *testing.T) {
				ctx, leave := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, leave)
				began := time.Now()
				w := serve(t, h, post("/v1/chat/completions", chatStreamRequest).WithContext(ctx))
				synctest.Wait()
				if !released || time.Since(began) != time.Second {
					t.Errorf("released: %t, after %s", released, time.Since(began))
				}
				if strings.Contains(w.Body.String(), "[DONE]") {
					t.Error("another source was asked for a client that has left")
				}
			})
		})
	}
}

// TestPanicStaysInItsRequest shows that a fault in one request's work is an error
// of the client's format, before and after the commit.
func TestPanicStaysInItsRequest(t *testing.T) {
	h := newHandler(t, format.OpenAIChat, func(*http.Request) (*http.Response, error) { panic("fault") })
	w := serve(t, h, post("/v1/chat/completions", chatRequest))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"error"`) {
		t.Errorf("before the commit: %d %s", w.Code, w.Body)
	}
	h = newHandler(t, format.OpenAIChat, func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"text/event-stream"}},
			Body: io.NopCloser(io.MultiReader(strings.NewReader(chatRole+chatWord), panicReader{})),
		}, nil
	})
	w = serve(t, h, post("/v1/chat/completions", chatStreamRequest))
	if got := w.Body.String(); !strings.HasPrefix(got, chatRole+chatWord+`data: {"error":`) {
		t.Errorf("after the commit: %s", got)
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("fault") }
