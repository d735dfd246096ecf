package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// reasoning writes how much the model is to reason and what it shows of it.
func (e *responsesEncoder) reasoning() {
	summary := e.summary()
	if e.level == "" && summary == "" {
		return
	}
	e.field("reasoning")
	separator := `{"`
	for _, m := range [...]struct{ name, value string }{{"effort", e.level}, {"summary", summary}} {
		if m.value != "" {
			e.b.Str(separator)
			e.b.Str(m.name)
			e.b.Str(`":`)
			e.b.Quote(m.value)
			separator = `,"`
		}
	}
	e.b.Byte('}')
}

// summary is which summary of its reasoning the model is to show; "" for none.
func (e *responsesEncoder) summary() string {
	switch s := e.r.Reasoning.Summary; {
	case s == "omitted":
		return ""
	case s != "" && e.to.Can.Thinking == capability.ThinkingNone:
		e.drop("reasoning.summary")
		return ""
	case s == "summarized":
		return "auto"
	default:
		return s
	}
}

// include asks for what answers do not hold by default.
func (e *responsesEncoder) include() {
	for i := range e.r.Extra {
		if e.speaks() && e.r.Extra[i].Name == "include" {
			return // restored as it was
		}
	}
	sealed, logprobs := e.sealed(), e.r.Logprobs == chat.True && sampled(&e.to.Can, e.level)
	switch {
	case sealed && logprobs:
		e.raw("include", []byte(`["`+includeReasoning+`","`+includeLogprobs+`"]`))
	case sealed:
		e.raw("include", []byte(`["`+includeReasoning+`"]`))
	case logprobs:
		e.raw("include", []byte(`["`+includeLogprobs+`"]`))
	}
}

// sealed says that the answer is to hold the reasoning in sealed form, which the
// client sends back with the next request. A model that does not reason refuses
// to send it, so one that is not known must be asked to reason first.
func (e *responsesEncoder) sealed() bool {
	r, can := &e.r.Reasoning, &e.to.Can
	return can.Thinking != capability.ThinkingNone &&
		(can.Reasons || e.thought || r.State == chat.ReasoningOn || r.Summary != "")
}
