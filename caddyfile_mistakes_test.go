package aigateway

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// mistake adapts a Caddyfile, and returns what is said of it; "" if it is taken.
func mistake(text string) string {
	_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err == nil {
		return ""
	}
	return err.Error()
}

// refuses holds what is said of a Caddyfile against what it should be.
func refuses(t *testing.T, text, want string) {
	t.Helper()
	if got := mistake(text); !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want …%q for\n%s", got, want, text)
	}
}

// inSite is a Caddyfile of a site with options, the first of them on line 6.
func inSite(options ...string) string {
	return ":80 {\n\tai_gateway {\n\t\tupstream demo\n\t\tmodel echo {\n\t\t\tsource demo echo\n\t\t}\n\t\t" +
		strings.Join(options, "\n\t\t") + "\n\t}\n}\n"
}

// A second value would silently take the place of the first.
func TestOptionsOfASiteStandOnce(t *testing.T) {
	for _, tc := range []struct{ word, first, second string }{
		{"default_model", "echo", "other"},
		{"max_attempts", "2", "3"},
		{"max_body", "1MiB", "2MiB"},
		{"timeout", "total 1s", "total 2s"},
		{"heartbeat", "off", "5s"},
		{"expose_headers", "off", "basic"},
		{"on_unsupported", "drop", "error"},
		{"on_all_open", "fail", "try_best"},
		{"cors", "https://a.example", "https://b.example"},
		{"count_tokens", "off", "forward"},
	} {
		t.Run(tc.word, func(t *testing.T) {
			refuses(t, inSite(tc.word+" "+tc.first, tc.word+" "+tc.second),
				tc.word+" stands twice in this ai_gateway block: first at Caddyfile:7, at Caddyfile:8")
		})
	}
	if got := mistake(inSite("models echo", "models b-*")); got != "" {
		t.Errorf("models, which adds up, is refused: %s", got)
	}
}

func TestOptionsOfAModelStandOnce(t *testing.T) {
	for _, tc := range []struct{ word, first, second string }{
		{"display_name", "a", "b"},
		{"vendor", "a", "b"},
		{"on_unsupported", "drop", "error"},
		{"retry_on_empty", "", ""},
		{"disabled", "", ""},
	} {
		t.Run(tc.word, func(t *testing.T) {
			refuses(t, ":80 {\n\tai_gateway {\n\t\tupstream demo\n\t\tmodel m {\n\t\t\tsource demo echo\n\t\t\t"+
				strings.TrimSpace(tc.word+" "+tc.first)+"\n\t\t\t"+strings.TrimSpace(tc.word+" "+tc.second)+"\n\t\t}\n\t}\n}\n",
				tc.word+` stands twice in model "m": first at Caddyfile:6, at Caddyfile:7`)
		})
	}
}

func TestOptionsOfASourceStandOnce(t *testing.T) {
	for _, words := range []string{
		"priority 1 priority 2", "weight 1 priority 2 weight 1", "format openai_chat format gemini", "context_window 1 context_window 2",
		"disabled disabled", "force_stream disabled force_stream",
	} {
		word, _, _ := strings.Cut(words, " ")
		t.Run(word, func(t *testing.T) {
			refuses(t, ":80 {\n\tai_gateway {\n\t\tupstream demo\n\t\tmodel m {\n\t\t\tsource demo echo "+words+"\n\t\t}\n\t}\n}\n",
				word+" stands twice in this source, at Caddyfile:5")
		})
	}
}

// A name that the gateway would refuse at start is told with its line.
func TestNamesAreToldWithTheirLine(t *testing.T) {
	long := strings.Repeat("n", 257)
	for _, tc := range []struct{ name, option, want string }{
		{"model without a name", "model \"\" {\n\t\t\tsource demo echo\n\t\t}", `model "": name must not be empty, at Caddyfile:7`},
		{"model with a tab", "model \"a\tb\" {\n\t\t\tsource demo echo\n\t\t}", `model "a\tb": name must not hold control characters, at Caddyfile:7`},
		{"upstream without a name", `upstream "" https://up.example`, `upstream "": name must not be empty, at Caddyfile:7`},
		{"upstream with a long name", "upstream " + long + " https://up.example", "name must not be longer than 256 bytes, at Caddyfile:7"},
		{"alias without a name", `alias "" echo`, `alias "": name must not be empty, at Caddyfile:7`},
		{"upstream model without a name", "model m {\n\t\t\tsource demo \"\"\n\t\t}", "the upstream model's name must not be empty, at Caddyfile:8"},
		{"upstream model with a tab", "model m {\n\t\t\tsource demo \"a\tb\"\n\t\t}", "the upstream model's name must not hold control characters, at Caddyfile:8"},
	} {
		t.Run(tc.name, func(t *testing.T) { refuses(t, inSite(tc.option), tc.want) })
	}
}

// One snippet in two sites is one definition, unless it says something else there.
func TestSnippetInTwoSites(t *testing.T) {
	const snippet = "(gateway) {\n\tai_gateway {\n\t\tupstream up {args[0]}\n\t\tmodel m {\n\t\t\tsource up x\n\t\t}\n\t}\n}\n"
	if got := mistake(snippet + "http://a.example {\n\timport gateway https://up.example\n}\nhttp://b.example {\n\timport gateway https://up.example\n}\n"); got != "" {
		t.Errorf("the same twice is refused: %s", got)
	}
	refuses(t, snippet+"http://a.example {\n\timport gateway https://up.example\n}\nhttp://b.example {\n\timport gateway https://other.example\n}\n",
		`upstream "up" is defined twice, and not alike: first at Caddyfile:3, at Caddyfile:3 import chain ['Caddyfile:13 (import gateway)']`)
}

// Where a definition of a snippet was imported is told, too.
func TestImportChainIsTold(t *testing.T) {
	refuses(t, "(one) {\n\tmodel {args[0]} {\n\t\tsource demo echo\n\t}\n}\n{\n\tai_gateway {\n\t\tupstream demo\n\t\timport one a\n\t\timport one a\n\t}\n}\n",
		`model "a" is defined twice: first at Caddyfile:2, at Caddyfile:2 import chain ['Caddyfile:10 (import one)']`)
}
