package routing

import (
	"testing"
	"time"
)

func TestLastSuccess(t *testing.T) {
	c := newCircuits().Get(CircuitKey{Scope: ScopeUpstream, Upstream: "u"}, nil)
	if v := c.View(noon); !v.Succeeded.IsZero() {
		t.Errorf("a circuit without traffic has succeeded at %v", v.Succeeded)
	}
	attempt := func(at time.Time, o Outcome) {
		t.Helper()
		p, ok := c.Allow(at)
		if !ok {
			t.Fatal("the circuit is not closed")
		}
		p.Done(at, o)
	}
	attempt(noon, Outcome{Class: ClassOK})
	attempt(noon.Add(time.Second), Outcome{Class: ClassConnect})
	if v := c.View(noon.Add(time.Minute)); !v.Succeeded.Equal(noon) {
		t.Errorf("the last success was at %v, want %v", v.Succeeded, noon)
	}
	attempt(noon.Add(2*time.Second), Outcome{Class: ClassOK}) // ends a row of failures
	if v := c.View(noon.Add(time.Minute)); !v.Succeeded.Equal(noon.Add(2 * time.Second)) {
		t.Errorf("the last success was at %v", v.Succeeded)
	}
}
