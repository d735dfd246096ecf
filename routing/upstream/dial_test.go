package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// watched is a body that notes whether it was asked to write itself.
type watched struct {
	*bytes.Reader
	wrote bool
}

func (w *watched) WriteTo(to io.Writer) (int64, error) {
	w.wrote = w.wrote || w.Len() > 0 // a transport drains what is left
	return w.Reader.WriteTo(to)
}

func (w *watched) Close() error { return nil }

// TestBodyIsWrittenFromItsPlace: a large body goes to a plain connection without being
// copied, and arrives whole; one on top of which TLS or a time limit stands is copied.
func TestBodyIsWrittenFromItsPlace(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 20_000)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != text {
			http.Error(w, fmt.Sprint(len(body), err), http.StatusBadRequest)
		}
	})
	plain, secure := httptest.NewServer(echo), httptest.NewTLSServer(echo)
	defer plain.Close()
	defer secure.Close()
	for _, tc := range []struct {
		name, url, transport string
		want                 bool
	}{
		{"plain", plain.URL, `{"protocol":"http"}`, true},
		{"TLS", secure.URL, `{"protocol":"http","versions":["1.1"],"tls":{"insecure_skip_verify":true}}`, false},
		{"time limit", plain.URL, `{"protocol":"http","write_timeout":"1m"}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := transportOf(t, `{"base_url":"`+tc.url+`","transport":`+tc.transport+`}`)
			defer h.Transport.CloseIdleConnections()
			for range 2 { // also on a connection that was kept
				body := &watched{Reader: bytes.NewReader([]byte(text))}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tc.url, body)
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = int64(len(text))
				resp, err := h.Transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != 200 || body.wrote != tc.want {
					t.Errorf("status %d, wrote itself: %t, want %t", resp.StatusCode, body.wrote, tc.want)
				}
			}
		})
	}
}

// TestBodyConn: what is no body, and a body of which only a part may be written, goes
// the way of other connections.
func TestBodyConn(t *testing.T) {
	body := new(format.Body)
	body.Str("written, ")
	body.View([]byte("seen"))
	for _, tc := range []struct {
		name string
		from func() io.Reader
		want string
	}{
		{"a body", func() io.Reader { return io.LimitReader(body.NewReader(), int64(body.Len())) }, "written, seen"},
		{"a part of it", func() io.Reader { return io.LimitReader(body.NewReader(), 3) }, "wri"},
		{"another reader", func() io.Reader { return strings.NewReader("text") }, "text"},
		{"a limited one", func() io.Reader { return io.LimitReader(onlyReader("text"), 3) }, "tex"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			conn, err := new(dialer).dial(t.Context(), "tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			other, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			n, err := io.Copy(conn, tc.from())
			if err != nil || n != int64(len(tc.want)) {
				t.Errorf("copied %d bytes (%v), want %d", n, err, len(tc.want))
			}
			conn.Close()
			if got, err := io.ReadAll(other); string(got) != tc.want || err != nil {
				t.Errorf("%q arrived (%v), want %q", got, err, tc.want)
			}
		})
	}
}

// onlyReader is a reader that can do nothing else.
func onlyReader(text string) io.Reader {
	return struct{ io.Reader }{strings.NewReader(text)}
}
