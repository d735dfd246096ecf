package caddytest

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// definitionSpecs are the definitions of a gateway by kind and name, without what
// differs between declared and managed ones: masks of secrets and placeholders are
// the same here.
func definitionSpecs(g *managed) map[string]any {
	g.t.Helper()
	all := make(map[string]any)
	for _, kind := range []string{"upstreams", "models", "aliases"} {
		for _, item := range g.read("/" + kind + "?page_size=1000").at("items").Array() {
			var spec map[string]any
			if err := json.Unmarshal([]byte(item.Get("spec").Raw), &spec); err != nil {
				g.t.Fatal(err)
			}
			if credentials, ok := spec["credentials"].([]any); ok {
				for _, c := range credentials {
					entry := c.(map[string]any)
					for _, field := range []string{"token", "value"} {
						if entry[field] != nil {
							entry[field] = "a secret"
						}
					}
				}
			}
			all[kind+" "+item.Get("name").String()] = spec
		}
	}
	return all
}

// standIns are the placeholders of an export.
var standIns = regexp.MustCompile(`\{env\.(AI_GATEWAY_[A-Z0-9_]+)\}`)

// TestExportRoundTrip creates definitions of all kinds, exports them as a Caddyfile,
// and starts a fresh gateway with that: it reads and behaves as the first.
func TestExportRoundTrip(t *testing.T) {
	chat, messages := startProvider(t, provider.Say("from chat")), startProvider(t, provider.Say("from messages"))
	g := startManaged(t, "secret_key "+keyOne, "")
	const key = "sk-round-trip-0123456789"
	g.create("upstreams", "first", `{"base_url":"`+chat.URL()+`","credentials":[{"type":"bearer","token":"`+key+`"},{"type":"header","name":"X-Key","value":"`+key+`","weight":0,"id":"spare"}],
		"headers":{"X-Team":["a \"quoted\" value #1"]},"timeouts":{"first_content":45000000000},"retries":0,"tags":["eu west","fast"],"circuit":{"failures":7}}`)
	g.create("upstreams", "vendor/second", `{"base_url":"`+messages.URL()+`","formats":["anthropic_messages"],"max_concurrency":50,"quirks":["max_tokens_only"]}`)
	g.create("upstreams", "resting", `{"base_url":"http://127.0.0.1:9","disabled":true}`)
	g.create("models", "writer", `{"display_name":"The Writer","description":"line one\nline two","order":200,"policy":{"policy":"header_hash","header":"X-User"},
		"sources":[{"upstream":"first","model":"gpt-x","weight":70},{"upstream":"vendor/second","model":"claude x","priority":2,"weight":0}]}`)
	g.create("models", "vendor/pinned model", `{"order":100,"mode":"pinned","active":"vendor/second:claude","sources":[{"upstream":"first","model":"gpt"},{"upstream":"vendor/second","model":"claude"}]}`)
	g.create("models", "hidden", `{"access":"internal","sources":[{"upstream":"first","model":"gpt"}]}`)
	g.create("aliases", "claude-*", `{"model":"writer","announce":["claude-best"]}`)
	g.create("aliases", "old", `{"model":"vendor/pinned model"}`)
	g.create("aliases", "numbers", `{"model":"writer","pattern":"gpt-[0-9]+"}`)
	g.create("aliases", "direct", `{"model":"@first/gpt-x"}`)

	models := []string{"writer", "vendor/pinned model", "hidden", "claude-1", "claude-best", "old", "gpt-7", "direct", "nothing"}
	var done [2]int // requests of the providers that were looked at
	behaviour := func() (seen []string) {
		for _, name := range models {
			status, body := g.chat(name)
			seen = append(seen, name+": "+http.StatusText(status)+" "+gjson.Get(body, "choices.0.message.content").String()+gjson.Get(body, "error.code").String())
		}
		for i, p := range []*provider.Provider{chat, messages} {
			for _, r := range p.Requests()[done[i]:] {
				seen = append(seen, r.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("X-Team")+" "+gjson.Get(string(r.Body), "model").String())
			}
			done[i] = len(p.Requests())
		}
		return append(seen, g.offered())
	}
	specs, before := definitionSpecs(g), behaviour()
	if len(specs) != 10 {
		t.Fatalf("%d definitions are listed", len(specs))
	}

	text := g.read("/export?format=caddyfile").body
	if strings.Contains(text, key) {
		t.Fatalf("the export holds the secret:\n%s", text)
	}
	names := standIns.FindAllStringSubmatch(text, -1)
	if len(names) == 0 {
		t.Fatalf("the export has no stand-ins:\n%s", text)
	}
	for _, name := range names {
		t.Setenv(name[1], key)
	}
	g.stop()
	g.data = t.TempDir()
	g.options = "secret_key " + keyOne + "\n" + inside(t, text)
	g.reload()

	if origin := g.read("/models/writer").at("origin").String(); origin != "declared" {
		t.Errorf("the model is %s", origin)
	}
	after := definitionSpecs(g)
	for name, spec := range specs {
		if !reflect.DeepEqual(spec, after[name]) {
			t.Errorf("%s reads\n%v, and was\n%v", name, after[name], spec)
		}
	}
	if len(after) != len(specs) {
		t.Errorf("%d definitions, and there were %d", len(after), len(specs))
	}
	if now := behaviour(); !reflect.DeepEqual(now, before) {
		t.Errorf("the gateway behaves otherwise:\n%s\nand did\n%s", strings.Join(now, "\n"), strings.Join(before, "\n"))
	}
}

// inside is what stands in the block ai_gateway of an exported Caddyfile.
func inside(t *testing.T, text string) string {
	t.Helper()
	_, block, ok := strings.Cut(text, "ai_gateway {\n")
	end := strings.LastIndex(block, "\t}\n}")
	if !ok || end < 0 {
		t.Fatalf("the export is no global option:\n%s", text)
	}
	return block[:end]
}
