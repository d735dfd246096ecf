package gemini

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// The rules of turns. Gemini wants user and model in
// turn, a user first, and the results of an answer's calls at the start of the
// content that follows it: one for each call, in their order. The contents of a
// request are first planned, so that the writing is straight.

// form is how a block is written.
type form uint8

const (
	// asIs is the block in the format's own words.
	asIs form = iota
	// asSystem is a text of the system's in the middle of a conversation.
	asSystem
	// asOrphan is the result of a call that is not in the conversation: a text.
	asOrphan
	// asMissing is the result that the call in block has not got.
	asMissing
)

// piece is a block that is to be written.
type piece struct {
	block *chat.Block
	// id and name are those of the call, also in its result.
	id, name chat.Literal
	form     form
	// placeholder says that a call stands where the model demands a signature
	// and has none.
	placeholder bool
}

// plannedTurn is pieces[from:to] of a plan.
type plannedTurn struct {
	model    bool
	from, to int
}

// plan is the conversation as it will be written.
type plan struct {
	pieces []piece
	turns  []plannedTurn
	made   int // how many ids were made up

	// The calls of the latest answer, as numbers of pieces, and their results.
	calls   []int
	results []*chat.Block
	index   map[string]int // by id
}

// planTurns plans the conversation.
func (e *requestEncoder) planTurns() {
	turns := e.r.Turns
	blocks := 1
	for i := range turns {
		blocks += len(turns[i].Blocks)
	}
	e.pieces = make([]piece, 0, blocks)
	e.turns = make([]plannedTurn, 0, len(turns)+1)
	for i := 0; i < len(turns); {
		answers := e.answers(&turns[i])
		end := i + 1
		for end < len(turns) && (e.answers(&turns[end]) == answers || e.vanishes(&turns[end])) {
			end++
		}
		if answers {
			e.planAnswers(turns[i:end])
		} else {
			e.planQuestions(turns[i:end])
		}
		i = end
	}
	e.planQuestions(nil) // The results of calls in the very last answer.
	if e.to.Can.CallSignatures {
		e.planSignatures()
	}
}

// answers says that a turn is an answer of the model's.
func (e *requestEncoder) answers(t *chat.Turn) bool {
	return t.Role == chat.Assistant && !e.vanishes(t)
}

// vanishes says that nothing of an answer will be written, so that the turns
// beside it are neighbours.
func (e *requestEncoder) vanishes(t *chat.Turn) bool {
	if t.Role != chat.Assistant {
		return false
	}
	for i := range t.Blocks {
		if e.keeps(&t.Blocks[i]) {
			return false
		}
	}
	return true
}

// keeps says that a block of an answer will be written.
func (e *requestEncoder) keeps(b *chat.Block) bool {
	switch b.Kind {
	case chat.Text, chat.Refusal:
		return !b.Text.Empty() || ownSignature(b) != nil
	case chat.Thinking:
		return b.Origin == origin && (!b.Text.Empty() || !b.Signature.Empty())
	case chat.ToolUse:
		return true
	case chat.Image, chat.Audio, chat.Video, chat.Document:
		return b.Source.Kind == chat.SourceBase64
	case chat.Opaque:
		return e.own
	default:
		return false
	}
}

// ownSignature is the signature of a block if it was made by this format's
// provider; nil if not.
func ownSignature(b *chat.Block) chat.Literal {
	if b.Origin != origin || b.Signature.Empty() {
		return nil
	}
	return b.Signature
}

// planAnswers plans neighbouring answers as one turn.
func (e *requestEncoder) planAnswers(turns []chat.Turn) {
	from := len(e.pieces)
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			b := &blocks[i]
			if !e.keeps(b) {
				e.leaveOut(b)
				continue
			}
			p := piece{block: b}
			if b.Kind == chat.ToolUse {
				p.id, p.name = b.ID, toolName(b.Name)
				if p.id.Empty() {
					e.made++
					p.id = chat.Quote("call_" + strconv.Itoa(e.made))
				}
				e.calls = append(e.calls, len(e.pieces))
			}
			e.pieces = append(e.pieces, p)
		}
	}
	e.closeTurn(true, from)
}

// leaveOut reports a block of an answer that is not written.
func (e *requestEncoder) leaveOut(b *chat.Block) {
	switch b.Kind {
	case chat.Text, chat.Refusal:
	case chat.Thinking, chat.RedactedThinking:
		e.drop("thinking")
	case chat.Opaque:
		e.drop("assistant." + b.Type)
	default:
		e.lose("assistant." + kindNames[b.Kind])
	}
}

// planQuestions plans what stands between two answers as one turn: the results
// of the calls first, in their order, then all the rest.
func (e *requestEncoder) planQuestions(turns []chat.Turn) {
	from := len(e.pieces)
	e.planResults(turns)
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			switch turns[t].Role {
			case chat.User:
				e.planUser(&blocks[i])
			case chat.System:
				e.planSystem(&blocks[i])
			default:
				e.leaveOut(&blocks[i])
			}
		}
	}
	e.closeTurn(false, from)
	e.calls, e.results = e.calls[:0], e.results[:0]
	clear(e.index)
}

// closeTurn makes the pieces from a number on a turn, or part of the last one if
// that has the same role.
func (e *requestEncoder) closeTurn(model bool, from int) {
	to := len(e.pieces)
	if from == to {
		return
	}
	if last := len(e.turns) - 1; last >= 0 && e.turns[last].model == model {
		e.turns[last].to = to
		return
	}
	e.turns = append(e.turns, plannedTurn{model: model, from: from, to: to})
}

// planUser plans a block of the user's.
func (e *requestEncoder) planUser(b *chat.Block) {
	p := piece{block: b}
	switch b.Kind {
	case chat.Text, chat.Refusal:
		if b.Text.Empty() {
			return
		}
	case chat.Image, chat.Document, chat.Audio, chat.Video:
	case chat.ToolResult:
		if e.taken(b) {
			return
		}
		e.approximate("tool_result (without a call)")
		p.form = asOrphan
	case chat.Opaque:
		if !e.own {
			e.unsendable("content of type " + kindOrType(b))
			return
		}
	default:
		e.unsendable("content of type " + kindOrType(b))
		return
	}
	e.pieces = append(e.pieces, p)
}

// planSystem plans instructions in the middle of the conversation.
func (e *requestEncoder) planSystem(b *chat.Block) {
	switch {
	case b.Kind != chat.Text:
		e.drop("system." + kindOrType(b))
	case !b.Text.Empty():
		e.pieces = append(e.pieces, piece{block: b, form: asSystem})
	}
}

// isResult says that a piece answers a call.
func (p *piece) isResult() bool {
	return p.form == asMissing || p.form == asIs && p.block.Kind == chat.ToolResult
}

// planSignatures marks the first call of each step of the current turn, if it
// has no signature: models that sign refuse it otherwise. The current turn begins
// with the last content of the user's that holds no results; each answer behind
// it is a step.
func (e *requestEncoder) planSignatures() {
	for i := len(e.turns) - 1; i >= 0; i-- {
		t := e.turns[i]
		if !t.model {
			if !e.pieces[t.from].isResult() {
				return
			}
			continue
		}
		for n := t.from; n < t.to; n++ {
			if p := &e.pieces[n]; p.block.Kind == chat.ToolUse {
				p.placeholder = ownSignature(p.block) == nil
				break
			}
		}
	}
}

// kindNames are the kinds of blocks as messages call them.
var kindNames = map[chat.BlockKind]string{
	chat.Text: "text", chat.Image: "image", chat.Document: "document", chat.Audio: "audio", chat.Video: "video",
	chat.Thinking: "thinking", chat.RedactedThinking: "redacted_thinking", chat.ToolUse: "tool_use",
	chat.ToolResult: "tool_result", chat.Refusal: "refusal", chat.Opaque: "unknown",
}

// kindOrType is the name of a block's kind, or of its type in its own format.
func kindOrType(b *chat.Block) string {
	if b.Kind == chat.Opaque {
		return b.Type
	}
	return kindNames[b.Kind]
}
