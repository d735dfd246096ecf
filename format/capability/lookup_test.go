package capability

import (
	"strings"
	"testing"
)

func TestNamesOfTheSameModel(t *testing.T) {
	want := Of("claude-sonnet-4-5-20250929")
	if want.Thinking != ThinkingManual {
		t.Fatalf("%+v", want)
	}
	for _, name := range []string{
		"Claude-Sonnet-4-5", "anthropic/claude-sonnet-4.5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
		"global.ANTHROPIC.claude-sonnet-4-5", "publishers/anthropic/models/claude-sonnet-4-5@20250929", "claude-sonnet-4-5@default",
	} {
		if got := Of(name); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestUnknownModelsArePermitted(t *testing.T) {
	for _, name := range []string{"", "/", "llama-4", "anthropic.", "xclaude-opus-5", "claude", "anthropic.titan"} {
		if got := Of(name); got != (Model{}) {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

func TestFits(t *testing.T) {
	for _, tc := range []struct {
		name, pattern string
		want          bool
	}{
		{"claude-3.5-sonnet", "claude-3-5", true},
		{"GPT-5.2", "gpt-5.2", true},
		{"gpt-5-2025-08-07", "gpt-5.2", false},
		{"gpt", "gpt-5", false},
		{"anything", "", true},
	} {
		if got := fits(tc.name, tc.pattern); got != tc.want {
			t.Errorf("%s fits %s: %t", tc.name, tc.pattern, got)
		}
	}
}

// Patterns are compared with names in lower case, and one that stands twice would
// hide a fact.
func TestPatterns(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range tables {
		for _, e := range table {
			if e.pattern == "" || e.pattern != strings.ToLower(e.pattern) || strings.Contains(e.pattern, "/") {
				t.Errorf("pattern %q", e.pattern)
			}
			if seen[e.pattern] {
				t.Errorf("pattern %q stands twice", e.pattern)
			}
			seen[e.pattern] = true
		}
	}
}

func TestOfDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"claude-sonnet-4-5-20250929", "us.Anthropic.Claude-Opus-5", "openai/gpt-5.2", "unknown"} {
		if n := testing.AllocsPerRun(100, func() { Of(name) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Of("claude-sonnet-4-5-20250929")
	}
}

func TestNearestEffort(t *testing.T) {
	for _, tc := range []struct {
		set        Efforts
		name, want string
		ok         bool
	}{
		{0, "xhigh", "xhigh", true},
		{Low | Medium | High, "max", "high", true},
		{Low | Medium | High, "minimal", "low", true},
		{Low | Medium | High, "none", "low", true},
		{Low | High, "medium", "low", true},
		{Low | Medium | High | Max, "xhigh", "high", true},
		{None | High, "high", "high", true},
		{0, "enormous", "", false},
		{Low, "", "", false},
	} {
		if got, ok := tc.set.Nearest(tc.name); got != tc.want || ok != tc.ok {
			t.Errorf("%b nearest to %q: %q %t, want %q", tc.set, tc.name, got, ok, tc.want)
		}
	}
}
