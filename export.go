package aigateway

import (
	"encoding/json"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// exported are definitions that are to be written as config, by name. Their secrets
// are masks.
type exported struct {
	Upstreams map[string]json.RawMessage `json:"upstreams,omitempty"`
	Models    map[string]json.RawMessage `json:"models,omitempty"`
	Aliases   map[string]json.RawMessage `json:"aliases,omitempty"`
}

// Export implements admin.Gateway. What the config declares is in the config, and
// what it shadows could not stand beside it.
func (a *App) Export() (admin.Export, error) {
	v, err := a.View()
	if err != nil {
		return admin.Export{}, err
	}
	all := make(map[registry.Kind]map[string]json.RawMessage)
	for _, kind := range registry.Kinds {
		all[kind] = make(map[string]json.RawMessage)
		for _, d := range v.List(kind) {
			if d.Origin == registry.Management && !d.Shadowed {
				all[kind][d.Name] = d.Spec()
			}
		}
	}
	e := exported{all[registry.Upstreams], all[registry.Models], all[registry.Aliases]}
	text, _, err := exportJSON(e)
	if err != nil {
		return admin.Export{}, err
	}
	config, _, err := writeCaddyfile(e)
	if err != nil {
		return admin.Export{}, err
	}
	return admin.Export{JSON: text, Caddyfile: config}, nil
}
