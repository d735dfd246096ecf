package aigateway

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
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

// parse parses an upstream, a model or an alias; the cursor is on that word.
func (d *definitions) parse(disp *caddyfile.Dispenser) error {
	kind, at := disp.Val(), disp.Token()
	if !disp.NextArg() {
		return disp.Errf("%s needs a name", kind)
	}
	name := disp.Val()
	if err := routing.CheckName(name); err != nil {
		return errAt(at, "%s %q: name %v", kind, name, err)
	}
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
