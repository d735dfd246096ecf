package gemini

import (
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// thinking writes how much the model is to think, and whether it shows it. A
// model of whose thinking nothing is known gets a budget: models with levels take
// that too, those with budgets refuse a level.
func (e *requestEncoder) thinking() {
	r := &e.r.Reasoning
	show := e.showsThoughts()
	asked := r.State != chat.ReasoningUnset
	switch {
	case !asked && !show:
		return
	case e.to.Can.Thinking == capability.ThinkingNone:
		e.drop("reasoning")
		return
	}
	e.config("thinkingConfig")
	e.b.Byte('{')
	begun := false
	if asked && e.to.Can.ThinkingLevel {
		begun = e.thinkingLevel()
	} else if asked {
		e.thinkingBudget()
		begun = true
	}
	if show {
		if begun {
			e.b.Byte(',')
		}
		e.b.Str(`"includeThoughts":true`)
	}
	e.b.Byte('}')
}

// thinkingLevel writes the level of a model that has levels; nothing, and false,
// if that is the model's to decide.
func (e *requestEncoder) thinkingLevel() bool {
	r := &e.r.Reasoning
	effort := r.Effort
	if r.State == chat.ReasoningOff {
		effort = "none"
	}
	if budget, ok := r.Budget.Int(); ok && effort == "" {
		if effort = capability.EffortOf(budget); effort != "" {
			e.approximate("reasoning")
		}
	}
	level := levelOf(e.to.Can.Efforts, effort)
	if level == "" {
		return false
	}
	if level != effort {
		e.approximate("reasoning")
	}
	e.b.Str(`"thinkingLevel":"` + strings.ToUpper(level) + `"`)
	return true
}

// levelOf is the level of those that a model has that an effort means; empty if
// the effort is. There is no level above high, and none to switch thinking off.
func levelOf(has capability.Efforts, effort string) string {
	switch effort {
	case "":
		return ""
	case "none":
		effort = "minimal"
	case "xhigh", "max":
		effort = "high"
	}
	// Of two levels that are as near as each other the model thinks rather more:
	// medium is high where there is low and high.
	if effort == "medium" && has != 0 && has&capability.Medium == 0 && has&capability.High != 0 {
		return "high"
	}
	level, ok := has.Nearest(effort)
	if !ok {
		return "high"
	}
	return level
}

// thinkingBudget writes the budget of a model that has one, moved into its range.
func (e *requestEncoder) thinkingBudget() {
	r := &e.r.Reasoning
	asked, ok := r.Budget.Int()
	switch {
	case r.State == chat.ReasoningOff || r.Effort == "none":
		asked = 0
	case !ok:
		asked = -1
		if n, known := budgets[r.Effort]; known {
			asked = n
		}
	}
	sent := budgetWithin(&e.to.Can, asked)
	if sent != asked {
		e.lost(chat.Loss{Path: "reasoning", Reason: chat.Clamped})
	}
	e.b.Str(`"thinkingBudget":`)
	e.b.Str(strconv.FormatInt(sent, 10))
}

// budgets are the tokens of each effort. They are those of Google's own
// OpenAI-compatible endpoint, with its minimum of 512 for the least.
var budgets = map[string]int64{
	"minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768,
}

// budgetWithin is a budget moved into a model's range. -1, which leaves it to the
// model, is in the range of all.
func budgetWithin(can *capability.Model, n int64) int64 {
	switch {
	case n < 0:
		return -1
	case n == 0 && !can.NoBudgetZero:
		return 0
	case n == 0 && can.BudgetMin == 0:
		return -1 // It cannot be switched off, and the least is not known.
	}
	n = max(n, int64(can.BudgetMin))
	if can.BudgetMax > 0 {
		n = min(n, int64(can.BudgetMax))
	}
	return n
}

// showsThoughts says that the client wants to see what the model thinks. Clients
// of Chat and Messages that ask for reasoning do, those of Responses say so.
func (e *requestEncoder) showsThoughts() bool {
	r := &e.r.Reasoning
	switch {
	case r.State == chat.ReasoningOff || r.Effort == "none", r.Summary == "omitted":
		return false
	case r.Summary != "":
		return true
	default:
		return r.State == chat.ReasoningOn && e.r.Format != "openai_responses"
	}
}
