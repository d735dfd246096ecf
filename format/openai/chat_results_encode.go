package openai

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// results writes the results of the latest calls, in the order of the calls,
// from the turns up to the next answer. No other message may stand before them.
func (e *requestEncoder) results(turns []chat.Turn) {
	if len(e.round.Calls()) == 0 {
		return
	}
	e.match(turns)
	attached := false
	for i, result := range e.round.Results() {
		e.result(e.round.Calls()[i], result)
		attached = attached || result != nil && hasAttachments(result)
	}
	if attached {
		e.attachments()
	}
}

// match finds the results of the latest calls in the turns up to the next answer.
func (e *requestEncoder) match(turns []chat.Turn) {
	if e.round.Match(turns) {
		e.drop("tool_result (repeated)")
	}
}

// result writes the message with the result of a call; nil if there is none.
func (e *requestEncoder) result(call, result *chat.Block) {
	e.message("tool")
	switch {
	case result == nil:
		e.b.Str(`"(no result)"`)
		e.approximate("tool_use (without a result)")
	case e.marking && marksIn(result) > 0 && len(result.Content) > 0:
		e.b.Str(`[{"type":"text","text":"`)
		e.resultText(result)
		e.b.Byte('"')
		e.mark(marksIn(result))
		e.b.Str("}]")
	default:
		e.noCache(result)
		e.b.Byte('"')
		e.resultText(result)
		e.b.Byte('"')
	}
	e.b.Str(`,"tool_call_id":`)
	e.b.Raw(callID(call.ID))
	e.b.Byte('}')
}

// resultText writes the text of a result, without quotes. What is no text
// follows later, see attachments.
func (e *requestEncoder) resultText(result *chat.Block) {
	any := false
	for i := range result.Content {
		b := &result.Content[i]
		if !e.marking {
			e.noCache(b)
		}
		if b.Kind == chat.Opaque {
			e.unknown(b)
			return
		}
		if !textual(b) || b.Kind == chat.Text && b.Text.Empty() {
			continue
		}
		if any {
			e.b.Str(`\n\n`)
		} else if result.IsError && !saysError(b.Text) {
			e.b.Str("Error: ")
		}
		any = true
		e.innerText(b)
	}
	switch {
	case any:
	case hasAttachments(result):
		e.b.Str("(see attached image)")
	case result.IsError:
		e.b.Str("Error: the tool failed")
	}
}

// saysError says that a text begins with the word error.
func saysError(l chat.Literal) bool {
	text := l.Inner()
	for len(text) > 0 {
		switch {
		case text[0] == ' ':
			text = text[1:]
			continue
		case len(text) > 1 && text[0] == '\\' && strings.IndexByte("ntr", text[1]) >= 0:
			text = text[2:]
			continue
		}
		break
	}
	return len(text) >= len("error") && strings.EqualFold(string(text[:len("error")]), "error")
}

// hasAttachments says that a result holds more than text.
func hasAttachments(result *chat.Block) bool {
	for i := range result.Content {
		if !textual(&result.Content[i]) {
			return true
		}
	}
	return false
}

// attachments writes what the results hold beside text as one user message,
// behind the whole run of results.
func (e *requestEncoder) attachments() {
	e.message("user")
	p := parts{e: e}
	for i, result := range e.round.Results() {
		if result == nil || !hasAttachments(result) {
			continue
		}
		p.begin()
		e.b.Str(`{"type":"text","text":"[attached to the result of tool call `)
		e.b.Raw(callID(e.round.Calls()[i].ID).Inner())
		e.b.Str(`]"}`)
		for j := range result.Content {
			if b := result.Content[j]; !textual(&b) {
				if e.marking {
					b.Cache = nil // the result has it
				}
				p.add(&b)
			}
		}
	}
	p.end()
	e.b.Byte('}')
}
