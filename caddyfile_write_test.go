package aigateway

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"pgregory.net/rapid"
)

// adaptedApp is the gateway's part of what a Caddyfile becomes.
func adaptedApp(t rapid.TB, text string) exported {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, text)
	}
	var parsed struct {
		Apps struct {
			Gateway exported `json:"ai_gateway"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Apps.Gateway
}

// writtenBack writes definitions as a Caddyfile, and fails if that is not formatted
// or does not become the JSON that is exported too.
func writtenBack(t testing.TB, e exported) (text string, standIns []standIn) {
	t.Helper()
	text, standIns, err := writeCaddyfile(e)
	if err != nil {
		t.Fatal(err)
	}
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("caddy fmt would change\n%s\nto\n%s", text, formatted)
	}
	want, others, err := exportJSON(e)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(standIns, others) {
		t.Errorf("the Caddyfile has the stand-ins %v, the JSON %v", standIns, others)
	}
	got, err := json.Marshal(adaptedApp(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if !sameJSON(got, want) {
		t.Errorf("the Caddyfile\n%s\nbecomes\n%s\nbut should become\n%s", text, got, want)
	}
	return text, standIns
}

// object makes a definition of JSON without its braces.
func object(fields string) json.RawMessage { return json.RawMessage("{" + fields + "}") }

// TestWrittenFields writes one field each. The line is what stands in the block, or
// the head of the definition if that has no block.
func TestWrittenFields(t *testing.T) {
	t.Setenv("HOME", "replaced")
	for _, tc := range []struct{ kind, name, fields, want string }{
		{"upstream", "provider", `"provider":"groq"`, "provider groq"},
		{"upstream", "base url", `"base_url":"https://h/v1"`, "upstream u https://h/v1"},
		{"upstream", "formats", `"base_url":"https://h","formats":["openai_chat","gemini"]`, "formats openai_chat gemini"},
		{"upstream", "format_url", `"provider":"openai","format_urls":{"openai_chat":"https://x"}`, "format_url openai_chat https://x"},
		{"upstream", "format_path", `"provider":"openai","format_paths":{"openai_chat":"/x/chat/completions"}`, "format_path openai_chat /x/chat/completions"},
		{"upstream", "bearer", `"provider":"openai","credentials":[{"type":"bearer","token":"{env.X}"}]`, "credential bearer {env.X}"},
		{"upstream", "file", `"provider":"openai","credentials":[{"type":"bearer","token":"{file./run/a b}"}]`, `credential bearer "{file./run/a b}"`},
		{"upstream", "header credential", `"provider":"openai","credentials":[{"type":"header","name":"id","value":"{env.X}","weight":0,"id":"weight"}]`, "credential header id {env.X} weight 0 id weight"},
		{"upstream", "query credential", `"provider":"openai","credentials":[{"type":"query","name":"key","value":"{env.X}"}]`, "credential query key {env.X}"},
		{"upstream", "body credential", `"provider":"openai","credentials":[{"type":"body","name":"key","value":"{env.X}"}]`, "credential body key {env.X}"},
		{"upstream", "allow_override", `"provider":"openai","allow_override":true`, "allow_override"},
		{"upstream", "header", `"provider":"openai","headers":{"X-A":["1"]}`, "header X-A 1"},
		{"upstream", "header's spelling", `"provider":"openai","headers":{"x-a":["1"]}`, "json headers `{\"x-a\":[\"1\"]}`"},
		{"upstream", "header without values", `"provider":"openai","headers":{"X-A":[]}`, "json headers `{\"X-A\":[]}`"},
		{"upstream", "header with quotes", `"provider":"openai","headers":{"X-A":["say \"hi\""]}`, "header X-A `say \"hi\"`"},
		{"upstream", "transport", `"provider":"openai","transport":{"protocol":"http"}`, "transport http"},
		{"upstream", "transport of another", `"provider":"demo","transport":{"protocol":"ai_gateway_demo"}`, "transport ai_gateway_demo"},
		{"upstream", "transport's rare settings", `"provider":"openai","transport":{"protocol":"http","tls":{"ca":{"provider":"inline","trusted_ca_certs":["x"]}}}`, "json transport `"},
		{"upstream", "allow_addresses", `"provider":"openai","allow_addresses":["169.254.1.0/24"]`, "allow_addresses 169.254.1.0/24"},
		{"upstream", "timeout", `"provider":"openai","timeouts":{"connect":1500000000,"total":3600000000000}`, "timeout connect 1.5s\n\t\t\ttimeout total 1h\n"},
		{"upstream", "retries", `"provider":"openai","retries":0`, "retries 0"},
		{"upstream", "max_concurrency", `"provider":"openai","max_concurrency":3`, "max_concurrency 3"},
		{"upstream", "health", `"provider":"openai","health":{}`, "health\n"},
		{"upstream", "health's options", `"provider":"openai","health":{"path":"/x","interval":60000000000,"healthy":1,"headers":{"X-A":["b c"]}}`, "path /x\n\t\t\t\tinterval 1m\n\t\t\t\thealthy 1\n\t\t\t\theader X-A \"b c\"\n"},
		{"upstream", "circuit off", `"provider":"openai","circuit":{"off":true}`, "circuit off"},
		{"upstream", "circuit", `"provider":"openai","circuit":{"failures":3,"failures_within":60000000000,"error_rate":40,"min_attempts":7,"window":20000000000,"slow_rate":70,"slow_over":5000000000,"open_for":10000000000,"open_for_max":90000000000,"probes":1}`, "failures 3 in 1m\n\t\t\t\terror_rate 40% of 7 in 20s\n\t\t\t\tslow 70% over 5s\n\t\t\t\topen_for 10s up to 1m30s\n\t\t\t\tprobes 1\n"},
		{"upstream", "circuit without words", `"provider":"openai","circuit":{"failures_within":60000000000}`, "json circuit `{\"failures_within\":60000000000}`"},
		{"upstream", "empty circuit", `"provider":"openai","circuit":{}`, "json circuit \"{}\""},
		{"upstream", "quirks", `"provider":"openai","quirks":["-cache_marks"]`, "quirks -cache_marks"},
		{"upstream", "sync", `"provider":"openai","sync":21600000000000`, "sync every 6h"},
		{"upstream", "expose", `"provider":"openai","expose":true`, "expose"},
		{"upstream", "tags", `"provider":"openai","tags":["eu","a b"]`, `tags eu "a b"`},
		{"upstream", "disabled", `"provider":"openai","disabled":true`, "disabled"},

		{"model", "display_name", `"display_name":"` + `a {$HOME}"`, `display_name "a {$:{$}HOME}"`},
		{"model", "description", `"description":"a\nb"`, "description \"a\nb\""},
		{"model", "description with all quotes", `"description":"\\\"\u0060\\"`, "description <<END\n\\\"`\\\nEND\n"},
		{"model", "description that is no word", `"description":"\\\"\u0060\r"`, "json description `"},
		{"model", "vendor", `"vendor":"v"`, "vendor v"},
		{"model", "access", `"access":"public"`, "access public"},
		{"model", "order", `"order":-4`, "order -4"},
		{"model", "order far away", `"order":2000000`, "json order 2000000"},
		{"model", "operations", `"operations":["chat","embed"]`, "operation chat embed"},
		{"model", "policy", `"policy":{"policy":"first"}`, "policy first"},
		{"model", "policy with an option", `"policy":{"policy":"header_hash","header":"X-A"}`, "policy header_hash X-A"},
		{"model", "policy's other name", `"policy":{"policy":"round-robin"}`, "json policy `{\"policy\":\"round-robin\"}`"},
		{"model", "mode and active", `"mode":"pinned","active":"up:m"`, "mode pinned\n\t\t\tactive up:m\n"},
		{"model", "sticky_header", `"sticky_header":"X-A"`, "sticky header X-A"},
		{"model", "retry_on_empty", `"retry_on_empty":true`, "retry_on_empty"},
		{"model", "on_unsupported", `"on_unsupported":"error"`, "on_unsupported error"},
		{"model", "native_tools", `"native_tools":["web_search","web_search"]`, "native_tools web_search web_search"},
		{"model", "capability", `"capability":{"efforts":"low high","reasons":"true"}`, "capability efforts low high\n\t\t\tcapability reasons true\n"},
		{"model", "capability with two spaces", `"capability":{"efforts":"low  high"}`, `capability efforts "low  high"`},
		{"model", "disabled", `"disabled":true`, "disabled"},
		{
			"model", "source", `"sources":[{"upstream":"up","model":"m"},{"upstream":"up","model":"` + "a b" + `","format":"openai_chat","priority":2,"weight":0,"context_window":5,"force_stream":true,"disabled":true}]`,
			"source up m\n\t\t\tsource up \"a b\" format openai_chat priority 2 weight 0 context_window 5 force_stream disabled\n",
		},
		{"model", "source far behind", `"sources":[{"upstream":"up","model":"m","priority":1000001}]`, "json sources `"},

		{"alias", "model", `"model":"writer"`, "alias x writer\n"},
		{"alias", "upstream model", `"model":"@up/a b"`, `alias x "@up/a b"`},
		{"alias", "pattern", `"model":"writer","pattern":"[a-z]{2,3}\\.#"`, `pattern "[a-z]{2,3}\.#"`},
		{"alias", "announce", `"model":"writer","pattern":"a.*","announce":["a","ab"]`, "announce a ab"},
		{"alias", "disabled", `"model":"writer","disabled":true`, "disabled"},
	} {
		t.Run(tc.kind+" "+tc.name, func(t *testing.T) {
			e := exported{
				Upstreams: map[string]json.RawMessage{"up": object(`"base_url":"https://up"`)},
				Models:    map[string]json.RawMessage{"writer": object(`"sources":[{"upstream":"up","model":"m"}]`)},
				Aliases:   map[string]json.RawMessage{},
			}
			switch tc.kind {
			case "upstream":
				e.Upstreams["u"] = object(tc.fields)
			case "model":
				fields := tc.fields
				if !strings.Contains(fields, `"sources"`) {
					fields += `,"sources":[{"upstream":"up","model":"m"}]`
				}
				e.Models["x"] = object(fields)
			case "alias":
				e.Aliases["x"] = object(tc.fields)
			}
			text, _ := writtenBack(t, e)
			if !strings.Contains(text, "\t"+tc.want) {
				t.Errorf("got\n%s\nwithout\n%s", text, tc.want)
			}
		})
	}
}

// TestWrittenCaddyfile holds a whole file against what it should be.
func TestWrittenCaddyfile(t *testing.T) {
	e := exported{
		Upstreams: map[string]json.RawMessage{
			"open ai": object(`"provider":"openai","credentials":[
				{"type":"bearer","token":{"set":true,"hint":"…abcd","fingerprint":"01234567"},"id":"1"},
				{"type":"header","name":"X-Key","value":{"sealed":"x","hint":"…","fingerprint":"0"},"id":"a.b","weight":0}]`),
			"open-ai": object(`"provider":"openai","tags":["eu"],"credentials":[{"type":"bearer","token":"sk-very-secret"}]`),
		},
		Models: map[string]json.RawMessage{
			"draft":  object(`"description":"two\nlines"`),
			"writer": object(`"vendor":"us","sources":[{"upstream":"open ai","model":"gpt-4o"}]`),
		},
		Aliases: map[string]json.RawMessage{
			"later":    object(`"model":"draft"`),
			"claude-*": object(`"model":"writer"`),
		},
	}
	text, standIns, err := writeCaddyfile(e)
	if err != nil {
		t.Fatal(err)
	}
	const want = `# Secrets are not exported. Set these environment variables to them, or put other
# placeholders in their places:
#
#   AI_GATEWAY_OPEN_AI_1: the token of credential "1" of upstream "open ai"
#   AI_GATEWAY_OPEN_AI_A_B: the value of credential "a.b" of upstream "open ai"
#   AI_GATEWAY_OPEN_AI_1_2: the token of credential "1" of upstream "open-ai"
{
	ai_gateway {
		upstream "open ai" {
			provider openai
			credential bearer {env.AI_GATEWAY_OPEN_AI_1} id 1
			credential header X-Key {env.AI_GATEWAY_OPEN_AI_A_B} weight 0 id a.b
		}
		upstream open-ai {
			provider openai
			credential bearer {env.AI_GATEWAY_OPEN_AI_1_2}
			tags eu
		}
		# The model "draft" has no source yet, which a model of the config needs:
		# model draft {
		# 	description "two
		# lines"
		# }
		model writer {
			vendor us
			source "open ai" gpt-4o
		}
		alias claude-* writer
		# The alias "later" has to wait for its model:
		# alias later draft
	}
}
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("caddy fmt would change it to\n%s", formatted)
	}
	wantStandIns := []standIn{
		{"AI_GATEWAY_OPEN_AI_1", "open ai", "1", "token"},
		{"AI_GATEWAY_OPEN_AI_A_B", "open ai", "a.b", "value"},
		{"AI_GATEWAY_OPEN_AI_1_2", "open-ai", "1", "token"},
	}
	if !slices.Equal(standIns, wantStandIns) {
		t.Errorf("got stand-ins %v, want %v", standIns, wantStandIns)
	}
	app := adaptedApp(t, text)
	if got := slices.Sorted(maps.Keys(app.Models)); !slices.Equal(got, []string{"writer"}) {
		t.Errorf("got models %v", got)
	}
	if got := slices.Sorted(maps.Keys(app.Aliases)); !slices.Equal(got, []string{"claude-*"}) {
		t.Errorf("got aliases %v", got)
	}
}

// TestNoSecretIsExported exports secrets in all their forms, also of a kind of
// credential that nobody knows.
func TestNoSecretIsExported(t *testing.T) {
	e := exported{Upstreams: map[string]json.RawMessage{"u": object(`"provider":"openai","credentials":[
		{"type":"bearer","token":"secret-1 {env.X}","id":"a"},
		{"type":"bearer","token":{"sealed":"secret-2","hint":"…cret","fingerprint":"secret-3"},"id":"b"},
		{"type":"bearer","token":{"set":true,"hint":"secret-4"},"id":"c"},
		{"type":"bearer","token":"{file./run/key}","id":"d"},
		{"type":"bearer","token":"{env.AI_GATEWAY_U_A}","id":"e"},
		{"type":"nobody_knows","one":"secret-5","two":["secret-6"],"id":"f","weight":2}]`)}}
	text, standIns, err := writeCaddyfile(e)
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := exportJSON(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret", "cret"} {
		if strings.Contains(strings.ReplaceAll(text, "# Secrets", ""), secret) {
			t.Errorf("the Caddyfile holds %q\n%s", secret, text)
		}
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("the JSON holds %q\n%s", secret, raw)
		}
	}
	var names []string
	for _, s := range standIns {
		names = append(names, s.name)
	}
	want := []string{"AI_GATEWAY_U_A_2", "AI_GATEWAY_U_B", "AI_GATEWAY_U_C", "AI_GATEWAY_U_F", "AI_GATEWAY_U_F_2"}
	if !slices.Equal(names, want) {
		t.Errorf("got stand-ins %v, want %v", names, want)
	}
	for _, placeholder := range []string{"{file./run/key}", "{env.AI_GATEWAY_U_A}"} {
		if !bytes.Contains(raw, []byte(placeholder)) {
			t.Errorf("the JSON has lost %s\n%s", placeholder, raw)
		}
	}
}

// TestUnsetSecret leaves out what a mask says is not there.
func TestUnsetSecret(t *testing.T) {
	e := exported{Upstreams: map[string]json.RawMessage{"u": object(`"provider":"openai","credentials":[{"type":"bearer","token":{"set":false},"id":"a"}]`)}}
	raw, standIns, err := exportJSON(e)
	if err != nil {
		t.Fatal(err)
	}
	if len(standIns) != 0 || bytes.Contains(raw, []byte("token")) {
		t.Errorf("got %s with %v", raw, standIns)
	}
}

// TestEscapedBraces exports headers with braces that mean themselves; the config
// must resolve them to the same text.
func TestEscapedBraces(t *testing.T) {
	for _, value := range []string{`{"a":{"b":1}}`, "{unknown}", `\{x\}`, "{", "}", "{{}}", `a{\}b`} {
		u, err := json.Marshal(map[string]any{"provider": "openai", "headers": map[string][]string{"X-A": {value}}})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := writtenBack(t, exported{Upstreams: map[string]json.RawMessage{"u": u}})
		var got struct{ Headers map[string][]string }
		if err := json.Unmarshal(adaptedApp(t, text).Upstreams["u"], &got); err != nil {
			t.Fatal(err)
		}
		if resolved := caddy.NewReplacer().ReplaceAll(got.Headers["X-A"][0], ""); resolved != value {
			t.Errorf("%s comes out as %s, from %s", value, resolved, got.Headers["X-A"][0])
		}
	}
}

// TestExportOfNothing is a file that may be used too.
func TestExportOfNothing(t *testing.T) {
	text, _ := writtenBack(t, exported{})
	if !strings.Contains(text, "ai_gateway") {
		t.Errorf("got %q", text)
	}
}

// TestExportRefuses names what cannot be exported.
func TestExportRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		e    exported
		want string
	}{
		{"unknown field", exported{Upstreams: map[string]json.RawMessage{"u": object(`"prowider":"x"`)}}, `upstream "u": prowider: unknown field`},
		{"name with a line break", exported{Aliases: map[string]json.RawMessage{"a\nb": object(`"model":"x"`)}}, `alias: name "a\nb" must not hold control characters`},
		{"credential that is no object", exported{Upstreams: map[string]json.RawMessage{"u": object(`"provider":"openai","credentials":["x"]`)}}, `upstream "u": credentials[0]: must be an object`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := writeCaddyfile(tc.e)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if _, _, other := exportJSON(tc.e); other == nil || other.Error() != err.Error() {
				t.Errorf("the JSON says %v, the Caddyfile %v", other, err)
			}
		})
	}
}
