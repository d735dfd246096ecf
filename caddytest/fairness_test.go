package caddytest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	slowStreams = 200
	slowEvents  = 10 // of each
	floodLead   = 4 << 20
)

// unfair is a provider of one stream that has no end, sent as fast as it is taken, and
// of many whose next event is sent when the client has the one before.
type unfair struct {
	sent atomic.Int64 // bytes of the flood
	// got lets the stream of that number go on.
	got [slowStreams]chan struct{}
}

func startUnfair(t *testing.T) (u *unfair, url string) {
	t.Helper()
	u = new(unfair)
	for i := range u.got {
		u.got[i] = make(chan struct{})
	}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	return u, server.URL
}

func (u *unfair) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Model string `json:"model"`
		User  string `json:"user"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if asked.Model == "flood" {
		u.flood(w)
		return
	}
	var number int
	if _, err := fmt.Sscan(asked.User, &number); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.step(w, r, u.got[number])
}

func chunkOf(text string) string {
	return `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"content":"` + text + `"},"finish_reason":null}]}` + "\n\n"
}

// flood writes until the gateway leaves.
func (u *unfair) flood(w io.Writer) {
	for event := chunkOf(strings.Repeat("x", 1<<10)); ; {
		n, err := io.WriteString(w, event)
		u.sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// step writes an event each time the client has got the one before.
func (u *unfair) step(w http.ResponseWriter, r *http.Request, got <-chan struct{}) {
	flusher := http.NewResponseController(w)
	for i := range slowEvents {
		io.WriteString(w, chunkOf(fmt.Sprint("event ", i))) // the client misses what is lost
		if err := flusher.Flush(); err != nil {
			return
		}
		select {
		case <-got:
		case <-r.Context().Done():
			return
		}
	}
	io.WriteString(w, `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

// TestFastStreamStarvesNobody shows that while one stream is sent as fast as it is
// taken, 200 others go on event by event, whether its client reads all of it or nothing.
func TestFastStreamStarvesNobody(t *testing.T) {
	for _, tc := range []struct {
		name  string
		reads bool
	}{{"read as fast as it comes", true}, {"not read at all", false}} {
		t.Run(tc.name, func(t *testing.T) {
			u, url := startUnfair(t)
			g := startGateway(t, fmt.Sprintf("upstream first %s {\n formats openai_chat\n}\nmodel flood {\n source first flood\n}\nmodel slow {\n source first slow\n}", url))
			ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
			defer stop()
			flood := g.open(ctx, "/v1/chat/completions", clients[1].body("flood"))
			defer flood.Body.Close()
			var taken atomic.Int64
			if tc.reads {
				go drain(flood.Body, &taken) // ends with the body
				eventually(t, "that the flood flows", func() bool { return taken.Load() > floodLead })
			}

			errs := make(chan error)
			before := taken.Load()
			for number := range slowStreams {
				go func() { errs <- u.follow(ctx, g.url, number) }()
			}
			for range slowStreams {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			held := u.sent.Load() - taken.Load()
			if tc.reads && taken.Load() == before {
				t.Error("the flood has stood still")
			}
			if held > 64<<20 {
				t.Errorf("%d bytes of the flood were taken in and not given out", held)
			}
			t.Logf("%d bytes of the flood went through meanwhile", taken.Load()-before)
		})
	}
}

// drain reads a body to its end and counts its bytes.
func drain(body io.Reader, taken *atomic.Int64) {
	for buffer := make([]byte, 64<<10); ; {
		n, err := body.Read(buffer)
		taken.Add(int64(n))
		if err != nil {
			return // the test closes it
		}
	}
}

// follow reads a slow stream and asks for the next event after each.
func (u *unfair) follow(ctx context.Context, url string, number int) error {
	body := fmt.Sprintf(`{"model":"slow","user":"%d","stream":true,"messages":[{"role":"user","content":"hi"}]}`, number)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("stream %d: %w", number, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next, done := 0, false
	for lines.Scan() {
		done = done || lines.Text() == "data: [DONE]"
		if !strings.Contains(lines.Text(), fmt.Sprintf("event %d\"", next)) {
			continue
		}
		next++
		select {
		case u.got[number] <- struct{}{}:
		case <-ctx.Done():
		}
	}
	if next != slowEvents || !done || lines.Err() != nil {
		return fmt.Errorf("stream %d: status %d, %d of %d events, end mark %t, error %v", number, resp.StatusCode, next, slowEvents, done, lines.Err())
	}
	return nil
}
