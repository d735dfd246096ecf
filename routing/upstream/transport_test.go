package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// do makes a chat call and reads the whole answer.
func do(t *testing.T, u *Upstream, call *Call) (*http.Response, string, error) {
	t.Helper()
	if call.Body == nil {
		call.Body = bodyOf(`{"model":"m"}`)
	}
	call.Format, call.Operation = format.OpenAIChat, format.OperationChat
	response, err := u.Do(t.Context(), call)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text), nil
}

// tell answers with what it sees of the request.
func tell(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, sent := r.Header["Idempotency-Key"]
	fmt.Fprintf(w, "%s %s %s auth=%q len=%d key=%t %s", r.Proto, r.Method, r.URL.Path, r.Header.Get("Authorization"), r.ContentLength, sent, body)
}

func quiet(s *httptest.Server) *httptest.Server {
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

func TestPlain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(tell))
	defer server.Close()
	u := mustProvision(t, "mine", `{"base_url":"`+server.URL+`","credentials":[{"type":"bearer","token":"tok"}]}`)
	_, got, err := do(t, u, &Call{})
	if err != nil {
		t.Fatal(err)
	}
	if want := `HTTP/1.1 POST /v1/chat/completions auth="Bearer tok" len=13 key=false {"model":"m"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTLS(t *testing.T) {
	for _, tc := range []struct {
		name       string
		h2         bool
		maxVersion uint16
		transport  string
		want, err  string
	}{
		{"own authority, HTTP/2", true, 0, `{"protocol":"http","tls":{"ca":{"provider":"inline","trusted_ca_certs":["CA"]}}}`, "HTTP/2.0 POST", ""},
		{"own authority, HTTP/1.1", false, 0, `{"protocol":"http","tls":{"ca":{"provider":"inline","trusted_ca_certs":["CA"]}}}`, "HTTP/1.1 POST", ""},
		{"not verified", true, 0, `{"protocol":"http","tls":{"insecure_skip_verify":true}}`, "HTTP/2.0 POST", ""},
		{"HTTP/1.1 only", true, 0, `{"protocol":"http","versions":["1.1"],"tls":{"insecure_skip_verify":true}}`, "HTTP/1.1 POST", ""},
		{"TLS 1.2", false, tls.VersionTLS12, `{"protocol":"http","tls":{"insecure_skip_verify":true}}`, "HTTP/1.1 POST", ""},
		{"TLS 1.1", false, tls.VersionTLS11, `{"protocol":"http","tls":{"insecure_skip_verify":true}}`, "", "protocol version"},
		{"unknown authority", true, 0, `{"protocol":"http"}`, "", "certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := quiet(httptest.NewUnstartedServer(http.HandlerFunc(tell)))
			server.EnableHTTP2 = tc.h2
			server.TLS = &tls.Config{MaxVersion: tc.maxVersion, MinVersion: tls.VersionTLS10}
			server.StartTLS()
			defer server.Close()
			ca := base64.StdEncoding.EncodeToString(server.Certificate().Raw)
			u := mustProvision(t, "mine", `{"base_url":"`+server.URL+`","transport":`+strings.Replace(tc.transport, "CA", ca, 1)+`}`)
			_, got, err := do(t, u, &Call{})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got, tc.want) || !strings.HasSuffix(got, `len=13 key=false {"model":"m"}`) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	response, _, err := do(t, mustProvision(t, "mine", `{"base_url":"`+server.URL+`"}`), &Call{})
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusTemporaryRedirect || hits.Load() != 1 {
		t.Errorf("got %d after %d requests", response.StatusCode, hits.Load())
	}
}

func TestAnswersStayCompressed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "not really")
	}))
	defer server.Close()
	response, text, err := do(t, mustProvision(t, "mine", `{"base_url":"`+server.URL+`"}`), &Call{})
	if err != nil {
		t.Fatal(err)
	}
	if response.Uncompressed || text != "not really" {
		t.Errorf("got %q, uncompressed %t", text, response.Uncompressed)
	}
}

func TestLargeResponseHeader(t *testing.T) {
	server := quiet(httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 300<<10))
	})))
	defer server.Close()
	if _, _, err := do(t, mustProvision(t, "mine", `{"base_url":"`+server.URL+`"}`), &Call{}); err == nil {
		t.Error("got no error")
	}
}

// staleServer answers the first request on its first connection, then closes
// that connection as soon as a second request arrives on it.
func staleServer(t *testing.T) (address string, requests *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	requests = new(atomic.Int32)
	var connections atomic.Int32
	go func() { // ends when the listener is closed
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveStale(conn, connections.Add(1) == 1, requests)
		}
	}()
	return "http://" + listener.Addr().String(), requests
}

func serveStale(conn net.Conn, first bool, requests *atomic.Int32) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for served := 0; ; served++ {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		requests.Add(1)
		if first && served == 1 {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func TestStaleConnection(t *testing.T) {
	address, requests := staleServer(t)
	u := mustProvision(t, "mine", `{"base_url":"`+address+`"}`)
	for i := range 2 {
		body, freed := bodyOf(`{"model":"m"}`), new(atomic.Bool)
		body.Own(func() { freed.Store(true) })
		if _, got, err := do(t, u, &Call{Body: body}); err != nil || got != "ok" {
			t.Fatalf("request %d: got %q, %v", i, got, err)
		}
		body.Release()
		for deadline := time.Now().Add(5 * time.Second); !freed.Load(); {
			if time.Now().After(deadline) {
				t.Fatalf("request %d: a reader of the body was left open", i)
			}
			time.Sleep(time.Millisecond) // the transport closes on its own goroutine
		}
	}
	if got := requests.Load(); got != 3 {
		t.Errorf("got %d requests, want 3: one repeated", got)
	}
}

func TestTransportDefaults(t *testing.T) {
	h := transportOf(t, `{"base_url":"https://h"}`)
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"dial", time.Duration(h.DialTimeout), 5 * time.Second},
		{"handshake", h.Transport.TLSHandshakeTimeout, 5 * time.Second},
		{"idle connections", h.Transport.MaxIdleConnsPerHost, 256},
		{"idle time", h.Transport.IdleConnTimeout, 90 * time.Second},
		{"compression", h.Transport.DisableCompression, true},
		{"response header size", h.Transport.MaxResponseHeaderBytes, int64(256 << 10)},
		{"response header time", h.Transport.ResponseHeaderTimeout, time.Duration(0)},
		{"read buffer", h.Transport.ReadBufferSize, 8 << 10},
		{"write buffer", h.Transport.WriteBufferSize, 8 << 10},
		{"TLS version", h.Transport.TLSClientConfig.MinVersion, uint16(tls.VersionTLS12)},
		{"ping", h.Transport.HTTP2.SendPingTimeout, 30 * time.Second},
		{"pong", h.Transport.HTTP2.PingTimeout, 15 * time.Second},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

func TestTransportOfTheUser(t *testing.T) {
	h := transportOf(t, `{"base_url":"https://h","timeouts":{"tls_handshake":"7s"},"transport":{"protocol":"http","dial_timeout":"9s",
		"compression":true,"max_response_header_size":1024,"read_buffer_size":1,"keep_alive":{"max_idle_conns_per_host":3},
		"tls":{"insecure_skip_verify":true}}}`)
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"dial", time.Duration(h.DialTimeout), 9 * time.Second},
		{"handshake", h.Transport.TLSHandshakeTimeout, 7 * time.Second},
		{"idle connections", h.Transport.MaxIdleConnsPerHost, 3},
		{"idle time, left out", h.Transport.IdleConnTimeout, 90 * time.Second},
		{"compression", h.Transport.DisableCompression, false},
		{"response header size", h.Transport.MaxResponseHeaderBytes, int64(1024)},
		{"read buffer", h.Transport.ReadBufferSize, 1},
		{"write buffer, left out", h.Transport.WriteBufferSize, 8 << 10},
		{"verification", h.Transport.TLSClientConfig.InsecureSkipVerify, true},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	own := transportOf(t, `{"base_url":"https://h","timeouts":{"connect":"2s"},"transport":{"protocol":"http","tls":{"handshake_timeout":"3s"}}}`)
	if got := time.Duration(own.DialTimeout); got != 2*time.Second {
		t.Errorf("dial: got %v", got)
	}
	if got := own.Transport.TLSHandshakeTimeout; got != 3*time.Second {
		t.Errorf("handshake: got %v", got)
	}
}

func transportOf(t *testing.T, config string) *reverseproxy.HTTPTransport {
	t.Helper()
	h, ok := mustProvision(t, "mine", config).transport.(*reverseproxy.HTTPTransport)
	if !ok {
		t.Fatal("not Caddy's HTTP transport")
	}
	return h
}

func TestOtherTransport(t *testing.T) {
	u := mustProvision(t, "demo", `{}`)
	response, _, err := do(t, u, &Call{})
	if err != nil || response.StatusCode != http.StatusTeapot || response.Request.URL.Path != "/v1/chat/completions" {
		t.Errorf("got %v, %v", response, err)
	}
}

func TestCancelledCall(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(gone)
	}))
	defer server.Close()
	u := mustProvision(t, "mine", `{"base_url":"`+server.URL+`"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := u.Do(ctx, &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x")})
	if err == nil {
		t.Fatal("got no error")
	}
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the upstream was not told")
	}
}

// relay passes bytes between client and server until it is frozen: then the
// connection is dead without a word, as behind a firewall that has forgotten it.
type relay struct {
	net.Listener
	frozen chan struct{}
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener, make(chan struct{})}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // ends when the listener is closed
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
			go r.pass(client, server)
			go r.pass(server, client)
		}
	}()
	return r
}

func (r *relay) pass(from, to net.Conn) {
	buffer := make([]byte, 4<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-r.frozen:
		default:
			_, _ = to.Write(buffer[:n])
		}
	}
}

func TestDeadHTTP2ConnectionIsNoticed(t *testing.T) {
	server := quiet(httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close) // after the relay has let go of its connections
	through := newRelay(t, server.Listener.Addr().String())
	u := mustProvision(t, "mine", `{"base_url":"https://`+through.Addr().String()+`","transport":{"protocol":"http","tls":{"insecure_skip_verify":true}}}`)
	// The same setting as tune makes, only sooner.
	u.transport.(*reverseproxy.HTTPTransport).Transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	response, err := u.Do(ctx, &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x")})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	close(through.frozen)
	if _, err := io.ReadAll(response.Body); err == nil || ctx.Err() != nil {
		t.Errorf("got %v, context %v", err, ctx.Err())
	}
}
