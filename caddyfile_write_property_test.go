package aigateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"pgregory.net/rapid"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// pieces are what means something to a Caddyfile, and what does not.
var pieces = []string{
	"a", "Zz", "0", " ", "  ", `"`, "`", `\`, `\\`, "{", "}", "{}", "{$HOME}", "{$", "{$}", "{$:x}", "{env.HOME}", "{unknown}",
	"#", "<<", "<", "<<END", "END", "END2", "import", "json", "credential", "é", "日本", "…", "\u00a0", "\u2028", "\ufeff", "'",
	"(", ")", "@", "$", ",", ":", "/", "-", "weight", "id", "{block}", "{args[0]}", "&", "<b>",
}

// drawText draws a text of pieces.
func drawText(t *rapid.T, label string, more ...string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(more, pieces...)), 0, 8).Draw(t, label), "")
}

// drawName draws a name that begins with a prefix.
func drawName(t *rapid.T, prefix string) string { return prefix + drawText(t, "name") }

// maybe draws a value in half of the cases, and the zero value in the others.
func maybe[V any](t *rapid.T, label string, g *rapid.Generator[V]) (v V) {
	if rapid.Bool().Draw(t, label+"?") {
		v = g.Draw(t, label)
	}
	return v
}

// durations are those that people write, and some that nobody does.
func durations(least, most time.Duration) *rapid.Generator[caddy.Duration] {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) caddy.Duration {
			return caddy.Duration(rapid.Int64Range(int64(least), int64(most)).Draw(t, "ns"))
		}),
		rapid.Custom(func(t *rapid.T) caddy.Duration {
			unit := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(t, "unit")
			return caddy.Duration(min(most, max(least, unit*time.Duration(rapid.Int64Range(1, 120).Draw(t, "units")))))
		}),
	)
}

// drawHeaders draws headers, whose values cannot hold line breaks.
func drawHeaders(t *rapid.T) http.Header {
	h := make(http.Header)
	for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"X-A", "X-Long-Name", "User-Agent", "x-small"}), rapid.ID).Draw(t, "headers") {
		for range rapid.IntRange(0, 2).Draw(t, "values") {
			h[name] = append(h[name], drawText(t, "value", "\t"))
		}
	}
	return h
}

func drawTimeouts(t *rapid.T) (limits upstream.Timeouts) {
	g := durations(1, time.Hour)
	limits.Connect = maybe(t, "connect", g)
	limits.TLSHandshake = maybe(t, "tls_handshake", g)
	limits.ResponseHeader = maybe(t, "response_header", g)
	limits.FirstContent = maybe(t, "first_content", g)
	limits.Idle = maybe(t, "idle", g)
	limits.Total = maybe(t, "total", durations(2*time.Hour, 48*time.Hour))
	return limits
}

func drawCircuit(t *rapid.T) *upstream.CircuitPolicy {
	if rapid.IntRange(0, 9).Draw(t, "off") == 0 {
		return &upstream.CircuitPolicy{Off: true, Failures: rapid.IntRange(0, 1).Draw(t, "failures")}
	}
	g := durations(time.Millisecond, time.Hour)
	return &upstream.CircuitPolicy{
		Failures:       rapid.IntRange(0, 1000).Draw(t, "failures"),
		FailuresWithin: maybe(t, "within", g),
		ErrorRate:      rapid.IntRange(0, 100).Draw(t, "rate"),
		MinAttempts:    rapid.IntRange(0, 10000).Draw(t, "attempts"),
		Window:         maybe(t, "window", durations(100*time.Millisecond, time.Hour)),
		SlowRate:       rapid.IntRange(0, 100).Draw(t, "slow rate"),
		SlowOver:       maybe(t, "slow over", g),
		OpenFor:        maybe(t, "open for", g),
		OpenForMax:     maybe(t, "at most", durations(time.Hour, 48*time.Hour)),
		Probes:         rapid.IntRange(0, 100).Draw(t, "probes"),
	}
}

func drawHealth(t *rapid.T) *upstream.Health {
	h := &upstream.Health{
		Interval:  maybe(t, "interval", durations(time.Second, time.Hour)),
		Healthy:   rapid.IntRange(0, 100).Draw(t, "healthy"),
		Unhealthy: rapid.IntRange(0, 100).Draw(t, "unhealthy"),
		Status:    rapid.SampledFrom([]string{"", "2xx", "204"}).Draw(t, "status"),
		Headers:   drawHeaders(t),
	}
	h.Timeout = maybe(t, "timeout", durations(1, time.Second))
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		h.Path = "/a b/" + strings.Repeat("x", rapid.IntRange(0, 3).Draw(t, "path"))
	case 1:
		h.Models = true
	case 2:
		h.Probe = drawName(t, "m")
	}
	return h
}

// drawCredentials draws secrets in all their forms.
func drawCredentials(t *rapid.T) (all []json.RawMessage) {
	for i := range rapid.IntRange(0, 3).Draw(t, "credentials") {
		secret := rapid.SampledFrom([]any{
			"sk-secret", "{env.KEY}", "{file./run/a key}", "a {env.KEY}", `{"`,
			map[string]any{"set": true, "hint": "…abcd"},
			map[string]any{"sealed": "xyz", "hint": "…abcd", "fingerprint": "01234567"},
		}).Draw(t, "secret")
		c := map[string]any{"type": "bearer", "token": secret}
		if kind := rapid.SampledFrom([]string{"bearer", "header", "query", "body"}).Draw(t, "kind"); kind != "bearer" {
			c = map[string]any{"type": kind, "name": rapid.SampledFrom([]string{"X-Key", "id", "weight"}).Draw(t, "name"), "value": secret}
		}
		if rapid.Bool().Draw(t, "has id") {
			c["id"] = rapid.SampledFrom([]string{"k", "weight", "id", "a.b-"}).Draw(t, "id") + fmt.Sprint(i)
		}
		if rapid.Bool().Draw(t, "has weight") {
			c["weight"] = rapid.IntRange(0, 1000).Draw(t, "weight")
		}
		all = append(all, mustMarshal(c))
	}
	return all
}

func mustMarshal(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// transports are written as words, as JSON, or in part as neither.
var transports = []string{
	``, `{"protocol":"http"}`,
	`{"protocol":"http","tls":{"server_name":"a b","insecure_skip_verify":true,"handshake_timeout":5000000000,"renegotiation":"once","except_ports":["1","2"],"curves":["x25519"]}}`,
	`{"protocol":"http","keep_alive":{"probe_interval":30000000000,"max_idle_conns":0,"max_idle_conns_per_host":512,"idle_timeout":60000000000}}`,
	`{"protocol":"http","keep_alive":{"enabled":false}}`,
	`{"protocol":"http","versions":["1.1","2"],"dial_timeout":1500000000,"resolver":{"addresses":["1.1.1.1","[::1]:53"]},"local_address":"10.0.0.1"}`,
	`{"protocol":"http","network_proxy":{"from":"url","url":"http://proxy {$HOME}:8080"},"max_conns_per_host":7}`,
	`{"protocol":"http","compression":false,"tls":{},"max_response_header_size":4096}`,
}

func drawUpstream(t *rapid.T) *upstream.Upstream {
	formats := []format.ID{format.OpenAIChat, format.AnthropicMessages, format.OpenAIResponses}
	u := &upstream.Upstream{
		Provider:       rapid.SampledFrom([]string{"", "openai", "groq"}).Draw(t, "provider"),
		BaseURL:        "https://example.com/" + rapid.SampledFrom([]string{"", "v1", "a%20b", "(x)", "é"}).Draw(t, "base"),
		Formats:        rapid.SliceOfDistinct(rapid.SampledFrom(formats), rapid.ID).Draw(t, "formats"),
		CredentialsRaw: drawCredentials(t),
		Headers:        drawHeaders(t),
		AllowAddresses: maybe(t, "addresses", rapid.Just([]string{"169.254.1.0/24", "fe80::1"})),
		Timeouts:       drawTimeouts(t),
		MaxConcurrency: rapid.SampledFrom([]int{0, 1, 1000}).Draw(t, "concurrency"),
		Quirks:         maybe(t, "quirks", rapid.Just([]string{"-max_tokens_only", "no_stream_options"})),
		Sync:           maybe(t, "sync", durations(time.Second, 30*24*time.Hour)),
		AllowOverride:  rapid.Bool().Draw(t, "override"),
		Expose:         rapid.Bool().Draw(t, "expose"),
		Disabled:       rapid.Bool().Draw(t, "disabled"),
	}
	if rapid.Bool().Draw(t, "retries?") {
		u.Retries = new(int)
		*u.Retries = rapid.IntRange(0, 1).Draw(t, "retries")
	}
	if len(u.Formats) > 0 {
		u.FormatURLs = maybe(t, "url", rapid.Just(map[format.ID]string{u.Formats[0]: "https://other/{x}"}))
	}
	if text := rapid.SampledFrom(transports).Draw(t, "transport"); text != "" {
		u.TransportRaw = json.RawMessage(text)
	}
	if rapid.Bool().Draw(t, "circuit?") {
		u.Circuit = drawCircuit(t)
	}
	if rapid.Bool().Draw(t, "health?") {
		u.Health = drawHealth(t)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "tags") {
		u.Tags = append(u.Tags, fmt.Sprintf("t%d%s.", i, strings.Map(printableOnly, drawText(t, "tag"))))
	}
	return u
}

// printableOnly drops what no tag can hold.
func printableOnly(r rune) rune {
	if strings.ContainsRune("\u00a0\u2028\ufeff", r) {
		return -1
	}
	return r
}

func drawModel(t *rapid.T, upstreams []string) *routing.Model {
	m := &routing.Model{
		DisplayName:   drawText(t, "display name", "\n", "\r", "\t"),
		Description:   drawText(t, "description", "\n", "\n\n", "\r\n", "\t"),
		Vendor:        drawText(t, "vendor"),
		Access:        rapid.SampledFrom([]string{"", "public", "internal"}).Draw(t, "access"),
		Order:         rapid.SampledFrom([]int{0, -3, 17, 5_000_000}).Draw(t, "order"),
		Operations:    rapid.SliceOfDistinct(rapid.SampledFrom([]format.Operation{"chat", "embed", "rerank"}), rapid.ID).Draw(t, "operations"),
		OnUnsupported: rapid.SampledFrom([]string{"", "drop", "error"}).Draw(t, "unsupported"),
		NativeTools:   rapid.SliceOfN(rapid.SampledFrom(routing.NativeTools()), 0, 3).Draw(t, "tools"),
		Capability:    maybe(t, "capability", rapid.Just(map[string]string{"reasons": "true", "efforts": "low  high", "thinking": "both"})),
		StickyHeader:  rapid.SampledFrom([]string{"", "X-A", "x-a"}).Draw(t, "sticky"),
		RetryOnEmpty:  rapid.Bool().Draw(t, "retry"),
		Disabled:      rapid.Bool().Draw(t, "disabled"),
	}
	if text := rapid.SampledFrom([]string{"", `{"policy":"first"}`, `{"policy":"header_hash","header":"x-a"}`, `{"policy":"least-conn"}`}).Draw(t, "policy"); text != "" {
		m.PolicyRaw = json.RawMessage(text)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "sources") {
		s := routing.Source{
			Upstream:      rapid.SampledFrom(upstreams).Draw(t, "upstream"),
			Model:         drawName(t, fmt.Sprint(i)),
			Priority:      rapid.SampledFrom([]int{0, 1, 9, 5_000_000}).Draw(t, "priority"),
			ContextWindow: rapid.SampledFrom([]int{0, 1, routing.MaxContextWindow}).Draw(t, "window"),
			ForceStream:   rapid.Bool().Draw(t, "force"),
			Disabled:      rapid.Bool().Draw(t, "off"),
		}
		if rapid.Bool().Draw(t, "weight?") {
			s.Weight = new(int)
			*s.Weight = rapid.IntRange(0, 1000).Draw(t, "weight")
		}
		m.Sources = append(m.Sources, s)
	}
	if rapid.Bool().Draw(t, "pinned") {
		m.Mode, m.Active = routing.ModePinned, m.Sources[0].ID()
	}
	return m
}

// drawExported draws definitions that go together.
func drawExported(t *rapid.T) exported {
	e := exported{make(map[string]json.RawMessage), make(map[string]json.RawMessage), make(map[string]json.RawMessage)}
	var upstreams, models []string
	for i := range rapid.IntRange(1, 3).Draw(t, "upstreams") {
		name := drawName(t, fmt.Sprintf("u%d", i))
		upstreams = append(upstreams, name)
		e.Upstreams[name] = mustMarshal(drawUpstream(t))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "models") {
		name := drawName(t, fmt.Sprintf("m%d", i))
		models = append(models, name)
		e.Models[name] = mustMarshal(drawModel(t, upstreams))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "aliases") {
		a := &routing.Alias{Model: "@u/x", Disabled: rapid.Bool().Draw(t, "disabled")}
		if len(models) > 0 {
			a.Model = rapid.SampledFrom(models).Draw(t, "model")
		} else if name := upstreams[0]; !strings.Contains(name, "/") {
			a.Model = "@" + name + "/" + drawName(t, "x")
		} else {
			continue
		}
		name := drawName(t, fmt.Sprintf("a%d", i))
		if rapid.Bool().Draw(t, "glob") {
			announced := drawName(t, name)
			name += "*"
			a.Announce = []string{announced}
		} else if rapid.Bool().Draw(t, "pattern") {
			a.Pattern = `a\d{2,3}("|` + "`" + `|#| {$HOME})\\?`
		}
		e.Aliases[name] = mustMarshal(a)
	}
	return e
}

// TestWrittenCaddyfileIsReadBack: whatever is exported becomes the same again, and
// caddy fmt leaves it as it is.
func TestWrittenCaddyfileIsReadBack(t *testing.T) {
	t.Setenv("HOME", "replaced } {")
	t.Setenv("KEY", "replaced too")
	rapid.Check(t, func(rt *rapid.T) {
		e := drawExported(rt)
		text, _, err := writeCaddyfile(e)
		if err != nil {
			rt.Fatal(err)
		}
		if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
			rt.Fatalf("caddy fmt would change\n%s\nto\n%s", text, formatted)
		}
		want, _, err := exportJSON(e)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := json.Marshal(adaptedApp(rt, text))
		if err != nil {
			rt.Fatal(err)
		}
		if !sameJSON(got, want) {
			rt.Fatalf("the Caddyfile\n%s\nbecomes\n%s\nbut should become\n%s", text, got, want)
		}
		sameButForSecrets(rt, e, want)
	})
}

// sameButForSecrets holds what is exported as JSON against what was defined.
func sameButForSecrets(t *rapid.T, e exported, got json.RawMessage) {
	var out exported
	if err := json.Unmarshal(got, &out); err != nil {
		t.Fatal(err)
	}
	same := func(kind string, was, is map[string]json.RawMessage) {
		if len(was) != len(is) {
			t.Fatalf("there were %d %s, and are %d", len(was), kind, len(is))
		}
		for name, spec := range was {
			if !sameJSON(spec, is[name]) {
				t.Fatalf("%s %q was\n%s\nand is\n%s", kind, name, spec, is[name])
			}
		}
	}
	same("models", e.Models, out.Models)
	same("aliases", e.Aliases, out.Aliases)
	for name, spec := range out.Upstreams {
		out.Upstreams[name] = withoutCredentials(t, spec, meant)
	}
	was := make(map[string]json.RawMessage)
	for name, spec := range e.Upstreams {
		was[name] = withoutCredentials(t, spec, func(text string) string { return text })
	}
	same("upstreams", was, out.Upstreams)
}

// meant is a text of the config without its escapes. One with a placeholder of the
// environment has none.
func meant(text string) string {
	if strings.Contains(text, "{env.") {
		return text
	}
	return strings.NewReplacer(`\{`, `{`, `\}`, `}`).Replace(text)
}

// withoutCredentials is an upstream of which all that is resolved is read in a way;
// of its credentials only the secrets are missing.
func withoutCredentials(t *rapid.T, spec json.RawMessage, read func(string) string) json.RawMessage {
	u := new(upstream.Upstream)
	if err := routing.DecodeConfig(spec, u); err != nil {
		t.Fatal(err)
	}
	u.BaseURL = read(u.BaseURL)
	for f, address := range u.FormatURLs {
		u.FormatURLs[f] = read(address)
	}
	all := []http.Header{u.Headers}
	if u.Health != nil {
		all = append(all, u.Health.Headers)
	}
	for _, headers := range all {
		for _, values := range headers {
			for i := range values {
				values[i] = read(values[i])
			}
		}
	}
	for i, raw := range u.CredentialsRaw {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "token")
		delete(fields, "value")
		u.CredentialsRaw[i] = mustMarshal(fields)
	}
	return mustMarshal(u)
}

// TestQuoted: every word is one word with the same text, and caddy fmt leaves it.
func TestQuoted(t *testing.T) {
	t.Setenv("HOME", "replaced } {")
	rapid.Check(t, func(rt *rapid.T) {
		text := drawText(rt, "text", "\n", "\r", "\t")
		word, ok := quoted(text)
		if !ok {
			if !strings.Contains(text, "\r") || !strings.Contains(text, "`") && !strings.HasSuffix(text, `\`) {
				rt.Fatalf("%q should have a form", text)
			}
			return
		}
		file := "x " + word + " {\n\ty " + word + "\n}\n"
		if formatted := string(caddyfile.Format([]byte(file))); formatted != file {
			rt.Fatalf("caddy fmt would change\n%s\nto\n%s", file, formatted)
		}
		blocks, err := caddyfile.Parse("Caddyfile", []byte(noVariables("{\n\t"+strings.TrimSuffix(file, "\n")+"\n}\n")))
		if err != nil {
			rt.Fatalf("%q: %v", word, err)
		}
		tokens := blocks[0].Segments[0]
		if len(tokens) != 6 || tokens[1].Text != text || tokens[4].Text != text {
			rt.Fatalf("%q is read as %v", word, tokens)
		}
	})
}
