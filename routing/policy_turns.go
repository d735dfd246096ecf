package routing

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// turns is whose turn it is in one priority of a model. It is safe for
// concurrent use.
type turns struct {
	taken atomic.Uint64
	// mu guards the credits of the sources.
	mu sync.Mutex
}

// RoundRobinPolicy takes the sources by turns, whatever their weights.
type RoundRobinPolicy struct{}

// CaddyModule returns the Caddy module information.
func (RoundRobinPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo("round_robin") }

// Order implements Selector.
func (RoundRobinPolicy) Order(candidates []*Candidate, r *Request) {
	turn := r.Turn()
	inParts(candidates, func(part []*Candidate) {
		rotate(part, int(turn%uint64(len(part))))
	})
}

// UnmarshalCaddyfile parses the policy, which has no options.
func (*RoundRobinPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// rotate moves the first n sources to the end.
func rotate(part []*Candidate, n int) {
	slices.Reverse(part[:n])
	slices.Reverse(part[n:])
	slices.Reverse(part)
}

// WeightedRoundRobinPolicy takes the sources by turns, each as often as its
// weight says, and evenly spread: with weights 5, 1 and 1 no source is taken
// more than three times in a row.
type WeightedRoundRobinPolicy struct{}

// CaddyModule returns the Caddy module information.
func (WeightedRoundRobinPolicy) CaddyModule() caddy.ModuleInfo {
	return policyInfo("weighted_round_robin")
}

// Order implements Selector. Sources that the policy cannot take now keep their
// place in the order of turns.
func (WeightedRoundRobinPolicy) Order(candidates []*Candidate, r *Request) {
	taken := false
	inParts(candidates, func(part []*Candidate) {
		if taken {
			return // drained sources behind others: their order does not matter
		}
		taken = true
		r.turns.mu.Lock()
		defer r.turns.mu.Unlock()
		takeSmooth(part, r.dry)
	})
}

// UnmarshalCaddyfile parses the policy, which has no options.
func (*WeightedRoundRobinPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return noOptions(d)
}

// takeSmooth puts the source whose turn it is in front and the others behind it,
// those that are furthest behind their share first. The caller holds the lock of
// the turns; with dry nothing is taken.
//
// Every turn gives each source its weight as credit and takes the weight of all
// from the one that is chosen. Chosen is, among those with enough credit, the one
// that must be soonest in order not to fall behind (R. Tijdeman, "The chairman
// assignment problem", 1980): no source is ever a whole turn away from its share,
// and so after as many turns as the weights add up to, all have had exactly
// theirs.
func takeSmooth(part []*Candidate, dry bool) {
	total := 0
	for _, c := range part {
		total += share(c)
	}
	for _, c := range part {
		// Another set of sources may have left more credit than this one can give.
		c.state.credit = min(max(c.state.credit, -total), total) + share(c)
	}
	slices.SortStableFunc(part, func(a, b *Candidate) int { return b.state.credit - a.state.credit })
	chosen := soonest(part, total)
	part[chosen].state.credit -= total
	if dry {
		part[chosen].state.credit += total
		for _, c := range part {
			c.state.credit -= share(c)
		}
	}
	first := part[chosen]
	copy(part[1:chosen+1], part[:chosen])
	part[0] = first
}

// soonest is the index of the source that must be chosen soonest. If none has
// enough credit, as after a change of the set, it is the one that has most, which
// is the first.
func soonest(part []*Candidate, total int) int {
	if len(part) == 1 {
		return 0
	}
	// Credits and limits are compared in fractions of 2(n-1).
	scale := 2 * (len(part) - 1)
	best, bestDue := -1, 0
	for i, c := range part {
		if c.state.credit*scale < total {
			continue
		}
		due := total*(scale-1) - c.state.credit*scale // over its share: the turns until it falls behind
		if best >= 0 {
			left, right := due*share(part[best]), bestDue*share(c)
			if left > right || left == right && share(c) <= share(part[best]) {
				continue
			}
		}
		best, bestDue = i, due
	}
	return max(best, 0)
}
