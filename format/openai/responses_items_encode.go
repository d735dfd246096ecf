package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// input writes the conversation.
func (e *responsesEncoder) input() {
	e.field("input")
	e.b.Byte('[')
	if e.leads() {
		e.message(e.systemRole(), e.r.System)
	}
	turns := e.r.Turns
	for i := 0; i < len(turns) && e.err == nil; {
		switch turns[i].Role {
		case chat.Assistant:
			answered := after(turns, i, true)
			for t := i; t < answered; t++ {
				e.assistant(turns[t].Blocks)
			}
			e.round.Begin(turns[i:answered])
			e.results(turns[answered:after(turns, answered, false)])
			i = answered
		case chat.System:
			e.message(e.systemRole(), turns[i].Blocks)
			i++
		default:
			e.user(turns[i].Blocks)
			i++
		}
	}
	e.b.Byte(']')
}

// item begins an item, up to the first member behind its type.
func (e *responsesEncoder) item(kind string) {
	if e.written {
		e.b.Byte(',')
	}
	e.written = true
	e.b.Str(`{"type":"`)
	e.b.Str(kind)
	e.b.Byte('"')
}

// assistant writes an earlier answer: neighbouring texts are one message.
func (e *responsesEncoder) assistant(blocks []chat.Block) {
	open := false
	for i := range blocks {
		b := &blocks[i]
		e.noCache(b)
		if b.Kind == chat.Text || b.Kind == chat.Refusal {
			open = e.said(b, open)
			continue
		}
		if open {
			e.b.Str("]}")
			open = false
		}
		switch b.Kind {
		case chat.Thinking, chat.RedactedThinking:
			e.reasoned(b)
		case chat.ToolUse:
			e.call(b)
		case chat.Opaque:
			e.opaque(b)
		default:
			e.lose("assistant." + b.Kind.String())
		}
	}
	if open {
		e.b.Str("]}")
	}
}

// said writes a part of an answer's message, which is begun if it is not open.
func (e *responsesEncoder) said(b *chat.Block, open bool) bool {
	if b.Text.Empty() {
		return open
	}
	if open {
		e.b.Byte(',')
	} else {
		e.item("message")
		e.b.Str(`,"role":"assistant","content":[`)
	}
	if b.Kind == chat.Refusal {
		e.b.Str(`{"type":"refusal","refusal":`)
	} else {
		e.b.Str(`{"type":"output_text","text":`)
	}
	e.b.Raw(b.Text)
	e.b.Byte('}')
	return true
}

// reasoned sends reasoning back to its maker; it means nothing to others.
func (e *responsesEncoder) reasoned(b *chat.Block) {
	if b.Kind != chat.Thinking || b.Origin != originResponses || b.Signature.Empty() {
		e.drop("thinking")
		return
	}
	e.thought = true
	e.item("reasoning")
	e.b.Str(`,"summary":[`)
	if !b.Text.Empty() {
		e.b.Str(`{"type":"summary_text","text":`)
		e.b.Raw(b.Text)
		e.b.Byte('}')
	}
	e.b.Str(`],"encrypted_content":`)
	e.b.Raw(b.Signature)
	e.b.Byte('}')
}

// opaque writes a step of an earlier answer that has no neutral meaning as it
// was, if it is of this format.
func (e *responsesEncoder) opaque(b *chat.Block) {
	if b.Origin != originResponses || !e.speaks() {
		e.drop("assistant." + b.Type)
		return
	}
	if e.written {
		e.b.Byte(',')
	}
	e.written = true
	e.b.Raw(b.Raw)
}

// call writes a call of a tool.
func (e *responsesEncoder) call(b *chat.Block) {
	custom := e.isCustom(b)
	if custom {
		e.item("custom_tool_call")
	} else {
		e.item("function_call")
	}
	e.field("call_id")
	e.b.Raw(sentID(b.ID, maxResponsesCallID))
	e.field("name")
	e.b.Raw(e.toolName(b.Name))
	if custom {
		e.field("input")
		e.b.Append(func(dst []byte) []byte { return appendInput(dst, b.Arguments) })
	} else {
		e.field("arguments")
		e.arguments(b.Arguments)
	}
	e.b.Byte('}')
}

// isCustom says that a call is one of a tool that takes free text.
func (e *responsesEncoder) isCustom(call *chat.Block) bool {
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; t.Custom != nil && t.Name.Equal(call.Name) {
			return true
		}
	}
	return false
}

// results writes the results of the latest calls, in the order of the calls.
func (e *responsesEncoder) results(turns []chat.Turn) {
	if len(e.round.Calls()) == 0 {
		return
	}
	e.match(turns)
	for i, result := range e.round.Results() {
		e.result(e.round.Calls()[i], result)
	}
}

// result writes the result of a call. It is nil if there is none; the call has
// no name if it is not in the conversation.
func (e *responsesEncoder) result(call, result *chat.Block) {
	if e.isCustom(call) {
		e.item("custom_tool_call_output")
	} else {
		e.item("function_call_output")
	}
	e.field("call_id")
	e.b.Raw(sentID(call.ID, maxResponsesCallID))
	e.field("output")
	switch {
	case result == nil:
		e.b.Str(`"(no result)"`)
		e.approximate("tool_use (without a result)")
	case hasAttachments(result), e.marking && marksIn(result) > 0:
		e.resultParts(result)
	default:
		e.noCache(result)
		e.b.Byte('"')
		e.resultText(result)
		e.b.Byte('"')
	}
	e.b.Byte('}')
}

// resultParts writes the content of a result as parts. The result's own cache mark
// is that of its last part.
func (e *responsesEncoder) resultParts(result *chat.Block) {
	p := itemParts{e: e}
	if result.IsError && !tellsError(result) {
		p.begin("input_text")
		e.b.Str(`,"text":"Error: the tool failed"}`)
	}
	for i := range result.Content {
		part := result.Content[i]
		if part.Cache == nil && i == len(result.Content)-1 {
			part.Cache = result.Cache
		}
		p.add(&part)
	}
	p.end()
}

// tellsError says that the text of a result begins with the word error.
func tellsError(result *chat.Block) bool {
	for i := range result.Content {
		if b := &result.Content[i]; b.Kind == chat.Text && !b.Text.Blank() {
			return saysError(b.Text)
		}
	}
	return false
}

// user writes what a user turn holds beside the results that have been written.
// Results of unknown calls stay what they are.
func (e *responsesEncoder) user(blocks []chat.Block) {
	others := len(blocks) == 0
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Kind != chat.ToolResult:
			others = true
		case !e.round.Answers(b):
			e.result(b, b)
		}
	}
	if others {
		e.message("user", blocks)
	}
}

// message writes a message with everything of a turn that is no result.
func (e *responsesEncoder) message(role string, blocks []chat.Block) {
	p := itemParts{e: e}
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Kind == chat.ToolResult:
			continue // written by now
		case b.Kind == chat.Text && (b.Text.Empty() || role != "user" && b.Text.Blank()):
			e.noCache(b)
			continue
		case b.Kind == chat.Opaque && role == "user" && b.Origin == originResponses && e.speaks():
			// An item of its own, such as the output of a tool of the upstream's.
			if p.any {
				p.end()
				e.b.Byte('}')
				p.any = false
			}
			e.opaque(b)
			continue
		case b.Kind == chat.Opaque && role != "user":
			e.drop("system." + b.Type)
			continue
		case !p.any:
			e.item("message")
			e.b.Str(`,"role":"`)
			e.b.Str(role)
			e.b.Str(`","content":`)
		}
		p.add(b)
		if e.err != nil {
			return
		}
	}
	if p.any {
		p.end()
		e.b.Byte('}')
	}
}

// appendInput appends the text that a tool is called with: the property input of
// its arguments, as a literal. Arguments of another shape are the text.
func appendInput(dst []byte, a chat.Arguments) []byte {
	object := []byte(a.Object)
	if len(object) == 0 {
		object = a.Text.Unescaped()
	}
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(object); err == nil {
		if input := t.Root().Get("input").Literal(); input != nil {
			return append(dst, input...)
		}
	}
	if object = bytes.TrimSpace(object); string(object) == "{}" {
		object = nil
	}
	return chat.AppendQuoted(dst, object)
}
