package litellm

import (
	"fmt"
	"strings"
	"testing"
)

// convert converts a file that must be convertible.
func convert(t *testing.T, text string) *Result {
	t.Helper()
	result, err := Convert([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return result
}

// lines are the lines of a Caddyfile without their indentation.
func lines(caddyfile string) []string {
	var all []string
	for line := range strings.Lines(caddyfile) {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

func TestMapping(t *testing.T) {
	one := func(params string) string {
		return "model_list: [{model_name: m, litellm_params: {model: openai/gpt-4o, " + params + "}}]\n"
	}
	two := func(a, b string) string {
		return fmt.Sprintf("model_list: [{model_name: m, litellm_params: {model: openai/one%s}}, {model_name: m, litellm_params: {model: groq/two%s}}]\n", a, b)
	}
	cases := []struct {
		name, text string
		want       string // lines that follow each other, divided by |
		named      string // a path of the list; none if it is empty
	}{
		{"the key that LiteLLM would read", one("rpm: null"), "upstream openai {|credential {env.OPENAI_API_KEY}|}", ""},
		{"OpenAI's own address", one("api_base: https://api.openai.com/v1"), "upstream openai https://api.openai.com/v1 {", ""},
		{"another address", one("api_base: http://llm.local/v1"), "upstream compatible http://llm.local/v1 {|credential {env.OPENAI_API_KEY}|}", ""},
		{"a key that is none", one("api_base: http://llm.local/v1, api_key: EMPTY"), "upstream compatible http://llm.local/v1||model m {", ""},
		{"the provider apart", "model_list: [{model_name: m, litellm_params: {model: a/b, custom_llm_provider: openrouter}}]", "source openrouter a/b", ""},
		{"no provider in the name", "model_list: [{model_name: m, litellm_params: {model: claude-sonnet-4-5}}]", "source anthropic claude-sonnet-4-5", ""},
		{"never a repeat", one("num_retries: 0"), "retries 0", ""},
		{"one repeat", one("max_retries: 1") + "router_settings: {num_retries: 0}\n", "credential {env.OPENAI_API_KEY}|}", "router_settings.num_retries"},
		{"many repeats", one("rpm: null") + "router_settings: {num_retries: 9}\n", "max_attempts 5", "router_settings.num_retries"},
		{"a short limit", one("timeout: 0.5"), "timeout response_header 500ms", ""},
		{"a long limit", one("timeout: 700"), "timeout response_header 11m40s|timeout total 1h", ""},
		{"a longer limit for the site", one("timeout: 7200"), "timeout total 2h|}|}", ""},
		{"an own cooldown", one("cooldown_time: 90"), "circuit {|open_for 1m30s|}", ""},
		{"room", one("max_parallel_requests: 7"), "max_concurrency 7", ""},
		{"shares by tokens", two(", tpm: 100", ", tpm: 300"), "source openai one weight 100|source groq two weight 300", "model_list[0].litellm_params.tpm"},
		{"only the first has a weight", two(", weight: 2", ""), "source openai one weight 2|source groq two weight 0", ""},
		{"only the second has a weight", two("", ", weight: 2"), "source openai one|source groq two", "model_list[1].litellm_params.weight"},
		{"orders are ranked", two(", order: 30", ", order: -4"), "source groq two|source openai one priority 2", ""},
		{"orders stay tiers", two(", order: 2", ", order: 2"), "source openai one|source groq two|}", ""},
		{"the same deployment twice", strings.ReplaceAll(two("", ""), "groq/two", "openai/one"), "source openai one weight 2|}", ""},
		{"a mode", "model_list: [{model_name: m, litellm_params: {model: openai/dall-e-3}, model_info: {mode: image_generation}}]", "operation image_generate|source openai dall-e-3", ""},
		{
			"a mode of a server that is told by its address",
			"model_list: [{model_name: m, litellm_params: {model: openai/whisper, api_base: 'http://llm.local', api_key: none}, model_info: {mode: audio_transcription}}]",
			"upstream compatible http://llm.local {|formats openai_chat openai_embeddings openai_audio|}", "",
		},
		{"drop_params of one", one("drop_params: yes"), "on_unsupported drop|source openai gpt-4o", ""},
		{"drop_params of all", one("rpm: null") + "litellm_settings: {drop_params: off}\n", "on_unsupported error|}", ""},
		{"strategies that are not known", two("", "") + "router_settings: {routing_strategy: usage-based-routing-v2}\n", "model m {|source openai one|source groq two|}", "router_settings.routing_strategy"},
		{"all failures are allowed", one("rpm: null") + "router_settings: {allowed_fails: 0}\n", "circuit {|failures 1 in 1m|}", ""},
		{"fallbacks of an alias", two("", "") + "router_settings: {model_group_alias: {a: m}, fallbacks: [{a: [m]}]}\n", "alias a m", "router_settings.fallbacks[0].a[0]"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			result := convert(t, tc.text)
			if got := "|" + strings.Join(lines(result.Caddyfile), "|") + "|"; !strings.Contains(got, "|"+tc.want+"|") {
				t.Errorf("%q is not in\n%s", tc.want, result.Caddyfile)
			}
			found := tc.named == "" && len(result.Unmapped) == 0
			for _, n := range result.Unmapped {
				found = found || tc.named == n.Path
			}
			if !found {
				t.Errorf("want %q on the list, got %+v", tc.named, result.Unmapped)
			}
		})
	}
}

// A file cannot become much larger than it is.
func TestBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString("model_list:\n")
	for i := range 400 {
		fmt.Fprintf(&b, "- {model_name: m%d, litellm_params: {model: openai/u%d}}\n", i, i)
	}
	b.WriteString("litellm_settings:\n  default_fallbacks: [m0")
	for i := range 399 {
		fmt.Fprintf(&b, ", m%d", i+1)
	}
	b.WriteString("]\n")
	result := convert(t, b.String())
	if got := strings.Count(result.Caddyfile, "source openai"); got > 400*maxSources {
		t.Errorf("%d sources", got)
	}
	if result.Unmapped[len(result.Unmapped)-1].Path != "litellm_settings.default_fallbacks[399]" {
		t.Errorf("the list ends with %+v", result.Unmapped[len(result.Unmapped)-1])
	}
	if _, err := Convert([]byte("model_list: [" + strings.Repeat("{}, ", maxEntries+1) + "]\n")); err == nil || !strings.Contains(err.Error(), "more than 10000 entries") {
		t.Errorf("too many entries: %v", err)
	}
}
