package aigateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// appPlace is where the app's own definitions stand.
const appPlace = "the app's config (apps/ai_gateway)"

// place is where a name was declared, and what was declared.
type place struct {
	where      string
	definition json.RawMessage
}

// Declare implements handler.Gateway. The same definition of a name may come
// from several handlers, because a site with several addresses has several; two
// different ones are an error that names both places.
func (a *App) Declare(where string, d routing.Definitions) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.declareUpstreams(where, d); err != nil {
		return err
	}
	if err := a.declareModels(where, d); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Aliases)) {
		if _, err := a.claim(registry.ID{Kind: registry.Aliases, Name: name}, where, d.Aliases[name]); err != nil {
			return err
		}
		a.Aliases[name] = d.Aliases[name]
	}
	_, err := routing.NewSnapshot(a.definitions())
	return err
}

func (a *App) declareUpstreams(where string, d routing.Definitions) error {
	for _, name := range slices.Sorted(maps.Keys(d.Upstreams)) {
		u := d.Upstreams[name]
		known, err := a.claim(registry.ID{Kind: registry.Upstreams, Name: name}, where, u)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		a.ready = append(a.ready, u)
		if err := u.Provision(a.ctx, name); err != nil {
			return fmt.Errorf("upstreams.%s.%w", name, err)
		}
		a.Upstreams[name] = u
	}
	return nil
}

func (a *App) declareModels(where string, d routing.Definitions) error {
	for _, name := range slices.Sorted(maps.Keys(d.Models)) {
		m := d.Models[name]
		known, err := a.claim(registry.ID{Kind: registry.Models, Name: name}, where, m)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if m != nil { // null is refused with the snapshot
			if err := m.Provision(a.ctx); err != nil {
				return fmt.Errorf("models.%s.%w", name, err)
			}
		}
		a.Models[name] = m
	}
	return nil
}

// definitions are all that have been declared.
func (a *App) definitions() routing.Definitions {
	return routing.Definitions{Upstreams: a.Upstreams, Models: a.Models, Aliases: a.Aliases, Circuit: a.Circuit}
}

// declared are all that have been declared, and how it was written.
func (a *App) declared() registry.Declared {
	d := registry.Declared{
		Definitions: a.definitions(),
		Specs:       make(map[registry.ID]json.RawMessage, len(a.places)),
		Places:      make(map[registry.ID]string),
	}
	for id, p := range a.places {
		d.Specs[id] = p.definition
		if p.where != appPlace {
			d.Places[id] = "the site block: " + p.where
		}
	}
	return d
}

// claim notes that a name is declared. known says that the same definition was
// there already.
func (a *App) claim(id registry.ID, where string, definition any) (known bool, err error) {
	text, err := json.Marshal(definition)
	if err != nil {
		return false, fmt.Errorf("reading the definition of %s %q: %w", id.Kind.One(), id.Name, err)
	}
	if first, ok := a.places[id]; ok {
		if bytes.Equal(first.definition, text) && first.where == where {
			return true, nil
		}
		return false, fmt.Errorf("%s %q is defined twice: in %s and in %s", id.Kind.One(), id.Name, first.where, where)
	}
	a.places[id] = place{where, text}
	return false, nil
}
