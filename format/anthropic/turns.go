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

// planned is the conversation as it will be written.
type planned struct {
	plan *chat.Plan
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
}

// seed is for hashes of ids.
var seed = maphash.MakeSeed()

// planTurns plans the conversation.
func (e *requestEncoder) planTurns() {
	e.plan.Make(e.r.Turns, &chat.PlanRules{Keeps: e.keeps, Kept: e.kept, LeftOut: e.leaveOut, Questions: e.planQuestions})
	e.bare = len(e.plan.Turns) == 0 || e.plan.Turns[0].Role == chat.Assistant
	if e.bare {
		e.lost(chat.Loss{Path: "messages (no user first)", Reason: chat.Approximated})
	}
	last := len(e.plan.Turns) - 1
	e.continues = e.to.Can.NoPrefill && last >= 0 && e.plan.Turns[last].Role == chat.Assistant
	if e.continues {
		e.lost(chat.Loss{Path: "messages (prefill)", Reason: chat.Approximated, Meaning: true})
	}
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
	case chat.Opaque:
		return e.own
	default:
		return false
	}
}

// kept is told of a block of an answer that will be written. It returns the id
// under which a call is sent.
func (e *requestEncoder) kept(b *chat.Block) (id chat.Literal) {
	if len(b.Citations) > 0 && !e.own {
		e.drop("citations") // They point to blocks that only their maker has.
	}
	if b.Kind == chat.ToolUse {
		e.hasTools = true
		id = e.uniqueID(b.ID)
	}
	return id
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
		e.lost(chat.Loss{Path: "assistant." + b.Kind.String(), Reason: chat.Unsupported, Meaning: true})
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
		id = callIDs.Fit(chat.Quote(l.String() + "_" + strconv.Itoa(e.renamed)))
	}
}

// planQuestions plans what stands between two answers: the results of the calls
// first, in their order, then all the rest. Instructions get a turn of their own
// behind the user's where the model takes them, and else their place in it.
func (e *requestEncoder) planQuestions(turns []chat.Turn) {
	from := len(e.plan.Pieces)
	e.plan.AddResults(turns, e.lost)
	if e.to.Can.MidSystem {
		e.planRoles(turns, chat.User, chat.AsSystem)
		e.plan.CloseTurn(chat.User, from)
		e.planInstructions(turns, from)
	} else {
		e.planRoles(turns, everyRole, chat.AsSystem)
		e.plan.CloseTurn(chat.User, from)
	}
}

// everyRole stands for all roles.
const everyRole = chat.Role(0xff)

// planRoles plans the blocks of one role, or of all; those of the system in the
// form instructions. What is left of an answer that vanishes is reported.
func (e *requestEncoder) planRoles(turns []chat.Turn, role chat.Role, instructions chat.Form) {
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
	at := len(e.plan.Pieces)
	if at == from {
		e.planRoles(turns, chat.System, chat.AsSystem)
		e.plan.CloseTurn(chat.User, at)
		return
	}
	e.planRoles(turns, chat.System, chat.AsIs)
	e.plan.CloseTurn(chat.System, at)
}

// planUser plans a block of the user's.
func (e *requestEncoder) planUser(b *chat.Block) {
	form := chat.AsIs
	switch b.Kind {
	case chat.Text, chat.Refusal:
		if b.Text.Blank() {
			return
		}
	case chat.Image, chat.Document:
	case chat.ToolResult:
		if e.plan.Answers(b) {
			return // It has been planned.
		}
		e.lost(chat.Loss{Path: "tool_result (without a call)", Reason: chat.Approximated})
		form = chat.AsOrphan
	case chat.Opaque:
		if !e.own {
			e.unknown(b)
			return
		}
	default:
		e.unknown(b)
		return
	}
	e.plan.Add(b, form)
}

// planSystem plans instructions in the middle of the conversation.
func (e *requestEncoder) planSystem(b *chat.Block, as chat.Form) {
	switch {
	case b.Kind != chat.Text:
		e.drop("system." + b.TypeName())
	case !b.Text.Blank():
		e.plan.Add(b, as)
	}
}

// isThought says that a piece is thinking.
func isThought(p *chat.Piece) bool {
	return p.Block.Kind == chat.Thinking || p.Block.Kind == chat.RedactedThinking
}

// loopHasThinking says that every answer of the step that the model is in begins
// with its thinking. A step begins with a user turn that is more than results.
func (e *requestEncoder) loopHasThinking() bool {
	if e.continues {
		return true
	}
	for i := len(e.plan.Turns) - 1; i >= 0; i-- {
		first := &e.plan.Pieces[e.plan.Turns[i].From]
		switch role := e.plan.Turns[i].Role; {
		case role == chat.Assistant && !isThought(first):
			return false
		case role == chat.User && !first.IsResult():
			return true
		}
	}
	return true
}
