package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// reasoning writes how much the model is to reason; "" leaves it to the model.
func (e *requestEncoder) reasoning(effort string) {
	if effort != "" {
		e.field("reasoning_effort")
		e.b.Quote(effort)
	}
}

// chatEffort is how much the model is to reason, as OpenAI's Chat endpoint takes
// it: it knows no max (BerriAI/litellm-docs #1173, mnfst/modelparams.dev #236),
// and for some models no effort beside tools.
func (e *requestEncoder) chatEffort() string {
	levels := e.to.Can.Efforts
	if e.to.Can.Reasons {
		levels &^= capability.Max
	}
	effort := e.effortAmong(levels)
	if e.to.Can.ChatTools == capability.ChatToolsFree || !e.hasFunctions() {
		return effort
	}
	return e.effortBesideTools(effort)
}

// effortBesideTools is the effort that the model takes in a request with tools.
// The gateway prefers the Responses format for such requests; this is for
// upstreams that do not have it.
func (e *requestEncoder) effortBesideTools(effort string) string {
	switch rule := e.to.Can.ChatTools; {
	case effort == "none", rule == capability.ChatToolsEffort && effort == "":
		return effort
	case rule == capability.ChatToolsRefused:
		// Nothing helps; the upstream's own error tells the client what would.
		e.lose("tools")
		return effort
	default:
		e.lose("reasoning_effort")
		return "none"
	}
}

// hasFunctions says that there are tools that the client runs.
func (e *requestEncoder) hasFunctions() bool {
	for i := range e.r.Tools {
		if e.r.Tools[i].Type == "" {
			return true
		}
	}
	return false
}

// effort is how much the model is to reason, as one of its levels; "" leaves it
// to the model.
func (e *requestEncoder) effort() string { return e.effortAmong(e.to.Can.Efforts) }

// effortAmong is the level nearest to what the client wants; levels that are not
// known take everything.
func (e *requestEncoder) effortAmong(levels capability.Efforts) string {
	wanted := e.wantedEffort()
	switch {
	case wanted == "":
		return ""
	case e.to.Can.Thinking == capability.ThinkingNone:
		if wanted != "none" {
			e.drop("reasoning")
		}
		return ""
	case wanted != "none":
		// A client that wants reasoning gets some.
		levels &^= capability.None
	}
	nearest, ok := levels.Nearest(wanted)
	if !ok || nearest != wanted {
		e.approximate("reasoning")
	}
	return nearest
}

// wantedEffort is how much the client wants the model to reason; "" if it does
// not say. A budget of tokens becomes the nearest step.
func (e *requestEncoder) wantedEffort() string {
	r, can := &e.r.Reasoning, &e.to.Can
	known := can.Efforts != 0 || can.Thinking == capability.ThinkingNone
	switch {
	case r.State == chat.ReasoningOff && known:
		return "none"
	case r.Effort == "max" && !known && !sameFamily(e.r.Format):
		e.approximate("reasoning")
		return "xhigh"
	case r.Effort != "":
		return r.Effort
	case r.State != chat.ReasoningOn:
		return ""
	case r.Budget == nil && !can.ThinksByDefault && can.Efforts&capability.None != 0:
		// The model would not reason by itself, as the client expects.
		e.approximate("reasoning")
		return "medium"
	}
	effort := effortOf(r.Budget)
	if n, _ := r.Budget.Int(); n > highBudget && can.Efforts&capability.XHigh != 0 {
		effort = "xhigh"
	}
	if effort != "" {
		e.approximate("reasoning")
	}
	return effort
}

// highBudget is the largest budget of the step high.
const highBudget = 24576

// effortOf returns the step of a budget; "" leaves it to the model. The steps are
// those of Google's OpenAI-compatible endpoint.
func effortOf(budget chat.Number) string {
	switch n, ok := budget.Int(); {
	case !ok || n < 0:
		return ""
	case n == 0:
		return "none"
	case n <= 1024:
		return "low"
	case n <= 8192:
		return "medium"
	default:
		return "high"
	}
}
