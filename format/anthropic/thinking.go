package anthropic

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// minBudget is the smallest number of tokens that thinking may have.
const minBudget = 1024

// budgets are the tokens of each effort: the steps of Google's OpenAI-compatible
// endpoint.
var budgets = map[string]int64{
	"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768,
}

// thinkingForm is how the request speaks of thinking.
type thinkingForm uint8

const (
	// thinkingUnsaid leaves the field out.
	thinkingUnsaid thinkingForm = iota
	thinkingManual
	thinkingAdaptive
	// thinkingBetweenTools is the least of models that cannot do without.
	thinkingBetweenTools
	thinkingDisabled
)

// thinking is what was decided about it.
type thinking struct {
	form   thinkingForm
	budget int64  // of manual thinking
	effort string // empty if none is sent
}

// thinks says that the request asks the model to think, so that sampling is
// restricted.
func (t *thinking) thinks() bool {
	return t.form == thinkingManual || t.form == thinkingAdaptive || t.form == thinkingBetweenTools
}

// settleThinking decides on thinking: by what the client wants, what the model
// takes, and what else is in the request.
func (e *requestEncoder) settleThinking() {
	r, can := &e.r.Reasoning, &e.to.Can
	switch {
	case wantsNone(r):
		e.thinkNot()
	case r.State != chat.ReasoningOn:
		e.thinkByDefault()
	case can.Thinking == capability.ThinkingNone:
		e.drop("reasoning")
	case e.choice.forced && can.ForcedTool == capability.ForcedNotThinking:
		// The forced choice is kept, since it changes the answer's form.
		e.drop("reasoning")
		e.thinkNot()
	default:
		e.think()
	}
}

// wantsNone says that the client wants no thinking.
func wantsNone(r *chat.Reasoning) bool {
	if r.State == chat.ReasoningOff {
		return true
	}
	budget, ok := r.Budget.Int()
	return r.State == chat.ReasoningOn && !r.Adaptive && (r.Effort == "none" && r.Budget == nil || ok && budget == 0)
}

// thinkByDefault leaves it to the model. One that thinks anyway is told to show
// it: newer models hide their thinking unless they are asked, and some of them
// the text between their calls with it.
func (e *requestEncoder) thinkByDefault() {
	can := &e.to.Can
	switch {
	case !can.ThinksByDefault:
	case e.choice.forced && can.ForcedTool == capability.ForcedNotThinking:
		e.thinkNot()
		return
	case can.Thinking == capability.ThinkingAdaptive:
		e.thinking.form = thinkingAdaptive
	}
	e.settleEffort(e.r.Reasoning.Effort)
}

// thinkNot switches thinking off, as far as the model lets it.
func (e *requestEncoder) thinkNot() {
	can := &e.to.Can
	if !can.ThinksByDefault {
		// Leaving the field out is enough, and not all models know "disabled".
		if e.own && can.Thinking == capability.ThinkingUnknown {
			e.thinking.form = thinkingDisabled
		}
		return
	}
	switch can.ThinkingOff {
	case capability.OffRefused:
		e.settleEffort("low")
		e.lost(chat.Loss{Path: "reasoning", Reason: chat.Approximated})
	case capability.OffBetweenTools:
		e.thinking.form = thinkingBetweenTools
		e.lost(chat.Loss{Path: "reasoning", Reason: chat.Approximated})
	default:
		// No effort is sent, and that of the model's own is not above high.
		e.thinking.form = thinkingDisabled
	}
}

// think switches thinking on, in the form that the model takes.
func (e *requestEncoder) think() {
	r := &e.r.Reasoning
	switch e.to.Can.Thinking {
	case capability.ThinkingAdaptive:
		e.thinkAdaptively()
	case capability.ThinkingManual:
		e.thinkManually()
	case capability.ThinkingBoth:
		if n, ok := r.Budget.Int(); ok && n > 0 && !r.Adaptive && e.roomToThink() {
			e.thinkManually()
			return
		}
		e.thinkAdaptively()
	default:
		if r.Adaptive {
			e.thinkAdaptively()
			return
		}
		e.thinkManually()
	}
}

// thinkAdaptively lets the model decide per step, with an effort that stands for
// the budget that the client may have given.
func (e *requestEncoder) thinkAdaptively() {
	r := &e.r.Reasoning
	e.thinking.form = thinkingAdaptive
	effort := r.Effort
	if n, ok := r.Budget.Int(); ok && n > 0 {
		effort = e.effortOf(n)
		e.lost(chat.Loss{Path: "reasoning", Reason: chat.Approximated})
	}
	e.settleEffort(effort)
}

// effortOf is the effort that stands for a budget.
func (e *requestEncoder) effortOf(budget int64) string {
	switch {
	case budget <= 1024:
		return "low"
	case budget <= 8192:
		return "medium"
	case budget > 24576 && e.to.Can.Efforts&capability.XHigh != 0:
		return "xhigh"
	default:
		return "high"
	}
}

// lowest is the least effort of the format's; "none" and "minimal" are of others.
const lowest = "low"

// settleEffort decides on the effort that is sent by its name: the nearest that
// the model has. Models that think with a budget only know none.
func (e *requestEncoder) settleEffort(effort string) {
	can := &e.to.Can
	switch {
	case effort == "" || effort == "none":
		return
	case can.Efforts == 0 && (can.Thinking == capability.ThinkingManual || can.Thinking == capability.ThinkingNone):
		e.drop("reasoning")
		return
	case effort == "minimal":
		effort = lowest
	}
	nearest, ok := can.Efforts.Nearest(effort)
	if !ok {
		e.drop("reasoning")
		return
	}
	if nearest != effort {
		e.lost(chat.Loss{Path: "reasoning", Reason: chat.Clamped})
	}
	e.thinking.effort = nearest
}

// roomToThink says that Anthropic takes manual thinking here: there is room for
// it and for the answer, no call of a tool is forced, and the step that the model
// is in began with its thinking, which clients of other formats could not keep.
func (e *requestEncoder) roomToThink() bool {
	return e.limit > minBudget && !e.choice.forced && e.loopHasThinking()
}

// thinkManually gives the model a budget. It must leave room for the answer.
func (e *requestEncoder) thinkManually() {
	if !e.roomToThink() {
		e.drop("reasoning")
		return
	}
	e.thinking.form = thinkingManual
	budget := e.wantedBudget()
	if e.r.MaxTokens == nil {
		e.limit += budget
		if most := int64(e.to.Can.MaxOutput); most > 0 {
			e.limit = min(e.limit, most)
		}
	}
	if budget >= e.limit {
		budget = e.limit - 1
		e.lost(chat.Loss{Path: "reasoning", Reason: chat.Clamped})
	}
	e.thinking.budget = budget
	if e.own && e.r.Reasoning.Budget != nil {
		e.thinking.effort = e.r.Reasoning.Effort
	}
}

// wantedBudget is how many tokens of thinking the client wants.
func (e *requestEncoder) wantedBudget() int64 {
	r := &e.r.Reasoning
	if n, ok := r.Budget.Int(); ok && n > 0 {
		if n < minBudget {
			e.lost(chat.Loss{Path: "reasoning", Reason: chat.Clamped})
			n = minBudget
		}
		return n
	}
	e.lost(chat.Loss{Path: "reasoning", Reason: chat.Approximated})
	if n, ok := budgets[r.Effort]; ok {
		return n
	}
	return budgets["medium"]
}

// writeThinking writes whether the model is to reason.
func (e *requestEncoder) writeThinking() {
	switch e.thinking.form {
	case thinkingUnsaid:
		return
	case thinkingManual:
		e.b.Str(`,"thinking":{"type":"enabled","budget_tokens":`)
		e.b.Append(func(dst []byte) []byte { return strconv.AppendInt(dst, e.thinking.budget, 10) })
		e.display("")
	case thinkingAdaptive:
		e.b.Str(`,"thinking":{"type":"adaptive"`)
		if e.to.Can.Thinking == capability.ThinkingAdaptive {
			e.display("summarized")
		} else {
			e.display("")
		}
	case thinkingBetweenTools:
		e.b.Str(`,"thinking":{"type":"between_tools"`)
	case thinkingDisabled:
		e.b.Str(`,"thinking":{"type":"disabled"`)
	}
	e.b.Byte('}')
}

// display writes whether the answer is to show the thinking: as the client says
// in the format's own words, or as unsaid tells.
func (e *requestEncoder) display(unsaid string) {
	if said := e.r.Reasoning.Summary; said == "summarized" || said == "omitted" {
		unsaid = said
	}
	if unsaid != "" {
		e.quoted("display", []byte(unsaid))
	}
}
