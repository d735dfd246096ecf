package routing

import (
	"slices"
	"time"
)

// Plan is the order of the sources for one request. It is drawn as it is asked
// for, so that what happens to one source can still decide about the next. It
// belongs to one request and is not safe for concurrent use.
type Plan struct {
	way   *route
	entry *Entry
	req   Request
	// group is the index of the group that is drawn from, -1 at first; left and
	// weight are the number and the weight of its candidates that were not drawn.
	group, left, weight int
	// order holds the candidates of the group that were not drawn, if its policy
	// puts them into an order ahead.
	order []*Candidate
	// taken was drawn out of its turn; nil if none was.
	taken *Candidate
	// again comes next, with another credential than before; nil if none does.
	again *Candidate
	// drawn marks the drawn candidates of the group: the first 64 in the word,
	// the others in the list.
	drawn uint64
	more  []uint64
	// window is what the context window of a candidate must be larger than; 0 if it
	// does not matter.
	window int
}

// Next draws the next candidate, whatever the circuits say: of the lowest priority
// number that has any left, as the policy orders them; those of weight 0 come when
// nothing else of their priority is left. No candidate comes twice.
func (p *Plan) Next() (*Candidate, bool) { return p.pull(time.Time{}) }

// pull draws the next candidate. At the time zero nobody asks whether it can take
// requests now.
func (p *Plan) pull(now time.Time) (*Candidate, bool) {
	if p.way == nil {
		return nil, false
	}
	for {
		for p.left == 0 {
			if p.group+1 >= len(p.way.groups) {
				return nil, false
			}
			p.enter(p.group+1, now)
		}
		p.left--
		if c := p.drawNext(); c != p.taken && p.holds(c) {
			return c, true
		}
	}
}

// drawNext takes the next candidate out of the group.
func (p *Plan) drawNext() *Candidate {
	if p.order != nil {
		c := p.order[0]
		p.order = p.order[1:]
		return c
	}
	candidates := p.way.groups[p.group].candidates
	i := p.draw(candidates)
	p.mark(i)
	p.weight -= candidates[i].weight
	return &candidates[i]
}

// Larger makes the plan pass over the candidates whose context window is not known to
// be larger than that of c, for which the request is too long. It is false, and
// nothing changes, if the window of c is not known.
func (p *Plan) Larger(c *Candidate) bool {
	p.window = max(p.window, c.Window())
	return c.Window() > 0
}

// holds says that a candidate's context window is large enough, as far as is known.
func (p *Plan) holds(c *Candidate) bool { return p.window == 0 || c.Window() > p.window }

// Again takes leave to ask a candidate once more that this plan has drawn.
func (p *Plan) Again(c *Candidate, now time.Time) (Admission, bool) {
	return c.admit(now, &p.req, true)
}

// Budget is what attempts beyond the first are paid from.
func (p *Plan) Budget() *RetryBudget {
	if p.entry == nil {
		return new(RetryBudget)
	}
	return &p.entry.observed.budget
}

// Only returns the model's one usable source; ok is false if it has several.
func (p *Plan) Only() (only *Candidate, ok bool) {
	if p.way == nil || len(p.way.groups) != 1 || len(p.way.groups[0].candidates) != 1 {
		return nil, false
	}
	return &p.way.groups[0].candidates[0], true
}

// Pin restricts the plan to the sources on one upstream; it is false, and nothing
// changes, if none of them can be used. It is called before Next.
func (p *Plan) Pin(name string) bool {
	if p.way == nil {
		return false
	}
	pinned := &route{skipped: p.way.skipped}
	for _, g := range p.way.groups {
		for _, c := range g.candidates {
			if c.Upstream.Name() == name {
				pinned.add(c, g.turns)
			}
		}
	}
	if len(pinned.groups) == 0 {
		return false
	}
	p.way = pinned
	p.group, p.left = -1, 0
	return true
}

// Skipped lists the sources that were left out, and why. The caller must not
// change it.
func (p *Plan) Skipped() []Skip {
	if p.way == nil {
		return nil
	}
	return p.way.skipped
}

// enter starts to draw from a group.
func (p *Plan) enter(group int, now time.Time) {
	g := &p.way.groups[group]
	p.group, p.left, p.weight = group, len(g.candidates), g.weight
	p.drawn, p.more, p.order = 0, nil, nil
	if p.left > 1 && p.inOrder() {
		p.order = arrange(g, p.entry, p.req, now)
		return
	}
	if words := len(g.candidates) / 64; words > 0 {
		p.more = make([]uint64, words)
	}
}

// inOrder says that the candidates are put into an order ahead, and not drawn by
// weight as they are asked for.
func (p *Plan) inOrder() bool { return p.entry.selector != nil || p.entry.sticky != "" }

// arrange puts the candidates of a group into the order of the request's key or
// else of the policy; those that cannot take requests now come last.
func arrange(g *group, e *Entry, req Request, now time.Time) []*Candidate {
	order := make([]*Candidate, 0, len(g.candidates))
	var barred []*Candidate
	for i := range g.candidates {
		c := &g.candidates[i]
		if now.IsZero() || c.ready(now, &req) {
			order = append(order, c)
			continue
		}
		barred = append(barred, c)
	}
	req.turns = g.turns
	if len(order) > 0 {
		sortBy(e, order, &req)
	}
	inParts(barred, func([]*Candidate) {})
	return append(order, barred...)
}

// sortBy sorts by the request's key or else by the model's policy.
func sortBy(e *Entry, order []*Candidate, req *Request) {
	if key := stickyKey(e, req); key != "" {
		orderByKey(order, req, key)
		return
	}
	if e.selector == nil {
		WeightedPolicy{}.Order(order, req)
		return
	}
	e.selector.Order(order, req)
}

// stickyKey is what keeps the request at one source; "" if nothing does.
func stickyKey(e *Entry, req *Request) string {
	if e.sticky == "" {
		return ""
	}
	if own := first(req.Header, e.sticky); own != "" {
		return own
	}
	return req.Sticky
}

// draw chooses among the candidates that were not drawn: by weight as long as
// any has one, all alike after that.
func (p *Plan) draw(candidates []Candidate) int {
	weighted := p.weight > 0
	left := p.left + 1 // with the one that is being drawn
	rest := 0
	switch {
	case weighted && left > 1:
		rest = p.req.IntN(p.weight)
	case left > 1:
		rest = p.req.IntN(left)
	}
	for i := range candidates {
		if p.marked(i) {
			continue
		}
		share := candidates[i].weight
		if !weighted {
			share = 1
		}
		if rest -= share; rest < 0 {
			return i
		}
	}
	panic("routing: weights and candidates disagree") // not possible: they are counted together
}

// clone is a plan that goes on from here by itself.
func (p *Plan) clone() Plan {
	other := *p
	other.more = slices.Clone(p.more)
	return other
}

func (p *Plan) marked(i int) bool {
	if i < 64 {
		return p.drawn&(1<<i) != 0
	}
	return p.more[i/64-1]&(1<<(i%64)) != 0
}

func (p *Plan) mark(i int) {
	if i < 64 {
		p.drawn |= 1 << i
		return
	}
	p.more[i/64-1] |= 1 << (i % 64)
}
