//go:build unix

package agents

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// codexConfig is Codex's configuration for a gateway at an origin.
const codexConfig = `model = "codex-through-the-gateway"
model_provider = "gateway"
check_for_update_on_startup = false

[model_providers.gateway]
name = "gateway"
base_url = "%s/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false
`

// patch is how Codex edits files: a command that it carries out itself.
const patch = `apply_patch <<'EOF'
*** Begin Patch
*** Update File: greeting.txt
@@
-hello wrold
+hello world
*** End Patch
EOF`

// TestCodex runs Codex, which speaks Responses.
func TestCodex(t *testing.T) {
	binary := needPackage(t, "@openai", "codex-"+platform(), "vendor", "*", "bin", "codex")
	testAgent(t, agent{
		format: "openai_responses",
		path:   "/v1/responses",
		model:  "codex-through-the-gateway",
		steps: func(workspace) []step {
			command := func(cmd, hears string) call {
				return call{"exec_command", map[string]any{"cmd": cmd}, hears}
			}
			return []step{
				{[]call{command("cat greeting.txt", "hello wrold"), command("cat names.txt", "world")}},
				{[]call{command(patch, "Success")}},
				{[]call{command("grep -n 'hello world' greeting.txt", "1:hello world")}},
			}
		},
		run: func(t *testing.T, w workspace, url string) string {
			home := filepath.Join(w.home, "codex")
			write(t, filepath.Join(home, "config.toml"), fmt.Sprintf(codexConfig, url))
			// Its sandbox needs rights that containers seldom have. All commands
			// are those of the script.
			out := w.run(t, []string{"CODEX_HOME=" + home, "GATEWAY_KEY=" + secret},
				binary, "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", "--json", task)
			return lastCodexMessage(t, out)
		},
	})
}

// lastCodexMessage reads the events that Codex prints and returns the text of its
// last message.
func lastCodexMessage(t *testing.T, out string) string {
	t.Helper()
	message, completed := "", false
	for line := range strings.Lines(out) {
		var event struct {
			Type string
			Item struct{ Type, Text string }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("got line %q: %v", line, err)
		}
		switch {
		case event.Type == "item.completed" && event.Item.Type == "agent_message":
			message = event.Item.Text
		case event.Type == "turn.completed":
			completed = true
		case event.Type == "turn.failed", event.Type == "error":
			t.Errorf("got %s", line)
		}
	}
	if !completed {
		t.Errorf("the turn was not completed:\n%s", out)
	}
	return message
}
