// Package proxy is a TCP proxy that spoils what passes through it, for tests: a
// healthy server behind it looks as if the network between were slow, narrow or
// broken.
package proxy

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Faults are what happens to the server's answers on a connection. The zero value
// passes them on as they are. Requests always pass.
type Faults struct {
	// Latency is waited before each piece; Jitter varies it, up or down, by up to as
	// much.
	Latency, Jitter time.Duration
	// BytesPerSecond is the most that passes; 0 is no limit.
	BytesPerSecond int
	// Slice is the largest piece that is written at once; 0 is as it came.
	Slice int
	// ResetAfter resets the client's connection behind as many bytes; 0 never does.
	ResetAfter int
	// SilentAfter passes on nothing behind as many bytes, and leaves the connection
	// open; 0 always passes.
	SilentAfter int
}

// Proxy is a running proxy. It is made with New and safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup
	done     chan struct{} // closed by Close

	mu     sync.Mutex
	faults Faults
	conns  map[net.Conn]struct{} // nil after Close
}

// New starts a proxy to a server, "http://host:port" or "host:port". It stops at
// the end of the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("starting a proxy: %v", err)
	}
	p := &Proxy{
		listener: listener,
		target:   strings.TrimPrefix(target, "http://"),
		done:     make(chan struct{}),
		conns:    map[net.Conn]struct{}{},
	}
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// URL is the proxy's origin, without a slash at the end.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Set chooses the faults of the connections that are made from now on.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// Close ends all connections and waits until nothing runs any more. It may be
// called again.
func (p *Proxy) Close() {
	p.mu.Lock()
	if p.conns != nil {
		close(p.done)
	}
	for conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.listener.Close()
	p.running.Wait()
}

// accept serves connections until the listener is closed.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve joins a client with the server, until one of them ends.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return // the client sees its connection closed
	}
	defer server.Close()
	faults, ok := p.enter(client, server)
	if !ok {
		return
	}
	defer p.leave(client, server)
	left := make(chan struct{})
	p.running.Go(func() {
		defer close(left)
		io.Copy(server, client) // how it ends shows in the answers
		server.Close()
	})
	p.spoil(client, server, faults, left)
}

// enter notes a pair of connections; ok is false after Close.
func (p *Proxy) enter(conns ...net.Conn) (f Faults, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return Faults{}, false
	}
	for _, conn := range conns {
		p.conns[conn] = struct{}{}
	}
	return p.faults, true
}

// leave forgets a pair of connections.
func (p *Proxy) leave(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
	}
}

// spoil passes the server's answers on, until they end. left is closed when the
// client has gone.
func (p *Proxy) spoil(client, server net.Conn, f Faults, left <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	passed := 0
	for {
		n, err := server.Read(buffer)
		data := buffer[:n]
		for len(data) > 0 {
			piece, last := f.piece(data, passed)
			if !p.wait(f.pause(len(piece))) {
				return
			}
			if _, err := client.Write(piece); err != nil {
				return
			}
			passed += len(piece)
			data = data[len(piece):]
			if last {
				if f.ResetAfter > 0 {
					reset(client)
					return
				}
				<-left // silence
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				reset(client)
			}
			return
		}
	}
}

// piece is what is written next, and whether nothing follows it.
func (f *Faults) piece(data []byte, passed int) (piece []byte, last bool) {
	n := len(data)
	if f.Slice > 0 {
		n = min(n, f.Slice)
	}
	for _, limit := range []int{f.ResetAfter, f.SilentAfter} {
		if limit > 0 && passed+n >= limit {
			return data[:limit-passed], true
		}
	}
	return data[:n], false
}

// pause is how long a piece of n bytes is held back.
func (f *Faults) pause(n int) time.Duration {
	d := f.Latency
	if f.Jitter > 0 {
		d += rand.N(2*f.Jitter) - f.Jitter
	}
	if f.BytesPerSecond > 0 {
		d += time.Duration(n) * time.Second / time.Duration(f.BytesPerSecond)
	}
	return d
}

// wait waits; it is false when the proxy closes.
func (p *Proxy) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}

// reset makes the client see a reset instead of an end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) // fails only on a closed connection
	}
	conn.Close()
}
