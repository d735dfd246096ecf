//go:build unix

package agents

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// TestClaudeCode runs Claude Code, which speaks Messages.
func TestClaudeCode(t *testing.T) {
	binary := needPackage(t, "@anthropic-ai", "claude-code-"+platform(), "claude")
	const model = "claude-through-the-gateway"
	testAgent(t, agent{
		format: "anthropic_messages",
		path:   "/v1/messages",
		model:  model,
		steps: func(w workspace) []step {
			return []step{
				{[]call{
					{"Read", map[string]any{"file_path": w.path("greeting.txt")}, "hello wrold"},
					{"Read", map[string]any{"file_path": w.path("names.txt")}, "world"},
				}},
				{[]call{{"Edit", map[string]any{
					"file_path":  w.path("greeting.txt"),
					"old_string": "wrold",
					"new_string": "world",
				}, "updated"}}},
				{[]call{{"Bash", map[string]any{"command": "grep -n 'hello world' greeting.txt"}, "1:hello world"}}},
			}
		},
		run: func(t *testing.T, w workspace, url string) string {
			out := w.run(t, []string{
				"CLAUDE_CONFIG_DIR=" + filepath.Join(w.home, "claude"),
				"ANTHROPIC_BASE_URL=" + url,
				"ANTHROPIC_AUTH_TOKEN=" + secret,
				"ANTHROPIC_MODEL=" + model,
				"ANTHROPIC_DEFAULT_HAIKU_MODEL=" + model, // for titles and the like
				"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
				"DISABLE_TELEMETRY=1",
				"DISABLE_ERROR_REPORTING=1",
				"DISABLE_AUTOUPDATER=1",
			}, binary, "-p", task, "--output-format", "json",
				"--permission-mode", "acceptEdits", "--allowedTools", "Read,Edit,Bash(grep:*)")
			var result struct {
				Subtype string
				IsError bool `json:"is_error"`
				Turns   int  `json:"num_turns"`
				Result  string
			}
			if err := json.Unmarshal([]byte(out), &result); err != nil {
				t.Fatalf("got output %q: %v", out, err)
			}
			if result.IsError || result.Subtype != "success" || result.Turns < 3 {
				t.Errorf("got %s", out)
			}
			return result.Result
		},
	})
}
