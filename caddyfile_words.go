package aigateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// line is a line of a Caddyfile before it is written: its words without quotes, and
// the block behind them.
type line struct {
	words []string
	block []line
}

// words says how the options of a definition tell a field; the writer reads the
// lines back, so they may leave out what they have no word for.
type words[T any] struct {
	field string
	lines func(*T) []line
}

// upstreamWords are the fields of an upstream in the order in which they are
// written.
var upstreamWords = []words[upstream.Upstream]{
	{"provider", func(u *upstream.Upstream) []line { return say("provider", u.Provider) }},
	{"formats", func(u *upstream.Upstream) []line { return sayAll("formats", u.Formats) }},
	{"format_urls", func(u *upstream.Upstream) []line { return sayMap("format_url", u.FormatURLs) }},
	{"format_paths", func(u *upstream.Upstream) []line { return sayMap("format_path", u.FormatPaths) }},
	{"credentials", credentialLines},
	{"allow_override", func(*upstream.Upstream) []line { return say("allow_override") }},
	{"headers", func(u *upstream.Upstream) []line { return headerLines(u.Headers) }},
	{"transport", func(u *upstream.Upstream) []line { return transportLines(u.TransportRaw) }},
	{"allow_addresses", func(u *upstream.Upstream) []line { return sayAll("allow_addresses", u.AllowAddresses) }},
	{"timeouts", timeoutLines},
	{"retries", func(u *upstream.Upstream) []line { return say("retries", strconv.Itoa(*u.Retries)) }},
	{"max_concurrency", func(u *upstream.Upstream) []line { return say("max_concurrency", strconv.Itoa(u.MaxConcurrency)) }},
	{"health", func(u *upstream.Upstream) []line { return healthLines(u.Health) }},
	{"circuit", func(u *upstream.Upstream) []line { return circuitLines(u.Circuit) }},
	{"quirks", func(u *upstream.Upstream) []line { return sayAll("quirks", u.Quirks) }},
	{"sync", func(u *upstream.Upstream) []line { return say("sync", "every", durationText(u.Sync)) }},
	{"expose", func(*upstream.Upstream) []line { return say("expose") }},
	{"tags", func(u *upstream.Upstream) []line { return sayAll("tags", u.Tags) }},
	{"disabled", func(*upstream.Upstream) []line { return say("disabled") }},
}

// modelWords are the fields of a model in the order in which they are written.
var modelWords = []words[routing.Model]{
	{"display_name", func(m *routing.Model) []line { return say("display_name", m.DisplayName) }},
	{"description", func(m *routing.Model) []line { return say("description", m.Description) }},
	{"vendor", func(m *routing.Model) []line { return say("vendor", m.Vendor) }},
	{"access", func(m *routing.Model) []line { return say("access", m.Access) }},
	{"order", func(m *routing.Model) []line { return say("order", strconv.Itoa(m.Order)) }},
	{"operations", func(m *routing.Model) []line { return sayAll("operation", m.Operations) }},
	{"policy", func(m *routing.Model) []line { return policyLines(m.PolicyRaw) }},
	{"sources", sourceLines},
	{"mode", func(m *routing.Model) []line { return say("mode", m.Mode) }},
	{"active", func(m *routing.Model) []line { return say("active", m.Active) }},
	{"sticky_header", func(m *routing.Model) []line { return say("sticky", "header", m.StickyHeader) }},
	{"retry_on_empty", func(*routing.Model) []line { return say("retry_on_empty") }},
	{"on_unsupported", func(m *routing.Model) []line { return say("on_unsupported", m.OnUnsupported) }},
	{"native_tools", func(m *routing.Model) []line { return sayAll("native_tools", m.NativeTools) }},
	{"capability", capabilityLines},
	{"disabled", func(*routing.Model) []line { return say("disabled") }},
}

// aliasWords are the fields of an alias, its model aside, which stands behind its
// name.
var aliasWords = []words[routing.Alias]{
	{"pattern", func(a *routing.Alias) []line { return say("pattern", a.Pattern) }},
	{"announce", func(a *routing.Alias) []line { return sayAll("announce", a.Announce) }},
	{"disabled", func(*routing.Alias) []line { return say("disabled") }},
}

// say is a line without a block.
func say(words ...string) []line { return []line{{words: words}} }

// sayAll is a line with all elements of a list.
func sayAll[S ~string](word string, list []S) []line {
	words := []string{word}
	for _, element := range list {
		words = append(words, string(element))
	}
	return say(words...)
}

// sayMap is a line for each member of a map.
func sayMap[K, V ~string](word string, all map[K]V) (lines []line) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		lines = append(lines, say(word, string(name), string(all[name]))...)
	}
	return lines
}

// headerLines are the lines of headers.
func headerLines(headers http.Header) (lines []line) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			lines = append(lines, say("header", name, value)...)
		}
	}
	return lines
}

// credentialLines are the lines of an upstream's credentials. Of a kind that is not
// our own, the texts are tried in the order of their names.
func credentialLines(u *upstream.Upstream) (lines []line) {
	for _, raw := range u.CredentialsRaw {
		c := gjson.ParseBytes(raw)
		words := []string{"credential", c.Get("type").Str}
		var names []string
		c.ForEach(func(name, _ gjson.Result) bool {
			if n := name.Str; n != "type" && n != "id" && n != "weight" {
				names = append(names, n)
			}
			return true
		})
		slices.Sort(names)
		for _, name := range names {
			words = append(words, c.Get(gjson.Escape(name)).String())
		}
		if weight := c.Get("weight"); weight.Exists() {
			words = append(words, "weight", weight.Raw)
		}
		if id := c.Get("id"); id.Exists() {
			words = append(words, "id", id.Str)
		}
		lines = append(lines, line{words: words})
	}
	return lines
}

// timeoutLines are the lines of the time limits.
func timeoutLines(u *upstream.Upstream) (lines []line) {
	t := &u.Timeouts
	for _, limit := range []struct {
		kind  string
		value caddy.Duration
	}{
		{"connect", t.Connect},
		{"tls_handshake", t.TLSHandshake},
		{"response_header", t.ResponseHeader},
		{"first_content", t.FirstContent},
		{"idle", t.Idle},
		{"total", t.Total},
	} {
		if limit.value != 0 {
			lines = append(lines, say("timeout", limit.kind, durationText(limit.value))...)
		}
	}
	return lines
}

// transportWords are the options of Caddy's HTTP transport that are written as
// words, by the path of the field. A transport with any other is written as JSON.
var transportWords = []struct{ path, word string }{
	{"network_proxy.url", "network_proxy url"},
	{"resolver.addresses", "resolvers"},
	{"dial_timeout", "dial_timeout"},
	{"dial_fallback_delay", "dial_fallback_delay"},
	{"expect_continue_timeout", "expect_continue_timeout"},
	{"max_conns_per_host", "max_conns_per_host"},
	{"proxy_protocol", "proxy_protocol"},
	{"tls.insecure_skip_verify", "tls_insecure_skip_verify"},
	{"tls.handshake_timeout", "tls_timeout"},
	{"tls.server_name", "tls_server_name"},
	{"tls.renegotiation", "tls_renegotiation"},
	{"tls.except_ports", "tls_except_ports"},
	{"tls.curves", "tls_curves"},
	{"keep_alive.probe_interval", "keepalive_interval"},
	{"keep_alive.max_idle_conns", "keepalive_idle_conns"},
	{"keep_alive.max_idle_conns_per_host", "keepalive_idle_conns_per_host"},
	{"keep_alive.idle_timeout", "keepalive"},
	{"versions", "versions"},
	{"local_address", "local_address"},
}

// transportLines are the lines of a transport.
func transportLines(raw json.RawMessage) []line {
	t := gjson.ParseBytes(raw)
	transport := line{words: []string{"transport", t.Get("protocol").Str}}
	for _, option := range transportWords {
		value := t.Get(option.path)
		if !value.Exists() {
			continue
		}
		words := strings.Fields(option.word)
		switch {
		case value.IsArray():
			for _, element := range value.Array() {
				words = append(words, element.Str)
			}
		case value.Type == gjson.Number && !isCount(option.path):
			words = append(words, durationText(caddy.Duration(value.Int())))
		case value.Type == gjson.Number:
			words = append(words, value.Raw)
		case value.Type == gjson.String:
			words = append(words, value.Str)
		}
		transport.block = append(transport.block, line{words: words})
	}
	return []line{transport}
}

// isCount says that a number of the transport is no duration.
func isCount(path string) bool { return strings.Contains(path, "conns") }

// healthLines are the lines of the checks.
func healthLines(h *upstream.Health) []line {
	var block []line
	text := func(word, value string) {
		if value != "" {
			block = append(block, say(word, value)...)
		}
	}
	text("path", h.Path)
	if h.Models {
		block = append(block, say("models")...)
	}
	text("probe", h.Probe)
	text("interval", durationOrNone(h.Interval))
	text("timeout", durationOrNone(h.Timeout))
	text("healthy", numberOrNone(h.Healthy))
	text("unhealthy", numberOrNone(h.Unhealthy))
	text("status", h.Status)
	block = append(block, headerLines(h.Headers)...)
	return []line{{words: []string{"health"}, block: block}}
}

// circuitLines are the lines of a policy of circuits. What stands behind a word that
// is not set has no word either.
func circuitLines(p *upstream.CircuitPolicy) []line {
	if p.Off {
		return say("circuit", "off")
	}
	var block []line
	option := func(words ...string) { block = append(block, say(words...)...) }
	if p.Failures != 0 {
		option(clauses("failures", strconv.Itoa(p.Failures), "in", durationOrNone(p.FailuresWithin))...)
	}
	if p.ErrorRate != 0 {
		option(clauses("error_rate", strconv.Itoa(p.ErrorRate)+"%",
			"of", numberOrNone(p.MinAttempts), "in", durationOrNone(p.Window))...)
	}
	if p.SlowOver != 0 {
		words := []string{"slow"}
		if p.SlowRate != 0 {
			words = append(words, strconv.Itoa(p.SlowRate)+"%")
		}
		option(append(words, "over", durationText(p.SlowOver))...)
	}
	if p.OpenFor != 0 {
		words := []string{"open_for", durationText(p.OpenFor)}
		if p.OpenForMax != 0 {
			words = append(words, "up", "to", durationText(p.OpenForMax))
		}
		option(words...)
	}
	if p.Probes != 0 {
		option("probes", strconv.Itoa(p.Probes))
	}
	return []line{{words: []string{"circuit"}, block: block}}
}

// clauses is a word with its value, and behind it pairs of a word and a value, of
// which those without a value are left out.
func clauses(word, value string, pairs ...string) []string {
	words := []string{word, value}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			words = append(words, pair...)
		}
	}
	return words
}

// policyLines are the line of a selection policy.
func policyLines(raw json.RawMessage) []line {
	words := []string{"policy"}
	policy := gjson.ParseBytes(raw)
	words = append(words, policy.Get("policy").Str)
	policy.ForEach(func(name, value gjson.Result) bool {
		if name.Str != "policy" {
			words = append(words, value.String())
		}
		return true
	})
	return say(words...)
}

// sourceLines are the lines of a model's sources.
func sourceLines(m *routing.Model) (lines []line) {
	for _, s := range m.Sources {
		words := []string{"source", s.Upstream, s.Model}
		if s.Format != "" {
			words = append(words, "format", string(s.Format))
		}
		if s.Priority != 0 {
			words = append(words, "priority", strconv.Itoa(s.Priority))
		}
		if s.Weight != nil {
			words = append(words, "weight", strconv.Itoa(*s.Weight))
		}
		if s.ContextWindow != 0 {
			words = append(words, "context_window", strconv.Itoa(s.ContextWindow))
		}
		for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
			for _, value := range s.Headers[name] {
				words = append(words, "header", name, value)
			}
		}
		if s.ForceStream {
			words = append(words, "force_stream")
		}
		if s.Disabled {
			words = append(words, "disabled")
		}
		lines = append(lines, line{words: words})
	}
	return lines
}

// capabilityLines are the lines of what the upstream models can do. Values that are
// lists are written as such.
func capabilityLines(m *routing.Model) (lines []line) {
	for _, key := range slices.Sorted(maps.Keys(m.Capability)) {
		value := m.Capability[key]
		list := strings.Split(value, " ")
		if value == "" || slices.Contains(list, "") {
			list = []string{value}
		}
		lines = append(lines, line{words: append([]string{"capability", key}, list...)})
	}
	return lines
}

// durationText is the shortest usual way to write a duration: 1h and not 1h0m0s.
func durationText(d caddy.Duration) string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func durationOrNone(d caddy.Duration) string {
	if d == 0 {
		return ""
	}
	return durationText(d)
}

func numberOrNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
