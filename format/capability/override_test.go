package capability

import (
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	for _, tc := range []struct {
		key, value string
		from, want Model
	}{
		{"thinking", "manual", Model{}, Model{Thinking: ThinkingManual}},
		{"thinking", "both", Model{}, Model{Thinking: ThinkingBoth}},
		{"thinking", "adaptive", Model{}, Model{Thinking: ThinkingAdaptive}},
		{"thinking", " none ", Model{}, Model{Thinking: ThinkingNone}},
		{"thinking", "unknown", Model{Thinking: ThinkingManual}, Model{}},
		{"thinking_off", "between_tools", Model{}, Model{ThinkingOff: OffBetweenTools}},
		{"thinks_by_default", "true", Model{}, Model{ThinksByDefault: true}},
		{"efforts", "low medium, high", Model{}, Model{Efforts: Low | Medium | High}},
		{"efforts", "unknown", Model{Efforts: Low}, Model{}},
		{"reasons", "true", Model{}, Model{Reasons: true}},
		{"sampling", "no_both", Model{}, Model{Sampling: SamplingNotBoth}},
		{"sampling", "ok", Model{Sampling: SamplingNone}, Model{}},
		{"sampling", "effort_none", Model{}, Model{Sampling: SamplingEffortNone}},
		{"penalties", "false", Model{}, Model{NoPenalties: true}},
		{"mid_system", "true", Model{}, Model{MidSystem: true}},
		{"prefill", "false", Model{}, Model{NoPrefill: true}},
		{"prefill", "true", Model{NoPrefill: true}, Model{}},
		{"forced_tool", "refused", Model{}, Model{ForcedTool: ForcedRefused}},
		{"forced_tool", "not_thinking", Model{}, Model{ForcedTool: ForcedNotThinking}},
		{"structured_output", "false", Model{}, Model{NoStructuredOutput: true}},
		{"max_output", "64000", Model{}, Model{MaxOutput: 64000}},
		{"max_output", "0", Model{MaxOutput: 1}, Model{}},
		{"context_window", "200000", Model{}, Model{ContextWindow: 200000}},
		{"context_window", "0", Model{ContextWindow: 1}, Model{}},
		{"developer_role", "true", Model{}, Model{DeveloperRole: true}},
		{"chat_tools", "effort_none", Model{}, Model{ChatTools: ChatToolsEffortNone}},
		{"cache_marks", "true", Model{}, Model{CacheMarks: true}},
		{"thinking_config", "level", Model{}, Model{ThinkingLevel: true}},
		{"thinking_config", "budget", Model{ThinkingLevel: true}, Model{}},
		{"thinking_budget", "128 32768", Model{}, Model{BudgetMin: 128, BudgetMax: 32768}},
		{"thinking_budget", "unknown", Model{BudgetMin: 1, BudgetMax: 2}, Model{}},
		{"thinking_budget_zero", "false", Model{}, Model{NoBudgetZero: true}},
		{"result_parts", "true", Model{}, Model{ResultParts: true}},
		{"call_signatures", "true", Model{}, Model{CallSignatures: true}},
	} {
		t.Run(tc.key+" "+tc.value, func(t *testing.T) {
			m := tc.from
			if err := m.Set(tc.key, tc.value); err != nil || m != tc.want {
				t.Errorf("got %+v, %v; want %+v", m, err, tc.want)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for _, tc := range []struct{ key, value, text string }{
		{"thinking", "deep", `capability thinking is "deep": it must be manual, both, adaptive, none or unknown`},
		{"prefill", "maybe", `capability prefill is "maybe": it must be true or false`},
		{"efforts", "low huge", `capability efforts is "low huge": it must be a list of none, minimal, low, medium, high, xhigh or max, or unknown`},
		{"efforts", "", "it must be a list of"},
		{"max_output", "-1", "it must be a number of tokens"},
		{"max_output", "many", "it must be a number of tokens"},
		{"max_output", "99999999999", "it must be a number of tokens"},
		{"context_window", "large", `capability context_window is "large": it must be a number of tokens, 0 if not known`},
		{"thinking_budget", "5", "the least and the largest number of tokens"},
		{"thinking_budget", "9 5", "the least and the largest number of tokens"},
		{"thinking_budget", "0 0", "the least and the largest number of tokens"},
		{"sampling", "", "it must be ok, none, no_both or effort_none"},
		{"smell", "true", `unknown capability "smell": known are thinking, `},
	} {
		m := Model{MaxOutput: 7, Efforts: Low, BudgetMax: 3}
		before := m
		err := m.Set(tc.key, tc.value)
		if err == nil || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s %q: error %v, want %s", tc.key, tc.value, err, tc.text)
		}
		if m != before {
			t.Errorf("%s %q changed the model: %+v", tc.key, tc.value, m)
		}
	}
}

func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		if k.Name == "" || k.Values == "" || seen[k.Name] {
			t.Errorf("key %+v", k)
		}
		seen[k.Name] = true
	}
	if len(seen) < 15 {
		t.Errorf("%d keys", len(seen))
	}
}
