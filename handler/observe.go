package handler

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// headerValues holds the values of the headers that one answer gets, so that
// they cost no allocation each. Slices are not shared between requests, because
// other handlers may change a header's values in place.
type headerValues struct {
	values [12]string
	used   int
}

// set sets a header whose name is in canonical form.
func (v *headerValues) set(h http.Header, name, value string) {
	if v.used == len(v.values) {
		h[name] = []string{value}
		return
	}
	v.values[v.used] = value
	h[name] = v.values[v.used : v.used+1 : v.used+1]
	v.used++
}

// setHeaders sets the headers that tell where an answer came from. a is nil for
// answers of the gateway itself.
func (x *exchange) setHeaders(a *attempt) {
	header := x.w.Header()
	x.values.set(header, "X-Request-Id", x.id)
	if x.endpoint.Format == format.AnthropicMessages {
		x.values.set(header, "Request-Id", x.id)
	}
	if a != nil {
		x.copyHeaders(header, a.response.Header, a.same)
	}
	if x.h.ExposeHeaders == exposeOff || x.attempts == 0 {
		return
	}
	x.values.set(header, "X-Gateway-Attempts", strconv.Itoa(x.attempts))
	x.values.set(header, "X-Selected-Provider", x.source.Upstream.Name())
	x.values.set(header, "X-Selected-Model", x.source.Model)
	if a == nil {
		return
	}
	if warning := x.losses.warning(); warning != "" {
		x.values.set(header, "X-Gateway-Warning", warning)
	}
}

// copyHeaders copies the few headers of an upstream's answer that clients use.
func (x *exchange) copyHeaders(to, from http.Header, same bool) {
	for name, values := range from {
		switch {
		case len(values) == 0 || strings.ContainsAny(values[0], "\r\n\x00"):
		case name == "X-Request-Id" || name == "Request-Id":
			x.values.set(to, "X-Upstream-Request-Id", values[0])
		case same && (strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-")):
			x.values.set(to, name, values[0])
		}
	}
}

// forwardedHeaders are the headers of a client that an upstream of the same
// format gets. Nothing else of the client's goes upstream.
var forwardedHeaders = map[format.ID][]string{
	format.OpenAIChat:        {"Idempotency-Key", "Openai-Beta"},
	format.OpenAIResponses:   {"Idempotency-Key", "Openai-Beta"},
	format.Gemini:            {"Idempotency-Key"},
	format.OpenAICompletions: {"Idempotency-Key", "Openai-Beta"},
	format.OpenAIEmbeddings:  {"Idempotency-Key", "Openai-Beta"},
	format.OpenAIImages:      {"Idempotency-Key", "Openai-Beta"},
	format.OpenAIAudio:       {"Idempotency-Key", "Openai-Beta"},
	format.GeminiEmbeddings:  {"Idempotency-Key"},
	format.Rerank:            {"Idempotency-Key"},
	format.AnthropicMessages: {"Idempotency-Key", "Anthropic-Version", "Anthropic-Beta", "Anthropic-Workspace-Id", "Anthropic-User-Profile-Id"},
}

// forwarded are the client's headers for an upstream that speaks to.
func (x *exchange) forwarded(to format.ID) http.Header {
	var out http.Header
	names := forwardedHeaders[to]
	if to != x.endpoint.Format && len(names) > 1 {
		names = names[:1] // an idempotency key means the same everywhere
	}
	for _, name := range names {
		if values := x.r.Header[name]; len(values) > 0 {
			if out == nil {
				out = make(http.Header, 2)
			}
			out[name] = values
		}
	}
	return out
}

// observe puts the facts of the request on Caddy's access-log line, as one
// object named "ai".
func (x *exchange) observe() {
	extra, ok := x.r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if ok {
		extra.Add(zap.Object("ai", x))
	}
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (x *exchange) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("request_id", x.id)
	e.AddString("endpoint", x.endpoint.Name)
	if x.envelope.model != "" {
		e.AddString("model", x.envelope.model)
		e.AddBool("stream", x.envelope.stream)
	}
	if x.attempts == 0 {
		return nil
	}
	e.AddString("upstream", x.source.Upstream.Name())
	e.AddString("upstream_model", x.source.Model)
	e.AddInt("attempts", x.attempts)
	if len(x.failures) > 0 {
		e.AddString("failures", strings.Join(x.failures, ","))
	}
	if !x.firstByte.IsZero() {
		e.AddInt64("ttft_ms", x.firstByte.Sub(x.began).Milliseconds())
	}
	if x.usage.Known {
		e.AddInt64("tokens_in", x.usage.Prompt())
		e.AddInt64("tokens_out", x.usage.Output)
		e.AddInt64("tokens_cached", x.usage.CacheRead)
		e.AddInt64("tokens_reasoning", x.usage.Reasoning)
	}
	return nil
}
