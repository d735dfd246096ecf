package caddytest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin/litellm"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestConvertedFiles adapts and provisions what LiteLLM's configurations become.
func TestConvertedFiles(t *testing.T) {
	files, err := filepath.Glob("../admin/litellm/testdata/*.caddyfile")
	if err != nil || len(files) < 6 {
		t.Fatalf("found %d files (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfile"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got, valid := adaptText(t, string(text)); !valid {
				t.Errorf("refused: %s", got)
			}
			if formatted := caddyfile.Format(text); string(formatted) != string(text) {
				t.Errorf("caddy fmt would change it to\n%s", formatted)
			}
		})
	}
}

// TestConvertedModelsKeepTheirSources holds a converted file against what LiteLLM
// would do: which upstream model comes when.
func TestConvertedModelsKeepTheirSources(t *testing.T) {
	text, err := os.ReadFile("../admin/litellm/testdata/fallbacks.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	got, valid := adaptText(t, string(text))
	if !valid {
		t.Fatal(got)
	}
	got = strings.Join(strings.Fields(got), "")
	for _, part := range []string{
		`"sources":[{"upstream":"anthropic","model":"claude-opus-4-5"},{"upstream":"openrouter","model":"anthropic/claude-opus-4.5","priority":2},` +
			`{"upstream":"mistral","model":"mistral-small-latest","priority":3},{"upstream":"deepseek","model":"deepseek-chat","priority":4,"disabled":true},` +
			`{"upstream":"gemini","model":"gemini-2.5-flash","priority":4}]`,
		`"aliases":{"claude":{"model":"smart"},"gpt-3.5-turbo":{"model":"cheap"},"gpt-4":{"model":"smart"}}`,
		`"token":"{env.MISTRAL_API_KEY}"`,
		`"max_attempts":4`, `"default_model":"smart"`, `"on_unsupported":"error"`,
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in\n%s", part, got)
		}
	}
}

// TestConvertedFileServes runs what a configuration becomes: it asks the deployments
// in LiteLLM's order, and nobody without the master key.
func TestConvertedFileServes(t *testing.T) {
	first, second := startProvider(t, provider.Status(500, boom), provider.Say("From the first.")), startProvider(t, provider.Say("From the second."))
	result, err := litellm.Convert(fmt.Appendf(nil, `
model_list:
  - model_name: writer
    litellm_params: {model: openai/one, api_base: %q, api_key: os.environ/CONVERTED_KEY, order: 1}
  - model_name: spare
    litellm_params: {model: openai/two, api_base: %q, api_key: none}
  - model_name: "house-*"
    litellm_params: {model: openai/three, api_base: %q, api_key: none}
router_settings:
  num_retries: 0
  fallbacks: [{writer: [spare]}]
  model_group_alias: {gpt-4: writer}
general_settings:
  master_key: os.environ/CONVERTED_MASTER_KEY
`, first.URL()+"/v1", second.URL(), second.URL()))
	if err != nil || len(result.Unmapped) != 0 {
		t.Fatalf("%v, did not map: %v", err, result.Unmapped)
	}
	t.Setenv("CONVERTED_KEY", "sk-first")
	address := freeAddress(t)
	g := &gateway{t: t, url: "http://" + address, data: t.TempDir(), log: currentLog}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	load := func(key string) {
		t.Helper()
		t.Setenv("CONVERTED_MASTER_KEY", key)
		text := strings.Replace(g.withDataDir(result.Caddyfile), "\n:8080 {", "\nhttp://"+address+" {", 1)
		text = strings.Replace(text, "\n{\n", "\n{\n\tadmin off\n\tpersist_config off\n", 1)
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := load(config); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		http.DefaultClient.CloseIdleConnections() // the reload ends them
	}

	load("sk-master")
	chat := clients[0]
	for _, tc := range []struct {
		model string
		want  string
	}{{"writer", "From the second."}, {"gpt-4", "From the first."}, {"house-of-cards", "From the second."}} {
		resp, answer := g.post(chat.path, chat.body(tc.model), "Authorization", "Bearer sk-master")
		if resp.StatusCode != 200 || chat.text(t, answer) != tc.want {
			t.Errorf("%s: %d %s", tc.model, resp.StatusCode, answer)
		}
	}
	if got := last(t, first); got.Header.Get("Authorization") != "Bearer sk-first" || !strings.Contains(string(got.Body), `"one"`) {
		t.Errorf("the first was asked with %v: %s", got.Header, got.Body)
	}
	if got := last(t, second); got.Header.Get("Authorization") != "" || !strings.Contains(string(got.Body), `"three"`) {
		t.Errorf("the second was asked with %v: %s", got.Header, got.Body)
	}
	for _, header := range [][]string{{"X-Api-Key", "sk-master"}, {"X-Goog-Api-Key", "sk-master"}, {"Api-Key", "sk-master"}} {
		if resp, answer := g.post(chat.path, chat.body("spare"), header...); resp.StatusCode != 200 {
			t.Errorf("%v: %d %s", header, resp.StatusCode, answer)
		}
	}
	asked := len(second.Requests())
	strangers := [][]string{nil, {"Authorization", "Bearer sk-other"}, {"Authorization", "sk-master"}, {"X-Api-Key", ""}, {"X-Api-Key", "sk-master2"}}
	refuse := func() {
		t.Helper()
		for _, headers := range strangers {
			if resp, answer := g.post(chat.path, chat.body("spare"), headers...); resp.StatusCode != 401 {
				t.Errorf("%v: %d %s", headers, resp.StatusCode, answer)
			}
		}
	}
	refuse()
	// Without a key in the environment nobody is let in, not even with an empty one.
	load("")
	strangers = append(strangers, []string{"Authorization", "Bearer "}, []string{"Authorization", "Bearer sk-master"})
	refuse()
	if len(second.Requests()) != asked {
		t.Error("a stranger has reached the upstream")
	}
}

// TestMigrationPage holds the example of the page on LiteLLM against what it becomes.
func TestMigrationPage(t *testing.T) {
	page, err := os.ReadFile("../docs/migrating-from-litellm.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		m := regexp.MustCompile("(?ms)^```" + kind + "\n(.*?)^```$").FindSubmatch(page)
		if m == nil {
			t.Fatalf("the page has no block of %s", kind)
		}
		return string(m[1])
	}
	result, err := litellm.Convert([]byte(block("yaml")))
	if err != nil || len(result.Unmapped) != 0 {
		t.Fatalf("%v, did not map: %v", err, result.Unmapped)
	}
	comment := regexp.MustCompile(`(?m)^\s*#.*\n`)
	if got, want := comment.ReplaceAllString(result.Caddyfile, ""), block("caddyfile"); got != want {
		t.Errorf("the example becomes\n%s\nand not\n%s", got, want)
	}
}
