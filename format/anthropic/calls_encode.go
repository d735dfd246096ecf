package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// call writes a call of a tool.
func (e *requestEncoder) call(p *chat.Piece) {
	b := p.Block
	e.b.Str(`{"type":"tool_use","id":`)
	e.b.Raw(p.ID)
	e.b.Str(`,"name":`)
	e.b.Raw(toolName(b.Name))
	e.b.Str(`,"input":`)
	whole := true
	e.b.Append(func(dst []byte) (out []byte) {
		out, whole = format.AppendObject(dst, b.Arguments)
		return out
	})
	if !whole {
		e.lost(chat.Loss{Path: "tool_calls[].arguments", Reason: chat.Approximated})
	}
	e.endBlock(b)
}

// result writes the result of a call.
func (e *requestEncoder) result(p *chat.Piece) {
	b := p.Block
	e.b.Str(`{"type":"tool_result","tool_use_id":`)
	e.b.Raw(p.ID)
	e.resultContent(b)
	if b.IsError {
		e.field("is_error")
		e.b.Str("true")
	}
	e.endBlock(b)
}

// resultContent writes what a result holds: nothing, a text, or blocks. That of
// an error must not be empty.
func (e *requestEncoder) resultContent(b *chat.Block) {
	var only *chat.Block
	number := 0
	for i := range b.Content {
		if inner := &b.Content[i]; !isBlank(inner) {
			only = inner
			number++
		}
	}
	switch {
	case number == 0 && b.IsError:
		e.raw("content", []byte(`"(no result)"`))
		return
	case number == 0:
		return
	case number == 1 && only.Kind == chat.Text && !e.caches(only):
		e.raw("content", only.Text)
		return
	}
	e.field("content")
	separator := byte('[')
	for i := range b.Content {
		inner := &b.Content[i]
		if isBlank(inner) {
			continue
		}
		e.b.Byte(separator)
		separator = ','
		e.inner(inner)
	}
	e.b.Byte(']')
}

// isBlank says that a block is a text that Anthropic would call empty.
func isBlank(b *chat.Block) bool {
	return (b.Kind == chat.Text || b.Kind == chat.Refusal) && b.Text.Blank()
}

// inner writes a block that a result holds.
func (e *requestEncoder) inner(b *chat.Block) {
	switch b.Kind {
	case chat.Text, chat.Refusal:
		e.text(b)
	case chat.Image, chat.Document:
		e.medium(b)
	case chat.Opaque:
		if e.own {
			e.b.Raw(b.Raw)
			return
		}
		e.unknown(b)
	default:
		e.unknown(b)
	}
}

// orphan writes the result of a call that is not in the conversation as a text,
// and behind it what the result holds beside text.
func (e *requestEncoder) orphan(b *chat.Block) {
	e.b.Str(`{"type":"text","text":"[result of tool `)
	e.b.Raw(b.ID.Inner())
	e.b.Byte(']')
	separator := " "
	for i := range b.Content {
		if inner := &b.Content[i]; inner.Kind == chat.Text && !isBlank(inner) {
			e.b.Str(separator)
			e.b.Raw(inner.Text.Inner())
			separator = `\n\n`
		}
	}
	e.b.Byte('"')
	e.endBlock(b)
	for i := range b.Content {
		if inner := &b.Content[i]; inner.Kind != chat.Text && !isBlank(inner) {
			e.b.Byte(',')
			e.inner(inner)
		}
	}
}

// unknown refuses a block that has no meaning to the upstream: to leave it out
// would change what the user said.
func (e *requestEncoder) unknown(b *chat.Block) {
	e.refuse("messages", "content of type "+b.TypeName())
}
