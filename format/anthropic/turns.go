package anthropic

import (
	"hash/maphash"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// The rules of turns. Anthropic wants user and assistant in turn, a user first, no
// empty text, and the results of an answer's calls at the start of the turn that
// follows it: one for each call. Some models take turns of the system between
// them. The turns of a request are first planned, so that the writing is straight.

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
	// id is the id of a call, or of a result's call, as it is sent.
	id   chat.Literal
	form form
}

// plannedTurn is pieces[from:to] of a plan.
type plannedTurn struct {
	role     chat.Role
	from, to int
}

// plan is the conversation as it will be written.
type plan struct {
	pieces []piece
	turns  []plannedTurn
	// bare says that no user turn comes first, so that one must be made up.
	bare bool
	// continues says that the conversation ends with an answer that the model does
	// not take as the beginning of its own, so that the user must ask for more.
	continues bool
	// hasTools says that there are calls or results of tools.
	hasTools bool

	// ids are hashes of the ids of calls that were planned.
	ids     map[uint64]struct{}
	renamed int // how many ids had to be changed because they occurred twice

	// The calls of the latest answer, as numbers of pieces, and their results.
	calls   []int
	results []*chat.Block
	index   map[string]int // by id, if there are many calls
}

// seed is for hashes of ids.
var seed = maphash.MakeSeed()

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
	e.bare = len(e.turns) == 0 || e.turns[0].role == chat.Assistant
	if e.bare {
		e.lost(chat.Loss{Path: "messages (no user first)", Reason: chat.Approximated})
	}
	last := len(e.turns) - 1
	e.continues = e.to.Can.NoPrefill && last >= 0 && e.turns[last].role == chat.Assistant
	if e.continues {
		e.lost(chat.Loss{Path: "messages (prefill)", Reason: chat.Approximated, Meaning: true})
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
		return !b.Text.Blank()
	case chat.Thinking:
		return b.Origin == origin && !b.Signature.Empty()
	case chat.RedactedThinking:
		return b.Origin == origin && !b.Text.Empty()
	case chat.ToolUse:
		return true
	case chat.Opaque:
		return e.own
	default:
		return false
	}
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
			if len(b.Citations) > 0 && !e.own {
				e.drop("citations") // They point to blocks that only their maker has.
			}
			if b.Kind == chat.ToolUse {
				p.id = e.uniqueID(b.ID)
				e.calls = append(e.calls, len(e.pieces))
				e.hasTools = true
			}
			e.pieces = append(e.pieces, p)
		}
	}
	e.closeTurn(chat.Assistant, from)
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
		e.lost(chat.Loss{Path: "assistant." + kindName(b.Kind), Reason: chat.Unsupported, Meaning: true})
	}
}

// uniqueID returns the id under which a call is sent. Anthropic refuses ids that
// occur twice, but there are servers that count their calls from 0 in every
// answer. A hash that is known by chance does no harm.
func (e *requestEncoder) uniqueID(l chat.Literal) chat.Literal {
	id := callID(l)
	if e.ids == nil {
		e.ids = make(map[uint64]struct{})
	}
	for {
		hash := maphash.Bytes(seed, id)
		if _, known := e.ids[hash]; !known {
			e.ids[hash] = struct{}{}
			return id
		}
		e.renamed++
		id = fitting(chat.Quote(l.String()+"_"+strconv.Itoa(e.renamed)), maxCallID)
	}
}

// planQuestions plans what stands between two answers: the results of the calls
// first, in their order, then all the rest. Instructions get a turn of their own
// behind the user's where the model takes them, and else their place in it.
func (e *requestEncoder) planQuestions(turns []chat.Turn) {
	from := len(e.pieces)
	e.planResults(turns)
	if e.to.Can.MidSystem {
		e.planRoles(turns, chat.User, asSystem)
		e.closeTurn(chat.User, from)
		e.planInstructions(turns, from)
	} else {
		e.planRoles(turns, everyRole, asSystem)
		e.closeTurn(chat.User, from)
	}
	e.calls, e.results = e.calls[:0], e.results[:0]
	clear(e.index)
}

// everyRole stands for all roles.
const everyRole = chat.Role(0xff)

// planRoles plans the blocks of one role, or of all; those of the system in the
// form instructions. What is left of an answer that vanishes is reported.
func (e *requestEncoder) planRoles(turns []chat.Turn, role chat.Role, instructions form) {
	for t := range turns {
		if speaks := turns[t].Role; role != everyRole && role != speaks && !(role == chat.User && speaks == chat.Assistant) {
			continue
		}
		blocks := turns[t].Blocks
		for i := range blocks {
			switch turns[t].Role {
			case chat.User:
				e.planUser(&blocks[i])
			case chat.System:
				e.planSystem(&blocks[i], instructions)
			default:
				e.leaveOut(&blocks[i])
			}
		}
	}
}

// planInstructions plans instructions in the middle as a turn of their own, which
// Anthropic takes directly behind a user's turn only. Where none is, the
// instructions become one. The user's turn began with piece number from.
func (e *requestEncoder) planInstructions(turns []chat.Turn, from int) {
	at := len(e.pieces)
	if at == from {
		e.planRoles(turns, chat.System, asSystem)
		e.closeTurn(chat.User, at)
		return
	}
	e.planRoles(turns, chat.System, asIs)
	e.closeTurn(chat.System, at)
}

// closeTurn makes the pieces from a number on a turn, or part of the last one if
// that has the same role.
func (e *requestEncoder) closeTurn(role chat.Role, from int) {
	to := len(e.pieces)
	if from == to {
		return
	}
	if last := len(e.turns) - 1; last >= 0 && e.turns[last].role == role {
		e.turns[last].to = to
		return
	}
	e.turns = append(e.turns, plannedTurn{role: role, from: from, to: to})
}

// planUser plans a block of the user's.
func (e *requestEncoder) planUser(b *chat.Block) {
	p := piece{block: b}
	switch b.Kind {
	case chat.Text, chat.Refusal:
		if b.Text.Blank() {
			return
		}
	case chat.Image, chat.Document:
	case chat.ToolResult:
		if e.findCall(b.ID) != none {
			return // It has been planned.
		}
		e.lost(chat.Loss{Path: "tool_result (without a call)", Reason: chat.Approximated})
		p.form = asOrphan
	case chat.Opaque:
		if !e.own {
			e.unknown(b)
			return
		}
	default:
		e.unknown(b)
		return
	}
	e.pieces = append(e.pieces, p)
}

// planSystem plans instructions in the middle of the conversation.
func (e *requestEncoder) planSystem(b *chat.Block, as form) {
	switch {
	case b.Kind != chat.Text:
		e.drop("system." + kindOrType(b))
	case !b.Text.Blank():
		e.pieces = append(e.pieces, piece{block: b, form: as})
	}
}

// isResult says that a piece answers a call.
func (p *piece) isResult() bool {
	return p.form == asMissing || p.form == asIs && p.block.Kind == chat.ToolResult
}

// isThought says that a piece is thinking.
func (p *piece) isThought() bool {
	return p.block.Kind == chat.Thinking || p.block.Kind == chat.RedactedThinking
}

// loopHasThinking says that every answer of the step that the model is in begins
// with its thinking. A step begins with a user turn that is more than results.
func (e *requestEncoder) loopHasThinking() bool {
	if e.continues {
		return true
	}
	for i := len(e.turns) - 1; i >= 0; i-- {
		first := &e.pieces[e.turns[i].from]
		switch role := e.turns[i].role; {
		case role == chat.Assistant && !first.isThought():
			return false
		case role == chat.User && !first.isResult():
			return true
		}
	}
	return true
}
