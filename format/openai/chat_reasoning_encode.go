package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
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
