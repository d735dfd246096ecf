package routing

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// WeightedPolicy draws the sources at random by their weights.
type WeightedPolicy struct{}

// CaddyModule returns the Caddy module information.
func (WeightedPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo(DefaultPolicy) }

// Order implements Selector. Plans that draw by weight do it without a list; this
// is for policies that fall back to it.
func (WeightedPolicy) Order(candidates []*Candidate, r *Request) {
	inParts(candidates, func(part []*Candidate) {
		total := 0
		for _, c := range part {
			total += share(c)
		}
		for i := range part[:len(part)-1] {
			rest := r.IntN(total)
			for j := i; j < len(part); j++ {
				if rest -= share(part[j]); rest < 0 {
					part[i], part[j] = part[j], part[i]
					break
				}
			}
			total -= share(part[i])
		}
	})
}

// UnmarshalCaddyfile parses the policy, which has no options.
func (*WeightedPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// RandomPolicy draws the sources at random, all alike.
type RandomPolicy struct{}

// CaddyModule returns the Caddy module information.
func (RandomPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo("random") }

// Order implements Selector.
func (RandomPolicy) Order(candidates []*Candidate, r *Request) {
	inParts(candidates, func(part []*Candidate) { shuffle(part, r) })
}

// UnmarshalCaddyfile parses the policy, which has no options.
func (*RandomPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// FirstPolicy takes the first source of those that stand in the config, as long
// as it can take requests.
type FirstPolicy struct{}

// CaddyModule returns the Caddy module information.
func (FirstPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo("first") }

// Order implements Selector.
func (FirstPolicy) Order(candidates []*Candidate, _ *Request) {
	inParts(candidates, func([]*Candidate) {})
}

// UnmarshalCaddyfile parses the policy, which has no options.
func (*FirstPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// LeastConnPolicy takes the source with the fewest attempts under way for its
// weight; streams count until their end. Equals are drawn at random.
type LeastConnPolicy struct{}

// CaddyModule returns the Caddy module information.
func (LeastConnPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo("least_conn") }

// Order implements Selector.
func (LeastConnPolicy) Order(candidates []*Candidate, r *Request) {
	inParts(candidates, func(part []*Candidate) {
		shuffle(part, r)
		// The numbers move while they are sorted by, so they are read once.
		load := make(map[*Candidate]float64, len(part))
		for _, c := range part {
			load[c] = float64(c.state.InFlight()+1) / float64(share(c))
		}
		slices.SortStableFunc(part, func(a, b *Candidate) int { return cmp.Compare(load[a], load[b]) })
	})
}

// UnmarshalCaddyfile parses the policy, which has no options.
func (*LeastConnPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// LowestLatencyPolicy takes the source whose first content has come soonest on
// average of late. A source that was not measured yet goes first, and one request
// in 16 is drawn at random, so that a source that has become faster is found.
type LowestLatencyPolicy struct{}

const (
	// exploreOneIn is how many requests there are to one that is drawn at random.
	exploreOneIn = 16
	// hopeless is after how many attempts without content a source that was never
	// measured goes last instead of first.
	hopeless = 3
)

// CaddyModule returns the Caddy module information.
func (LowestLatencyPolicy) CaddyModule() caddy.ModuleInfo { return policyInfo("lowest_latency") }

// Order implements Selector.
func (LowestLatencyPolicy) Order(candidates []*Candidate, r *Request) {
	inParts(candidates, func(part []*Candidate) {
		shuffle(part, r)
		if r.IntN(exploreOneIn) == 0 && !r.dry {
			return
		}
		expected := make(map[*Candidate]time.Duration, len(part))
		for _, c := range part {
			expected[c] = expect(c.state)
		}
		slices.SortStableFunc(part, func(a, b *Candidate) int { return cmp.Compare(expected[a], expected[b]) })
	})
}

// expect is the time that the first content of a source is expected to take.
func expect(s *SourceState) time.Duration {
	latency := s.Latency()
	if latency == 0 && s.unmeasured.Load() >= hopeless {
		return time.Hour
	}
	return latency
}

// UnmarshalCaddyfile parses the policy, which has no options.
func (*LowestLatencyPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// Interface guards.
var (
	_ Selector = WeightedPolicy{}
	_ Selector = RoundRobinPolicy{}
	_ Selector = WeightedRoundRobinPolicy{}
	_ Selector = LeastConnPolicy{}
	_ Selector = RandomPolicy{}
	_ Selector = IPHashPolicy{}
	_ Selector = HeaderHashPolicy{}
	_ Selector = LowestLatencyPolicy{}
	_ Selector = FirstPolicy{}

	_ caddyfile.Unmarshaler = (*WeightedPolicy)(nil)
	_ caddyfile.Unmarshaler = (*RoundRobinPolicy)(nil)
	_ caddyfile.Unmarshaler = (*WeightedRoundRobinPolicy)(nil)
	_ caddyfile.Unmarshaler = (*LeastConnPolicy)(nil)
	_ caddyfile.Unmarshaler = (*RandomPolicy)(nil)
	_ caddyfile.Unmarshaler = (*IPHashPolicy)(nil)
	_ caddyfile.Unmarshaler = (*HeaderHashPolicy)(nil)
	_ caddyfile.Unmarshaler = (*LowestLatencyPolicy)(nil)
	_ caddyfile.Unmarshaler = (*FirstPolicy)(nil)
)
