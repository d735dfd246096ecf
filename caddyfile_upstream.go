package aigateway

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// upstreamOptions are the words of an upstream's block.
var upstreamOptions = []string{
	"provider", "formats", "format_url", "format_path", "credential", "allow_override",
	"header", "timeout", "retries", "max_concurrency", "transport", "allow_addresses",
	"health", "circuit", "quirks", "sync", "expose", "tags", "disabled", "json",
}

// transportNamespace is where the transports of Caddy's reverse proxy are registered.
const transportNamespace = "http.reverse_proxy.transport."

// parseUpstream parses an upstream; the cursor is on its name:
//
//	upstream <name> [<base url>] {
//		provider    <preset>                  # default: the name, if it is a preset's
//		formats     <format>...               # what it speaks, preferred first
//		format_url  <format> <base url>       # another address for one format
//		format_path <format> <path>           # another path for one format
//		credential  [bearer] <token> [weight <n>] [id <name>]   # or: header <name> <value> …
//		allow_override                        # a client's own key may take its place
//		header      <name> <value>            # sent with every request
//		timeout     connect|tls_handshake|response_header|first_content|idle|total <duration>
//		retries     0|1                       # of the same source, default 1
//		max_concurrency <number>              # default: no limit
//		transport   <module> { … }            # a transport of Caddy's reverse proxy
//		allow_addresses <network>...          # link-local and the like, else refused
//		health      { … }                     # see parseHealth
//		circuit     off | { … }               # see parseCircuit
//		quirks      <quirk>...                # ways in which it differs from its formats
//		sync        every <duration>          # asks for the service's models, default: never
//		expose                                # clients may name the catalogue's models
//		tags        <tag>...                  # words to find the upstream by
//		disabled
//		json        <field> <value>           # what has no word; see definedFields.byJSON
//	}
//
// A credential without a kind is of the kind the preset uses, or without a preset the
// first of the formats: header X-Api-Key for anthropic_messages, X-Goog-Api-Key for
// gemini and gemini_embeddings, else bearer. Several share the requests by weight.
func (d *definitions) parseUpstream(disp *caddyfile.Dispenser, name string) error {
	p := &upstreamParser{Dispenser: disp, u: new(upstream.Upstream), places: map[string]caddyfile.Token{"base_url": disp.Token()}}
	if disp.NextArg() {
		p.u.BaseURL = disp.Val()
		if err := p.fields.byWord(disp, "base_url"); err != nil {
			return err
		}
	}
	if disp.NextArg() {
		return disp.Errf("upstream takes a name and a URL; %q is one value too many", disp.Val())
	}
	for nesting := disp.Nesting(); disp.NextBlock(nesting); {
		if err := p.option(disp.Val()); err != nil {
			return err
		}
	}
	if err := p.finish(name); err != nil {
		return err
	}
	d.upstreams[name] = p.u
	return nil
}

// upstreamParser parses the block of one upstream.
type upstreamParser struct {
	*caddyfile.Dispenser
	u *upstream.Upstream
	// credentials are what the credentials are made from when the preset and the
	// formats are known.
	credentials []credentialLine
	seen        map[string]bool
	fields      definedFields
	// places are where the fields of the JSON stand.
	places map[string]caddyfile.Token
}

// option parses one option; the cursor is on its name.
func (p *upstreamParser) option(word string) error {
	if word == "json" {
		at := p.Token()
		field, err := p.fields.byJSON(p.Dispenser, p.u)
		p.places[field] = at
		return err
	}
	if err := p.once(word); err != nil {
		return err
	}
	path := p.field(word)
	if err := p.fields.byWord(p.Dispenser, topField(path)); err != nil {
		return err
	}
	p.places[path] = p.Token()
	switch word {
	case "provider":
		text, err := oneArg(p.Dispenser)
		p.u.Provider = text
		return err
	case "formats":
		return p.formats()
	case "format_url":
		return p.perFormat(&p.u.FormatURLs)
	case "format_path":
		return p.perFormat(&p.u.FormatPaths)
	case "credential":
		return p.credential()
	case "allow_override":
		p.u.AllowOverride = true
		return noArgs(p.Dispenser)
	case "header":
		return parseHeader(p.Dispenser, &p.u.Headers)
	case "timeout":
		return p.timeout()
	case "retries":
		return p.retries()
	case "max_concurrency":
		return p.maxConcurrency()
	case "transport":
		return p.transport()
	case "allow_addresses":
		return p.allowAddresses()
	case "health":
		health, err := parseHealth(p.Dispenser)
		p.u.Health = health
		return err
	case "circuit":
		policy, err := parseCircuit(p.Dispenser)
		p.u.Circuit = policy
		return err
	case "quirks":
		return p.quirks()
	case "sync":
		return p.sync()
	case "expose":
		p.u.Expose = true
		return noArgs(p.Dispenser)
	case "tags":
		return p.tags()
	case "disabled":
		p.u.Disabled = true
		return noArgs(p.Dispenser)
	default:
		return unknown(p.Dispenser, "upstream option", word, upstreamOptions...)
	}
}

// field is the path of the JSON field that the option at the cursor sets.
func (p *upstreamParser) field(word string) string {
	switch word {
	case "credential":
		return fmt.Sprintf("credentials[%d]", len(p.credentials))
	case "format_url", "format_path", "header", "timeout":
		if p.NextArg() {
			name := p.Val()
			p.Prev()
			return word + "s." + name
		}
		return word + "s"
	}
	return word
}

// topField is the field of the definition that a path begins with.
func topField(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		return path[:end]
	}
	return path
}

// failed makes an error of one that begins with the path of a field, and names
// the line where that stands.
func (p *upstreamParser) failed(name string, err error) error {
	text, found := err.Error(), ""
	for field := range p.places {
		if strings.HasPrefix(text, field) && len(field) > len(found) {
			found = field
		}
	}
	if found == "" {
		return p.Errf("upstream %q: %v", name, err)
	}
	return errAt(p.places[found], "upstream %q: %v", name, err)
}

// once refuses a second use of an option that can have one value only.
func (p *upstreamParser) once(word string) error {
	switch word {
	case "credential", "header", "timeout", "format_url", "format_path":
		return nil
	}
	if p.seen[word] {
		return p.Errf("%s stands twice in this upstream", word)
	}
	if p.seen == nil {
		p.seen = make(map[string]bool)
	}
	p.seen[word] = true
	return nil
}

// formats parses the formats the upstream speaks.
func (p *upstreamParser) formats() error {
	args := p.RemainingArgs()
	if len(args) == 0 {
		return p.Errf("formats needs at least one format")
	}
	for _, arg := range args {
		id, err := formatArg(p.Dispenser, arg)
		if err != nil {
			return err
		}
		p.u.Formats = append(p.u.Formats, id)
	}
	return nil
}

// perFormat parses a format and its value.
func (p *upstreamParser) perFormat(to *map[format.ID]string) error {
	word := p.Val()
	args := p.RemainingArgs()
	if len(args) != 2 {
		return p.Errf("%s takes a format and a value", word)
	}
	id, err := formatArg(p.Dispenser, args[0])
	if err != nil {
		return err
	}
	if *to == nil {
		*to = make(map[format.ID]string)
	}
	if _, ok := (*to)[id]; ok {
		return p.Errf("%s %s stands twice in this upstream", word, id)
	}
	(*to)[id] = args[1]
	return nil
}

// formatArg reads the name of a format.
func formatArg(d *caddyfile.Dispenser, arg string) (format.ID, error) {
	known := make([]string, 0, 16)
	for _, id := range upstream.KnownFormats() {
		if string(id) == arg {
			return id, nil
		}
		known = append(known, string(id))
	}
	return "", unknown(d, "format", arg, known...)
}

// guest parses a module of the given namespace; the cursor is on its name.
func (p *upstreamParser) guest(what, namespace, key string) (json.RawMessage, error) {
	kind := p.Val()
	if _, err := caddy.GetModule(namespace + kind); err != nil {
		return nil, unknown(p.Dispenser, what, kind, guestNames(namespace)...)
	}
	module, err := caddyfile.UnmarshalModule(p.Dispenser, namespace+kind)
	if err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(module, key, kind, nil), nil
}

// timeout parses one limit.
func (p *upstreamParser) timeout() error {
	t := &p.u.Timeouts
	limits := map[string]*caddy.Duration{
		"connect": &t.Connect, "tls_handshake": &t.TLSHandshake, "response_header": &t.ResponseHeader,
		"first_content": &t.FirstContent, "idle": &t.Idle, "total": &t.Total,
	}
	kind, limit, err := timeoutArgs(p.Dispenser, "connect", "tls_handshake", "response_header", "first_content", "idle", "total")
	if err != nil {
		return err
	}
	if *limits[kind] != 0 {
		return p.Errf("timeout %s stands twice in this upstream", kind)
	}
	*limits[kind] = limit
	return nil
}

// retries parses how often a source may be asked again.
func (p *upstreamParser) retries() error {
	text, err := oneArg(p.Dispenser)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1 {
		return p.Errf("retries takes 0 or 1, not %q: no request repeats a source more often", text)
	}
	p.u.Retries = &n
	return nil
}

// maxConcurrency parses how many requests may be under way.
func (p *upstreamParser) maxConcurrency() (err error) {
	p.u.MaxConcurrency, err = intArg(p.Dispenser, 1, 1_000_000)
	return err
}

// allowAddresses parses the networks that may be called although they are of a
// kind that is refused.
func (p *upstreamParser) allowAddresses() error {
	p.u.AllowAddresses = p.RemainingArgs()
	if len(p.u.AllowAddresses) == 0 {
		return p.Errf("allow_addresses needs at least one address or network, such as 169.254.10.0/24")
	}
	return nil
}

// transport parses a guest that makes the connections.
func (p *upstreamParser) transport() error {
	if !p.NextArg() {
		return p.Errf("transport needs the name of a transport module, such as http")
	}
	raw, err := p.guest("transport", transportNamespace, "protocol")
	p.u.TransportRaw = raw
	return err
}

// quirks parses ways in which the service differs from its formats.
func (p *upstreamParser) quirks() error {
	names := p.RemainingArgs()
	if len(names) == 0 {
		return p.Errf("quirks needs at least one of %s", strings.Join(upstream.QuirkNames(), ", "))
	}
	for _, name := range names {
		if plain := strings.TrimPrefix(name, "-"); !slices.Contains(upstream.QuirkNames(), plain) {
			return unknown(p.Dispenser, "quirk", plain, upstream.QuirkNames()...)
		}
	}
	p.u.Quirks = names
	return nil
}

// sync parses how often the models are asked for.
func (p *upstreamParser) sync() error {
	args := p.RemainingArgs()
	if len(args) != 2 || args[0] != "every" {
		return p.Errf("sync takes the word every and a duration, such as: sync every 6h")
	}
	every, err := duration(p.Dispenser, args[1])
	p.u.Sync = every
	return err
}

// tags parses the words to find the upstream by.
func (p *upstreamParser) tags() error {
	p.u.Tags = p.RemainingArgs()
	if len(p.u.Tags) == 0 {
		return p.Errf("tags needs at least one tag")
	}
	return nil
}

// finish settles what depends on the whole block and checks it.
func (p *upstreamParser) finish(name string) error {
	preset := p.u.Provider
	if preset == "" {
		preset = name
	}
	if p.u.Provider != "" && !slices.Contains(upstream.Providers(), p.u.Provider) {
		return unknown(p.Dispenser, "provider", p.u.Provider, upstream.Providers()...)
	}
	for i := range p.credentials {
		raw, err := p.credentials[i].json(preset, p.u.Formats...)
		if err != nil {
			return p.Errf("upstream %q: reading a credential: %v", name, err)
		}
		p.u.CredentialsRaw = append(p.u.CredentialsRaw, raw)
	}
	if _, err := p.u.Check(name); err != nil {
		return p.failed(name, err)
	}
	return nil
}
