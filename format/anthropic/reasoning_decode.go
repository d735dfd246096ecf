package anthropic

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// thinkingFields are the members of thinking with a neutral meaning.
var thinkingFields = []string{"type", "budget_tokens", "display"}

// thinking reads whether the model is to reason.
func (d *requestDecoder) thinking(field string, v tape.Value) error {
	r := &d.r.Reasoning
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	var kind, budget, display tape.Value
	if err := fields(v, field, thinkingFields, &kind, &budget, &display); err != nil {
		return err
	}
	d.rest(v, field, thinkingFields)
	switch {
	case !kind.Exists() && v.Member("block_binding").Exists():
		// This setting alone leaves thinking to the model.
	case kind.Is("disabled"):
		r.State = chat.ReasoningOff
		return nil
	case kind.Is("adaptive"), kind.Is("between_tools"):
		r.State, r.Adaptive = chat.ReasoningOn, true
	case kind.Is("enabled"):
		n, ok := wholeNumber(budget)
		if !ok {
			return chat.MustBe("thinking.budget_tokens", "a whole number of at least 1024")
		}
		r.State, r.Budget = chat.ReasoningOn, n
	default:
		return chat.MustBe("thinking.type", "enabled, adaptive, between_tools or disabled")
	}
	switch {
	case !display.Exists():
	case display.Is("summarized"), display.Is("updates"):
		// Updates are summaries between the calls of tools.
		r.Summary = "summarized"
	case display.Is("omitted"):
		r.Summary = "omitted"
	default:
		return chat.MustBe("thinking.display", "summarized, updates or omitted")
	}
	return nil
}

// outputConfig reads the effort and the form of the answer.
func (d *requestDecoder) outputConfig(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	var effort, form tape.Value
	known := []string{"effort", "format"}
	if err := fields(v, field, known, &effort, &form); err != nil {
		return err
	}
	d.rest(v, field, known)
	if effort.Exists() {
		if err := d.readEffort(effort); err != nil {
			return err
		}
	}
	if form.Exists() {
		return d.format("output_config.format", form)
	}
	return nil
}

// efforts are the steps of effort.
var efforts = []string{"low", "medium", "high", "xhigh", "max"}

// readEffort reads how much effort the model is to make.
func (d *requestDecoder) readEffort(v tape.Value) error {
	for _, e := range efforts {
		if v.Is(e) {
			d.r.Reasoning.Effort, d.effort = e, v
			return nil
		}
	}
	return chat.MustBe("output_config.effort", "one of "+strings.Join(efforts, ", "))
}

// settleEffort keeps the effort of a request that wants no thinking apart: in
// other formats it would switch the thinking on.
func (d *requestDecoder) settleEffort() {
	if r := &d.r.Reasoning; r.State == chat.ReasoningOff && r.Effort != "" {
		r.Effort = ""
		d.extra("output_config.effort", d.effort)
	}
}

// format reads the form of the answer's text.
func (d *requestDecoder) format(field string, v tape.Value) error {
	var kind, schema tape.Value
	if err := fields(v, field, []string{"type", "schema"}, &kind, &schema); err != nil {
		return err
	}
	if !kind.Is("json_schema") {
		return chat.MustBe(field+".type", "json_schema")
	}
	if schema.Kind() != tape.Object {
		return chat.MustBe(field+".schema", "an object")
	}
	d.r.Output = chat.Output{Kind: chat.OutputJSONSchema, Schema: schema.Raw()}
	return nil
}
