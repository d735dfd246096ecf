package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
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
	if len(e.plan.Turns) == 0 || e.plan.Turns[0].Role == chat.Assistant {
		filler(".")
		e.approximate("messages (no user first)")
	}
	for i := range e.plan.Turns {
		e.b.Byte(separator)
		separator = ','
		e.turn(&e.plan.Turns[i])
	}
	if n := len(e.plan.Turns); n > 0 && e.plan.Turns[n-1].Role == chat.Assistant && e.to.Can.NoPrefill {
		filler("Continue.")
		e.lost(chat.Loss{Path: "messages (no user last)", Reason: chat.Approximated, Meaning: true})
	}
	e.b.Byte(']')
}

// turn writes one content.
func (e *requestEncoder) turn(t *chat.PlannedTurn) {
	if t.Role == chat.Assistant {
		e.b.Str(`{"role":"model","parts":`)
	} else {
		e.b.Str(`{"role":"user","parts":`)
	}
	separator := byte('[')
	for i := t.From; i < t.To; i++ {
		e.b.Byte(separator)
		separator = ','
		e.piece(&e.plan.Pieces[i])
	}
	e.b.Str("]}")
}

// piece writes a block in the form that was planned.
func (e *requestEncoder) piece(p *chat.Piece) {
	b := p.Block
	e.uncached(b)
	switch p.Form {
	case chat.AsSystem:
		e.b.Str(`{"text":"<system>`)
		e.b.Raw(b.Text.Inner())
		e.b.Str(`</system>"}`)
	case chat.AsOrphan:
		e.orphan(b)
	case chat.AsMissing:
		e.beginResult(p)
		e.b.Str(`,"response":{"output":"(no result)"}}}`)
	default:
		e.block(p)
	}
}

// block writes a block as it is.
func (e *requestEncoder) block(p *chat.Piece) {
	b := p.Block
	switch b.Kind {
	case chat.Text, chat.Refusal:
		e.b.Str(`{"text":`)
		e.b.Raw(b.Text.OrEmpty())
	case chat.Thinking:
		e.b.Str(`{"text":`)
		e.b.Raw(b.Text.OrEmpty())
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
	case p.Form == asUnsigned:
		e.b.Str(`,"thoughtSignature":"` + placeholder + `"`)
	}
	e.b.Byte('}')
}

// call writes a call of a function, without the end of its part.
func (e *requestEncoder) call(p *chat.Piece) {
	e.b.Str(`{"functionCall":{"id":`)
	e.b.Raw(p.ID)
	e.b.Str(`,"name":`)
	e.b.Raw(toolName(p.Block.Name))
	e.b.Str(`,"args":`)
	whole := true
	e.b.Append(func(dst []byte) (out []byte) {
		out, whole = appendArgs(dst, p.Block.Arguments)
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
	from := len(dst)
	dst, whole = format.AppendObject(dst, a)
	return chat.AppendLine(dst[:from], dst[from:]), whole
}
