package handler

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// TestExit shows what becomes of requests that are under way when the process exits:
// they have half a minute, and then the client is told, in its own format, that the
// answer is not whole. Another source is not asked.
func TestExit(t *testing.T) {
	slow := func(d time.Duration) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			pause(r.Context(), d)
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return answer(200, "application/json", chatAnswer)(r)
		}
	}
	silent := func(pieces ...string) roundTrip {
		return stream(func(ctx context.Context, w io.Writer) {
			write(w, pieces...)
			<-ctx.Done()
		})
	}
	for _, tc := range []struct {
		name     string
		upstream roundTrip
		request  string
		after    time.Duration
		status   int
		want     string // in the body
		not      string // in the body
	}{
		{"answer in time", slow(20 * time.Second), chatRequest, 20 * time.Second, 200, "hello", "shutting"},
		{"no answer in time", slow(time.Minute), chatRequest, exitTime, 503, "the gateway is shutting down", "hello"},
		{"no content in time", silent(chatRole), chatStreamRequest, exitTime, 503, "the gateway is shutting down", "hello"},
		{"stream in the middle", silent(chatRole, chatWord), chatStreamRequest, exitTime, 200, `"stream_interrupted"`, "[DONE]"},
		{"stream that is complete", silent(chatRole, chatWord, chatEnd), chatStreamRequest, endWait, 200, chatDone, "shutting"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, format.OpenAIChat, tc.upstream, answer(200, "application/json", chatAnswer))
			h.Heartbeat = -1
			synctest.Test(t, func(t *testing.T) {
				h.exit = new(exit)
				began := time.Now()
				h.exit.begin(exitTime)
				w := serve(t, h, post("/v1/chat/completions", tc.request))
				body := w.Body.String()
				if took := time.Since(began); took != tc.after || w.Code != tc.status {
					t.Errorf("%d after %s, want %d after %s", w.Code, took, tc.status, tc.after)
				}
				if !strings.Contains(body, tc.want) || strings.Contains(body, tc.not) {
					t.Errorf("want %s and not %s, got\n%s", tc.want, tc.not, body)
				}
				if again := w.Header().Get("Retry-After"); (again == "1") != (tc.status == 503) {
					t.Errorf("Retry-After is %q", again)
				}
				if n := len(h.exit.running); n != 0 {
					t.Errorf("%d attempts are kept", n)
				}
			})
		})
	}
}

// TestExitWhileTheLastMarkIsAwaited shows that a stream which has said everything is
// whole even if the process ends before the upstream's end mark has come.
func TestExitWhileTheLastMarkIsAwaited(t *testing.T) {
	h := newHandler(t, format.OpenAIChat, stream(func(ctx context.Context, w io.Writer) {
		write(w, chatRole, chatWord, chatEnd)
		<-ctx.Done()
	}))
	synctest.Test(t, func(t *testing.T) {
		h.exit = new(exit)
		h.exit.begin(endWait / 2)
		w := serve(t, h, post("/v1/chat/completions", chatStreamRequest))
		if body := w.Body.String(); !strings.HasSuffix(body, chatDone) || strings.Contains(body, "error") {
			t.Errorf("got\n%s", body)
		}
	})
}

// TestExitIsOver shows that nothing begins any more once all is over: neither an
// attempt nor the reading of a body.
func TestExitIsOver(t *testing.T) {
	h := newHandler(t, format.OpenAIChat, func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	h.exit = new(exit)
	h.exit.finish()
	w := serve(t, h, post("/v1/chat/completions", chatRequest))
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"shutting_down"`) {
		t.Errorf("a body that is still to be read: %d %s", w.Code, w.Body)
	}
	x := h.newExchange(httptest.NewRecorder(), post("/v1/chat/completions", chatRequest), format.Endpoint{Format: format.OpenAIChat})
	a := &attempt{x: x}
	a.ctx, a.cancel = context.WithCancelCause(t.Context())
	h.exit.enter(a)
	if cause := context.Cause(a.ctx); cause != errExiting {
		t.Errorf("an attempt ends with %v", cause)
	}
}

// TestExitWaits shows that the process waits for what runs, as long as it may.
func TestExitWaits(t *testing.T) {
	begin := func(t *testing.T, e *exit) *attempt {
		a := new(attempt)
		a.ctx, a.cancel = context.WithCancelCause(t.Context())
		e.enter(a)
		return a
	}
	for _, tc := range []struct {
		name  string
		runs  time.Duration // after it was ended; negative: before
		after time.Duration
	}{
		{"ends by itself", -20 * time.Second, 10*time.Second + lastWord/10},
		{"ends when it is told", 10 * time.Millisecond, exitTime + 10*time.Millisecond + lastWord/10},
		{"does not end", time.Hour, exitTime + lastWord},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, began := new(exit), time.Now()
				a := begin(t, e)
				time.AfterFunc(exitTime+tc.runs, func() { e.leave(a) })
				e.begin(exitTime)
				e.begin(time.Hour) // the earliest end counts
				e.wait()
				if took := time.Since(began); took != tc.after {
					t.Errorf("waited for %s, want %s", took, tc.after)
				}
				if told := a.ctx.Err() != nil; told != (tc.runs > 0) {
					t.Errorf("the attempt was ended: %t", told)
				}
				time.Sleep(2 * time.Hour) // of the bubble: until the attempt has left
			})
		})
	}
	e, began := new(exit), time.Now()
	e.begin(time.Hour)
	if e.wait(); time.Since(began) > time.Minute {
		t.Error("waited though nothing runs")
	}
}

func TestExitLimit(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{
		0:                exitTime,
		time.Hour:        exitTime,
		31 * time.Second: exitTime,
		30 * time.Second: 29 * time.Second,
		2 * time.Second:  1500 * time.Millisecond,
		4:                3,
	} {
		if got := exitLimit(grace); got != want {
			t.Errorf("with a grace period of %s answers may go on for %s, want %s", grace, got, want)
		}
	}
}
