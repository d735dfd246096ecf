package admin

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin/litellm"
)

// The command prints what the package makes, and needs no server for it.
func TestConvertLiteLLM(t *testing.T) {
	const file = "litellm/testdata/fallbacks.yaml"
	input, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := litellm.Convert(input)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("table", func(t *testing.T) {
		out, notes, code := run(t, "convert", "litellm", file)
		if out != want.Caddyfile || code != 0 {
			t.Errorf("exit code %d, output\n%s", code, out)
		}
		golden(t, "convert_litellm", notes)
	})
	t.Run("json", func(t *testing.T) {
		out, notes, code := run(t, "convert", "litellm", file, "-o", "json")
		var got map[string]json.RawMessage
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || notes != "" || len(got) != 2 {
			t.Fatalf("exit code %d, %v, notes %q: %s", code, err, notes, out)
		}
		var text string
		var list []litellm.Note
		if err := json.Unmarshal(got["caddyfile"], &text); err != nil || text != want.Caddyfile {
			t.Errorf("caddyfile (%v):\n%s", err, text)
		}
		if err := json.Unmarshal(got["unmapped"], &list); err != nil || len(list) != len(want.Unmapped) || list[0].Path != want.Unmapped[0].Path {
			t.Errorf("unmapped (%v): %v", err, list)
		}
	})
	t.Run("quiet", func(t *testing.T) {
		out, notes, code := run(t, "convert", "litellm", file, "-q")
		if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || notes != "" || len(lines) != len(want.Unmapped) || lines[0] != want.Unmapped[0].Path {
			t.Errorf("exit code %d, notes %q: %s", code, notes, out)
		}
	})
}

func TestConvertLiteLLMExitCodes(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const entry = "model_list: [{model_name: a, litellm_params: {model: openai/a}}]\n"
	cases := []struct {
		name        string
		args        []string
		code        int
		out, notes  string // parts
		nothingOnly bool   // no output at all
	}{
		{"all mapped", []string{"litellm", write("all", entry)}, 0, "source openai a", "Everything in the file mapped.", false},
		{"nothing converted", []string{"litellm", write("none", "model_list: [{model_name: a, litellm_params: {model: bedrock/a}}]\n")}, 1, "", "provider bedrock", true},
		{"nothing converted, json", []string{"litellm", filepath.Join(folder, "none"), "-o", "json"}, 1, `"caddyfile":""`, "no entry of model_list", false},
		{"no configuration", []string{"litellm", write("other", "a: b\n")}, 1, "", "has no model_list", true},
		{"not YAML", []string{"litellm", write("broken", "a: [\n")}, 1, "", "is not YAML", true},
		{"an alias", []string{"litellm", write("alias", "a: &a 1\nb: *a\n")}, 1, "", "line 2: YAML aliases", true},
		{"too large", []string{"litellm", write("large", strings.Repeat("#", litellm.MaxFile+1))}, 1, "", "larger than", true},
		{"no such file", []string{"litellm", filepath.Join(folder, "missing")}, 2, "", "no such file", true},
		{"no file", []string{"litellm"}, 2, "", "FILE is missing", true},
		{"two files", []string{"litellm", "a", "b"}, 2, "", `"b" is too much`, true},
		{"another tool", []string{"litelm"}, 2, "", `did you mean "litellm"`, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			out, notes, code := run(t, append([]string{"convert"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.out) || !strings.Contains(notes, tc.notes) || tc.nothingOnly && out != "" {
				t.Errorf("exit code %d, want %d; output %q, notes %q", code, tc.code, out, notes)
			}
		})
	}
}

// The file may come from the standard input.
func TestConvertLiteLLMFromStandardInput(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "ai", "convert", "litellm", "-")
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	cmd.Stdin = strings.NewReader("model_list: [{model_name: a, litellm_params: {model: groq/b, api_key: canary-key}}]\n")
	var notes strings.Builder
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "source groq b") || !strings.Contains(notes.String(), "model_list[0].litellm_params.api_key") {
		t.Errorf("%v, notes %q, output\n%s", err, notes.String(), out)
	}
	if strings.Contains(string(out)+notes.String(), "canary") {
		t.Errorf("the secret is printed: %s%s", out, notes.String())
	}
}
