//go:build unix

package agents

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// agent is a coding agent as the tests drive it.
type agent struct {
	// format is the one it speaks; upstreams have every other one.
	format string
	// path is in the URL of each of its questions to a model.
	path string
	// model is the model it asks for.
	model string
	// steps are what the scripted model does, with the agent's own tools.
	steps func(workspace) []step
	// run runs it on the task against the gateway at url and returns its final
	// words.
	run func(t *testing.T, w workspace, url string) string
}

// secret is the key that an agent sends. The gateway takes any and forwards none.
const secret = "dummy-key-of-the-agent"

// The work: one file has a mistake, the other one shows the right word.
const (
	task     = "The greeting in greeting.txt is misspelt; names.txt has the right word. Correct and check it."
	greeting = "hello wrold\n"
	names    = "world\n"
	correct  = "hello world\n"
	done     = "Corrected: greeting.txt says hello world now."
)

// formats are all formats of upstreams.
var formats = []string{"openai_chat", "openai_responses", "anthropic_messages", "gemini"}

// testAgent lets an agent do the work with an upstream of each other format.
func testAgent(t *testing.T, a agent) {
	for _, format := range slices.DeleteFunc(slices.Clone(formats), func(f string) bool { return f == a.format }) {
		t.Run(format, func(t *testing.T) {
			w := newWorkspace(t)
			m, upstream := startModel(t, format, done, a.steps(w))
			g := startGateway(t, upstream, format, a.model)
			if got := a.run(t, w, g.url); got != done {
				t.Errorf("got final words %q, want %q", got, done)
			}
			m.checkPlayed(t)
			w.checkDone(t)
			if served := g.checkServed(t, a.path); served != m.total() {
				t.Errorf("the gateway served %d requests, the upstream got %d", served, m.total())
			}
		})
	}
}

// needPackage returns the path of a file of an npm package. Without it the test
// skips, except in CI.
func needPackage(t *testing.T, elements ...string) string {
	t.Helper()
	pattern, err := filepath.Abs(filepath.Join(append([]string{"js", "node_modules"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 1 {
		return found[0]
	}
	missing := fmt.Sprintf("got %q for %s; run npm ci --ignore-scripts in the folder js", found, pattern)
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// platform is the name that npm packages of binaries have for this machine.
func platform() string {
	if runtime.GOARCH == "amd64" {
		return runtime.GOOS + "-x64"
	}
	return runtime.GOOS + "-" + runtime.GOARCH
}
