// Package provider is a scripted provider for integration tests: a server on the
// loopback that records what it is sent and answers, or fails, as a script says.
// It speaks HTTP/1.1 on the bare connection, so that it can break off, reset or
// fall silent at any byte. It is used by tests only.
//
//	p := provider.New(t)
//	p.Script(provider.Status(503, ""), provider.Say("Hello."))
//	// … point an upstream at p.URL() and send requests …
//	requests := p.Requests()
//
// The path of a request decides the format of an answer: see [Request.Format]. The
// member "stream" of its body, or the verb of a Gemini path, decides whether the
// answer is a stream. [Check] holds a request against the rules of its format.
package provider

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// Provider is a scripted provider. It is safe for concurrent use.
type Provider struct {
	t        testing.TB
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	steps    []Step
	choose   func(*Request) Step
	requests []*Request
	arrived  chan struct{} // closed and replaced at each request
	conns    map[net.Conn]struct{}
	accepted int
	closed   bool
}

// Request is a request as it arrived.
type Request struct {
	Method string
	// Path is the path with the query, as it was sent.
	Path   string
	Host   string
	Header http.Header
	Body   []byte
	// Connection is the number of the connection it came on, from 1.
	Connection int

	number int // in the order of arrival, from 1
	left   chan struct{}
	once   sync.Once
}

// Left is closed when the client is seen to have gone before the answer was
// complete.
func (r *Request) Left() <-chan struct{} { return r.left }

// leave notes that the client has gone.
func (r *Request) leave() { r.once.Do(func() { close(r.left) }) }

// New starts a provider that says "Hello." until it gets a script. It stops at
// the end of the test.
func New(t testing.TB) *Provider {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("starting a provider: %v", err)
	}
	p := &Provider{
		t:        t,
		listener: listener,
		steps:    []Step{Say("Hello.")},
		arrived:  make(chan struct{}),
		conns:    map[net.Conn]struct{}{},
	}
	p.running.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Refused is the URL of a provider that refuses connections. Its port is that of
// the calling end of a connection: nobody listens there, and nobody else is given
// it as long as the test runs.
func Refused(t testing.TB) string {
	t.Helper()
	p := New(t)
	conn, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return "http://" + conn.LocalAddr().String()
}

// URL is the provider's origin, without a slash at the end.
func (p *Provider) URL() string { return "http://" + p.listener.Addr().String() }

// Close ends all connections and waits until nothing runs any more. It may be
// called again.
func (p *Provider) Close() {
	p.mu.Lock()
	p.closed = true
	for conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	p.listener.Close()
	p.running.Wait()
}

// Script answers the following requests with one step each; the last one repeats.
func (p *Provider) Script(steps ...Step) {
	p.t.Helper()
	if len(steps) == 0 {
		p.t.Fatal("a script needs a step")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps, p.choose = slices.Clone(steps), nil
}

// Choose answers each of the following requests with the step that f chooses.
func (p *Provider) Choose(f func(*Request) Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choose = f
}

// Requests are the requests so far, in the order in which they arrived.
func (p *Provider) Requests() []*Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Connections is the number of connections that were accepted so far.
func (p *Provider) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// waitLimit is how long Wait waits.
const waitLimit = 10 * time.Second

// Wait waits until n requests have arrived and returns them. It fails the test
// when that takes too long.
func (p *Provider) Wait(n int) []*Request {
	p.t.Helper()
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	for {
		p.mu.Lock()
		requests, arrived := slices.Clone(p.requests), p.arrived
		p.mu.Unlock()
		if len(requests) >= n {
			return requests
		}
		select {
		case <-arrived:
		case <-limit.C:
			p.t.Fatalf("the provider got %d requests in %s, want %d", len(requests), waitLimit, n)
		}
	}
}

// accept serves connections until the listener is closed.
func (p *Provider) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		number, ok := p.enter(conn)
		if !ok {
			conn.Close()
			return
		}
		p.running.Go(func() {
			c := &connection{Conn: conn, reader: bufio.NewReader(conn)}
			p.serve(c, number)
			p.leave(conn)
			c.watching.Wait()
		})
	}
}

// enter notes a connection and returns its number; ok is false after Close.
func (p *Provider) enter(conn net.Conn) (number int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, false
	}
	p.accepted++
	p.conns[conn] = struct{}{}
	return p.accepted, true
}

// leave closes a connection and forgets it.
func (p *Provider) leave(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// serve answers the requests of a connection.
func (p *Provider) serve(c *connection, number int) {
	if step, ok := p.unread(); ok {
		step.answer(c, &Request{Connection: number, left: make(chan struct{})})
		return
	}
	for {
		r, err := c.request()
		if err != nil {
			return
		}
		r.Connection = number
		if !p.take(r).answer(c, r) {
			return
		}
	}
}

// unread takes the next step if it is one that does not wait for a request.
func (p *Provider) unread() (Step, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.choose != nil || !p.steps[0].unread {
		return Step{}, false
	}
	return p.next(), true
}

// take records a request and takes its step.
func (p *Provider) take(r *Request) Step {
	p.mu.Lock()
	p.requests = append(p.requests, r)
	r.number = len(p.requests)
	close(p.arrived)
	p.arrived = make(chan struct{})
	choose := p.choose
	if choose == nil {
		defer p.mu.Unlock()
		return p.next()
	}
	p.mu.Unlock()
	return choose(r)
}

// next takes the next step of the script. The caller holds mu.
func (p *Provider) next() Step {
	step := p.steps[0]
	if len(p.steps) > 1 {
		p.steps = p.steps[1:]
	}
	return step
}

// connection is a client's connection.
type connection struct {
	net.Conn
	reader *bufio.Reader

	watching sync.WaitGroup
	gone     chan struct{} // closed when the watched client has gone
}

// request reads a request with its body.
func (c *connection) request() (*Request, error) {
	r, err := http.ReadRequest(c.reader)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Expect") != "" {
		if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return nil, err
		}
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return nil, err
	}
	return &Request{
		Method: r.Method,
		Path:   r.RequestURI,
		Host:   r.Host,
		Header: r.Header,
		Body:   body.Bytes(),
		left:   make(chan struct{}),
	}, nil
}

// silence waits until goOn is closed, which nil never is, or the client has gone.
// It says whether to go on. The connection cannot take another request then.
func (c *connection) silence(r *Request, goOn <-chan struct{}) bool {
	if c.gone == nil {
		c.watch()
	}
	select {
	case <-goOn:
		return true
	case <-c.gone:
		r.leave()
		return false
	}
}

// watch reads until the connection ends, from either side.
func (c *connection) watch() {
	c.gone = make(chan struct{})
	c.watching.Go(func() {
		defer close(c.gone)
		io.Copy(io.Discard, c.reader)
	})
}

// reset makes the client see a reset instead of an end.
func (c *connection) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
