package anthropic

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// minBudget is the smallest number of tokens that thinking may have.
const minBudget = 1024

// budgets are the tokens of each effort (translation.md §7.2).
var budgets = map[string]int64{
	"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768,
}

// settleThinking decides on the budget of manual thinking. It must leave room
// for the answer, and it is left out where Anthropic would refuse it: beside a
// forced choice of tools, and in the middle of a step whose earlier thinking is
// not there, because a client of another format could not keep it.
func (e *requestEncoder) settleThinking() {
	r := &e.r.Reasoning
	if r.State != chat.ReasoningOn || r.Adaptive {
		return
	}
	limit, limited := e.r.MaxTokens.Int()
	if limited && limit <= minBudget || e.choice.forced || !e.loopHasThinking() {
		e.drop("reasoning")
		return
	}
	e.budget = e.wantedBudget()
	if limited && e.budget >= limit {
		e.budget = limit - 1
		e.report.Clamp("reasoning")
	}
}

// wantedBudget is how many tokens of thinking the client wants; 0 for none.
func (e *requestEncoder) wantedBudget() int64 {
	r := &e.r.Reasoning
	if n, ok := r.Budget.Int(); ok && n >= 0 {
		if n > 0 && n < minBudget {
			e.report.Clamp("reasoning")
			n = minBudget
		}
		return n
	}
	if r.Effort == "none" {
		return 0
	}
	e.report.Approximate("reasoning")
	if n, ok := budgets[r.Effort]; ok {
		return n
	}
	return budgets["medium"]
}

// thinking writes whether the model is to reason. Where it is not, the field is
// left out: which models take "disabled" depends on the model.
func (e *requestEncoder) thinking() {
	r := &e.r.Reasoning
	switch {
	case e.budget > 0:
		e.b.Str(`,"thinking":{"type":"enabled","budget_tokens":`)
		e.b.Append(func(dst []byte) []byte { return strconv.AppendInt(dst, e.budget, 10) })
	case r.State == chat.ReasoningOn && r.Adaptive:
		e.b.Str(`,"thinking":{"type":"adaptive"`)
	case r.State == chat.ReasoningOff && e.own:
		e.b.Str(`,"thinking":{"type":"disabled"`)
	default:
		return
	}
	if r.Summary == "summarized" || r.Summary == "omitted" {
		e.quoted("display", []byte(r.Summary))
	}
	e.b.Byte('}')
}

// effort is the effort that is sent by its name, beside adaptive thinking or
// without any: manual thinking has its budget instead.
func (e *requestEncoder) effort() string {
	r := &e.r.Reasoning
	if r.State == chat.ReasoningOn && !r.Adaptive && (!e.own || r.Budget == nil) {
		return ""
	}
	switch r.Effort {
	case "minimal":
		return "low"
	case "none":
		return ""
	default:
		return r.Effort
	}
}
