package openai

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// efforts are the steps of reasoning.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// effort reads how much the model is to reason.
func (d *requestDecoder) effort(field string, v tape.Value) error {
	for _, e := range efforts {
		if v.Is(e) {
			d.r.Reasoning.Effort = e
			d.r.Reasoning.State = chat.ReasoningOn
			if e == "none" {
				d.r.Reasoning.State = chat.ReasoningOff
			}
			return nil
		}
	}
	return chat.MustBe(field, "one of "+strings.Join(efforts, ", "))
}

// otherReasoning reads the words of compatible servers for reasoning_effort:
// OpenRouter's reasoning, the thinking of DeepSeek and GLM, Qwen's
// enable_thinking and thinking_budget.
func (d *requestDecoder) otherReasoning() error {
	r := &d.r.Reasoning
	if d.reasoning.Kind() == tape.Object {
		if effort := d.reasoning.Member("effort"); effort.Exists() {
			if err := d.effort("reasoning.effort", effort); err != nil {
				return err
			}
		}
		d.budget(d.reasoning.Member("max_tokens"))
		d.switched(d.reasoning.Member("enabled"))
		if d.reasoning.Member("exclude").Bool() {
			r.Summary = "omitted"
		}
	}
	if d.thinking.Kind() == tape.Object {
		switch kind := d.thinking.Get("type"); {
		case kind.Is("enabled"):
			r.State = chat.ReasoningOn
		case kind.Is("disabled"):
			r.State = chat.ReasoningOff
		case kind.Is("adaptive"), kind.Is("auto"):
			r.State, r.Adaptive = chat.ReasoningOn, true
		}
		d.budget(d.thinking.Member("budget_tokens"))
	}
	d.budget(d.thinkingN)
	d.switched(d.enableThinking)
	return nil
}

// budget reads a number of tokens for reasoning.
func (d *requestDecoder) budget(v tape.Value) {
	if n, ok := v.Int(); ok && n > 0 {
		d.r.Reasoning.State = chat.ReasoningOn
		d.r.Reasoning.Budget = chat.Number(v.Raw())
	}
}

// switched reads a switch of reasoning.
func (d *requestDecoder) switched(v tape.Value) {
	switch v.Kind() {
	case tape.True:
		d.r.Reasoning.State = chat.ReasoningOn
	case tape.False:
		d.r.Reasoning.State = chat.ReasoningOff
	}
}
