package handler

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// wire serves a handler to clients inside the process, by a real server over pipes,
// so that time is that of the test.
type wire struct {
	conns chan net.Conn
	gone  chan struct{}
	http2 bool
	// served gets a value when the handler has returned.
	served chan struct{}
	dialed []net.Conn
}

// eachProtocol runs a test over HTTP/1 and over HTTP/2, in a bubble each.
func eachProtocol(t *testing.T, h *Handler, test func(t *testing.T, w *wire)) {
	t.Helper()
	t.Run("HTTP 1", func(t *testing.T) { overWire(t, h, false, test) })
	t.Run("HTTP 2", func(t *testing.T) { overWire(t, h, true, test) })
}

// overWire runs a test in a bubble, with a server for the handler.
func overWire(t *testing.T, h *Handler, http2 bool, test func(t *testing.T, w *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{conns: make(chan net.Conn), gone: make(chan struct{}), http2: http2, served: make(chan struct{}, 100)}
		server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			defer func() { w.served <- struct{}{} }()
			if err := h.ServeHTTP(rw, r, nil); err != nil {
				t.Errorf("ServeHTTP: %v", err)
			}
		})}
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
		go server.Serve(w) // until it is closed
		test(t, w)
		server.Close()
		for _, conn := range w.dialed {
			conn.Close()
		}
		time.Sleep(24 * time.Hour) // of the bubble: until the last sleeper has noticed
	})
}

// Accept, Close and Addr implement net.Listener.
func (w *wire) Accept() (net.Conn, error) {
	select {
	case conn := <-w.conns:
		return conn, nil
	case <-w.gone:
		return nil, net.ErrClosed
	}
}
func (w *wire) Close() error   { close(w.gone); return nil }
func (w *wire) Addr() net.Addr { return new(net.UnixAddr) }

// dial opens a connection.
func (w *wire) dial() net.Conn {
	client, server := net.Pipe()
	w.dialed = append(w.dialed, client)
	w.conns <- server
	return client
}

// send sends a request for a chat whose body comes from a reader, as fast as the
// reader gives it, and returns the answer.
func (w *wire) send(t *testing.T, length int, body io.Reader) *http.Response {
	t.Helper()
	const url = "http://gateway.example/v1/chat/completions"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(length)
	if w.http2 {
		transport := &http.Transport{
			Protocols:   new(http.Protocols),
			DialContext: func(context.Context, string, string) (net.Conn, error) { return w.dial(), nil },
		}
		transport.Protocols.SetUnencryptedHTTP2(true)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	// The transport of HTTP/1 would collect a slow body.
	conn := w.dial()
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: %d\r\n\r\n", length)
	go io.Copy(conn, body) // ends with the connection
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// endless is an upstream whose stream does not end. It tells when it is released.
func endless(released chan<- struct{}) roundTrip {
	word := strings.Replace(chatWord, "hello", strings.Repeat("hello", 1000), 1)
	return stream(func(ctx context.Context, w io.Writer) {
		for {
			if _, err := io.WriteString(w, word); err != nil {
				<-ctx.Done()
				released <- struct{}{}
				return
			}
		}
	})
}

// TestClientTakesNothing shows that a client which does not read is cut after a
// minute without progress, and that the upstream of a stream is then released.
func TestClientTakesNothing(t *testing.T) {
	t.Run("stream", func(t *testing.T) {
		released := make(chan struct{}, 2)
		h := newHandler(t, format.OpenAIChat, endless(released))
		h.Heartbeat = -1 // it would wait for the write in a way that stops the bubble's time
		eachProtocol(t, h, func(t *testing.T, w *wire) {
			began := time.Now()
			resp := w.send(t, len(chatStreamRequest), strings.NewReader(chatStreamRequest))
			defer resp.Body.Close()
			<-w.served
			synctest.Wait()
			if took := time.Since(began); took != clientPatience || len(released) != 1 {
				t.Errorf("cut after %s, want %s; %d upstreams were released", took, clientPatience, len(released))
			}
			<-released
		})
	})
	t.Run("document", func(t *testing.T) {
		large := strings.Replace(chatAnswer, "hello", strings.Repeat("hello", 2<<20), 1)
		h := newHandler(t, format.OpenAIChat, answer(200, "application/json", large))
		eachProtocol(t, h, func(t *testing.T, w *wire) {
			began := time.Now()
			resp := w.send(t, len(chatRequest), strings.NewReader(chatRequest))
			defer resp.Body.Close()
			<-w.served
			if took := time.Since(began); took != clientPatience {
				t.Errorf("cut after %s, want %s", took, clientPatience)
			}
		})
	})
}

// TestSilentStreamLives shows that the limit for a client is not one for silence.
func TestSilentStreamLives(t *testing.T) {
	h := newHandler(t, format.OpenAIChat, stream(func(ctx context.Context, w io.Writer) {
		write(w, chatRole, chatWord)
		for range 3 {
			pause(ctx, 80*time.Second) // longer than a client's patience
			write(w, chatWord)
		}
		write(w, chatEnd, chatDone)
	}))
	h.Heartbeat = -1
	eachProtocol(t, h, func(t *testing.T, w *wire) {
		resp := w.send(t, len(chatStreamRequest), strings.NewReader(chatStreamRequest))
		body, err := io.ReadAll(resp.Body)
		if want := chatRole + strings.Repeat(chatWord, 4) + chatEnd + chatDone; err != nil || string(body) != want {
			t.Errorf("got\n%s (%v)\nwant\n%s", body, err, want)
		}
	})
}

// TestSlowClientIsNoSilentUpstream shows that the time for which a client makes the
// gateway wait is not counted against the upstream, and that progress, as slow as it
// is, keeps the answer alive.
func TestSlowClientIsNoSilentUpstream(t *testing.T) {
	long := strings.Replace(chatWord, "hello", strings.Repeat("hello", 100<<10), 1)
	h := newHandler(t, format.OpenAIChat, stream(func(_ context.Context, w io.Writer) {
		write(w, chatRole, chatWord, long, chatEnd, chatDone)
	}))
	h.Heartbeat = -1
	// A client of HTTP/2 holds back its windows, not single reads.
	overWire(t, h, false, func(t *testing.T, w *wire) {
		began := time.Now()
		resp := w.send(t, len(chatStreamRequest), strings.NewReader(chatStreamRequest))
		var got strings.Builder
		for {
			n, err := io.CopyN(&got, resp.Body, 32<<10)
			if errors.Is(err, io.EOF) && n < 32<<10 {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(25 * time.Second) // of the bubble
		}
		if want := chatRole + chatWord + long + chatEnd + chatDone; got.String() != want {
			t.Errorf("got %d bytes that end with %q, want %d", got.Len(), got.String()[max(0, got.Len()-300):], len(want))
		}
		if took := time.Since(began); took < 200*time.Second {
			t.Errorf("it took %s, which shows nothing", took)
		}
	})
}

// dripping is a body that comes in pieces with pauses between them.
type dripping struct {
	rest  string
	piece int
	every time.Duration
	burst int // the size of the first piece; 0 is as large as the others
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.rest == "" {
		return 0, io.EOF
	}
	size := d.piece
	if d.burst > 0 {
		size, d.burst = d.burst, 0
	} else {
		time.Sleep(d.every) // of the bubble
	}
	n := copy(p, d.rest[:min(size, len(d.rest), len(p))])
	d.rest = d.rest[n:]
	return n, nil
}

// TestSlowBody shows that a body must come with 1 KiB a second, whatever came before,
// and that one which does may take as long as it needs.
func TestSlowBody(t *testing.T) {
	padded := strings.Replace(chatRequest, "hi", strings.Repeat("hi", 100<<10), 1)
	for _, tc := range []struct {
		name   string
		body   dripping
		status int
		after  time.Duration
	}{
		{"a byte a second", dripping{rest: padded, piece: 1, every: time.Second}, 408, time.Minute},
		{"half of the pace", dripping{rest: padded, piece: 512, every: time.Second}, 408, time.Minute},
		{"silence after a start", dripping{rest: padded, burst: 100 << 10, piece: 1, every: time.Hour}, 408, time.Minute},
		{"twice the pace", dripping{rest: padded, piece: 2 << 10, every: time.Second}, 200, 101*time.Second + answerTime},
		{"at once", dripping{rest: padded, piece: len(padded)}, 200, answerTime},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// The answer takes longer than a window: a deadline that is forgotten
			// would cut the request while it waits.
			h := newHandler(t, format.OpenAIChat, func(r *http.Request) (*http.Response, error) {
				pause(r.Context(), answerTime)
				return answer(200, "application/json", chatAnswer)(r)
			})
			eachProtocol(t, h, func(t *testing.T, w *wire) {
				body, began := tc.body, time.Now()
				resp := w.send(t, len(body.rest), &body)
				took := time.Since(began)
				text, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != tc.status || took != tc.after {
					t.Errorf("%d after %s (%v) %s, want %d after %s", resp.StatusCode, took, err, text, tc.status, tc.after)
				}
				if tc.status != 200 && !strings.Contains(string(text), `"error"`) {
					t.Errorf("no error of the format: %s", text)
				}
				if !w.http2 && resp.Close != (tc.status != 200) {
					t.Errorf("the connection closes: %t", resp.Close)
				}
			})
		})
	}
}

// answerTime is how long the upstream of TestSlowBody thinks.
const answerTime = 200 * time.Second
