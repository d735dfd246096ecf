package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// heldCall is a call that waits for its signature, which clients are told in front
// of it. Its block is none if no call waits.
type heldCall struct {
	block     int
	id, name  chat.Literal
	arguments []byte // escaped
}

// hold takes an event about the call that waits. It ends the wait when the
// signature is there, or something else comes.
func (e *responsesStreamEncoder) hold(dst []byte, ev *chat.Event) (out []byte, taken bool) {
	held := &e.held
	switch {
	case ev.Kind != chat.EventDelta || ev.Index != held.block:
		return e.release(dst), false
	case ev.Delta == chat.DeltaArguments:
		held.arguments = append(held.arguments, ev.Text.Inner()...)
	case ev.Delta == chat.DeltaSignature && ev.Origin == originGemini:
		var item *outputItem
		dst, item = e.thought(dst, held.block)
		item.sealed, item.origin = append(item.sealed, ev.Text.Inner()...), ev.Origin
		dst = e.release(e.closeReasoning(dst))
	}
	return dst, true
}

// release appends what is known of the call that waits.
func (e *responsesStreamEncoder) release(dst []byte) []byte {
	held := e.held
	e.held = heldCall{block: none}
	dst = e.openCall(dst, held.block, held.id, held.name)
	if len(held.arguments) == 0 {
		return dst
	}
	return e.arguments(dst, held.block, append(append([]byte{'"'}, held.arguments...), '"'))
}

// openCall appends the begin of a call.
func (e *responsesStreamEncoder) openCall(dst []byte, block int, id, name chat.Literal) []byte {
	dst = e.closeReasoning(e.closeMessage(dst))
	e.has.tools = true
	called := calledTool(e.x, name)
	called.name, called.namespace = bytes.Clone(called.name), bytes.Clone(called.namespace)
	if id = bytes.Clone(id); id.Empty() {
		id = madeID([]byte(e.x.RequestID), name, len(e.items))
	}
	item := e.add(block, chat.ToolUse)
	item.called, item.id = called, id
	dst = e.added(dst)
	dst = called.appendHead(dst, e.ids, len(e.items)-1, id, "in_progress")
	return e.close(append(dst, `""}`...))
}

// arguments appends a piece of a call's arguments. Those of a tool that takes
// free text are told at once: the text is within them.
func (e *responsesStreamEncoder) arguments(dst []byte, block int, piece chat.Literal) []byte {
	b := e.block(block)
	if b.kind != chat.ToolUse || b.item == none || !e.items[b.item].open {
		return dst
	}
	item := &e.items[b.item]
	item.text = append(item.text, piece.Inner()...)
	if item.called.custom {
		return dst
	}
	dst = e.begin(dst, "response.function_call_arguments.delta")
	dst = e.at(dst, callPrefix, b.item)
	dst = append(dst, `,"delta":`...)
	return e.close(append(dst, piece...))
}

// closeCall ends a call.
func (e *responsesStreamEncoder) closeCall(dst []byte, number int) []byte {
	item := &e.items[number]
	if !item.open {
		return dst
	}
	if item.called.custom {
		dst = e.closeCustom(dst, number)
		return e.done(dst, number)
	}
	if len(item.text) == 0 {
		dst = e.arguments(dst, item.block, noArguments)
	}
	dst = e.begin(dst, "response.function_call_arguments.done")
	dst = e.at(dst, callPrefix, number)
	dst = append(dst, `,"name":`...)
	dst = append(dst, item.called.name...)
	dst = append(dst, `,"arguments":"`...)
	dst = append(dst, item.text...)
	dst = e.close(append(dst, '"'))
	item.done = item.called.appendHead(make([]byte, 0, len(item.text)+256), e.ids, number, item.id, "completed")
	item.done = append(item.done, '"')
	item.done = append(item.done, item.text...)
	item.done = append(item.done, `"}`...)
	return e.done(dst, number)
}

// closeCustom tells the text that a tool is called with.
func (e *responsesStreamEncoder) closeCustom(dst []byte, number int) []byte {
	item := &e.items[number]
	whole := append(append([]byte{'"'}, item.text...), '"')
	input := chat.Literal(appendInput(nil, chat.Arguments{Text: whole}))
	if !input.Empty() {
		dst = e.begin(dst, "response.custom_tool_call_input.delta")
		dst = e.at(dst, customPrefix, number)
		dst = append(dst, `,"delta":`...)
		dst = e.close(append(dst, input...))
	}
	dst = e.begin(dst, "response.custom_tool_call_input.done")
	dst = e.at(dst, customPrefix, number)
	dst = append(dst, `,"input":`...)
	dst = e.close(append(dst, input...))
	item.done = item.called.appendHead(nil, e.ids, number, item.id, "completed")
	item.done = append(append(item.done, input...), '}')
	return dst
}
