package gemini

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// The rules of turns. Gemini wants user and model in
// turn, a user first, and the results of an answer's calls at the start of the
// content that follows it: one for each call, in their order. The contents of a
// request are first planned, so that the writing is straight.

// asUnsigned is a call that stands where the model demands a signature, and that
// has none.
const asUnsigned = chat.OtherForms

// planTurns plans the conversation.
func (e *requestEncoder) planTurns() {
	e.plan.Make(e.r.Turns, &chat.PlanRules{Keeps: e.keeps, Kept: e.kept, LeftOut: e.leaveOut, Questions: e.planQuestions})
	if e.to.Can.CallSignatures {
		e.planSignatures()
	}
}

// keeps says that a block of an answer will be written.
func (e *requestEncoder) keeps(b *chat.Block) bool {
	switch b.Kind {
	case chat.Text, chat.Refusal:
		return !b.Text.Empty() || ownSignature(b) != nil
	case chat.Thinking:
		return b.Origin == origin && (!b.Text.Empty() || !b.Signature.Empty())
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

// kept returns the id under which a call is sent: one that is made up if it has
// none.
func (e *requestEncoder) kept(b *chat.Block) chat.Literal {
	if b.Kind != chat.ToolUse || !b.ID.Empty() {
		return b.ID
	}
	e.made++
	return chat.Quote("call_" + strconv.Itoa(e.made))
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
		e.lose("assistant." + b.Kind.String())
	}
}

// planQuestions plans what stands between two answers as one turn: the results
// of the calls first, in their order, then all the rest.
func (e *requestEncoder) planQuestions(turns []chat.Turn) {
	from := len(e.plan.Pieces)
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
	e.plan.CloseTurn(chat.User, from)
}

// planUser plans a block of the user's.
func (e *requestEncoder) planUser(b *chat.Block) {
	form := chat.AsIs
	switch b.Kind {
	case chat.Text, chat.Refusal:
		if b.Text.Empty() {
			return
		}
	case chat.Image, chat.Document, chat.Audio, chat.Video:
	case chat.ToolResult:
		if e.plan.Answers(b) {
			return
		}
		e.approximate("tool_result (without a call)")
		form = chat.AsOrphan
	case chat.Opaque:
		if !e.own {
			e.unsendable("content of type " + b.TypeName())
			return
		}
	default:
		e.unsendable("content of type " + b.TypeName())
		return
	}
	e.plan.Add(b, form)
}

// planSystem plans instructions in the middle of the conversation.
func (e *requestEncoder) planSystem(b *chat.Block) {
	switch {
	case b.Kind != chat.Text:
		e.drop("system." + b.TypeName())
	case !b.Text.Empty():
		e.plan.Add(b, chat.AsSystem)
	}
}

// planSignatures marks the first call of each step of the current turn, if it
// has no signature: models that sign refuse it otherwise. The current turn begins
// with the last content of the user's that holds no results; each answer behind
// it is a step.
func (e *requestEncoder) planSignatures() {
	for i := len(e.plan.Turns) - 1; i >= 0; i-- {
		t := e.plan.Turns[i]
		if t.Role != chat.Assistant {
			if !e.plan.Pieces[t.From].IsResult() {
				return
			}
			continue
		}
		for n := t.From; n < t.To; n++ {
			if p := &e.plan.Pieces[n]; p.Block.Kind == chat.ToolUse {
				if ownSignature(p.Block) == nil {
					p.Form = asUnsigned
				}
				break
			}
		}
	}
}
