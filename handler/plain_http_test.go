package handler

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// nginxPlainHTTP is nginx's page for plain HTTP on a port for TLS.
const nginxPlainHTTP = "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n" +
	"<center><h1>400 Bad Request</h1></center>\r\n<center>The plain HTTP request was sent to HTTPS port</center>\r\n</body>\r\n</html>\r\n"

func TestRefusesPlainHTTP(t *testing.T) {
	const golang = "Client sent an HTTP request to an HTTPS server.\n"
	for _, tc := range []struct {
		name, scheme string
		status       int
		body         string
		want         bool
	}{
		{"Go", "http", 400, golang, true},
		{"nginx", "http", 400, nginxPlainHTTP, true},
		{"Apache", "http", 400, "<p>Your browser sent a request that this server could not understand.<br />\nReason: You're speaking plain HTTP to an SSL-enabled server port.<br />", true},
		{"Tomcat", "http", 400, "Bad Request\r\nThis combination of host and port requires TLS.\r\n", true},
		{"in capitals", "http", 400, strings.ToUpper(golang), true},
		{"over TLS", "https", 400, golang, false},
		{"another status", "http", 403, golang, false},
		{"a success", "http", 200, golang, false},
		{"another sentence", "http", 400, "<h1>Bad Request</h1>", false},
		{"no body", "http", 400, "", false},
		{"JSON that quotes it", "http", 400, `{"error":{"message":"Client sent an HTTP request to an HTTPS server."}}`, false},
		{"a JSON string", "http", 400, `"Client sent an HTTP request to an HTTPS server."`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &http.Response{StatusCode: tc.status, Request: &http.Request{URL: &url.URL{Scheme: tc.scheme}}}
			if got := refusesPlainHTTP(r, []byte(tc.body)); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
	if refusesPlainHTTP(&http.Response{StatusCode: 400}, []byte(golang)) {
		t.Error("an answer that does not tell its request is taken for one over plain HTTP")
	}
}

// TestPlainHTTPOnTLSPort shows that a server which expects TLS is one that cannot be
// reached, so that others are asked: even with a request that would leave a trace,
// for it has read none.
func TestPlainHTTPOnTLSPort(t *testing.T) {
	refusal := func(r *http.Request) (*http.Response, error) {
		resp, err := answer(400, "text/html", nginxPlainHTTP)(r)
		resp.Request = r
		return resp, err
	}
	t.Run("alone", func(t *testing.T) {
		w := serve(t, newHandler(t, format.OpenAIChat, refusal), post("/v1/chat/completions", chatRequest))
		if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "upstream_unreachable") {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
	t.Run("backed", func(t *testing.T) {
		h := newHandler(t, format.OpenAIChat, refusal, answer(200, "application/json", chatAnswer))
		w := serve(t, h, post("/v1/chat/completions", chatRequest))
		if w.Code != 200 || w.Header().Get("X-Gateway-Attempts") != "2" {
			t.Errorf("status %d after %s attempts: %s", w.Code, w.Header().Get("X-Gateway-Attempts"), w.Body)
		}
	})
	t.Run("leaves a trace", func(t *testing.T) {
		h := newHandler(t, format.OpenAIResponses, refusal, answer(200, "application/json", responsesAnswer))
		w := serve(t, h, post("/v1/responses", `{"model":"m","store":true,"input":"hi"}`))
		if w.Code != 200 || w.Header().Get("X-Selected-Provider") != "u1" {
			t.Errorf("status %d from %q: %s", w.Code, w.Header().Get("X-Selected-Provider"), w.Body)
		}
	})
}
