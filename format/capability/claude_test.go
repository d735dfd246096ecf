package capability

import "testing"

func TestClaudeThinking(t *testing.T) {
	for _, tc := range []struct {
		name     string
		model    string
		thinking Thinking
		off      ThinkingOff
		always   bool // thinks by default
	}{
		{"3 does not think", "claude-3-opus-20240229", ThinkingNone, OffAccepted, false},
		{"3.5 does not think", "claude-3-5-sonnet-20241022", ThinkingNone, OffAccepted, false},
		{"3.7 has a budget", "claude-3-7-sonnet-20250219", ThinkingManual, OffAccepted, false},
		{"4 has a budget", "claude-sonnet-4-20250514", ThinkingManual, OffAccepted, false},
		{"4.1 has a budget", "claude-opus-4-1-20250805", ThinkingManual, OffAccepted, false},
		{"4.5 has a budget", "claude-sonnet-4-5-20250929", ThinkingManual, OffAccepted, false},
		{"4.6 has both", "claude-opus-4-6", ThinkingBoth, OffAccepted, false},
		{"Mythos Preview has both", "claude-mythos-preview", ThinkingBoth, OffAccepted, false},
		{"4.7 is adaptive", "claude-opus-4-7", ThinkingAdaptive, OffAccepted, false},
		{"4.8 is adaptive", "claude-opus-4-8", ThinkingAdaptive, OffAccepted, false},
		{"Sonnet 5 takes disabled", "claude-sonnet-5", ThinkingAdaptive, OffAccepted, true},
		{"Opus 5 takes disabled up to high", "claude-opus-5", ThinkingAdaptive, OffUpToHigh, true},
		{"Haiku 5.5 takes disabled up to high", "claude-haiku-5-5", ThinkingAdaptive, OffUpToHigh, true},
		{"Opus 5.5 refuses disabled", "claude-opus-5-5", ThinkingAdaptive, OffRefused, true},
		{"Sonnet 5.5 takes between_tools", "claude-sonnet-5-5", ThinkingAdaptive, OffBetweenTools, true},
		{"Fable 5 refuses disabled", "claude-fable-5", ThinkingAdaptive, OffRefused, true},
		{"Fable 5.1 refuses disabled", "claude-fable-5-1", ThinkingAdaptive, OffRefused, true},
		{"a later model of a family", "claude-opus-6", ThinkingAdaptive, OffUpToHigh, true},
		{"a name of no family", "claude-house-model", ThinkingUnknown, OffAccepted, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if m := Of(tc.model); m.Thinking != tc.thinking || m.ThinkingOff != tc.off || m.ThinksByDefault != tc.always {
				t.Errorf("%s: %+v", tc.model, m)
			}
		})
	}
}

func TestClaudeForcedTool(t *testing.T) {
	for model, want := range map[string]ForcedTool{
		"claude-3-5-haiku-latest":                      ForcedFree,
		"claude-sonnet-4-5":                            ForcedNotThinking,
		"claude-opus-4-6":                              ForcedNotThinking,
		"claude-opus-4-8":                              ForcedFree,
		"claude-sonnet-5":                              ForcedFree,
		"claude-opus-5":                                ForcedFree,
		"claude-haiku-5-5":                             ForcedFree,
		"claude-opus-5-5":                              ForcedRefused,
		"claude-sonnet-5-5-20261001":                   ForcedRefused,
		"claude-fable-5":                               ForcedFree,
		"claude-fable-5-20260303":                      ForcedFree,
		"claude-fable-5-1":                             ForcedRefused,
		"claude-fable-5-2":                             ForcedRefused,
		"claude-fable-6":                               ForcedRefused,
		"claude-mythos-5":                              ForcedFree,
		"claude-mythos-5-1":                            ForcedRefused,
		"us.anthropic.claude-sonnet-5-20260401-v1:0":   ForcedNotThinking,
		"eu.anthropic.claude-sonnet-5-5-20261001-v1:0": ForcedRefused,
	} {
		if got := Of(model).ForcedTool; got != want {
			t.Errorf("%s: %d, want %d", model, got, want)
		}
	}
}

func TestClaudeMidSystem(t *testing.T) {
	for model, want := range map[string]bool{
		"claude-opus-4-7":                      false,
		"claude-opus-4-8":                      true,
		"claude-opus-5":                        true,
		"claude-opus-5-5":                      true,
		"claude-sonnet-5-5":                    true,
		"claude-haiku-5-5":                     true,
		"claude-sonnet-5":                      false,
		"claude-fable-5-1":                     false,
		"us.anthropic.claude-opus-5":           false, // only Anthropic's own endpoint
		"claude-opus-5@20260501":               false,
		"anthropic/claude-opus-5":              false,
		"publishers/anthropic/claude-opus-4-8": false,
	} {
		if got := Of(model).MidSystem; got != want {
			t.Errorf("%s: %t", model, got)
		}
	}
}

func TestClaudeSamplingAndPrefill(t *testing.T) {
	for _, tc := range []struct {
		model     string
		sampling  Sampling
		noPrefill bool
	}{
		{"claude-3-haiku-20240307", SamplingFree, false},
		{"claude-opus-4-20250514", SamplingFree, false},
		{"claude-opus-4-1", SamplingNotBoth, false},
		{"claude-haiku-4-5", SamplingNotBoth, false},
		{"claude-sonnet-4-6", SamplingNotBoth, true},
		{"claude-opus-4-7", SamplingNone, true},
		{"claude-sonnet-5", SamplingNone, true},
		{"claude-fable-5-1", SamplingNone, true},
	} {
		if m := Of(tc.model); m.Sampling != tc.sampling || m.NoPrefill != tc.noPrefill {
			t.Errorf("%s: %+v", tc.model, m)
		}
	}
}

func TestClaudeOutput(t *testing.T) {
	for _, tc := range []struct {
		model      string
		max        int
		structured bool
	}{
		{"claude-3-opus-20240229", 4096, false},
		{"claude-3-5-haiku-20241022", 8192, false},
		{"claude-3.7-sonnet", 64000, false},
		{"claude-sonnet-4-0", 64000, false},
		{"claude-opus-4-20250514", 32000, false},
		{"claude-opus-4-1", 32000, true},
		{"claude-opus-4-5", 64000, true},
		{"claude-sonnet-4-6", 128000, true},
		{"claude-opus-5-5", 128000, true},
	} {
		if m := Of(tc.model); m.MaxOutput != tc.max || m.NoStructuredOutput == tc.structured {
			t.Errorf("%s: %+v", tc.model, m)
		}
	}
}

func TestClaudeEfforts(t *testing.T) {
	for model, want := range map[string]Efforts{
		"claude-sonnet-4-5": 0,
		"claude-opus-4-5":   Low | Medium | High,
		"claude-opus-4-6":   Low | Medium | High | Max,
		"claude-opus-4-7":   Low | Medium | High | XHigh | Max,
		"claude-haiku-5-5":  Low | Medium | High | XHigh | Max,
	} {
		if got := Of(model).Efforts; got != want {
			t.Errorf("%s: %b, want %b", model, got, want)
		}
	}
}
