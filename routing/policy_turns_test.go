package routing

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestRoundRobin(t *testing.T) {
	s := snapshot(t, "", abc(`"policy":{"policy":"round_robin"},`, 5, 1, 1))
	var wg sync.WaitGroup
	counts := make([]map[string]int, 6)
	for i := range counts {
		wg.Go(func() { counts[i] = firsts(t, new(Router), s, 50, same) })
	}
	wg.Wait()
	all := map[string]int{}
	for _, c := range counts {
		for name, n := range c {
			all[name] += n
		}
	}
	if all["x"] != 100 || all["y"] != 100 || all["z"] != 100 {
		t.Errorf("got %v, want 100 each", all)
	}
}

func TestWeightedRoundRobin(t *testing.T) {
	s := snapshot(t, "", abc(`"policy":{"policy":"weighted_round_robin"},`, 5, 1, 1))
	var order []string
	for range 70 {
		order = append(order, drawn(t, seeded(), s, chatRequest("m"))[0])
	}
	run := 0
	for i, name := range order {
		if name != "x" {
			run = 0
			continue
		}
		if run++; run > 3 {
			t.Errorf("x comes %d times in a row, up to %d: %v", run, i, order)
		}
	}
	for i := 0; i < len(order); i += 7 {
		seven := slices.Sorted(slices.Values(order[i : i+7]))
		if got := strings.Join(seven, ""); got != "xxxxxyz" {
			t.Errorf("turns %d to %d: got %s", i, i+6, got)
		}
	}
}

// No source is ever a whole turn away from its share.
func TestWeightedRoundRobinIsEven(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		part := make([]*Candidate, 1+random.IntN(8))
		total := 0
		for i := range part {
			part[i] = &Candidate{weight: 1 + random.IntN(100), state: new(SourceState)}
			total += part[i].weight
		}
		all, counts := slices.Clone(part), map[*Candidate]int{}
		for turn := 1; turn <= 2*total; turn++ {
			takeSmooth(part, true) // takes nothing
			takeSmooth(part, false)
			counts[part[0]]++
			for _, c := range all {
				due := float64(turn) * float64(c.weight) / float64(total)
				if math.Abs(due-float64(counts[c])) >= 1 {
					t.Fatalf("after %d turns of %d: weight %d came %d times, want %.2f", turn, total, c.weight, counts[c], due)
				}
			}
		}
	}
}

// A source that comes and goes leaves the others their shares, and gets its own
// when it is back.
func TestWeightedRoundRobinWithChangingSources(t *testing.T) {
	x, y, z := &Candidate{weight: 3, state: new(SourceState)}, &Candidate{weight: 2, state: new(SourceState)}, &Candidate{weight: 1, state: new(SourceState)}
	counts := map[*Candidate]int{}
	turns := func(n int, set ...*Candidate) {
		clear(counts)
		for range n {
			part := slices.Clone(set)
			takeSmooth(part, false)
			counts[part[0]]++
		}
	}
	for range 20 {
		turns(500, y, z)
		if n := counts[y]; n < 330 || n > 337 {
			t.Errorf("without x: y came %d times, want 333", n)
		}
		turns(600, x, y, z)
		if n := counts[x]; n < 296 || n > 304 {
			t.Errorf("x came %d times, want 300", n)
		}
	}
}
