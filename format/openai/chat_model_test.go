package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// fieldsFor encodes a request with one user message for a model that is known by
// its name, and returns what stands behind the messages and what was lost.
func fieldsFor(t *testing.T, model string, r chat.Request) (fields, lost string) {
	t.Helper()
	if r.Format == "" {
		r.Format = foreign
	}
	r.Turns = []chat.Turn{user(texts("x")...)}
	doc, report := encode(t, &r, chat.Target{Model: model, Can: capability.Of(model)})
	_, fields, _ = strings.Cut(doc, `"content":"x"}]`)
	return strings.TrimSuffix(fields, "}"), paths(report)
}

// TestSamplingOfModels shows which kinds of sampling are sent to which model.
func TestSamplingOfModels(t *testing.T) {
	everything := chat.Request{
		Temperature: chat.Number("0.5"), TopP: chat.Number("0.9"), FrequencyPenalty: chat.Number("1"), PresencePenalty: chat.Number("1"),
		Seed: chat.Number("7"), Logprobs: chat.True, TopLogprobs: chat.Number("2"), LogitBias: chat.Raw(`{"1":1}`), Stop: []chat.Literal{q("END")},
	}
	const (
		all    = `,"temperature":0.5,"top_p":0.9,"frequency_penalty":1,"presence_penalty":1,"seed":7,"logprobs":true,"top_logprobs":2,"logit_bias":{"1":1},"stop":["END"]`
		little = `,"seed":7`
		lost   = "frequency_penalty unsupported, logit_bias unsupported, logprobs unsupported!, presence_penalty unsupported, stop unsupported!, temperature unsupported, top_p unsupported"
	)
	for _, tc := range []struct {
		model  string
		effort string
		want   string
		lost   string
	}{
		{"gpt-4.1", "", all, ""},
		{"some-llama", "", all, ""},
		{"gpt-5-chat-latest", "", all, ""},
		{"o3", "", little, lost},
		{"gpt-5", "", little, lost},
		{"gpt-5.1", "", little, lost},
		{"gpt-5.1", "low", little + `,"reasoning_effort":"low"`, lost},
		{
			"gpt-5.1", "none", `,"temperature":0.5,"top_p":0.9,"seed":7,"logprobs":true,"top_logprobs":2,"reasoning_effort":"none"`,
			"frequency_penalty unsupported, logit_bias unsupported, presence_penalty unsupported, stop unsupported!",
		},
		{"gpt-6-sol", "none", little + `,"reasoning_effort":"none"`, lost},
		{
			"gpt-4o-search-preview", "", `,"seed":7,"logit_bias":{"1":1},"stop":["END"]`,
			"frequency_penalty unsupported, logprobs unsupported!, presence_penalty unsupported, temperature unsupported, top_p unsupported",
		},
	} {
		t.Run(tc.model+" "+tc.effort, func(t *testing.T) {
			r := everything
			if r.Reasoning.Effort = tc.effort; tc.effort != "" {
				r.Reasoning.State = chat.ReasoningOn
			}
			got, lost := fieldsFor(t, tc.model, r)
			if got != tc.want || lost != tc.lost {
				t.Errorf("\ngot  %s\nwant %s\nlost %q\nwant %q", got, tc.want, lost, tc.lost)
			}
		})
	}
}

// TestEffortsOfModels shows which level of reasoning is sent to which model.
func TestEffortsOfModels(t *testing.T) {
	for _, tc := range []struct {
		model, wanted, want string
	}{
		{"gpt-4.1", "high", ""},
		{"gpt-5-chat-latest", "low", ""},
		{"some-llama", "minimal", "minimal"},
		{"some-llama", "max", "xhigh"},
		{"o3", "none", "low"},
		{"o3", "minimal", "low"},
		{"o3", "xhigh", "high"},
		{"gpt-5", "none", "minimal"},
		{"gpt-5", "minimal", "minimal"},
		{"gpt-5", "max", "high"},
		{"gpt-5-pro", "low", "high"},
		{"gpt-5.1", "none", "none"},
		{"gpt-5.1", "minimal", "low"},
		{"gpt-5.1", "xhigh", "high"},
		{"gpt-5.1-codex-max", "max", "xhigh"},
		{"gpt-5.4", "max", "xhigh"},
		{"gpt-5.6", "max", "xhigh"}, // Chat stops there
		{"gpt-6-astra", "none", "low"},
		{"gpt-6.1-sol", "minimal", "low"},
		{"gpt-6.2", "none", "low"},
		{"openai/gpt-6-luna", "none", "none"},
	} {
		t.Run(tc.model+" "+tc.wanted, func(t *testing.T) {
			state := chat.ReasoningOn
			if tc.wanted == "none" {
				state = chat.ReasoningOff
			}
			got, lost := fieldsFor(t, tc.model, chat.Request{Reasoning: chat.Reasoning{State: state, Effort: tc.wanted}})
			want, wantLost := "", ""
			if tc.want != "" {
				want = `,"reasoning_effort":"` + tc.want + `"`
			}
			switch tc.want {
			case tc.wanted:
			case "":
				wantLost = "reasoning unsupported"
			default:
				wantLost = "reasoning approximated"
			}
			if got != want || lost != wantLost {
				t.Errorf("got %s, lost %q; want %s, lost %q", got, lost, want, wantLost)
			}
		})
	}
}

// TestReasoningWithoutEffort shows what becomes of budgets and switches.
func TestReasoningWithoutEffort(t *testing.T) {
	on, off := chat.ReasoningOn, chat.ReasoningOff
	for _, tc := range []struct {
		name, model string
		reasoning   chat.Reasoning
		want        string
	}{
		{"nothing said", "gpt-5.2", chat.Reasoning{}, ""},
		{"off", "gpt-5.2", chat.Reasoning{State: off}, "none"},
		{"off with an effort for the text", "gpt-5.2", chat.Reasoning{State: off, Effort: "high"}, "none"},
		{"off at a model that cannot", "gpt-6.2", chat.Reasoning{State: off}, "low"},
		{"off at a model that does not reason", "gpt-4o", chat.Reasoning{State: off}, ""},
		{"off at an unknown model", "some-llama", chat.Reasoning{State: off}, ""},
		{"on", "gpt-5", chat.Reasoning{State: on}, ""},
		{"on at a model that does not reason by itself", "gpt-5.2", chat.Reasoning{State: on, Adaptive: true}, "medium"},
		{"small budget", "gpt-5.2", chat.Reasoning{State: on, Budget: chat.NumberOf(1024)}, "low"},
		{"budget", "gpt-5.2", chat.Reasoning{State: on, Budget: chat.NumberOf(8192)}, "medium"},
		{"large budget", "gpt-5.2", chat.Reasoning{State: on, Budget: chat.NumberOf(24576)}, "high"},
		{"very large budget", "gpt-5.2", chat.Reasoning{State: on, Budget: chat.NumberOf(24577)}, "xhigh"},
		{"very large budget for a model with less", "gpt-5.1", chat.Reasoning{State: on, Budget: chat.NumberOf(60000)}, "high"},
		{"dynamic budget", "gpt-5.2", chat.Reasoning{State: on, Budget: chat.NumberOf(-1)}, ""},
		{"no budget", "gpt-5.2", chat.Reasoning{State: on, Budget: chat.NumberOf(0)}, "none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := ""
			if tc.want != "" {
				want = `,"reasoning_effort":"` + tc.want + `"`
			}
			if got, _ := fieldsFor(t, tc.model, chat.Request{Reasoning: tc.reasoning}); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestToolsOfModels shows what becomes of the effort beside tools where the Chat
// endpoint refuses both together.
func TestToolsOfModels(t *testing.T) {
	for _, tc := range []struct {
		model, effort string
		noTools       bool
		want, lost    string
	}{
		{model: "gpt-5", effort: "high", want: "high"},
		{model: "gpt-5.4", want: ""},
		{model: "gpt-5.4", effort: "high", want: "none", lost: "reasoning_effort unsupported!"},
		{model: "gpt-5.4", effort: "none", want: "none"},
		{model: "gpt-5.4", effort: "high", noTools: true, want: "high"},
		{model: "gpt-5.6-terra", want: "none", lost: "reasoning_effort unsupported!"},
		{model: "gpt-5.6-terra", effort: "none", want: "none"},
		{model: "gpt-5.6-terra", noTools: true, want: ""},
		{model: "gpt-6-sol", effort: "low", want: "none", lost: "reasoning_effort unsupported!"},
		{model: "gpt-6-astra", effort: "low", want: "low", lost: "tools unsupported!"},
		{model: "gpt-6.2", want: "", lost: "tools unsupported!"},
	} {
		t.Run(tc.model+" "+tc.effort, func(t *testing.T) {
			var r chat.Request
			if !tc.noTools {
				r.Tools = []chat.Tool{{Name: q("f")}}
			}
			if tc.effort != "" {
				r.Reasoning = chat.Reasoning{State: chat.ReasoningOn, Effort: tc.effort}
			}
			got, lost := fieldsFor(t, tc.model, r)
			got = strings.TrimPrefix(got, `,"tools":[{"type":"function","function":{"name":"f"}}]`)
			want := ""
			if tc.want != "" {
				want = `,"reasoning_effort":"` + tc.want + `"`
			}
			if got != want || lost != tc.lost {
				t.Errorf("got %s, lost %q; want %s, lost %q", got, lost, want, tc.lost)
			}
		})
	}
}

func TestLimitsAndRolesOfModels(t *testing.T) {
	r := func() *chat.Request {
		return &chat.Request{
			Format: foreign, MaxTokens: chat.NumberOf(9), System: texts("s"),
			Turns: []chat.Turn{user(texts("x")...), system(texts("later")...)},
		}
	}
	for _, tc := range []struct {
		name string
		to   chat.Target
		role string
		max  string
	}{
		{"unknown", chat.Target{}, "system", "max_completion_tokens"},
		{"older server", chat.Target{LegacyMaxTokens: true}, "system", "max_tokens"},
		{"gpt-4o", chat.Target{Can: capability.Of("gpt-4o")}, "system", "max_completion_tokens"},
		{"gpt-5", chat.Target{Can: capability.Of("gpt-5")}, "developer", "max_completion_tokens"},
		{"gpt-5 at an older server", chat.Target{Can: capability.Model{Reasons: true}, LegacyMaxTokens: true}, "system", "max_completion_tokens"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.to.Model = "m"
			doc, _ := encode(t, r(), tc.to)
			want := `{"model":"m","messages":[{"role":"` + tc.role + `","content":"s"},{"role":"user","content":"x"},{"role":"` + tc.role + `","content":"later"}],"` + tc.max + `":9}`
			if doc != want {
				t.Errorf("\ngot  %s\nwant %s", doc, want)
			}
		})
	}
}

func TestServiceTiers(t *testing.T) {
	for _, tc := range []struct{ format, tier, want, lost string }{
		{foreign, "auto", "auto", ""},
		{foreign, "standard_only", "default", ""},
		{"gemini", "standard", "default", ""},
		{"gemini", "FLEX", "flex", ""},
		{"gemini", "priority", "priority", ""},
		{"gemini", "SERVICE_TIER_UNSPECIFIED", "", "service_tier unsupported"},
		{originResponses, "ultrafast", "priority", "service_tier approximated"},
		{originResponses, "on_demand", "on_demand", ""},
		{origin, "ultrafast", "ultrafast", ""},
	} {
		t.Run(tc.format+" "+tc.tier, func(t *testing.T) {
			want := ""
			if tc.want != "" {
				want = `,"service_tier":"` + tc.want + `"`
			}
			if got, lost := fieldsFor(t, "m", chat.Request{Format: tc.format, ServiceTier: q(tc.tier)}); got != want || lost != tc.lost {
				t.Errorf("got %s, lost %q; want %s, lost %q", got, lost, want, tc.lost)
			}
		})
	}
}

func TestSeveralAnswers(t *testing.T) {
	for _, tc := range []struct{ format, n, want, lost string }{
		{foreign, "1", `,"n":1`, ""},
		{foreign, "3", "", "n unsupported!"},
		{origin, "3", `,"n":3`, ""},
	} {
		if got, lost := fieldsFor(t, "m", chat.Request{Format: tc.format, N: chat.Number(tc.n)}); got != tc.want || lost != tc.lost {
			t.Errorf("%s of %s: got %s, lost %q", tc.n, tc.format, got, lost)
		}
	}
}

func TestLongCacheKey(t *testing.T) {
	long := strings.Repeat("k", 65)
	r := chat.Request{Format: originResponses, Extra: []chat.Field{{Name: "prompt_cache_key", Value: chat.Raw(q(long))}}}
	got, lost := fieldsFor(t, "m", r)
	if want := `,"prompt_cache_key":"` + format.Digest(64, []byte(long)) + `"`; got != want || lost != "prompt_cache_key approximated" {
		t.Errorf("got %s, lost %q", got, lost)
	}
	r.Extra[0].Value = chat.Raw(`"short"`)
	if got, lost := fieldsFor(t, "m", r); got != `,"prompt_cache_key":"short"` || lost != "" {
		t.Errorf("got %s, lost %q", got, lost)
	}
}

func TestStorage(t *testing.T) {
	for _, tc := range []struct {
		format string
		legacy bool
		store  chat.Bool
		want   string
		lost   string
	}{
		{originResponses, false, chat.False, `,"store":false`, ""},
		{originResponses, true, chat.False, ``, ""},
		{originResponses, true, chat.True, ``, "store unsupported"},
		{origin, true, chat.True, `,"store":true`, ""},
	} {
		r := &chat.Request{Format: tc.format, Store: tc.store, Turns: []chat.Turn{user(texts("x")...)}}
		doc, report := encode(t, r, chat.Target{Model: "m", LegacyMaxTokens: tc.legacy})
		if want := `{"model":"m","messages":[{"role":"user","content":"x"}]` + tc.want + `}`; doc != want || paths(report) != tc.lost {
			t.Errorf("%s: got %s, lost %s", tc.format, doc, paths(report))
		}
	}
}
