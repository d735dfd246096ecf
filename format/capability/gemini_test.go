package capability

import "testing"

func TestGeminiThinking(t *testing.T) {
	for name, want := range map[string]Model{
		"gemini-1.5-pro":          {Thinking: ThinkingNone},
		"gemini-2.0-flash-001":    {Thinking: ThinkingNone},
		"gemini-2.5-flash":        {BudgetMax: 24576},
		"gemini-2.5-flash-image":  {Thinking: ThinkingNone},
		"gemini-2.5-flash-lite":   {BudgetMin: 512, BudgetMax: 24576},
		"gemini-2.5-pro":          {BudgetMin: 128, BudgetMax: 32768, NoBudgetZero: true},
		"gemini-3-pro-preview":    {ThinkingLevel: true, Efforts: Low | High, NoBudgetZero: true},
		"models/gemini-3-flash":   {ThinkingLevel: true, Efforts: Minimal | Low | Medium | High},
		"gemini-3.1-pro-preview":  {ThinkingLevel: true, Efforts: Low | Medium | High, NoBudgetZero: true},
		"Gemini-3.1-Flash-Lite":   {ThinkingLevel: true, Efforts: Minimal | Low | Medium | High},
		"gemini-3.5-flash-lite":   {ThinkingLevel: true, Efforts: Minimal | Low | Medium | High},
		"gemini-3.6-pro":          {ThinkingLevel: true, Efforts: Low | Medium | High, NoBudgetZero: true},
		"gemini-4.2-flash":        {ThinkingLevel: true, Efforts: Low | Medium | High},
		"gemini-flash-latest":     {ThinkingLevel: true, Efforts: Minimal | Low | Medium | High},
		"gemini-pro-latest":       {ThinkingLevel: true, Efforts: Low | Medium | High, NoBudgetZero: true},
		"google/gemma-3-27b-it":   {},
		"publishers/google/other": {},
	} {
		got := Of(name)
		if got.Thinking != want.Thinking || got.ThinkingLevel != want.ThinkingLevel || got.Efforts != want.Efforts ||
			got.BudgetMin != want.BudgetMin || got.BudgetMax != want.BudgetMax || got.NoBudgetZero != want.NoBudgetZero {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// The rules that came with a generation hold for all later ones.
func TestGeminiGenerations(t *testing.T) {
	for name, want := range map[string]struct {
		signs, fixed bool
		output       int
	}{
		"gemini-1.5-flash":              {false, false, 8192},
		"gemini-2.0-flash-lite":         {false, false, 8192},
		"gemini-2.5-pro":                {false, false, 65536},
		"gemini-3-flash-preview":        {true, false, 65536},
		"gemini-3.5-flash":              {true, false, 65536},
		"gemini-3.5-pro":                {true, false, 65536},
		"gemini-3.5-flash-lite-preview": {true, true, 65536},
		"gemini-3.6-flash":              {true, true, 65536},
		"gemini-3.7-flash":              {true, true, 65536},
		"gemini-3.9-pro":                {true, true, 65536},
		"gemini-4-pro":                  {true, true, 65536},
		"gemini-pro-latest":             {true, false, 65536},
		"unknown":                       {false, false, 0},
	} {
		got := Of(name)
		if got.CallSignatures != want.signs || got.ResultParts != want.signs {
			t.Errorf("%s: signatures %t, images in results %t, want %t", name, got.CallSignatures, got.ResultParts, want.signs)
		}
		if got.NoPrefill != want.fixed || got.NoPenalties != want.fixed || (got.Sampling == SamplingNone) != want.fixed {
			t.Errorf("%s: %+v, want fixed %t", name, got, want.fixed)
		}
		if got.MaxOutput != want.output {
			t.Errorf("%s: %d tokens, want %d", name, got.MaxOutput, want.output)
		}
	}
}
