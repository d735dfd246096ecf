package handler

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// secureServer serves TLS over pipes inside a bubble, and closes what is unused when it
// shuts down. Requests are answered when slow lets them.
type secureServer struct {
	*httptest.Server
	wire *wire
	slow chan struct{}
}

func newSecureServer(t *testing.T) *secureServer {
	s := &secureServer{slow: make(chan struct{}), wire: &wire{conns: make(chan net.Conn), gone: make(chan struct{})}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-s.slow
		}
		_, _ = io.WriteString(w, "answered")
	}))
	s.Listener.Close() // the real one
	s.Listener, s.EnableHTTP2 = s.wire, true
	var u unused
	s.Config.ConnState = u.note
	s.Config.RegisterOnShutdown(u.close)
	s.StartTLS()
	return s
}

// connect makes a connection that has yet to shake hands.
func (s *secureServer) connect(protocol string) *tls.Conn {
	return tls.Client(s.wire.dial(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
}

// shutDown begins to shut down.
func (s *secureServer) shutDown(t *testing.T) (done chan error) {
	done = make(chan error, 1)
	go func() { done <- s.Config.Shutdown(t.Context()) }()
	<-s.wire.gone
	return done
}

// get asks over HTTP/1.
func get(conn net.Conn, path string) (string, error) {
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestUnusedConnections shows what a server that shuts down does with connections on
// which no request has come: without more they would stay open for five seconds, and
// lose the first request on each.
func TestUnusedConnections(t *testing.T) {
	inBubble := func(name string, test func(t *testing.T, s *secureServer)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSecureServer(t)
				began := time.Now()
				test(t, s)
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("this took %s, as long as the server alone would", took)
				}
				for _, conn := range s.wire.dialed {
					conn.Close()
				}
				s.Config.Close()
				time.Sleep(time.Hour) // of the bubble: until the last sleeper has noticed
			})
		})
	}
	closed := func(t *testing.T, conn net.Conn) {
		t.Helper()
		began := time.Now()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) != 0 {
			t.Errorf("reading gives %v after %s, want the end at once", err, time.Since(began))
		}
	}
	inBubble("after the handshake", func(t *testing.T, s *secureServer) {
		conn := s.connect("http/1.1")
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		done := s.shutDown(t)
		closed(t, conn)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	inBubble("before the handshake", func(t *testing.T, s *secureServer) {
		conn := s.connect("http/1.1")
		s.shutDown(t)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		closed(t, conn)
	})
	inBubble("before the handshake, HTTP/2", func(t *testing.T, s *secureServer) {
		conn := s.connect("h2")
		s.shutDown(t)
		transport := &http.Transport{
			ForceAttemptHTTP2: true,
			DialTLSContext:    func(ctx context.Context, _, _ string) (net.Conn, error) { return conn, conn.HandshakeContext(ctx) },
		}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://x/")
		if err != nil {
			t.Fatalf("the request is lost: %v", err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "answered" || err != nil || resp.ProtoMajor != 2 {
			t.Errorf("the answer is %q in %s (%v)", body, resp.Proto, err)
		}
	})
	inBubble("after a request", func(t *testing.T, s *secureServer) {
		conn := s.connect("http/1.1")
		if body, err := get(conn, "/"); body != "answered" || err != nil {
			t.Fatalf("the answer is %q (%v)", body, err)
		}
		s.shutDown(t)
		closed(t, conn)
	})
	inBubble("under way", func(t *testing.T, s *secureServer) {
		conn := s.connect("http/1.1")
		answered := make(chan error, 1)
		go func() {
			body, err := get(conn, "/slow")
			if err == nil && body != "answered" {
				err = errors.New(body)
			}
			answered <- err
		}()
		synctest.Wait()
		s.shutDown(t)
		synctest.Wait()
		close(s.slow)
		if err := <-answered; err != nil {
			t.Errorf("the answer is lost: %v", err)
		}
	})
}

// TestUnusedWithoutTLS: HTTP/2 may begin without a handshake if the server speaks it,
// so such connections are left alone then. Nothing is known of a wrapper's connections.
func TestUnusedWithoutTLS(t *testing.T) {
	for _, tc := range []struct {
		name   string
		h2c    bool
		wrap   func(net.Conn) net.Conn
		late   bool // it is accepted while the server shuts down
		closed bool
	}{
		{name: "plain", closed: true},
		{name: "accepted late", late: true, closed: true},
		{name: "HTTP/2 without TLS", h2c: true},
		{name: "wrapped", wrap: func(c net.Conn) net.Conn { return struct{ net.Conn }{c} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			client, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if tc.wrap != nil {
				conn = tc.wrap(conn)
			}
			u := unused{h2c: tc.h2c}
			if tc.late {
				u.close()
				u.note(conn, http.StateNew)
			} else {
				u.note(conn, http.StateNew)
				u.close()
			}
			if !tc.closed {
				u.drop(conn) // again, for its end
				if _, err := io.WriteString(conn, "open"); err != nil {
					t.Errorf("it was closed: %v", err)
				}
				return
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("reading gives %v, want the end", err)
			}
		})
	}
}

// BenchmarkUnused is what following a connection costs a request: two changes of its
// state, among others' connections.
func BenchmarkUnused(b *testing.B) {
	var u unused
	for range 1000 {
		u.note(new(net.TCPConn), http.StateNew)
	}
	conn := new(net.TCPConn)
	b.ReportAllocs()
	for b.Loop() {
		u.note(conn, http.StateActive)
		u.note(conn, http.StateIdle)
	}
}

func TestSpeaksH2C(t *testing.T) {
	for protocols, want := range map[string]bool{"": false, "h1 h2 h3": false, "h1 h2c": true} {
		one := strings.Fields(protocols)
		if got := speaksH2C(&caddyhttp.Server{Protocols: one}); got != want {
			t.Errorf("a server of %q: %t", protocols, got)
		}
		if got := speaksH2C(&caddyhttp.Server{Protocols: []string{"h1"}, ListenProtocols: [][]string{nil, one}}); got != want {
			t.Errorf("a server with an address of %q: %t", protocols, got)
		}
	}
}
