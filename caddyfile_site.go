package aigateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/handler"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// parseDirective parses the handler directive ai_gateway:
//
//	ai_gateway [<matcher>] {
//		upstream <name> [<url>] { … }   # see parseUpstream
//		model <name> { … }              # see parseModel
//		alias <name> <model>            # see parseAlias
//		models <name>...                # the only names that are served; * is any text
//		default_model <name>            # for requests that name none, or auto
//		max_attempts <number>           # 1 to 5, default 3
//		max_body <size>                 # default 32MiB
//		timeout total <duration>        # default 10m
//		heartbeat <duration>|off        # default 15s
//		expose_headers off|basic        # default basic
//		on_unsupported drop|error       # default drop
//		on_all_open fail|try_best       # default fail
//		cors <origin>...                # default none
//		count_tokens forward|estimate|off   # default forward
//	}
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	hd, defs := new(handler.Handler), newDefinitions()
	var named caddyfile.Token // the last option that names models
	seen := make(map[string]caddyfile.Token)
	for h.NextBlock(0) {
		word := h.Val()
		if word == "models" || word == "default_model" {
			named = h.Token()
		}
		if word == "upstream" || word == "model" || word == "alias" {
			if err := defs.parse(h.Dispenser); err != nil {
				return nil, err
			}
			continue
		}
		if first, ok := seen[word]; ok && word != "models" {
			return nil, h.Errf("%s stands twice in this ai_gateway block: first at %s:%d", word, first.File, first.Line)
		}
		seen[word] = h.Token()
		if err := parseHandlerOption(h.Dispenser, hd, word); err != nil {
			return nil, err
		}
	}
	if err := hd.CheckModels(); err != nil {
		return nil, errAt(named, "%v", err)
	}
	if err := joinSite(h, defs); err != nil {
		return nil, err
	}
	hd.Upstreams, hd.Models, hd.Aliases = defs.upstreams, defs.models, defs.aliases
	return hd, nil
}

// parseHandlerOption parses one option of the handler; the cursor is on its
// name.
func parseHandlerOption(d *caddyfile.Dispenser, hd *handler.Handler, word string) (err error) {
	switch word {
	case "models":
		names := d.RemainingArgs()
		if len(names) == 0 {
			return d.Errf("models needs at least one name; the block model <name> { … } defines one")
		}
		hd.AllowModels = append(hd.AllowModels, names...)
		return nil
	case "default_model":
		hd.DefaultModel, err = oneArg(d)
		return err
	case "max_attempts":
		n, err := intArg(d, 1, 5)
		hd.MaxAttempts = n
		return err
	case "max_body":
		text, err := oneArg(d)
		if err != nil {
			return err
		}
		size, err := humanize.ParseBytes(text)
		if err != nil || size == 0 || size > 1<<40 {
			return d.Errf("max_body takes a size such as 32MiB, not %q", text)
		}
		hd.MaxBody = int64(size)
		return nil
	case "timeout":
		kind, limit, err := timeoutArgs(d, "total")
		if err != nil {
			return err
		}
		_ = kind // total is the only one
		hd.Timeouts.Total = limit
		return nil
	case "heartbeat":
		text, err := oneArg(d)
		if err != nil {
			return err
		}
		if text == "off" {
			hd.Heartbeat = -1
			return nil
		}
		hd.Heartbeat, err = duration(d, text)
		return err
	case "expose_headers":
		hd.ExposeHeaders, err = oneOf(d, "off", "basic")
		return err
	case "on_all_open":
		hd.OnAllOpen, err = oneOf(d, "fail", "try_best")
		return err
	case "cors":
		hd.CORS = d.RemainingArgs()
		if len(hd.CORS) == 0 {
			return d.Errf("cors needs at least one origin, such as https://app.example.com")
		}
		return nil
	case "on_unsupported":
		hd.OnUnsupported, err = oneOf(d, routing.UnsupportedDrop, routing.UnsupportedError)
		return err
	case "count_tokens":
		hd.CountTokens, err = oneOf(d, "forward", "estimate", "off")
		return err
	default:
		return unknown(d, "ai_gateway option", word, siteOptions...)
	}
}

// stateKey is where the directive keeps the definitions of the sites parsed so far.
const stateKey = "ai_gateway.definitions"

// siteDefinition is where a site defines a name, and what it says.
type siteDefinition struct {
	at   caddyfile.Token
	text []byte
}

// joinSite holds a site's definitions against those of the global option and of
// the other sites: one set, in which every name stands once.
func joinSite(h httpcaddyfile.Helper, defs *definitions) error {
	var global App
	if option, ok := h.Option("ai_gateway").(httpcaddyfile.App); ok {
		if err := json.Unmarshal(option.Value, &global); err != nil {
			return fmt.Errorf("reading the global option ai_gateway: %w", err)
		}
	}
	for name := range defs.upstreams {
		if global.Upstreams[name] != nil {
			return errAt(defs.places["upstream "+name], "upstream %q is defined twice: in the global option ai_gateway and in this site", name)
		}
	}
	for name := range defs.models {
		if global.Models[name] != nil {
			return errAt(defs.places["model "+name], "model %q is defined twice: in the global option ai_gateway and in this site", name)
		}
	}
	for name := range defs.aliases {
		if global.Aliases[name] != nil {
			return errAt(defs.places["alias "+name], "alias %q is defined twice: in the global option ai_gateway and in this site", name)
		}
	}
	if err := defs.checkSources(global.Upstreams); err != nil {
		return err
	}
	if err := defs.checkAliases(&global); err != nil {
		return err
	}
	return defs.joinSites(h)
}

// joinSites holds a site's definitions against those of the sites before. A snippet
// that several sites import stands at one place for all of them; it is one definition
// as long as its arguments do not make several of it.
func (d *definitions) joinSites(h httpcaddyfile.Helper) error {
	seen, _ := h.State[stateKey].(map[string]siteDefinition)
	if seen == nil {
		seen = make(map[string]siteDefinition)
		h.State[stateKey] = seen
	}
	for _, key := range slices.Sorted(maps.Keys(d.places)) {
		at := d.places[key]
		kind, name, _ := strings.Cut(key, " ")
		text, err := json.Marshal(d.definition(kind, name))
		if err != nil {
			return errAt(at, "%s %q: %v", kind, name, err)
		}
		first, ok := seen[key]
		switch {
		case !ok:
			seen[key] = siteDefinition{at, text}
		case first.at.File != at.File || first.at.Line != at.Line:
			return errAt(at, "%s %q is defined twice: first at %s:%d", kind, name, first.at.File, first.at.Line)
		case !bytes.Equal(first.text, text):
			return errAt(at, "%s %q is defined twice, and not alike: first at %s:%d", kind, name, first.at.File, first.at.Line)
		}
	}
	return nil
}

// definition is what a name of a kind is defined as.
func (d *definitions) definition(kind, name string) any {
	switch kind {
	case "model":
		return d.models[name]
	case "alias":
		return d.aliases[name]
	default:
		return d.upstreams[name]
	}
}
