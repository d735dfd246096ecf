package routing

import (
	"sync"
	"testing"
	"time"
)

// observedBy makes a snapshot that a state observes.
func observedBy(t testing.TB, state *State, upstreams, models string) *Snapshot {
	t.Helper()
	d := decode(t, upstreams, models)
	s, err := state.NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	s.Adopt()
	return s
}

func TestStateSurvivesReloads(t *testing.T) {
	state := NewState()
	model := abc(`"policy":{"policy":"round_robin"},`, 1, 1, 1)
	before := candidates(t, observedBy(t, state, "", model))
	before["x"].State().Begin()
	before["x"].State().Measure(40 * time.Millisecond)
	if !state.Budget("m").Spend() {
		t.Fatal("the budget is empty")
	}
	if got := drawn(t, seeded(), observedBy(t, state, "", model), chatRequest("m"))[0]; got != "y" {
		t.Errorf("the turn after x and a reload: got %s, want y", got)
	}

	after := candidates(t, observedBy(t, state, "", model))
	if x := after["x"].State(); x.InFlight() != 1 || x.Latency() != 40*time.Millisecond {
		t.Errorf("x: %d attempts under way, latency %s", x.InFlight(), x.Latency())
	}
	if after["x"].modelCircuit != before["x"].modelCircuit || after["x"].upstreamCircuit != before["x"].upstreamCircuit {
		t.Error("the circuits of x are others")
	}
	if left := state.Budget("m").Left(); left != 9 {
		t.Errorf("the budget is %v, want 9", left)
	}
	before["x"].State().End(0)
	if n := after["x"].State().InFlight(); n != 0 {
		t.Errorf("x: %d attempts are under way", n)
	}
}

func TestStateForgets(t *testing.T) {
	state := NewState()
	first := observedBy(t, state, "", abc("", 1, 1, 1)+`,"gone":{"sources":[{"upstream":"a","model":"x"}]}`)
	old := candidates(t, first)["x"]
	old.State().Begin()
	for range 5 {
		drawn(t, seeded(), observedBy(t, state, "", `"m":{"sources":[{"upstream":"b","model":"y","priority":3}]}`), chatRequest("m"))
	}
	if len(state.models) != 1 || len(state.models["m"].sources) != 1 || len(state.models["m"].turns) != 1 {
		t.Errorf("got %d models, %d sources and %d turns, want 1 of each",
			len(state.models), len(state.models["m"].sources), len(state.models["m"].turns))
	}
	old.State().End(time.Second) // a request from before goes on
	if n := candidates(t, observedBy(t, state, "", abc("", 1, 1, 1)))["x"].State().InFlight(); n != 0 {
		t.Errorf("x is new and has %d attempts", n)
	}
	d := decode(t, "", `"m":{"sources":[{"upstream":"a","model":""}]}`)
	if _, err := state.NewSnapshot(d); err == nil || len(state.models["m"].sources) != 3 {
		t.Errorf("a refused config: %v, %d sources left", err, len(state.models["m"].sources))
	}
}

func TestLatency(t *testing.T) {
	var s SourceState
	if s.Latency() != 0 {
		t.Fatal("a new source has a latency")
	}
	s.Begin()
	s.End(100 * time.Millisecond)
	s.Begin()
	s.End(0)
	s.Begin()
	s.End(-time.Second)
	if got := s.Latency(); got != 100*time.Millisecond || s.InFlight() != 0 {
		t.Errorf("got %s", got)
	}
	s.Measure(200 * time.Millisecond)
	if got := s.Latency(); got != 120*time.Millisecond {
		t.Errorf("got %s, want 120ms", got)
	}
	for range 100 {
		s.Measure(time.Nanosecond)
	}
	if got := s.Latency(); got <= 0 || got > 10 {
		t.Errorf("got %s, want a few nanoseconds", got)
	}
}

func TestRetryBudget(t *testing.T) {
	var b RetryBudget
	spend := func() (n int) {
		for range 100 {
			if b.Spend() {
				n++
			}
		}
		return n
	}
	b.Earn() // more than full it does not get
	if got := spend(); got != 10 {
		t.Errorf("a full budget pays for %d attempts, want 10", got)
	}
	for range 4 {
		b.Earn()
	}
	if b.Spend() {
		t.Error("four requests earned an attempt")
	}
	b.Earn()
	if got := spend(); got != 1 || b.Left() != 0 {
		t.Errorf("five requests earned %d attempts, want 1; left: %v", got, b.Left())
	}
	for range 1000 {
		b.Earn()
	}
	if got := spend(); got != 10 {
		t.Errorf("the budget saves %d attempts, want 10", got)
	}
}

func TestRetryBudgetIsSharedFairly(t *testing.T) {
	var b RetryBudget
	var wg sync.WaitGroup
	paid := make([]int, 8)
	for i := range paid {
		wg.Go(func() {
			for range 500 {
				b.Earn()
				if b.Spend() {
					paid[i]++
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range paid {
		total += n
	}
	// Those who earn while it is full lose it, so a little less is paid for.
	if most := 10 + 8*500/5; total > most || total < most-20 {
		t.Errorf("4000 requests paid for %d attempts, want about %d and no more", total, most)
	}
}
