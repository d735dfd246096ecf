package routing

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

func TestDecodeConfig(t *testing.T) {
	type config struct {
		Upstreams map[string]*upstream.Upstream `json:"upstreams,omitempty"`
		Models    map[string]*Model             `json:"models,omitempty"`
		Limit     int                           `json:"limit,omitempty"`
	}
	for _, tc := range []struct{ name, raw, want string }{
		{"valid", `{"upstreams":{"openai":{"timeouts":{"idle":"30s"}}},"models":{"m":{"sources":[{"upstream":"openai","model":"x","weight":0}]}}}`, ""},
		{"unknown at the top", `{"upstream":{}}`, "upstream: unknown field; known are limit, models, upstreams"},
		{"unknown in a map", `{"upstreams":{"openai":{"credental":1}}}`, "upstreams.openai.credental: unknown field; known are "},
		{"unknown in a list", `{"models":{"m":{"sources":[{"upstream":"a","model":"b"},{"upstrem":"x"}]}}}`, "models.m.sources[1].upstrem: unknown field; known are context_window, disabled, "},
		{"duration", `{"upstreams":{"openai":{"timeouts":{"idle":"soon"}}}}`, `upstreams.openai.timeouts.idle: time: invalid duration "soon"`},
		{"string for a number", `{"models":{"m":{"sources":[{"upstream":"a","model":"b","weight":"5"}]}}}`, "models.m.sources[0].weight: must be int, not string"},
		{"string for an object", `{"models":{"m":"x"}}`, "models.m: must be routing.Model, not string"},
		{"list for a map", `{"models":[]}`, "models: must be map[string]*routing.Model, not array"},
		{"not JSON", `{"models":`, "unexpected EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c config
			err := DecodeConfig([]byte(tc.raw), &c)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
				t.Errorf("error is %v, want %s", err, tc.want)
			}
		})
	}
}
