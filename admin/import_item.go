package admin

import (
	"encoding/json"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// source is the source that an item is to become.
func (i *importItem) source(upstream string) (routing.Source, error) {
	var source routing.Source
	if i.UpstreamModel == "" {
		return source, invalid("upstream_model", "required")
	}
	if len(i.Source) > 0 {
		if err := routing.DecodeConfig(i.Source, &source); err != nil {
			return source, fieldError(err)
		}
	}
	source.Upstream, source.Model = upstream, i.UpstreamModel
	return source, nil
}

// spec is the model that an item is to become.
func (i *importItem) spec(source routing.Source) json.RawMessage {
	text, err := json.Marshal(routing.Model{Sources: []routing.Source{source}})
	if err != nil {
		panic(err) // texts and numbers only
	}
	return text
}
