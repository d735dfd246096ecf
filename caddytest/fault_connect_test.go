package caddytest

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// unreachable is the row of an upstream that cannot be reached.
var unreachable = row{alone: http.StatusBadGateway, scope: routing.ScopeUpstream, class: routing.ClassConnect}

// late is the row of an upstream that does not answer in time.
var late = row{alone: http.StatusGatewayTimeout, scope: routing.ScopeUpstreamModel, class: routing.ClassTimeout}

// unusable is the row of an answer that cannot be used.
var unusable = row{alone: http.StatusBadGateway, scope: routing.ScopeUpstreamModel, class: routing.ClassBadAnswer}

// TestFault01Refused: a connection is refused, which takes no time.
func TestFault01Refused(t *testing.T) {
	o := startOutage(t, provider.Refused(t))
	o.check(t, unreachable)
	o.reset(t)
	began := time.Now()
	inPlain()[0].ask(t, o.url, "alone")
	if took := time.Since(began); took > time.Second {
		t.Errorf("the refusal took %s", took)
	}
}

// TestFault02ClosedAtOnce: a connection is accepted and closed.
func TestFault02ClosedAtOnce(t *testing.T) {
	startOutage(t, startProvider(t, provider.CloseAtOnce()).URL()).check(t, unreachable)
}

// TestFault03ResetAtOnce: a connection is accepted and reset.
func TestFault03ResetAtOnce(t *testing.T) {
	startOutage(t, startProvider(t, provider.ResetAtOnce()).URL()).check(t, unreachable)
}

// TestFault04Silent: a connection is accepted, and nothing follows.
func TestFault04Silent(t *testing.T) {
	startOutage(t, startProvider(t, provider.SilentAtOnce()).URL(), limits).check(t, late)
}

// TestFault05ClosedAfterRequest: the request is read and the connection closed, or
// reset. Somebody may have begun the work, so a request that leaves a trace is not
// sent to another upstream.
func TestFault05ClosedAfterRequest(t *testing.T) {
	for name, step := range map[string]provider.Step{"closed": provider.CloseAfterRequest(), "reset": provider.ResetAfterRequest()} {
		t.Run(name, func(t *testing.T) {
			first := startProvider(t, step)
			o := startOutage(t, first.URL())
			o.check(t, unreachable)
			t.Run("leaves a trace", func(t *testing.T) {
				o.gateway.t = t
				o.reset(t)
				before := len(o.second.Requests())
				resp, body := o.post("/v1/responses", `{"model":"backed","store":true,"input":"hi"}`)
				if after := len(o.second.Requests()); resp.StatusCode != http.StatusBadGateway || after != before {
					t.Errorf("want 502 and nobody else asked, got %d, %d asked: %s", resp.StatusCode, after-before, body)
				}
			})
		})
	}
}

// TestFault06StaleConnection: the upstream closes a kept connection when the next
// request comes. The request is sent once more, and nothing is counted.
func TestFault06StaleConnection(t *testing.T) {
	for _, a := range everyone() {
		t.Run(a.name(), func(t *testing.T) {
			first := startProvider(t, provider.Say("one"), provider.CloseAtOnce(), provider.Say("two"))
			o := startOutage(t, first.URL())
			for _, text := range []string{"one", "two"} {
				resp, body := a.ask(t, o.url, "alone")
				a.expects(t, resp, body, text)
			}
			if n := first.Connections(); n != 2 {
				t.Errorf("%d connections, want a kept one and a new one", n)
			}
			checkCounted(t, row{})
		})
	}
}

// TestFault08NameDoesNotResolve: the name has no address, or nobody answers the
// question for it.
func TestFault08NameDoesNotResolve(t *testing.T) {
	for name, answers := range map[string]bool{"no such name": true, "resolver is silent": false} {
		t.Run(name, func(t *testing.T) {
			resolver := fmt.Sprintf("transport http {\n resolvers %s\n}", startResolver(t, answers))
			startOutage(t, "http://llm.example", "timeout connect "+soonLimit.String(), resolver).check(t, unreachable)
		})
	}
}

// startResolver runs a name server that knows no name, or one that never answers.
func startResolver(t *testing.T, answers bool) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		question := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			if answers && n >= 12 {
				answer := append([]byte(nil), question[:n]...)
				answer[2], answer[3] = answer[2]|0x80, 0x83 // an answer: no such name
				conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

// TestFault10Certificate: the certificate is not trusted, expired, or that of
// another name. No request is sent.
func TestFault10Certificate(t *testing.T) {
	yesterday, tomorrow := time.Now().AddDate(0, 0, -1), time.Now().AddDate(0, 0, 1)
	for _, tc := range []struct {
		name    string
		host    string
		until   time.Time
		trusted bool
	}{
		{"untrusted", "127.0.0.1", tomorrow, false},
		{"expired", "127.0.0.1", yesterday, true},
		{"wrong name", "127.0.0.2", tomorrow, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			authority := newAuthority(t)
			server := authority.serve(t, tc.host, tc.until)
			options := []string{}
			if tc.trusted {
				options = append(options, "transport http {\n tls_trust_pool file "+authority.file+"\n}")
			}
			startOutage(t, server.url, options...).check(t, unreachable)
			if n := server.requests.Load(); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
	t.Run("good", func(t *testing.T) { // or the others would prove nothing
		authority := newAuthority(t)
		server := authority.serve(t, "127.0.0.1", tomorrow)
		o := startOutage(t, server.url, "transport http {\n tls_trust_pool file "+authority.file+"\n}")
		o.gateway.t = t
		if resp, body := o.post("/v1/chat/completions", clients[0].body("alone")); resp.StatusCode != http.StatusTeapot || server.requests.Load() == 0 {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	})
}

// TestFault11OtherProtocol: plain HTTP where TLS is expected, and TLS where plain
// HTTP is. Servers tell the former in an alert, or in a page with a status that looks
// as if the client were to blame.
func TestFault11OtherProtocol(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		address := startProvider(t, provider.NotHTTP()).URL()
		startOutage(t, strings.Replace(address, "http://", "https://", 1), limits).check(t, unreachable)
	})
	t.Run("TLS", func(t *testing.T) {
		// What OpenSSL's servers answer to plain HTTP: an alert and the end.
		alert := provider.Raw("\x15\x03\x01\x00\x02\x02\x46")
		startOutage(t, startProvider(t, alert).URL(), limits).check(t, unreachable)
	})
	t.Run("TLS of Go", func(t *testing.T) {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		server.StartTLS()
		t.Cleanup(server.Close)
		startOutage(t, strings.Replace(server.URL, "https://", "http://", 1), limits).check(t, unreachable)
	})
	for name, page := range map[string]string{
		"TLS of nginx":  "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n</body>\r\n</html>\r\n",
		"TLS of Apache": "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><body>\n<h1>Bad Request</h1>\n<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />\n</p></body></html>\n",
	} {
		t.Run(name, func(t *testing.T) {
			step := provider.Status(http.StatusBadRequest, page).Header("Content-Type", "text/html")
			startOutage(t, startProvider(t, step).URL()).check(t, unreachable)
		})
	}
	t.Run("another page", func(t *testing.T) { // or the others would prove nothing
		step := provider.Status(http.StatusBadRequest, "<h1>Bad Request</h1>").Header("Content-Type", "text/html")
		startOutage(t, startProvider(t, step).URL()).check(t, row{alone: http.StatusBadRequest, kept: true})
	})
}

// TestFault12HandshakeHangs: nothing comes back in the TLS handshake. It does not
// matter which limit ends it.
func TestFault12HandshakeHangs(t *testing.T) {
	address := startProvider(t, provider.SilentAtOnce()).URL()
	address = strings.Replace(address, "http://", "https://", 1)
	for _, limit := range []string{"tls_handshake", "response_header"} {
		t.Run(limit, func(t *testing.T) {
			startOutage(t, address, "timeout "+limit+" "+soonLimit.String()).check(t, unreachable)
		})
	}
}

// TestFault13NotHTTP: the answer is no HTTP, or is to be none from here on.
func TestFault13NotHTTP(t *testing.T) {
	for name, step := range map[string]provider.Step{"never": provider.NotHTTP(), "no longer": provider.Switches()} {
		t.Run(name, func(t *testing.T) {
			startOutage(t, startProvider(t, step).URL()).check(t, unusable)
		})
	}
}

// TestFault14EndlessHeaderSlow: the header comes line by line and never ends.
func TestFault14EndlessHeaderSlow(t *testing.T) {
	step := provider.EndlessHeader(20 * time.Millisecond)
	startOutage(t, startProvider(t, step).URL(), limits).check(t, late)
}

// TestFault15HugeHeader: a header without end comes as fast as it can.
func TestFault15HugeHeader(t *testing.T) {
	startOutage(t, startProvider(t, provider.EndlessHeader(0)).URL()).check(t, unusable)
}
