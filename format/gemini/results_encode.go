package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// beginResult writes the result of a call up to what it holds.
func (e *requestEncoder) beginResult(p *chat.Piece) {
	e.b.Str(`{"functionResponse":{"id":`)
	e.b.Raw(p.ID)
	e.b.Str(`,"name":`)
	e.b.Raw(toolName(p.Call.Name))
}

// result writes the result of a call.
func (e *requestEncoder) result(p *chat.Piece) {
	b := p.Block
	e.beginResult(p)
	e.field("response")
	e.response(b)
	if e.to.Can.ResultParts {
		e.resultMedia(b)
	}
	e.b.Str("}}")
}

// response writes the text of a result, as the object that the format demands.
func (e *requestEncoder) response(b *chat.Block) {
	texts := e.texts(b)
	if len(texts) == 1 && !b.IsError && e.object(texts[0]) {
		return
	}
	if b.IsError {
		e.b.Str(`{"error":"`)
	} else {
		e.b.Str(`{"output":"`)
	}
	e.joined(texts)
	e.b.Str(`"}`)
}

// object writes the value of a text if that is a JSON object; false if it is not.
func (e *requestEncoder) object(text chat.Literal) (ok bool) {
	if !looksLikeObject(text) {
		return false
	}
	e.b.Append(func(dst []byte) []byte {
		from := len(dst)
		dst = chat.AppendUnquoted(dst, text)
		if ok = format.IsObject(dst[from:]); !ok {
			return dst[:from]
		}
		return dst
	})
	return ok
}

// looksLikeObject says that the first character of a text that is no white space
// is that of an object: most results are none, and need not be looked at whole.
func looksLikeObject(text chat.Literal) bool {
	in := text.Inner()
	for len(in) > 0 {
		switch {
		case in[0] == ' ':
			in = in[1:]
		case in[0] == '\\' && len(in) > 1 && (in[1] == 'n' || in[1] == 'r' || in[1] == 't'):
			in = in[2:]
		default:
			return in[0] == '{'
		}
	}
	return false
}

// texts returns the texts that a result holds. What cannot be written is
// refused or left to resultMedia.
func (e *requestEncoder) texts(b *chat.Block) (out []chat.Literal) {
	for i := range b.Content {
		inner := &b.Content[i]
		e.uncached(inner)
		switch {
		case inner.Kind == chat.Text, inner.Kind == chat.Refusal:
			if !inner.Text.Empty() {
				out = append(out, inner.Text)
			}
		case inner.Kind == chat.Document && inner.Source.Kind == chat.SourceText:
			out = append(out, documentText(inner))
		case isMedium(inner):
		default:
			e.unsendable("a tool result with content of type " + inner.TypeName())
		}
	}
	return out
}

// joined writes texts as one, without quotes.
func (e *requestEncoder) joined(texts []chat.Literal) {
	for i, text := range texts {
		if i > 0 {
			e.b.Str(`\n\n`)
		}
		e.b.Raw(text.Inner())
	}
}

// resultMedia writes what a result holds beside text.
func (e *requestEncoder) resultMedia(b *chat.Block) {
	any := false
	for i := range b.Content {
		inner := &b.Content[i]
		if !isMedium(inner) {
			continue
		}
		if any {
			e.b.Byte(',')
		} else {
			e.b.Str(`,"parts":[`)
			any = true
		}
		e.medium(inner)
		e.b.Byte('}')
	}
	if any {
		e.b.Byte(']')
	}
}

// orphan writes the result of a call that is not in the conversation as a text,
// and behind it what the result holds beside text.
func (e *requestEncoder) orphan(b *chat.Block) {
	e.b.Str(`{"text":"[result of tool `)
	e.b.Raw(b.ID.Inner())
	e.b.Str(`] `)
	e.joined(e.texts(b))
	e.b.Str(`"}`)
	for i := range b.Content {
		if inner := &b.Content[i]; isMedium(inner) {
			e.b.Byte(',')
			e.medium(inner)
			e.b.Byte('}')
		}
	}
}
