package capability

import "testing"

// TestContextWindows holds names as providers and resellers write them against the
// windows of their models, and shows of which names nothing is claimed.
func TestContextWindows(t *testing.T) {
	for name, want := range map[string]int{
		"claude-2.0":                 100_000,
		"claude-2.1":                 200_000,
		"anthropic.claude-v2:1":      200_000,
		"claude-3-5-sonnet-20241022": 200_000,
		"claude-3-7-sonnet-20250219": 200_000,
		"anthropic/claude-sonnet-4":  200_000,
		"claude-opus-4.5":            200_000,
		"claude-haiku-4-5-20251001":  200_000,
		"claude-opus-4-6":            1_000_000,
		"claude-sonnet-4-6":          1_000_000,
		"claude-opus-4-8":            1_000_000,
		"claude-sonnet-5":            1_000_000,
		"claude-opus-5-5":            1_000_000,
		"claude-fable-5-20260609":    1_000_000,
		"claude-fable-5-1":           1_000_000,
		"claude-opus-7":              0,
		"claude-mythos-preview":      0,

		"gpt-3.5-turbo-0125":     16_385,
		"gpt-3.5-turbo-instruct": 4096,
		"gpt-4-32k-0613":         32_768,
		"gpt-4-turbo-2024-04-09": 128_000,
		"gpt-4-1106-preview":     128_000,
		"openai/gpt-4o-mini":     128_000,
		"gpt-4.1-nano":           1_047_576,
		"o1-mini":                128_000,
		"o3-pro":                 200_000,
		"o4-mini":                200_000,
		"gpt-5-mini":             400_000,
		"gpt-5-2025-08-07":       400_000,
		"gpt-5-chat-latest":      128_000,
		"gpt-5.2":                400_000,
		"gpt-5.2-chat-latest":    128_000,
		"gpt-5.3-codex-spark":    128_000,
		"gpt-5.4":                1_050_000,
		"gpt-5.4-mini":           400_000,
		"gpt-5.6-luna":           1_050_000,
		"gpt-4":                  0,
		"gpt-oss-120b":           0,
		"gpt-6":                  0,

		"gemini-1.5-pro-002":             2_097_152,
		"gemini-2.0-flash-lite":          1_048_576,
		"models/gemini-2.5-flash":        1_048_576,
		"gemini-2.5-pro":                 1_048_576,
		"gemini-3-pro-preview":           1_048_576,
		"google/gemini-3-flash-preview":  1_048_576,
		"gemini-3.8-flash":               1_048_576,
		"gemini-2.5-flash-image":         0,
		"gemini-3-pro-image":             0,
		"gemini-4-argon":                 0,
		"qwen3":                          0,
		"mistral-large-latest":           0,
		"accounts/fireworks/models/kimi": 0,
	} {
		if got := Of(name).ContextWindow; got != want {
			t.Errorf("%s: %d tokens, want %d", name, got, want)
		}
	}
}
