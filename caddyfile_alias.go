package aigateway

import (
	"cmp"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// aliasOptions are the words of an alias's block.
var aliasOptions = []string{"model", "pattern", "announce", "disabled", "json"}

// parseAlias parses an alias; the cursor is on its name:
//
//	alias <name> <model>
//	alias <name> {
//		model    <model>     # or @<upstream>/<upstream model>
//		pattern  <regexp>    # the names it stands for, instead of its own
//		announce <name>...   # shown in lists of models
//		disabled
//		json     <field> <value>   # what has no word; see definedFields.byJSON
//	}
//
// A * in the name is any text.
func (d *definitions) parseAlias(disp *caddyfile.Dispenser, name string) error {
	a := new(routing.Alias)
	at := disp.Token()
	var fields definedFields
	args := disp.RemainingArgs()
	switch len(args) {
	case 0:
	case 1:
		a.Model = args[0]
		if err := fields.byWord(disp, "model"); err != nil {
			return err
		}
	default:
		return disp.Errf("alias takes a name and a model; %q is one value too many", args[1])
	}
	seen := make(map[string]caddyfile.Token)
	for nesting := disp.Nesting(); disp.NextBlock(nesting); {
		word, at := disp.Val(), disp.Token()
		if word == "json" {
			if _, err := fields.byJSON(disp, a); err != nil {
				return err
			}
			continue
		}
		if first, ok := seen[word]; ok && word != "announce" {
			return errAt(at, "%s stands twice in alias %q: first at %s:%d", word, name, first.File, first.Line)
		}
		seen[word] = at
		if err := fields.byWord(disp, word); err != nil {
			return err
		}
		if err := aliasOption(disp, a, word); err != nil {
			return err
		}
	}
	if a.Model == "" {
		return disp.Errf("alias %q has no model; write: alias %s <model>", name, name)
	}
	if err := a.Check(name); err != nil {
		return errAt(at, "alias %q: %v", name, err)
	}
	d.aliases[name] = a
	return nil
}

// aliasOption parses one option of an alias; the cursor is on its name.
func aliasOption(disp *caddyfile.Dispenser, a *routing.Alias, word string) (err error) {
	switch word {
	case "model":
		if a.Model != "" {
			return disp.Errf("the model stands behind the alias's name already")
		}
		a.Model, err = oneArg(disp)
		return err
	case "pattern":
		a.Pattern, err = oneArg(disp)
		return err
	case "announce":
		names := disp.RemainingArgs()
		if len(names) == 0 {
			return disp.Errf("announce needs at least one name")
		}
		a.Announce = append(a.Announce, names...)
		return nil
	case "disabled":
		a.Disabled = true
		return noArgs(disp)
	default:
		return unknown(disp, "alias option", word, aliasOptions...)
	}
}

// checkAliases refuses aliases of models that are defined neither here nor in the
// global option, and names that stand for two things.
func (d *definitions) checkAliases(global *App) error {
	for _, name := range slices.Sorted(maps.Keys(d.models)) {
		if global.Aliases[name] != nil {
			return errAt(d.places["model "+name], "model %q has the name of an alias in the global option ai_gateway", name)
		}
	}
	announced := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(global.Aliases)) {
		for _, n := range global.Aliases[name].Announce {
			announced[n] = name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.aliases)) {
		at := d.places["alias "+name]
		if first, ok := d.places["model "+name]; ok {
			return errAt(at, "alias %q has the name of a model: first at %s:%d", name, first.File, first.Line)
		}
		if global.Models[name] != nil {
			return errAt(at, "alias %q has the name of a model in the global option ai_gateway", name)
		}
		if err := d.checkTarget(d.aliases[name].Model, at, global); err != nil {
			return err
		}
		for _, n := range d.aliases[name].Announce {
			switch other, taken := announced[n]; {
			case taken:
				return errAt(at, "alias %q announces %q, as alias %q does", name, n, other)
			case d.models[n] != nil || global.Models[n] != nil:
				return errAt(at, "alias %q announces %q, which is a model", name, n)
			case n != name && d.aliases[n] != nil || global.Aliases[n] != nil:
				return errAt(at, "alias %q announces %q, which is an alias", name, n)
			}
			announced[n] = name
		}
	}
	return nil
}

// checkTarget refuses what an alias cannot stand for.
func (d *definitions) checkTarget(target string, at caddyfile.Token, global *App) error {
	if d.models[target] != nil || global.Models[target] != nil {
		return nil
	}
	if a := cmp.Or(d.aliases[target], global.Aliases[target]); a != nil {
		return errAt(at, "%q is an alias itself; name its model %q", target, a.Model)
	}
	name, _, pinned := routing.PinnedName(target)
	switch {
	case !pinned:
		return errAt(at, "unknown model %q%s", target, suggestion(target, namesOf(d.models, global.Models)))
	case d.upstreams[name] == nil && global.Upstreams[name] == nil:
		return errAt(at, "unknown upstream %q%s", name, suggestion(name, namesOf(d.upstreams, global.Upstreams)))
	default:
		return nil
	}
}

// namesOf lists the names of two maps, sorted each.
func namesOf[V any](first, second map[string]V) []string {
	return append(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second))...)
}
