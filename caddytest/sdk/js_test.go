package sdk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// scriptLimit bounds all tests of one script.
const scriptLimit = 3 * time.Minute

// scripts are in the folder js: one for each SDK, and for each format of OpenAI's.
var scripts = []string{"anthropic.test.mjs", "google.test.mjs", "openai.test.mjs", "responses.test.mjs"}

// TestJavaScript runs the scripts. Without
// Node.js or the packages it skips, except in CI.
func TestJavaScript(t *testing.T) {
	node, err := findNode()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), scriptLimit)
			defer cancel()
			command := exec.CommandContext(ctx, node, "--test", script)
			command.WaitDelay = stopLimit
			command.Dir = "js"
			command.Env = []string{
				"PATH=" + os.Getenv("PATH"),
				"HOME=" + gateway.path("home"),
				"GATEWAY_URL=" + gateway.url,
				"NODE_EXTRA_CA_CERTS=" + gateway.rootCA(),
			}
			out, err := command.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// findNode finds Node.js and checks that the packages are installed.
func findNode() (string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return "", fmt.Errorf("the JavaScript SDKs need Node.js: %w", err)
	}
	for _, name := range []string{"openai", filepath.Join("@anthropic-ai", "sdk"), filepath.Join("@google", "genai"), "genai2"} {
		if _, err := os.Stat(filepath.Join("js", "node_modules", name)); err != nil {
			return "", fmt.Errorf("the JavaScript SDKs are not installed; run npm ci --ignore-scripts in the folder js: %w", err)
		}
	}
	return node, nil
}
