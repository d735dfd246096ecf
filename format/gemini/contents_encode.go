package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// placeholder is the signature of calls that have none: the base64 text of
// "skip_thought_signature_validator", which Google documents for histories that
// another model made.
const placeholder = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

// contents writes the planned conversation.
func (e *requestEncoder) contents() {
	e.b.Str(`"contents":`)
	separator := byte('[')
	filler := func(text string) {
		e.b.Byte(separator)
		separator = ','
		e.b.Str(`{"role":"user","parts":[{"text":"` + text + `"}]}`)
	}
	if len(e.turns) == 0 || e.turns[0].model {
		filler(".")
		e.approximate("messages (no user first)")
	}
	for i := range e.turns {
		e.b.Byte(separator)
		separator = ','
		e.turn(&e.turns[i])
	}
	if n := len(e.turns); n > 0 && e.turns[n-1].model && e.to.Can.NoPrefill {
		filler("Continue.")
		e.lost(chat.Loss{Path: "messages (no user last)", Reason: chat.Approximated, Meaning: true})
	}
	e.b.Byte(']')
}

// turn writes one content.
func (e *requestEncoder) turn(t *plannedTurn) {
	if t.model {
		e.b.Str(`{"role":"model","parts":`)
	} else {
		e.b.Str(`{"role":"user","parts":`)
	}
	separator := byte('[')
	for i := t.from; i < t.to; i++ {
		e.b.Byte(separator)
		separator = ','
		e.piece(&e.pieces[i])
	}
	e.b.Str("]}")
}

// piece writes a block in the form that was planned.
func (e *requestEncoder) piece(p *piece) {
	b := p.block
	e.uncached(b)
	switch p.form {
	case asSystem:
		e.b.Str(`{"text":"<system>`)
		e.b.Raw(b.Text.Inner())
		e.b.Str(`</system>"}`)
	case asOrphan:
		e.orphan(b)
	case asMissing:
		e.beginResult(p)
		e.b.Str(`,"response":{"output":"(no result)"}}}`)
	default:
		e.block(p)
	}
}

// block writes a block as it is.
func (e *requestEncoder) block(p *piece) {
	b := p.block
	switch b.Kind {
	case chat.Text, chat.Refusal:
		e.b.Str(`{"text":`)
		e.b.Raw(orEmpty(b.Text))
	case chat.Thinking:
		e.b.Str(`{"text":`)
		e.b.Raw(orEmpty(b.Text))
		e.b.Str(`,"thought":true`)
	case chat.ToolUse:
		e.call(p)
	case chat.ToolResult:
		e.result(p)
		return
	case chat.Opaque:
		e.b.Raw(b.Raw)
		return
	default:
		e.medium(b)
	}
	switch signature := ownSignature(b); {
	case signature != nil:
		e.field("thoughtSignature")
		e.b.Raw(signature)
	case p.placeholder:
		e.b.Str(`,"thoughtSignature":"` + placeholder + `"`)
	}
	e.b.Byte('}')
}

// call writes a call of a function, without the end of its part.
func (e *requestEncoder) call(p *piece) {
	e.b.Str(`{"functionCall":{"id":`)
	e.b.Raw(p.id)
	e.b.Str(`,"name":`)
	e.b.Raw(p.name)
	e.b.Str(`,"args":`)
	whole := true
	e.b.Append(func(dst []byte) (out []byte) {
		out, whole = appendArgs(dst, p.block.Arguments)
		return out
	})
	if !whole {
		e.approximate("tool_calls[].arguments")
	}
	e.b.Byte('}')
}

// appendArgs appends the arguments of a call as the object that the format
// demands, on one line. What is no object is wrapped into one; whole is false
// then.
func appendArgs(dst []byte, a chat.Arguments) (out []byte, whole bool) {
	switch {
	case len(a.Object) > 0:
		if a.Object[0] == '{' {
			return appendLine(dst, a.Object), true
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
		return appendLine(dst[:from], dst[from:]), true
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
