package probe

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// connection notes how the first connection of several calls was made, or what kept
// it from being made. The transport tells it from goroutines of its own.
type connection struct {
	mu    sync.Mutex
	began time.Time
	took  time.Duration // until it could be used; 0 if it never could
	err   error         // the last that was met on the way
}

// trace is what notes it.
func (c *connection) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:          func(string) { c.begin() },
		DNSDone:          func(i httptrace.DNSDoneInfo) { c.met(i.Err) },
		ConnectDone:      func(_, _ string, err error) { c.met(err) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { c.met(err) },
		GotConn:          func(httptrace.GotConnInfo) { c.made() },
	}
}

func (c *connection) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		c.began = time.Now()
	}
}

func (c *connection) met(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *connection) made() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.took == 0 {
		c.took = max(1, time.Since(c.began))
	}
}

// isMade says that a connection could be used.
func (c *connection) isMade() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.took > 0
}

// time is how long it took to make the connection; that of the whole call for
// transports that tell nothing.
func (c *connection) time(call time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.took > 0 {
		return c.took
	}
	return call
}

// failure says what kept the connection from being made. f is what the call says.
func (c *connection) failure(ctx context.Context, u *upstream.Upstream, f *failure) *failure {
	if cut := interrupted(ctx); cut != nil {
		return cut
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return f
	}
	return &failure{
		code: networkCode(c.err), class: f.class, own: f.own,
		message: scrubbed(u, c.err.Error()),
	}
}
