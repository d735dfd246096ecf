package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// A provider is a server on the loopback that speaks chat.
type provider struct {
	url    string
	asked  atomic.Int64
	server *http.Server
}

// mood is what a provider does with a request, by its number.
type mood func(n int64, w http.ResponseWriter, r *http.Request)

// startProvider runs a provider.
func startProvider(m mood) (*provider, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a provider: %w", err)
	}
	p := &provider{url: "http://" + listener.Addr().String()}
	p.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m(p.asked.Add(1), w, r)
	})}
	go func() { _ = p.server.Serve(listener) }() // Ends with Close.
	return p, nil
}

// stop ends the provider.
func (p *provider) stop() { _ = p.server.Close() }

const (
	document = `{"id":"x","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"steady"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	content  = `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"steady"},"finish_reason":null}]}` + "\n\n"
	ending   = `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// steady answers every request.
func steady(_ int64, w http.ResponseWriter, r *http.Request) {
	if !asks(r, streamed) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, document) // A client that has left needs none.
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, content+ending)
}

// endless begins a stream and keeps it until the client leaves.
func endless(_ int64, w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, content)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// A dripping provider has many slow streams, and a flood for whoever asks for it.
type dripping struct {
	began time.Time     // all times count from it
	sent  atomic.Int64  // events of slow streams
	over  chan struct{} // closed when slow streams are to end
}

const (
	drips    = 200 // slow streams
	dripStep = 20 * time.Millisecond
)

// answer sends a flood as fast as it is taken, or a slow stream that tells in each
// event when it was sent.
func (d *dripping) answer(n int64, w http.ResponseWriter, r *http.Request) {
	flood := asks(r, flooding)
	w.Header().Set("Content-Type", "text/event-stream")
	for many := strings.Repeat(content, 64); flood; {
		if _, err := io.WriteString(w, many); err != nil {
			return // the client has left
		}
	}
	// The streams take turns, as they do when nobody has started them all at once.
	turn := time.Duration(n%drips) * dripStep / drips
	time.Sleep((turn - time.Since(d.began)%dripStep + dripStep) % dripStep)
	tick := time.NewTicker(dripStep)
	defer tick.Stop()
	event := strings.Replace(content, "steady", "%d", 1)
	for {
		d.sent.Add(1)
		fmt.Fprintf(w, event, time.Since(d.began))
		if http.NewResponseController(w).Flush() != nil {
			return // the client has left
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-d.over:
			_, _ = io.WriteString(w, ending) // the client tells if it is missing
			return
		}
	}
}

// failing answers every request with 500.
func failing(_ int64, w http.ResponseWriter, r *http.Request) {
	http.Error(w, `{"error":{"message":"boom"}}`, http.StatusInternalServerError)
}

// What requests may hold: the wish for a stream, and the texts that ask for a long one
// and for a flood.
const (
	streamed = `"stream":true`
	long     = "long"
	flooding = "flood"
)

// asks reads the request's body and says that it holds a text.
func asks(r *http.Request, text string) bool {
	body, err := io.ReadAll(r.Body)
	return err == nil && bytes.Contains(body, []byte(text))
}
