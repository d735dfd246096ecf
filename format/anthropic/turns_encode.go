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
	for i := range e.plan.Turns {
		e.b.Byte(separator)
		separator = ','
		e.turn(&e.plan.Turns[i], i == len(e.plan.Turns)-1 && !e.continues)
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
func (e *requestEncoder) turn(t *chat.PlannedTurn, last bool) {
	e.b.Str(`{"role":"`)
	e.b.Str(roleNames[t.Role])
	e.b.Str(`","content":`)
	pieces := e.plan.Pieces[t.From:t.To]
	prefill := last && t.Role == chat.Assistant
	if p := &pieces[0]; len(pieces) == 1 && isText(p) && !e.caches(p.Block) && !e.cites(p.Block) && !prefill {
		e.b.Raw(p.Block.Text)
		e.b.Byte('}')
		return
	}
	separator := byte('[')
	for i := range pieces {
		e.b.Byte(separator)
		separator = ','
		if p := &pieces[i]; prefill && i == len(pieces)-1 && isText(p) {
			trimmed := *p.Block
			trimmed.Text = trimEnd(p.Block.Text)
			e.text(&trimmed)
			continue
		}
		e.piece(&pieces[i])
	}
	e.b.Str("]}")
}

// isText says that a piece is written as a plain text.
func isText(p *chat.Piece) bool {
	return p.Form == chat.AsIs && (p.Block.Kind == chat.Text || p.Block.Kind == chat.Refusal)
}

// piece writes a block in the form that was planned.
func (e *requestEncoder) piece(p *chat.Piece) {
	b := p.Block
	switch p.Form {
	case chat.AsSystem:
		e.b.Str(`{"type":"text","text":"<system>`)
		e.b.Raw(b.Text.Inner())
		e.b.Str(`</system>"`)
		e.endBlock(b)
	case chat.AsOrphan:
		e.orphan(b)
	case chat.AsMissing:
		e.b.Str(`{"type":"tool_result","tool_use_id":`)
		e.b.Raw(p.ID)
		e.b.Str(`,"content":"(no result)","is_error":true}`)
	default:
		e.block(p)
	}
}

// block writes a block as it is.
func (e *requestEncoder) block(p *chat.Piece) {
	b := p.Block
	switch b.Kind {
	case chat.Text, chat.Refusal:
		e.text(b)
	case chat.Image, chat.Document:
		e.medium(b)
	case chat.Thinking:
		e.b.Str(`{"type":"thinking","thinking":`)
		e.b.Raw(b.Text.OrEmpty())
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
