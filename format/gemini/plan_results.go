package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// planResults plans the results of the latest calls. Of several for one call the
// last one counts. Results without an id belong to the calls without one, in
// their order.
func (e *requestEncoder) planResults(turns []chat.Turn) {
	if len(e.calls) == 0 {
		return
	}
	e.results = append(e.results[:0], make([]*chat.Block, len(e.calls))...)
	if e.index == nil {
		e.index = make(map[string]int, len(e.calls))
	}
	for i, call := range e.calls {
		if id := e.pieces[call].block.ID; !id.Empty() {
			e.index[string(unescaped(id))] = i
		}
	}
	nameless := 0
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			b := &blocks[i]
			if b.Kind != chat.ToolResult {
				continue
			}
			call := e.findCall(b.ID)
			if b.ID.Empty() {
				for nameless < len(e.calls) && !e.pieces[e.calls[nameless]].block.ID.Empty() {
					nameless++
				}
				if call = none; nameless < len(e.calls) {
					call = nameless
					nameless++
				}
			}
			if call == none {
				continue
			}
			if e.results[call] != nil {
				e.drop("tool_result (repeated)")
			}
			e.results[call] = b
		}
	}
	for i, result := range e.results {
		call := e.pieces[e.calls[i]]
		p := piece{block: result, id: call.id, name: call.name}
		if result == nil {
			e.approximate("tool_use (without a result)")
			p.block, p.form = call.block, asMissing
		}
		e.pieces = append(e.pieces, p)
	}
	if !e.to.Can.ResultParts {
		e.planAttachments()
	}
}

// planAttachments plans the images in results for models that take them in the
// user's own words only: behind all results, each of them named.
func (e *requestEncoder) planAttachments() {
	for i, result := range e.results {
		if result == nil {
			continue
		}
		for c := range result.Content {
			if b := &result.Content[c]; isMedium(b) {
				text := "[content of the result of tool call " + e.pieces[e.calls[i]].id.String() + "]"
				e.pieces = append(e.pieces, piece{block: &chat.Block{Kind: chat.Text, Text: chat.Quote(text)}}, piece{block: b})
				e.approximate("tool_result.content." + kindNames[b.Kind])
			}
		}
	}
}

// isMedium says that a block holds something else than text, or a file.
func isMedium(b *chat.Block) bool {
	switch b.Kind {
	case chat.Image, chat.Audio, chat.Video, chat.Document:
		return b.Source.Kind != chat.SourceText
	default:
		return false
	}
}

// findCall returns which of the latest calls has an id; none if none has.
func (e *requestEncoder) findCall(id chat.Literal) int {
	if i, ok := e.index[string(unescaped(id))]; ok && !id.Empty() {
		return i
	}
	return none
}

// taken says that a result has been planned as that of a call.
func (e *requestEncoder) taken(b *chat.Block) bool {
	if !b.ID.Empty() {
		return e.findCall(b.ID) != none
	}
	for _, r := range e.results {
		if r == b {
			return true
		}
	}
	return false
}
