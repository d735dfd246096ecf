package aigateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/handler"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("ai_gateway", parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective("ai_gateway", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("ai_gateway", httpcaddyfile.Before, "reverse_proxy")
}

// globalOptions are the words of the global option, and siteOptions those of the
// directive.
var (
	globalOptions = []string{"data_dir", "secret_key", "manage", "circuit", "upstream", "model", "alias"}
	siteOptions   = []string{
		"upstream", "model", "alias", "models", "default_model", "max_attempts", "max_body", "timeout", "heartbeat",
		"expose_headers", "on_unsupported", "on_all_open", "cors", "count_tokens",
	}
)

// definitions are the upstreams, models and aliases of one block, and where each
// stands.
type definitions struct {
	upstreams map[string]*upstream.Upstream
	models    map[string]*routing.Model
	aliases   map[string]*routing.Alias
	places    map[string]caddyfile.Token // by kind and name
	sources   []sourceToken
}

// sourceToken is a source and where it stands.
type sourceToken struct {
	source routing.Source
	token  caddyfile.Token
}

func newDefinitions() *definitions {
	return &definitions{
		upstreams: make(map[string]*upstream.Upstream),
		models:    make(map[string]*routing.Model),
		aliases:   make(map[string]*routing.Alias),
		places:    make(map[string]caddyfile.Token),
	}
}

// claim notes where a name is declared; a second place is an error that names
// both.
func (d *definitions) claim(kind, name string, at caddyfile.Token) error {
	key := kind + " " + name
	if first, ok := d.places[key]; ok {
		return errAt(at, "%s %q is defined twice: first at %s:%d", kind, name, first.File, first.Line)
	}
	d.places[key] = at
	return nil
}

// checkSources refuses sources whose upstream is neither defined here nor among
// the known ones, or does not speak their format.
func (d *definitions) checkSources(known map[string]*upstream.Upstream) error {
	for _, s := range d.sources {
		name := s.source.Upstream
		u := d.upstreams[name]
		if u == nil {
			u = known[name]
		}
		if u == nil {
			names := slices.Sorted(maps.Keys(d.upstreams))
			names = slices.AppendSeq(names, maps.Keys(known))
			return errAt(s.token, "unknown upstream %q%s", name, suggestion(name, names))
		}
		spoken, err := u.Check(name)
		if err != nil {
			return errAt(s.token, "upstream %q: %v", name, err)
		}
		if f := s.source.Format; f != "" && !slices.Contains(spoken, f) {
			return errAt(s.token, "upstream %q does not speak %s; it speaks %s", name, f, formatList(spoken))
		}
	}
	return nil
}

// formatList lists formats for an error.
func formatList(ids []format.ID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}

// parseGlobalOption parses the global option ai_gateway:
//
//	ai_gateway {
//		data_dir <folder>               # default: ai_gateway in Caddy's data directory
//		secret_key <key> [<earlier>...] # seals managed secrets: 32 bytes in base64
//		manage full|observe             # default full
//		circuit { … }                   # defaults for all upstreams, see parseCircuit
//		upstream <name> [<url>] { … }   # see parseUpstream
//		model <name> { … }              # see parseModel
//		alias <name> <model>            # see parseAlias
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("the global option ai_gateway stands twice; put all upstreams and models into one block")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	app, defs := new(App), newDefinitions()
	for d.NextBlock(0) {
		if err := app.parseOption(d, defs); err != nil {
			return nil, err
		}
	}
	if err := defs.checkSources(nil); err != nil {
		return nil, err
	}
	if err := defs.checkAliases(new(App)); err != nil {
		return nil, err
	}
	app.Upstreams, app.Models, app.Aliases = defs.upstreams, defs.models, defs.aliases
	return httpcaddyfile.App{Name: "ai_gateway", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseOption parses one option of the global block; the cursor is on its name.
func (a *App) parseOption(d *caddyfile.Dispenser, defs *definitions) (err error) {
	switch word := d.Val(); word {
	case "data_dir":
		if a.DataDir != "" {
			return d.Errf("data_dir stands twice")
		}
		a.DataDir, err = oneArg(d)
		return err
	case "secret_key":
		return a.parseSecretKey(d)
	case "manage":
		if a.Manage != "" {
			return d.Errf("manage stands twice")
		}
		a.Manage, err = oneOf(d, manageFull, manageObserve)
		return err
	case "circuit":
		if a.Circuit != nil {
			return d.Errf("circuit stands twice")
		}
		a.Circuit, err = parseCircuit(d)
		return err
	case "upstream", "model", "alias":
		return defs.parse(d)
	default:
		return unknown(d, "ai_gateway option", word, globalOptions...)
	}
}

// parseSecretKey parses the key that seals managed secrets, and those that did
// before. No error repeats a key.
func (a *App) parseSecretKey(d *caddyfile.Dispenser) error {
	if a.SecretKey != "" {
		return d.Errf("secret_key stands twice; put earlier keys behind the new one")
	}
	keys := d.RemainingArgs()
	if len(keys) == 0 {
		return d.Errf("secret_key needs a key, such as {env.AI_GATEWAY_SECRET_KEY}")
	}
	for _, key := range keys {
		if !strings.Contains(key, "{") {
			if _, err := storage.NewSealer(key); err != nil {
				return d.Errf("secret_key: %v", err)
			}
		}
	}
	a.SecretKey, a.EarlierSecretKeys = keys[0], keys[1:]
	return nil
}

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

// stateKey is where the directive keeps the places of all definitions of the
// sites parsed so far.
const stateKey = "ai_gateway.places"

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
	seen, _ := h.State[stateKey].(map[string]caddyfile.Token)
	if seen == nil {
		seen = make(map[string]caddyfile.Token)
		h.State[stateKey] = seen
	}
	for key, at := range defs.places {
		if first, ok := seen[key]; ok && (first.File != at.File || first.Line != at.Line) {
			kind, name, _ := strings.Cut(key, " ")
			return errAt(at, "%s %q is defined twice: first at %s:%d", kind, name, first.File, first.Line)
		}
		seen[key] = at
	}
	return nil
}

// parse parses an upstream, a model or an alias; the cursor is on that word.
func (d *definitions) parse(disp *caddyfile.Dispenser) error {
	kind, at := disp.Val(), disp.Token()
	if !disp.NextArg() {
		return disp.Errf("%s needs a name", kind)
	}
	name := disp.Val()
	if err := d.claim(kind, name, at); err != nil {
		return err
	}
	switch kind {
	case "model":
		return d.parseModel(disp, name)
	case "alias":
		return d.parseAlias(disp, name)
	default:
		return d.parseUpstream(disp, name)
	}
}

// oneArg returns the option's only argument.
func oneArg(d *caddyfile.Dispenser) (string, error) {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return "", d.Errf("%s takes one value, not %d", name, len(args))
	}
	return args[0], nil
}

// noArgs refuses arguments of an option that takes none.
func noArgs(d *caddyfile.Dispenser) error {
	name := d.Val()
	if args := d.RemainingArgs(); len(args) > 0 {
		return d.Errf("%s takes no value, not %q", name, args[0])
	}
	return nil
}

// oneOf returns the option's only argument, which must be one of the known values.
func oneOf(d *caddyfile.Dispenser, known ...string) (string, error) {
	name := d.Val()
	text, err := oneArg(d)
	if err != nil {
		return "", err
	}
	if !slices.Contains(known, text) {
		return "", unknown(d, "value of "+name, text, known...)
	}
	return text, nil
}

// intArg returns the option's only argument as a number from low to high.
func intArg(d *caddyfile.Dispenser, low, high int) (int, error) {
	name := d.Val()
	text, err := oneArg(d)
	if err != nil {
		return 0, err
	}
	return number(d, name, text, low, high)
}

// number reads text as a number from low to high.
func number(d *caddyfile.Dispenser, name, text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, d.Errf("%s takes a number from %d to %d, not %q", name, low, high, text)
	}
	return n, nil
}

// timeoutArgs returns the arguments of an option "timeout KIND DURATION".
func timeoutArgs(d *caddyfile.Dispenser, kinds ...string) (kind string, limit caddy.Duration, err error) {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return "", 0, d.Errf("timeout takes a kind and a duration, such as: timeout %s 30s", kinds[0])
	}
	if !slices.Contains(kinds, args[0]) {
		return "", 0, unknown(d, "timeout", args[0], kinds...)
	}
	limit, err = duration(d, args[1])
	return args[0], limit, err
}

// duration reads a positive duration.
func duration(d *caddyfile.Dispenser, text string) (caddy.Duration, error) {
	dur, err := caddy.ParseDuration(text)
	if err != nil || dur <= 0 {
		return 0, d.Errf("%q is not a positive duration such as 30s or 5m", text)
	}
	return caddy.Duration(dur), nil
}
