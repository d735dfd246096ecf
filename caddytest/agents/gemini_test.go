//go:build unix

package agents

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// geminiSettings are the settings of Gemini CLI.
const geminiSettings = `{
	"security": {"auth": {"selectedType": "gemini-api-key"}},
	"privacy": {"usageStatisticsEnabled": false},
	"telemetry": {"enabled": false},
	"general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false}
}`

// TestGeminiCLI runs Gemini CLI, which speaks Gemini and needs Node.js.
func TestGeminiCLI(t *testing.T) {
	script := needPackage(t, "@google", "gemini-cli", "bundle", "gemini.js")
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("Gemini CLI needs Node.js: ", err)
	}
	const model = "gemini-through-the-gateway"
	testAgent(t, agent{
		format: "gemini",
		path:   "/v1beta/models/",
		model:  model,
		steps: func(w workspace) []step {
			return []step{
				{[]call{
					{"read_file", map[string]any{"file_path": w.path("greeting.txt")}, "hello wrold"},
					{"read_file", map[string]any{"file_path": w.path("names.txt")}, "world"},
				}},
				{[]call{{"replace", map[string]any{
					"file_path":   w.path("greeting.txt"),
					"instruction": "Correct the misspelt word.",
					"old_string":  "hello wrold",
					"new_string":  "hello world",
				}, "modified file"}}},
				{[]call{{"run_shell_command", map[string]any{"command": "grep -n 'hello world' greeting.txt"}, "1:hello world"}}},
			}
		},
		run: func(t *testing.T, w workspace, url string) string {
			write(t, filepath.Join(w.home, ".gemini", "settings.json"), geminiSettings)
			out := w.run(t, []string{
				"GEMINI_API_KEY=" + secret,
				"GOOGLE_GEMINI_BASE_URL=" + url,
				"GEMINI_CLI_TRUST_WORKSPACE=true",
			}, node, script, "--model", model, "--output-format", "json", "--approval-mode", "yolo", "--prompt", task)
			var result struct {
				Response string
				Error    any
				Stats    struct {
					Tools struct{ TotalCalls, TotalFail int }
				}
			}
			if err := json.Unmarshal([]byte(out), &result); err != nil {
				t.Fatalf("got output %q: %v", out, err)
			}
			if result.Error != nil || result.Stats.Tools.TotalCalls != 4 || result.Stats.Tools.TotalFail != 0 {
				t.Errorf("got %s", out)
			}
			return result.Response
		},
	})
}
