package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// messages writes the planned conversation.
func (e *requestEncoder) messages() {
	e.field("messages")
	separator := byte('[')
	if e.bare {
		e.b.Str(`[{"role":"user","content":"."}`)
		separator = ','
	}
	for i := range e.turns {
		e.b.Byte(separator)
		separator = ','
		e.turn(&e.turns[i], i == len(e.turns)-1)
	}
	e.b.Byte(']')
}

// turn writes a turn. The last one, if it is an answer that the model is to go
// on with, must not end in white space.
func (e *requestEncoder) turn(t *plannedTurn, last bool) {
	if t.assistant {
		e.b.Str(`{"role":"assistant","content":`)
	} else {
		e.b.Str(`{"role":"user","content":`)
	}
	pieces := e.pieces[t.from:t.to]
	prefill := last && t.assistant
	if p := &pieces[0]; len(pieces) == 1 && p.isText() && !e.caches(p.block) && !prefill {
		e.b.Raw(p.block.Text)
		e.b.Byte('}')
		return
	}
	separator := byte('[')
	for i := range pieces {
		e.b.Byte(separator)
		separator = ','
		if p := &pieces[i]; prefill && i == len(pieces)-1 && p.isText() {
			trimmed := *p.block
			trimmed.Text = trimEnd(p.block.Text)
			e.text(&trimmed)
			continue
		}
		e.piece(&pieces[i])
	}
	e.b.Str("]}")
}

// isText says that a piece is written as a plain text.
func (p *piece) isText() bool {
	return p.form == asIs && (p.block.Kind == chat.Text || p.block.Kind == chat.Refusal)
}

// piece writes a block in the form that was planned.
func (e *requestEncoder) piece(p *piece) {
	b := p.block
	switch p.form {
	case asSystem:
		e.b.Str(`{"type":"text","text":"<system>`)
		e.b.Raw(b.Text.Inner())
		e.b.Str(`</system>"`)
		e.endBlock(b)
	case asOrphan:
		e.orphan(b)
	case asMissing:
		e.b.Str(`{"type":"tool_result","tool_use_id":`)
		e.b.Raw(p.id)
		e.b.Str(`,"content":"(no result)","is_error":true}`)
	default:
		e.block(p)
	}
}

// block writes a block as it is.
func (e *requestEncoder) block(p *piece) {
	b := p.block
	switch b.Kind {
	case chat.Text, chat.Refusal:
		e.text(b)
	case chat.Image, chat.Document:
		e.medium(b)
	case chat.Thinking:
		e.b.Str(`{"type":"thinking","thinking":`)
		e.b.Raw(orEmpty(b.Text))
		e.raw("signature", b.Signature)
		e.b.Byte('}')
	case chat.RedactedThinking:
		e.b.Str(`{"type":"redacted_thinking","data":`)
		e.b.Raw(b.Text)
		e.b.Byte('}')
	case chat.ToolUse:
		e.call(p)
	case chat.ToolResult:
		e.result(p)
	default:
		e.b.Raw(b.Raw)
	}
}

// text writes a text.
func (e *requestEncoder) text(b *chat.Block) {
	e.b.Str(`{"type":"text","text":`)
	e.b.Raw(b.Text)
	e.endBlock(b)
}

// endBlock ends a block, with its cache mark if it has one.
func (e *requestEncoder) endBlock(b *chat.Block) {
	e.cache(b.Cache)
	e.b.Byte('}')
}

// caches says that a block has a cache mark that is sent.
func (e *requestEncoder) caches(b *chat.Block) bool {
	if b.Cache != nil && !e.own {
		e.drop("prompt_cache_breakpoint")
	}
	return b.Cache != nil && e.own
}

// cache writes a cache mark. Those of other formats are left out: which models
// know them is not known here.
func (e *requestEncoder) cache(mark chat.Raw) {
	switch {
	case mark == nil:
	case e.own:
		e.raw("cache_control", mark)
	default:
		e.drop("prompt_cache_breakpoint")
	}
}

// call writes a call of a tool.
func (e *requestEncoder) call(p *piece) {
	b := p.block
	e.b.Str(`{"type":"tool_use","id":`)
	e.b.Raw(p.id)
	e.b.Str(`,"name":`)
	e.b.Raw(toolName(b.Name))
	e.b.Str(`,"input":`)
	whole := true
	e.b.Append(func(dst []byte) (out []byte) {
		out, whole = appendInput(dst, b.Arguments)
		return out
	})
	if !whole {
		e.lost(chat.Loss{Path: "tool_calls[].arguments", Reason: chat.Approximated})
	}
	e.endBlock(b)
}

// appendInput appends the arguments of a call as the object that the format
// demands. What is no object is wrapped into one; whole is false then.
func appendInput(dst []byte, a chat.Arguments) (out []byte, whole bool) {
	switch {
	case len(a.Object) > 0:
		if a.Object[0] == '{' {
			return append(dst, a.Object...), true
		}
		dst = append(dst, `{"_raw":`...)
		dst = chat.AppendQuoted(dst, []byte(a.Object))
		return append(dst, '}'), false
	case a.Text.Blank():
		return append(dst, "{}"...), true
	}
	from := len(dst)
	dst = chat.AppendUnquoted(dst, a.Text)
	if isObjectText(dst[from:]) {
		return dst, true
	}
	dst = append(dst[:from], `{"_raw":`...)
	dst = append(dst, a.Text...)
	return append(dst, '}'), false
}

// isObjectText says that text is a JSON object.
func isObjectText(text []byte) bool {
	t := tapes.Get().(*tape.Tape)
	defer tapes.Put(t)
	defer t.Reset()
	return t.Parse(text) == nil && t.Root().Kind() == tape.Object
}

// result writes the result of a call.
func (e *requestEncoder) result(p *piece) {
	b := p.block
	e.b.Str(`{"type":"tool_result","tool_use_id":`)
	e.b.Raw(p.id)
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
	e.refuse("messages", "content of type "+kindOrType(b))
}

// kindNames are the kinds of blocks as messages call them.
var kindNames = map[chat.BlockKind]string{
	chat.Text: "text", chat.Image: "image", chat.Document: "document", chat.Audio: "audio", chat.Video: "video",
	chat.Thinking: "thinking", chat.RedactedThinking: "redacted_thinking", chat.ToolUse: "tool_use",
	chat.ToolResult: "tool_result", chat.Refusal: "refusal", chat.Opaque: "unknown",
}

// kindName is the name of a kind of blocks.
func kindName(k chat.BlockKind) string { return kindNames[k] }

// kindOrType is the name of a block's kind, or of its type in its own format.
func kindOrType(b *chat.Block) string {
	if b.Kind == chat.Opaque {
		return b.Type
	}
	return kindName(b.Kind)
}
