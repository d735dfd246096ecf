package chat

import "sync"

// Form is how a planned block is written. Codecs may have more of them, from
// [OtherForms] on.
type Form uint8

// The forms.
const (
	// AsIs is the block in the format's own words.
	AsIs Form = iota
	// AsSystem is a text of the system's in the middle of a conversation.
	AsSystem
	// AsOrphan is the result of a call that is not in the conversation: a text.
	AsOrphan
	// AsMissing is the result that the call in the piece has not got.
	AsMissing
	// OtherForms is the first of those that the format has beside these.
	OtherForms
)

// Piece is a block that is to be written.
type Piece struct {
	Block *Block
	// Call is the call whose result the piece is; nil for other pieces.
	Call *Block
	// ID is the id of a call, or of a result's call, as it is sent.
	ID   Literal
	Form Form
}

// IsResult says that a piece answers a call.
func (p *Piece) IsResult() bool { return p.Call != nil }

// PlannedTurn is Pieces[From:To] of a plan.
type PlannedTurn struct {
	Role     Role
	From, To int
}

// Plan is a conversation as it will be written for a format with these rules: user
// and assistant speak in turn, and the results of an answer's calls stand at the
// start of what follows it, one for each call, in their order. To plan the turns
// first makes the writing straight. It is not safe for concurrent use.
type Plan struct {
	Pieces []Piece
	Turns  []PlannedTurn

	round Round
	calls []int // the numbers of the round's calls in Pieces
}

// plans are those that are not in use.
var plans = sync.Pool{New: func() any { return new(Plan) }}

// keepPieces is how many pieces a plan keeps room for that waits for its next use.
const keepPieces = 4096

// TakePlan returns an empty plan. Release gives it back.
func TakePlan() *Plan { return plans.Get().(*Plan) }

// Release gives back a plan, which must not be used any more.
func (p *Plan) Release() {
	if cap(p.Pieces) > keepPieces || cap(p.calls) > keepPieces {
		return
	}
	clear(p.Pieces)
	p.round.forget()
	p.Pieces, p.Turns, p.calls = p.Pieces[:0], p.Turns[:0], p.calls[:0]
	plans.Put(p)
}

// PlanRules are what formats do in their own ways.
type PlanRules struct {
	// Keeps says that a block of an answer will be written. Calls always are.
	Keeps func(b *Block) bool
	// Kept is told of each block of an answer that will be, and returns the id under
	// which it is sent if it is a call.
	Kept func(b *Block) (callID Literal)
	// LeftOut is told of each block of an answer that will not be.
	LeftOut func(b *Block)
	// Questions plans what stands between two answers.
	Questions func(turns []Turn)
}

// Make plans the turns. Neighbouring answers are one turn, also if between them is
// one of which nothing will be written.
func (p *Plan) Make(turns []Turn, rules *PlanRules) {
	for len(turns) > 0 {
		answers := rules.answers(&turns[0])
		n := 1
		for n < len(turns) && (rules.answers(&turns[n]) == answers || rules.vanishes(&turns[n])) {
			n++
		}
		if answers {
			p.answer(turns[:n], rules)
		} else {
			p.questions(turns[:n], rules)
		}
		turns = turns[n:]
	}
	p.questions(nil, rules) // The results of calls in the very last answer.
}

// keeps says that a block of an answer will be written.
func (r *PlanRules) keeps(b *Block) bool { return b.Kind == ToolUse || r.Keeps(b) }

// answers says that a turn is an answer of the model's.
func (r *PlanRules) answers(t *Turn) bool { return t.Role == Assistant && !r.vanishes(t) }

// vanishes says that nothing of an answer will be written, so that the turns
// beside it are neighbours.
func (r *PlanRules) vanishes(t *Turn) bool {
	if t.Role != Assistant {
		return false
	}
	for i := range t.Blocks {
		if r.keeps(&t.Blocks[i]) {
			return false
		}
	}
	return true
}

// answer plans neighbouring answers as one turn.
func (p *Plan) answer(turns []Turn, rules *PlanRules) {
	from := len(p.Pieces)
	p.round.Begin(turns)
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			b := &blocks[i]
			if !rules.keeps(b) {
				rules.LeftOut(b)
				continue
			}
			if b.Kind == ToolUse {
				p.calls = append(p.calls, len(p.Pieces))
			}
			p.Pieces = append(p.Pieces, Piece{Block: b, ID: rules.Kept(b)})
		}
	}
	p.CloseTurn(Assistant, from)
}

// questions plans what stands between two answers, and ends the round.
func (p *Plan) questions(turns []Turn, rules *PlanRules) {
	rules.Questions(turns)
	p.round.Begin(nil)
	p.calls = p.calls[:0]
}

// CloseTurn makes the pieces from a number on a turn, or part of the last one if
// that has the same role.
func (p *Plan) CloseTurn(role Role, from int) {
	to := len(p.Pieces)
	if from == to {
		return
	}
	if last := len(p.Turns) - 1; last >= 0 && p.Turns[last].Role == role {
		p.Turns[last].To = to
		return
	}
	p.Turns = append(p.Turns, PlannedTurn{Role: role, From: from, To: to})
}

// Add plans a block.
func (p *Plan) Add(b *Block, form Form) { p.Pieces = append(p.Pieces, Piece{Block: b, Form: form}) }

// AddResults plans the results of the latest calls. lost is told of results that
// are repeated or missing.
func (p *Plan) AddResults(turns []Turn, lost func(Loss)) {
	if p.round.Match(turns) {
		lost(Loss{Path: "tool_result (repeated)", Reason: Unsupported})
	}
	for i, result := range p.round.Results() {
		call := &p.Pieces[p.calls[i]]
		piece := Piece{Block: result, Call: call.Block, ID: call.ID}
		if result == nil {
			lost(Loss{Path: "tool_use (without a result)", Reason: Approximated})
			piece.Block, piece.Form = call.Block, AsMissing
		}
		p.Pieces = append(p.Pieces, piece)
	}
}

// Answers says that a result belongs to one of the latest calls, so that AddResults
// has planned it.
func (p *Plan) Answers(result *Block) bool { return p.round.Answers(result) }
