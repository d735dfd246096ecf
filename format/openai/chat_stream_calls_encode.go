package openai

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// toolStart appends the begin of a tool call.
func (e *chatStreamEncoder) toolStart(dst []byte, b *streamBlock, ev *chat.Event) []byte {
	e.has.tools = true
	b.tool = e.tools
	e.tools++
	if e.hidden(b) {
		return dst
	}
	tool := calledTool(e.x, ev.Name)
	if e.x.LegacyFunctions {
		dst = e.begin(dst, `"function_call":{"name":`)
		dst = append(dst, tool.name...)
		dst = append(dst, `,"arguments":""}`...)
		return e.close(dst)
	}
	dst = e.beginCall(dst, b)
	dst = append(dst, `,"id":`...)
	if ev.ID.Empty() {
		dst = append(dst, madeID([]byte(e.x.RequestID), ev.Name, b.tool)...)
	} else {
		dst = append(dst, ev.ID...)
	}
	if b.custom = tool.custom; b.custom {
		dst = append(dst, `,"type":"custom","custom":{"name":`...)
		dst = append(dst, tool.name...)
		dst = append(dst, `,"input":""}}]`...)
		return e.close(dst)
	}
	dst = append(dst, `,"type":"function","function":{"name":`...)
	dst = append(dst, tool.name...)
	dst = append(dst, `,"arguments":""}}]`...)
	return e.close(dst)
}

// beginCall appends a chunk up to the number of a call.
func (e *chatStreamEncoder) beginCall(dst []byte, b *streamBlock) []byte {
	dst = e.begin(dst, `"tool_calls":[{"index":`)
	return strconv.AppendInt(dst, int64(b.tool), 10)
}

// hidden says that a call cannot be told: clients that know functions only can
// be told one.
func (e *chatStreamEncoder) hidden(b *streamBlock) bool {
	return e.x.LegacyFunctions && b.tool > 0
}

// arguments appends a piece of a call's arguments.
func (e *chatStreamEncoder) arguments(dst []byte, b *streamBlock, piece chat.Literal) []byte {
	switch {
	case !b.open, b.kind != chat.ToolUse, e.hidden(b), piece.Empty():
		return dst
	case b.custom && len(b.held)+len(piece) > maxHeldInput:
		e.ended = true
		return appendStreamError(dst, chat.BadAnswer("the upstream calls a tool with too much text"))
	case b.custom:
		b.hold(piece)
		return dst
	}
	b.filled = true
	if e.x.LegacyFunctions {
		dst = e.begin(dst, `"function_call":{"arguments":`)
		dst = append(dst, piece...)
		dst = append(dst, '}')
		return e.close(dst)
	}
	dst = e.beginCall(dst, b)
	dst = append(dst, `,"function":{"arguments":`...)
	dst = append(dst, piece...)
	dst = append(dst, `}}]`...)
	return e.close(dst)
}

// noArguments is an object without members.
var noArguments = chat.Literal(`"{}"`)

// input appends the free text that a tool is called with.
func (e *chatStreamEncoder) input(dst []byte, b *streamBlock) []byte {
	input := chat.Literal(appendInput(nil, chat.Arguments{Text: closed(b.held)}))
	if input.Empty() {
		return dst
	}
	dst = e.beginCall(dst, b)
	dst = append(dst, `,"custom":{"input":`...)
	dst = append(dst, input...)
	dst = append(dst, `}}]`...)
	return e.close(dst)
}
