package litellm

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// plainWord is a token that needs no quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9@/*_][A-Za-z0-9@/*_.:+=,~%-]*$`)

// quote writes a text as one token of a Caddyfile. It is false for a text that none
// can hold.
func quote(text string) (string, bool) {
	switch {
	case plainWord.MatchString(text):
		return text, true
	case text == "" || strings.Contains(text, "{$") || strings.ContainsAny(text, "\n\r\x00"):
		return "", false // {$ is replaced before anything is read, in quotes too
	case !strings.Contains(text, "`"):
		return "`" + text + "`", true
	case !strings.Contains(text, `\`):
		return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"`, true
	default:
		return "", false
	}
}

// word is a token for a text that was checked before.
func word(text string) string {
	token, _ := quote(text)
	return token
}

// placeholder is how a Caddyfile reads a variable.
func placeholder(variable string) string { return "{env." + variable + "}" }

// write writes the Caddyfile.
func (c *converter) write() string {
	w := new(writer)
	w.open("")
	w.open("ai_gateway")
	c.writeCircuit(w)
	for _, u := range c.upstreams {
		w.upstream(u)
	}
	for _, m := range c.models {
		w.model(m)
	}
	if len(c.aliases) > 0 {
		w.gap()
	}
	for _, a := range c.aliases {
		w.line("alias", word(a.name), word(a.model))
	}
	w.close()
	w.close()
	c.writeSite(w)
	return c.head(w) + w.String()
}

// head is the comment on top.
func (c *converter) head(w *writer) string {
	var b strings.Builder
	b.WriteString(`# Made of a LiteLLM proxy's configuration by: caddy ai convert litellm
#
# What did not map was listed beside it. Read that list first; then put your
# domain's name in place of :8080, which makes it HTTPS.
`)
	if len(w.variables) > 0 {
		b.WriteString("#\n# Caddy needs these variables in its environment. An upstream whose address or\n# credential is empty is reported at start and skipped.\n#\n")
		for _, name := range slices.Sorted(maps.Keys(w.variables)) {
			b.WriteString("#\t" + name + "\n")
		}
	}
	return b.String()
}

// writeCircuit writes the defaults of circuits.
func (c *converter) writeCircuit(w *writer) {
	switch p := c.circuit; {
	case p.off:
		w.line("circuit off")
	case p.failures > 0 || p.openFor > 0:
		w.open("circuit")
		if p.failures > 0 {
			w.line(fmt.Sprintf("failures %.0f in 1m", p.failures))
		}
		if p.openFor > 0 {
			w.line("open_for", words(p.openFor))
		}
		w.close()
	}
}

// writeSite writes the site.
func (c *converter) writeSite(w *writer) {
	w.gap()
	w.open(":8080")
	if c.site.key != "" {
		key := w.variable(c.site.key)
		w.comment("The key that clients must show, in any of the headers in which they send keys.")
		w.comment("Nobody is let in while the variable is empty.")
		w.line("@stranger expression `" + key + ` == "" || !(` +
			`{header.Authorization} == "Bearer " + ` + key + ` || {header.X-Api-Key} == ` + key +
			` || {header.Api-Key} == ` + key + ` || {header.X-Goog-Api-Key} == ` + key + ")`")
		w.line("error @stranger 401")
	}
	if c.site.key == "" {
		w.comment("The file has no master_key: whoever reaches this address may use it.")
	}
	if len(c.site.options) == 0 {
		w.line("ai_gateway")
	} else {
		w.open("ai_gateway")
		for _, option := range c.site.options {
			w.line(option)
		}
		w.close()
	}
	w.close()
}

// writer writes lines of a Caddyfile.
type writer struct {
	strings.Builder
	depth     int
	begun     bool // something stands in the block
	variables map[string]bool
}

// line writes a line.
func (w *writer) line(words ...string) {
	w.WriteString(strings.Repeat("\t", w.depth) + strings.Join(words, " ") + "\n")
	w.begun = true
}

// comment writes a comment.
func (w *writer) comment(text string) { w.line("# " + text) }

// gap leaves a line empty, unless a block has just begun.
func (w *writer) gap() {
	if w.begun {
		w.WriteString("\n")
	}
}

// open begins a block.
func (w *writer) open(words ...string) {
	line := strings.TrimSpace(strings.Join(words, " ") + " {")
	w.line(line)
	w.depth++
	w.begun = false
}

// close ends a block.
func (w *writer) close() {
	w.depth--
	w.line("}")
}

// variable is the placeholder of a variable, which the head then lists.
func (w *writer) variable(name string) string {
	if w.variables == nil {
		w.variables = make(map[string]bool)
	}
	w.variables[name] = true
	return placeholder(name)
}

// value is the token for a value of an upstream.
func (w *writer) value(u *upstreamBlock, v value) string {
	switch {
	case v.variable != "":
		return w.variable(v.variable)
	case v.secret:
		return w.variable(u.standIns[v.purpose])
	default:
		return word(v.text)
	}
}

// upstream writes an upstream.
func (w *writer) upstream(u *upstreamBlock) {
	w.gap()
	first := []string{"upstream", u.name}
	if !u.address.empty() {
		first = append(first, w.value(u, u.address))
	}
	inner := &writer{depth: w.depth + 1, variables: w.variables}
	inner.upstreamOptions(u)
	w.variables = inner.variables
	if inner.Len() == 0 {
		w.line(first...)
		return
	}
	w.open(first...)
	w.WriteString(inner.String())
	w.close()
}

// upstreamOptions writes the block of an upstream.
func (w *writer) upstreamOptions(u *upstreamBlock) {
	if u.preset != "" && u.name != strings.ReplaceAll(u.preset, "_", "-") {
		w.line("provider", u.preset)
	}
	if len(u.formats) > 0 {
		w.line("formats openai_chat openai_embeddings", strings.Join(u.formats, " "))
	}
	if !u.credential.empty() {
		w.line("credential", w.value(u, u.credential))
	}
	for _, h := range u.headers {
		w.line("header", h.name, w.value(u, h.value))
	}
	w.timeouts(u)
	if u.once {
		w.line("retries 0")
	}
	if u.parallel > 0 {
		w.line(fmt.Sprintf("max_concurrency %.0f", u.parallel))
	}
	if u.openFor > 0 {
		w.open("circuit")
		w.line("open_for", words(u.openFor))
		w.close()
	}
	if u.expose {
		w.line("sync every 6h")
		w.line("expose")
	}
}

// The limits of a whole attempt where none is set, in seconds.
const (
	defaultAttempt = 600
	defaultStream  = 3600
)

// timeouts writes the limits of an upstream. LiteLLM's are for silence: what a stream
// takes as a whole is not limited, so that total is only raised.
func (w *writer) timeouts(u *upstreamBlock) {
	if u.timeout > 0 {
		w.line("timeout response_header", words(u.timeout))
	}
	if u.stream > 0 {
		w.line("timeout first_content", words(u.stream))
		w.line("timeout idle", words(u.stream))
	}
	if most := max(u.timeout, u.stream); most > defaultAttempt {
		w.line("timeout total", words(max(most, defaultStream)))
	}
}

// model writes a model.
func (w *writer) model(m *modelBlock) {
	w.gap()
	w.open("model", word(m.name))
	if len(m.operations) > 0 {
		w.line("operation", strings.Join(m.operations, " "))
	}
	if m.policy != "" {
		w.line("policy", m.policy)
	}
	if m.onUnsupported != "" {
		w.line("on_unsupported", m.onUnsupported)
	}
	for _, key := range slices.Sorted(maps.Keys(m.capabilities)) {
		w.line("capability", key, m.capabilities[key])
	}
	for _, s := range m.sources {
		line := []string{"source", s.upstream.name, word(s.model)}
		if s.format != "" {
			line = append(line, "format", s.format)
		}
		if s.priority > 1 {
			line = append(line, fmt.Sprintf("priority %d", s.priority))
		}
		if s.weight != 1 {
			line = append(line, fmt.Sprintf("weight %d", s.weight))
		}
		if s.disabled {
			line = append(line, "disabled")
		}
		w.line(line...)
	}
	w.close()
}
