package upstream

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// refusedHeaders are the headers that a configuration may not set, and why.
var refusedHeaders = map[string]string{
	"Connection":          "it belongs to the connection",
	"Keep-Alive":          "it belongs to the connection",
	"Proxy-Connection":    "it belongs to the connection",
	"Proxy-Authenticate":  "it belongs to the connection",
	"Te":                  "it belongs to the connection",
	"Trailer":             "it belongs to the connection",
	"Transfer-Encoding":   "it belongs to the connection",
	"Upgrade":             "it belongs to the connection",
	"Expect":              "it belongs to the connection",
	"Host":                "it follows from base_url",
	"Content-Length":      "it follows from the request",
	"Content-Type":        "the gateway sets it",
	"Accept":              "the gateway sets it",
	"Accept-Encoding":     "the gateway reads the answers itself and asks for no compression",
	"Idempotency-Key":     "one key for all requests would make them one request",
	"X-Idempotency-Key":   "one key for all requests would make them one request",
	"Authorization":       asCredential,
	"Proxy-Authorization": "it belongs to the connection; set the proxy's password in transport",
	"Cookie":              asCredential,
	"X-Api-Key":           asCredential,
	"Api-Key":             asCredential,
	"X-Goog-Api-Key":      asCredential,
	"X-Auth-Token":        asCredential,
}

// asCredential is why headers that carry a key are refused among the others.
const asCredential = "it carries a key; use a credential, which is kept out of logs and exports"

// refusal says why a header may not be configured; "" if it may.
func refusal(canonical string, credential bool) string {
	reason := refusedHeaders[canonical]
	if credential && reason == asCredential {
		return ""
	}
	return reason
}

// resolveHeaders returns configured headers in canonical form with their
// placeholders resolved, and the values that came from placeholders. The field
// is where they stand, for errors.
func resolveHeaders(repl *caddy.Replacer, field string, configured http.Header) (http.Header, []string, error) {
	headers := make(http.Header, len(configured))
	var secrets []string
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, nil, fmt.Errorf("%s.%s: is not a header name", field, name)
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if reason := refusal(canonical, false); reason != "" {
			return nil, nil, fmt.Errorf("%s.%s: cannot be set: %s", field, name, reason)
		}
		if _, ok := headers[canonical]; ok {
			return nil, nil, fmt.Errorf("%s.%s: stands twice in different spellings", field, name)
		}
		for i, raw := range configured[name] {
			value, err := resolve(repl, raw)
			if err != nil {
				return nil, nil, fmt.Errorf("%s.%s[%d]: %w", field, name, i, err)
			}
			if !httpguts.ValidHeaderFieldValue(value.text) {
				return nil, nil, fmt.Errorf("%s.%s[%d]: holds a line break or another forbidden character", field, name, i)
			}
			if value.text == "" {
				continue
			}
			if value.dynamic {
				secrets = append(secrets, value.text)
			}
			headers[canonical] = append(headers[canonical], value.text)
		}
	}
	return headers, secrets, nil
}

// PlainHeaders returns headers in canonical form that are sent as they are written,
// without placeholders. The field is where they stand, for errors.
func PlainHeaders(field string, configured http.Header) (http.Header, error) {
	if len(configured) == 0 {
		return nil, nil
	}
	headers := make(http.Header, len(configured))
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		reason := refusal(canonical, false)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("%s.%s: is not a header name", field, name)
		case reason != "":
			return nil, fmt.Errorf("%s.%s: cannot be set: %s", field, name, reason)
		case headers[canonical] != nil:
			return nil, fmt.Errorf("%s.%s: stands twice in different spellings", field, name)
		}
		for i, value := range configured[name] {
			switch {
			case !httpguts.ValidHeaderFieldValue(value):
				return nil, fmt.Errorf("%s.%s[%d]: holds a line break or another forbidden character", field, name, i)
			case strings.Contains(value, "{env.") || strings.Contains(value, "{file."):
				return nil, fmt.Errorf("%s.%s[%d]: placeholders work in the headers of upstreams only", field, name, i)
			}
		}
		headers[canonical] = configured[name]
	}
	return headers, nil
}

// Values that every request shares. net/http reads header values and never
// writes to them.
var (
	jsonType       = []string{"application/json"}
	anything       = []string{"*/*"}
	eventStream    = []string{"text/event-stream"}
	identity       = []string{"identity"}
	userAgent      = []string{"caddy-ai-gateway"}
	anthropicFirst = []string{"2023-06-01"}
	// noValues is a header that is there but not sent. net/http repeats a POST on
	// a new connection only if it calls itself repeatable, for which the presence
	// of Idempotency-Key is enough (see isReplayable in net/http/request.go). It
	// does so only if a reused connection was closed before the first byte of an
	// answer, which is what happens when a server closes an idle connection just
	// as a request is sent on it.
	noValues = []string{}
)

// templates returns the headers of requests in a format: for answers in one
// piece, and for streams. A configured header takes the place of a default.
func templates(f format.ID, static http.Header) (whole, stream http.Header) {
	whole = http.Header{
		"Content-Type":    jsonType,
		"Accept":          jsonType,
		"Accept-Encoding": identity,
		"User-Agent":      userAgent,
		"Idempotency-Key": noValues,
	}
	if f == format.AnthropicMessages {
		whole[anthropicVersion] = anthropicFirst
	}
	if f == format.OpenAIAudio || f == format.OpenAIImages {
		whole["Accept"] = anything
	}
	maps.Copy(whole, static)
	stream = maps.Clone(whole)
	stream["Accept"] = eventStream
	return whole, stream
}

const (
	anthropicVersion = "Anthropic-Version"
	anthropicBeta    = "Anthropic-Beta"
)

// forward adds the client's headers to a request's. The gateway's own stay.
func forward(dst, client http.Header) {
	for name, values := range client {
		switch name {
		case "Content-Type", "Content-Length", "Accept", "Accept-Encoding", "User-Agent", "Host":
		case anthropicBeta:
			dst[name] = mergeLists(dst[name], values)
		default:
			if len(values) > 0 {
				dst[name] = values
			}
		}
	}
}

// mergeLists joins comma-separated lists into one without repetitions, in order.
func mergeLists(lists ...[]string) []string {
	var only []string
	lines := 0
	for _, list := range lists {
		if lines += len(list); len(list) > 0 {
			only = list
		}
	}
	if lines <= 1 && (lines == 0 || !strings.Contains(only[0], ",")) {
		return only // as it nearly always is
	}
	var seen []string
	for _, list := range lists {
		for _, line := range list {
			for item := range strings.SplitSeq(line, ",") {
				if item = strings.TrimSpace(item); item != "" && !slices.Contains(seen, item) {
					seen = append(seen, item)
				}
			}
		}
	}
	return []string{strings.Join(seen, ",")}
}
