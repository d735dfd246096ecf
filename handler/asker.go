package handler

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// stickyHeaders are those by which clients tell which conversation a request
// belongs to, the more telling first.
var stickyHeaders = [...]string{"X-Session-Affinity", "Session-Id", "X-Claude-Code-Session-Id"}

// autoModel is the name by which clients leave the choice of the model to the
// gateway.
const autoModel = "auto"

// chooseModel puts the default in the place of a model that the client has not
// named. A model that it has named is never replaced.
func (x *exchange) chooseModel(s *routing.Snapshot) error {
	env := &x.envelope
	switch {
	case env.model != "" && (env.model != autoModel || s.Defines(autoModel)):
		return nil
	case x.h.DefaultModel != "":
		env.model, env.defaulted = x.h.DefaultModel, true
		return nil
	case env.model == "":
		return chat.Invalid("model", `the request names no model; set the field "model"`)
	default:
		return chat.Invalid("model", `the model "auto" is the site's default, and this site has none; name a model`)
	}
}

// request is what routing is told of the exchange.
func (x *exchange) request(op format.Operation) routing.Request {
	x.clientKey = clientKey(x.r)
	return routing.Request{
		Model: x.envelope.model, Names: x.h.names, Format: x.endpoint.Format, Operation: op,
		Stream: x.envelope.stream, Header: x.r.Header, ClientIP: clientIP(x.r),
		Sticky: x.sticky(), Override: x.clientKey != "",
	}
}

// sticky is what the request's conversation is known by; "" if nothing tells.
func (x *exchange) sticky() string {
	for _, name := range stickyHeaders {
		if values := x.r.Header[name]; len(values) > 0 && values[0] != "" {
			return values[0]
		}
	}
	return x.envelope.cacheKey
}

// clientIP is the client's address as Caddy has found it out, trusted proxies
// considered.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// clientKey is the key that a client has sent, in any of the places that the
// formats have for it; "" if it sent none.
func clientKey(r *http.Request) string {
	for _, name := range [...]string{"X-Api-Key", "X-Goog-Api-Key", "Api-Key"} {
		if values := r.Header[name]; len(values) > 0 && values[0] != "" {
			return values[0]
		}
	}
	if values := r.Header["Authorization"]; len(values) > 0 {
		if scheme, token, ok := strings.Cut(values[0], " "); ok && strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(token)
		}
	}
	if r.URL.RawQuery != "" {
		return r.URL.Query().Get("key")
	}
	return ""
}
