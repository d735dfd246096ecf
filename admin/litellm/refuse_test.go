package litellm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestRefused(t *testing.T) {
	cases := []struct {
		name, text, part string
	}{
		{"nothing", "", "empty"},
		{"comments only", "# nothing\n", "empty"},
		{"not YAML", "model_list: [", "not YAML"},
		{"a tab", "model_list:\n\t- a\n", "not YAML: it cannot be read at line 2"},
		{"a list", "- a\n", "no YAML map"},
		{"text", "hello", "no YAML map"},
		{"no models", "router_settings: {}\n", "no model_list"},
		{"models as a map", "model_list: {a: b}\n", "no model_list"},
		{"models of nobody", "model_list: null\n", "no model_list"},
		{"two documents", "model_list: []\n---\nmodel_list: []\n", "more than one"},
		{"an alias", "a: &a {b: c}\nmodel_list: [*a]\n", "line 2: YAML aliases"},
		{"a merge", "a: &a {b: c}\nd:\n  <<: *a\nmodel_list: []\n", "line 3: YAML aliases"},
		{"a bomb", bomb(), "YAML aliases"},
		{"a key twice", "model_list: []\nmodel_list: []\n", "line 2: a key stands twice"},
		{"a map for a key", "? {a: b}\n: c\nmodel_list: []\n", "line 1: a key is no plain text"},
		{"very deep", "model_list: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "deep"},
		{"too large", "model_list: []\n#" + strings.Repeat("x", MaxFile), "larger than 8 MiB"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			result, err := Convert([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.part) || result != nil {
				t.Errorf("got %v, %v; want an error with %q", result, err, tc.part)
			}
		})
	}
}

// bomb is a small file that would be a billion values if aliases were followed.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String() + "model_list: []\n"
}

// An error of the parser does not repeat what stands in the file.
func TestErrorsHoldNoSecret(t *testing.T) {
	for _, text := range []string{
		"model_list:\n  - api_key: sk-canary\n bad: *sk-canary\n",
		"sk-canary: 1\n*sk-canary : 2\n",
		"a: !!int sk-canary\nb: [sk-canary\n",
		"%sk-canary\n",
	} {
		if _, err := Convert([]byte(text)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A file of which nothing can be converted says why.
func TestNothingConverted(t *testing.T) {
	result, err := Convert([]byte("model_list:\n  - model_name: a\n    litellm_params: {model: bedrock/b}\n"))
	if !errors.Is(err, ErrNothing) || result == nil || result.Caddyfile != "" || len(result.Unmapped) != 1 {
		t.Fatalf("%+v, %v", result, err)
	}
	if n := result.Unmapped[0]; n.Path != "model_list[0]" || n.Line != 2 || n.Kind != "map" || !strings.Contains(n.Reason, "bedrock") {
		t.Errorf("%+v", n)
	}
	if result, err := Convert([]byte("model_list: []\n")); !errors.Is(err, ErrNothing) || len(result.Unmapped) != 0 || result.Unmapped == nil {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestScaled(t *testing.T) {
	for _, tc := range []struct {
		shares []float64
		want   []int
	}{
		{[]float64{1, 1}, []int{1, 1}},
		{[]float64{70, 30}, []int{70, 30}},
		{[]float64{0.7, 0.3}, []int{7, 3}},
		{[]float64{0.125, 0.875}, []int{1, 7}},
		{[]float64{6000, 2000}, []int{3, 1}},
		{[]float64{1000, 0}, []int{1000, 0}},
		{[]float64{0, 0}, []int{0, 0}},
		{[]float64{1e9, 1}, []int{1000, 1}},
		{[]float64{1.0 / 3, 2.0 / 3}, []int{500, 1000}},
		{[]float64{1e300, 1e-300}, []int{1000, 1}},
	} {
		if got := scaled(tc.shares); !slices.Equal(got, tc.want) {
			t.Errorf("%v: got %v, want %v", tc.shares, got, tc.want)
		}
	}
}

// What quote writes Caddy reads as the same text, in one token.
func TestQuote(t *testing.T) {
	texts := []string{
		"gpt-4o", "vendor/name:free", "*", "@a/b", "a b", `a"b`, "a`b", "a`b\"c", `a\b`, `a\`, `"\`, "{", "}", "a{b", "#a", "a#b", "<<X",
		"import", "(snippet)", "&(route)", "ü", "日本", "{env.X}", `"`, "`", "a\tb", " a ", `a\"b`, "a&b", "a\u00a0b", "\ufeffa",
	}
	for _, text := range texts {
		checkQuote(t, text)
	}
	for _, text := range []string{"", "a\nb", "a\rb", "a\x00b", "{$HOME}", "x{$", "`\\"} {
		if token, ok := quote(text); ok {
			t.Errorf("%q became %s", text, token)
		}
	}
}

func checkQuote(t *testing.T, text string) {
	t.Helper()
	token, ok := quote(text)
	if !ok {
		return
	}
	tokens, err := caddyfile.Tokenize([]byte("a "+token+" b\nc\n"), "Caddyfile")
	if err != nil || len(tokens) != 4 || tokens[1].Text != text || tokens[2].Text != "b" || tokens[2].Line != 1 {
		t.Errorf("%q became %s, which Caddy reads as %v (%v)", text, token, tokens, err)
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("a\"b`c\\d{e}f #g")
	f.Fuzz(func(t *testing.T, text string) {
		if !sayable(text) {
			return
		}
		checkQuote(t, text)
	})
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte("model_list:\n- model_name: '*'\n  litellm_params: {model: openai/*, weight: .5}\nrouter_settings: {fallbacks: [{a: [b]}]}\n"))
	f.Add([]byte("model_list: [{model_name: a, litellm_params: {model: gpt-4, api_key: k, timeout: 1e9, headers: {a: b}}}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		result, err := Convert(text)
		if err != nil {
			return
		}
		if _, err := caddyfile.Tokenize([]byte(result.Caddyfile), "Caddyfile"); err != nil {
			t.Errorf("%v\n%s", err, result.Caddyfile)
		}
		if formatted := caddyfile.Format([]byte(result.Caddyfile)); string(formatted) != result.Caddyfile {
			t.Errorf("caddy fmt would change\n%s\nto\n%s", result.Caddyfile, formatted)
		}
	})
}
