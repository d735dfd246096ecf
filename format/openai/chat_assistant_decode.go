package openai

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// assistant reads an earlier answer: its reasoning, its text, its calls.
func (d *messageDecoder) assistant(m *message) error {
	reasoning := m.reasoning.Literal()
	if reasoning.Empty() {
		reasoning = m.thought.Literal()
	}
	d.thoughts(reasoning, m.details)
	if m.content.Exists() && !m.content.Is("") {
		if err := d.content(&d.turn, m.content, chat.Assistant); err != nil {
			return err
		}
	}
	if refusal := m.refusal.Literal(); !refusal.Empty() {
		d.turn.add(chat.Refusal).Text = refusal
	}
	if m.toolCalls.Exists() && m.toolCalls.Kind() != tape.Array {
		return d.mustBe(".tool_calls", "an array")
	}
	call := 0
	for element := range m.toolCalls.Elements {
		if err := d.call(element, call); err != nil {
			return err
		}
		call++
	}
	if m.functionCall.Exists() {
		return d.functionCall(m.functionCall)
	}
	return nil
}

// call reads a call of a tool.
func (d *messageDecoder) call(v tape.Value, number int) error {
	b := d.turn.add(chat.ToolUse)
	function, below := v.Member("function"), ".function"
	if !function.Exists() && v.Member("type").Is("custom") {
		function, below = v.Member("custom"), ".custom"
		b.Arguments.Object = customInput(function.Member("input"))
	}
	path := ".tool_calls[" + strconv.Itoa(number) + "]"
	b.ID = v.Member("id").Literal()
	if b.ID.Empty() {
		return d.mustBe(path+".id", "a string that the tool's result names as tool_call_id")
	}
	b.Signature, b.Origin = callSignature(v)
	return d.called(b, function, path+below)
}
