package anthropic

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// fewCalls is up to how many calls are searched one by one.
const fewCalls = 8

// planResults plans the results of the latest calls. Of several for one call the
// last one counts.
func (e *requestEncoder) planResults(turns []chat.Turn) {
	if len(e.calls) == 0 {
		return
	}
	e.results = append(e.results[:0], make([]*chat.Block, len(e.calls))...)
	if len(e.calls) > fewCalls {
		if e.index == nil {
			e.index = make(map[string]int, len(e.calls))
		}
		for i, call := range e.calls {
			e.index[string(unescaped(e.pieces[call].block.ID))] = i
		}
	}
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			if blocks[i].Kind != chat.ToolResult {
				continue
			}
			call := e.findCall(blocks[i].ID)
			if call == none {
				continue
			}
			if e.results[call] != nil {
				e.drop("tool_result (repeated)")
			}
			e.results[call] = &blocks[i]
		}
	}
	for i, result := range e.results {
		call := e.pieces[e.calls[i]]
		if result == nil {
			e.lost(chat.Loss{Path: "tool_use (without a result)", Reason: chat.Approximated})
			e.pieces = append(e.pieces, piece{block: call.block, id: call.id, form: asMissing})
			continue
		}
		e.pieces = append(e.pieces, piece{block: result, id: call.id})
	}
}

// findCall returns which of the latest calls has an id; none if none has.
func (e *requestEncoder) findCall(id chat.Literal) int {
	if len(e.calls) > fewCalls {
		if i, ok := e.index[string(unescaped(id))]; ok {
			return i
		}
		return none
	}
	for i, call := range e.calls {
		if sameText(e.pieces[call].block.ID, id) {
			return i
		}
	}
	return none
}
