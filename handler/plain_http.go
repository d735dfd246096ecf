package handler

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// errPlainHTTP says that an upstream's address is one of http, and its port one for
// TLS.
var errPlainHTTP = errors.New("plain HTTP was sent to a port for TLS; the upstream's address should begin with https")

// plainHTTPWords are what servers say, in lower case, that get plain HTTP where they
// expect TLS: those written in Go (Caddy and Traefik among them), nginx, Apache httpd
// and Tomcat. Others send an alert of TLS or close the connection.
var plainHTTPWords = [...]string{
	"client sent an http request to an https server",
	"the plain http request was sent to https port",
	"speaking plain http to an ssl-enabled server port",
	"this combination of host and port requires tls",
}

// refusesPlainHTTP says that an answer is that of a server which expects TLS. It
// looks like the fault of a request, but nobody has read the request: the service
// behind the port was not reached. body is the answer's.
func refusesPlainHTTP(r *http.Response, body []byte) bool {
	if r.StatusCode != http.StatusBadRequest || r.Request == nil || r.Request.URL.Scheme != "http" {
		return false
	}
	text := strings.ToLower(string(body))
	for _, words := range plainHTTPWords {
		if strings.Contains(text, words) {
			return !isJSON(body) // a service's own error may quote the words
		}
	}
	return false
}

// isJSON says that a text is one JSON document.
func isJSON(text []byte) bool {
	t := tape.Take()
	defer t.Release()
	return t.Parse(text) == nil
}
