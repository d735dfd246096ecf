package routing

import (
	"testing"
	"time"
)

// admitted measures what a circuit costs an attempt.
func admitted(b *testing.B, now time.Time, o Outcome) {
	s := NewCircuits()
	c := s.Get(model("u", "m"), nil)
	b.ReportAllocs()
	for b.Loop() {
		p, ok := c.Allow(now)
		if !ok {
			b.Fatal("refused")
		}
		p.Done(now, o)
	}
}

func BenchmarkCircuitSuccess(b *testing.B) { admitted(b, time.Now(), Outcome{}) }

func BenchmarkCircuitNeutral(b *testing.B) {
	admitted(b, time.Now(), Outcome{Class: ClassClientFault})
}

// With a clock that runs, as in use.
func BenchmarkCircuitClock(b *testing.B) {
	c := NewCircuits().Get(model("u", "m"), nil)
	b.ReportAllocs()
	for b.Loop() {
		p, _ := c.Allow(time.Now())
		p.Done(time.Now(), Outcome{})
	}
}

// Every second attempt fails: the lock is taken, the circuit stays closed.
func BenchmarkCircuitFailure(b *testing.B) {
	s := NewCircuits()
	c := s.Get(model("u", "m"), nil)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		for _, class := range [...]Class{ClassServer, ClassOK, ClassOK} {
			p, ok := c.Allow(now)
			if !ok {
				b.Fatal("refused")
			}
			p.Done(now, Outcome{Class: class})
		}
	}
}

func BenchmarkCircuitOpen(b *testing.B) {
	s := NewCircuits()
	c := s.Get(model("u", "m"), nil)
	now := time.Now()
	c.Force(now, time.Time{}, "why", "ann")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Allow(now); ok {
			b.Fatal("admitted")
		}
	}
}

// A probe that says nothing, so that the circuit stays half-open.
func BenchmarkCircuitProbe(b *testing.B) {
	s := NewCircuits()
	c := s.Get(model("u", "m"), nil)
	now := time.Now()
	c.Force(now, now, "why", "ann")
	b.ReportAllocs()
	for b.Loop() {
		p, ok := c.Allow(now)
		if !ok {
			b.Fatal("refused")
		}
		p.Cancel(now)
	}
}

func BenchmarkCircuitParallel(b *testing.B) {
	s := NewCircuits()
	c := s.Get(model("u", "m"), nil)
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, ok := c.Allow(now)
			if !ok {
				b.Error("refused")
				return
			}
			p.Done(now, Outcome{})
		}
	})
}

// All three circuits of a source, from many goroutines.
func BenchmarkCircuitsParallel(b *testing.B) {
	s := NewCircuits()
	credential := CircuitKey{Scope: ScopeCredential, Upstream: "u", Credential: "c"}
	circuits := [3]*Circuit{s.Get(whole("u"), nil), s.Get(model("u", "m"), nil), s.Get(credential, nil)}
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var permits [3]Permit
			for i, c := range circuits {
				permits[i], _ = c.Allow(now)
			}
			for _, p := range permits {
				p.Done(now, Outcome{})
			}
		}
	})
}

// Looking a circuit up for each request instead of keeping it.
func BenchmarkCircuitsGet(b *testing.B) {
	s := NewCircuits()
	key := model("openai", "gpt-4o-mini")
	s.Get(key, nil)
	b.ReportAllocs()
	for b.Loop() {
		s.Get(key, nil)
	}
}

// The promise of no allocation holds in every run of the tests, not only when
// somebody measures.
func TestCircuitAllocatesNothing(t *testing.T) {
	s := NewCircuits()
	now := time.Now()
	closed, half, open := s.Get(model("u", "a"), nil), s.Get(model("u", "b"), nil), s.Get(model("u", "c"), nil)
	half.Force(now, now, "why", "ann")
	half.Allow(now)
	half.Allow(now.Add(time.Hour))
	open.Force(now, time.Time{}, "why", "ann")
	later := now.Add(24 * time.Hour)
	got := testing.AllocsPerRun(1000, func() {
		p, _ := closed.Allow(later)
		p.Done(later, Outcome{})
		p, _ = closed.Allow(later)
		p.Done(later, Outcome{Class: ClassServer})
		p, _ = closed.Allow(later)
		p.Done(later, Outcome{})
		p, _ = closed.Allow(later)
		p.Done(later, Outcome{Class: ClassThrottled, Throttles: ScopeUpstream})
		p, _ = half.Allow(later)
		p.Cancel(later)
		open.Allow(later)
		open.Refusal(later)
	})
	if got > 0 {
		t.Errorf("%g allocations", got)
	}
}
