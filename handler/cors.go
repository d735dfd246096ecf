package handler

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// exposedHeaders are the headers of answers that a page's scripts may read.
var exposedHeaders = strings.Join([]string{
	"X-Request-Id", "Request-Id", "X-Upstream-Request-Id", "X-Selected-Provider", "X-Selected-Model",
	"X-Gateway-Attempts", "X-Gateway-Warning", "X-Should-Retry", "Retry-After",
}, ", ")

// preflightAge is how long browsers may remember the answer to a preflight
// request, in seconds.
const preflightAge = "600"

// checkOrigins refuses what is no origin of a page.
func checkOrigins(origins []string) error {
	for i, origin := range origins {
		if origin == "*" {
			if len(origins) > 1 {
				return errors.New(`cors: "*" stands for all origins and must stand alone`)
			}
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("cors[%d]: %q is no origin; write it as https://host or https://host:port", i, origin)
		}
	}
	return nil
}

// crossOrigin lets the pages of the configured origins call the gateway from a
// browser. It is true if the request was a preflight and is answered.
func (h *Handler) crossOrigin(w http.ResponseWriter, r *http.Request, ep *format.Endpoint) bool {
	if len(h.CORS) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || (h.CORS[0] != "*" && !slices.Contains(h.CORS, origin)) {
		return false
	}
	if h.CORS[0] == "*" {
		origin = "*"
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", exposedHeaders)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", ep.Method+", OPTIONS")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header.Set("Access-Control-Allow-Headers", asked)
	}
	header.Set("Access-Control-Max-Age", preflightAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
