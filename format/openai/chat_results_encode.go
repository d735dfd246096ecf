package openai

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// round is what follows an answer with tool calls: the results of these calls,
// wherever they stand until the next answer. Its memory is used again.
type round struct {
	calls   []*chat.Block // the calls of the latest answer
	results []*chat.Block // the result of each; nil if there is none
	index   map[string]int
}

// fewCalls is up to how many calls are searched one by one.
const fewCalls = 8

// begin takes the calls of an answer.
func (r *round) begin(turns []chat.Turn) {
	r.calls, r.results = r.calls[:0], r.results[:0]
	clear(r.index)
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			if blocks[i].Kind == chat.ToolUse {
				r.calls = append(r.calls, &blocks[i])
				r.results = append(r.results, nil)
			}
		}
	}
	if len(r.calls) <= fewCalls {
		return
	}
	if r.index == nil {
		r.index = make(map[string]int, len(r.calls))
	}
	for i, call := range r.calls {
		r.index[string(unescaped(call.ID))] = i
	}
}

// find returns the number of the call with an id, -1 if there is none.
func (r *round) find(id chat.Literal) int {
	if len(r.calls) > fewCalls {
		if i, ok := r.index[string(unescaped(id))]; ok {
			return i
		}
		return -1
	}
	for i, call := range r.calls {
		if sameText(call.ID, id) {
			return i
		}
	}
	return -1
}

// results writes the results of the latest calls, in the order of the calls,
// from the turns up to the next answer. No other message may stand before them.
func (e *requestEncoder) results(turns []chat.Turn) {
	r := &e.round
	if len(r.calls) == 0 {
		return
	}
	e.match(turns)
	attached := false
	for i, result := range r.results {
		e.result(r.calls[i], result)
		attached = attached || result != nil && hasAttachments(result)
	}
	if attached {
		e.attachments()
	}
}

// match finds the results of the latest calls in the turns up to the next
// answer. Of repeated ones the last one counts.
func (e *requestEncoder) match(turns []chat.Turn) {
	r := &e.round
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			if blocks[i].Kind != chat.ToolResult {
				continue
			}
			call := r.find(blocks[i].ID)
			if call < 0 {
				continue
			}
			if r.results[call] != nil {
				e.drop("tool_result (repeated)")
			}
			r.results[call] = &blocks[i]
		}
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
	for i, result := range e.round.results {
		if result == nil || !hasAttachments(result) {
			continue
		}
		p.begin()
		e.b.Str(`{"type":"text","text":"[attached to the result of tool call `)
		e.b.Raw(callID(e.round.calls[i].ID).Inner())
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
