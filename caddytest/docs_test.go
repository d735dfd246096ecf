package caddytest

import (
	"os"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// TestConfigurationIsDocumented holds the words of the configuration against
// docs/caddyfile.md.
func TestConfigurationIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, key := range capability.Keys() {
		if !strings.Contains(text, "\n| `"+key.Name+"` | ") {
			t.Errorf("the capability %s has no row", key.Name)
		}
	}
	for _, quirk := range upstream.QuirkNames() {
		if !strings.Contains(text, "\n| `"+quirk+"` | ") {
			t.Errorf("the quirk %s has no row", quirk)
		}
	}
	for _, name := range append(upstream.Providers(), routing.NativeTools()...) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s is not named", name)
		}
	}
}
