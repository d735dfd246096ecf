package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

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
	budget, ok := r.Budget.Int()
	effort := ""
	if ok {
		effort = capability.EffortOf(budget)
	}
	if budget > capability.HighBudget && can.Efforts&capability.XHigh != 0 {
		effort = "xhigh"
	}
	if effort != "" {
		e.approximate("reasoning")
	}
	return effort
}
