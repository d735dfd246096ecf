package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
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
		e.turn(&e.turns[i], i == len(e.turns)-1 && !e.continues)
	}
	if e.continues {
		e.b.Str(`,{"role":"user","content":"Continue."}`)
	}
	e.b.Byte(']')
}

// roleNames are the roles as messages name them.
var roleNames = [...]string{chat.User: "user", chat.Assistant: "assistant", chat.System: "system"}

// turn writes a turn. The last one, if it is an answer that the model is to go
// on with, must not end in white space.
func (e *requestEncoder) turn(t *plannedTurn, last bool) {
	e.b.Str(`{"role":"`)
	e.b.Str(roleNames[t.role])
	e.b.Str(`","content":`)
	pieces := e.pieces[t.from:t.to]
	prefill := last && t.role == chat.Assistant
	if p := &pieces[0]; len(pieces) == 1 && p.isText() && !e.caches(p.block) && !e.cites(p.block) && !prefill {
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
	if e.cites(b) {
		e.b.Append(func(dst []byte) []byte { return appendCitations(dst, b.Citations, &e.report) })
	}
	e.endBlock(b)
}

// endBlock ends a block, with its cache mark if it has one.
func (e *requestEncoder) endBlock(b *chat.Block) {
	e.cache(b.Cache)
	e.b.Byte('}')
}

// cites says that a text has citations that are sent: the format's own.
func (e *requestEncoder) cites(b *chat.Block) bool { return e.own && len(b.Citations) > 0 }

// trimEnd returns a literal without the white space at its end.
func trimEnd(l chat.Literal) chat.Literal {
	in := l.Inner()
	for {
		switch n := len(in); {
		case n >= 1 && in[n-1] == ' ':
			in = in[:n-1]
		case n >= 2 && in[n-2] == '\\' && bytes.IndexByte([]byte("ntr"), in[n-1]) >= 0 && !escaped(in[:n-2]):
			in = in[:n-2]
		case len(in)+2 == len(l):
			return l
		default:
			out := make(chat.Literal, 0, len(in)+2)
			return append(append(append(out, '"'), in...), '"')
		}
	}
}

// escaped says that the character behind text is escaped: that text ends in an
// odd number of backslashes.
func escaped(text []byte) bool {
	n := len(text)
	for n > 0 && text[n-1] == '\\' {
		n--
	}
	return (len(text)-n)%2 == 1
}
