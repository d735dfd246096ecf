package capability

import "testing"

// openaiOf is what the table of OpenAI says of a model, so that these tests do not
// depend on the tables of others.
func openaiOf(name string) Model {
	best := entry{}
	for _, e := range openai {
		if len(e.pattern) > len(best.pattern) && len(name) >= len(e.pattern) && name[:len(e.pattern)] == e.pattern {
			best = e
		}
	}
	return best.model
}

func TestEffortsOfOpenAI(t *testing.T) {
	for name, want := range map[string]Efforts{
		"gpt-4.1":             0,
		"gpt-4o-2024-08-06":   0,
		"o1":                  Low | Medium | High,
		"o3-mini":             Low | Medium | High,
		"o4-mini-2025-04-16":  Low | Medium | High,
		"gpt-5":               Minimal | Low | Medium | High,
		"gpt-5-nano":          Minimal | Low | Medium | High,
		"gpt-5-chat-latest":   0,
		"gpt-5-codex":         Low | Medium | High,
		"gpt-5-pro":           High,
		"gpt-5.1":             None | Low | Medium | High,
		"gpt-5.1-chat-latest": Medium,
		"gpt-5.1-codex":       Low | Medium | High,
		"gpt-5.1-codex-max":   Low | Medium | High | XHigh,
		"gpt-5.2":             None | Low | Medium | High | XHigh,
		"gpt-5.3-codex":       Low | Medium | High | XHigh,
		"gpt-5.4-mini":        None | Low | Medium | High | XHigh,
		"gpt-5.6-terra":       None | Low | Medium | High | XHigh | Max,
		"gpt-6-sol":           None | Low | Medium | High | XHigh | Max,
		"gpt-6-luna":          None | Low | Medium | High | XHigh | Max,
		"gpt-6-astra":         Low | Medium | High | XHigh | Max,
		"gpt-6.1-sol":         Low | Medium | High | XHigh | Max,
		"gpt-6.1-terra":       None | Low | Medium | High | XHigh | Max,
		"gpt-6.2":             Low | Medium | High | XHigh | Max,
		"deepseek-chat":       0,
	} {
		if got := openaiOf(name).Efforts; got != want {
			t.Errorf("%s takes the efforts %07b, want %07b", name, got, want)
		}
	}
}

func TestSamplingOfOpenAI(t *testing.T) {
	for name, want := range map[string]Sampling{
		"gpt-4o":                SamplingFree,
		"gpt-4o-search-preview": SamplingNone,
		"o3":                    SamplingNone,
		"gpt-5":                 SamplingNone,
		"gpt-5-chat-latest":     SamplingFree,
		"gpt-5.1":               SamplingEffortNone,
		"gpt-5.1-codex":         SamplingNone,
		"gpt-5.6-sol":           SamplingEffortNone,
		"gpt-6-sol":             SamplingNone,
		"gpt-6.1-sol":           SamplingNone,
		"gpt-oss-120b":          SamplingFree,
		"qwen3-coder":           SamplingFree,
	} {
		if got := openaiOf(name).Sampling; got != want {
			t.Errorf("%s has the rule %d for sampling, want %d", name, got, want)
		}
	}
}

func TestChatToolsOfOpenAI(t *testing.T) {
	for name, want := range map[string]ChatTools{
		"gpt-4.1":       ChatToolsFree,
		"gpt-5":         ChatToolsFree,
		"gpt-5.2":       ChatToolsFree,
		"gpt-5.4":       ChatToolsEffort,
		"gpt-5.4-mini":  ChatToolsEffort,
		"gpt-5.5":       ChatToolsEffortNone,
		"gpt-5.6-terra": ChatToolsEffortNone,
		"gpt-6-sol":     ChatToolsEffortNone,
		"gpt-6-luna":    ChatToolsEffortNone,
		"gpt-6-astra":   ChatToolsRefused,
		"gpt-6.1-sol":   ChatToolsRefused,
		"gpt-6.2":       ChatToolsRefused,
	} {
		if got := openaiOf(name).ChatTools; got != want {
			t.Errorf("%s has the rule %d for tools on Chat, want %d", name, got, want)
		}
	}
}

// TestToolsWithoutEffort shows that a model that takes tools with effort none only
// has that effort, and that one without it refuses them.
func TestToolsWithoutEffort(t *testing.T) {
	for _, e := range openai {
		m := e.model
		if m.ChatTools != ChatToolsFree && (m.Efforts&None == 0) != (m.ChatTools == ChatToolsRefused) {
			t.Errorf("%s: efforts %07b and rule %d for tools do not fit", e.pattern, m.Efforts, m.ChatTools)
		}
		if m.Sampling == SamplingEffortNone && m.Efforts&None == 0 {
			t.Errorf("%s could never be sampled", e.pattern)
		}
	}
}

func TestRolesAndMarksOfOpenAI(t *testing.T) {
	for name, want := range map[string]struct{ developer, marks, reasons bool }{
		"gpt-4o":              {},
		"gpt-5-chat-latest":   {},
		"o1-mini":             {reasons: true},
		"o3":                  {developer: true, reasons: true},
		"gpt-5.5":             {developer: true, reasons: true},
		"gpt-5.1-chat-latest": {developer: true},
		"gpt-5.6":             {developer: true, marks: true, reasons: true},
		"gpt-6-astra":         {developer: true, marks: true, reasons: true},
		"gpt-oss-20b":         {},
	} {
		m := openaiOf(name)
		if m.DeveloperRole != want.developer || m.CacheMarks != want.marks || m.Reasons != want.reasons {
			t.Errorf("%s: developer role %t, cache marks %t, reasons %t; want %+v", name, m.DeveloperRole, m.CacheMarks, m.Reasons, want)
		}
	}
}
