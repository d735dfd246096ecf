package aigateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// upstreamOptions are the words of an upstream's block.
var upstreamOptions = []string{
	"provider", "formats", "format_url", "format_path", "credential",
	"header", "timeout", "transport", "quirks", "disabled",
}

// parseUpstream parses an upstream; the cursor is on its name:
//
//	upstream <name> [<base url>] {
//		provider    <preset>                  # default: the name, if it is a preset's
//		formats     <format>...               # what it speaks, preferred first
//		format_url  <format> <base url>       # another address for one format
//		format_path <format> <path>           # another path for one format
//		credential  [bearer] <token>          # or: header <name> <value>
//		header      <name> <value>            # sent with every request
//		timeout     connect|tls_handshake|response_header|first_content|idle|total <duration>
//		transport   <module> { … }            # a transport of Caddy's reverse proxy
//		quirks      <quirk>...                # ways in which it differs from its formats
//		disabled
//	}
//
// A credential without a kind is of the kind the preset uses.
func (d *definitions) parseUpstream(disp *caddyfile.Dispenser, name string) error {
	p := &upstreamParser{Dispenser: disp, u: new(upstream.Upstream)}
	if disp.NextArg() {
		p.u.BaseURL = disp.Val()
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
	// value is a credential whose kind the preset decides.
	value string
	seen  map[string]bool
}

// option parses one option; the cursor is on its name.
func (p *upstreamParser) option(word string) error {
	if err := p.once(word); err != nil {
		return err
	}
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
	case "header":
		return p.header()
	case "timeout":
		return p.timeout()
	case "transport":
		return p.transport()
	case "quirks":
		return p.quirks()
	case "disabled":
		p.u.Disabled = true
		return noArgs(p.Dispenser)
	default:
		return unknown(p.Dispenser, "upstream option", word, upstreamOptions...)
	}
}

// once refuses a second use of an option that can have one value only.
func (p *upstreamParser) once(word string) error {
	switch word {
	case "header", "timeout", "format_url", "format_path":
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

// credential parses a credential, with or without its kind.
func (p *upstreamParser) credential() error {
	if p.CountRemainingArgs() == 1 {
		p.NextArg()
		p.value = p.Val()
		return nil
	}
	if !p.NextArg() {
		return p.Errf("credential needs a value, such as: credential {env.API_KEY}")
	}
	raw, err := p.guest("credential", "ai_gateway.credentials.", "type")
	if err == nil {
		p.u.CredentialsRaw = []json.RawMessage{raw}
	}
	return err
}

// guest parses a module of the given namespace; the cursor is on its name.
func (p *upstreamParser) guest(what, namespace, key string) (json.RawMessage, error) {
	kind := p.Val()
	if _, err := caddy.GetModule(namespace + kind); err != nil {
		var known []string
		for _, info := range caddy.GetModules(namespace[:len(namespace)-1]) {
			known = append(known, info.ID.Name())
		}
		return nil, unknown(p.Dispenser, what, kind, known...)
	}
	module, err := caddyfile.UnmarshalModule(p.Dispenser, namespace+kind)
	if err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(module, key, kind, nil), nil
}

// header parses a header that every request gets.
func (p *upstreamParser) header() error {
	args := p.RemainingArgs()
	if len(args) != 2 {
		return p.Errf("header takes a name and a value")
	}
	if p.u.Headers == nil {
		p.u.Headers = make(http.Header)
	}
	p.u.Headers.Add(args[0], args[1])
	return nil
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

// transport parses a guest that makes the connections.
func (p *upstreamParser) transport() error {
	if !p.NextArg() {
		return p.Errf("transport needs the name of a transport module, such as http")
	}
	raw, err := p.guest("transport", "http.reverse_proxy.transport.", "protocol")
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

// finish settles what depends on the whole block and checks it.
func (p *upstreamParser) finish(name string) error {
	preset := p.u.Provider
	if preset == "" {
		preset = name
	}
	if p.u.Provider != "" && !slices.Contains(upstream.Providers(), p.u.Provider) {
		return unknown(p.Dispenser, "provider", p.u.Provider, upstream.Providers()...)
	}
	if p.value != "" {
		p.u.CredentialsRaw = []json.RawMessage{upstream.PresetCredential(preset, p.value)}
	}
	if _, err := p.u.Check(name); err != nil {
		return p.Errf("upstream %q: %v", name, err)
	}
	return nil
}
