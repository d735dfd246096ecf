package routing

import (
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// TestFault55Flapping: an upstream fails and works by turns of 5 s, for 5 minutes of
// ten requests a second. Its open time grows, so that it opens seldom and is asked in
// vain seldom.
func TestFault55Flapping(t *testing.T) {
	circuits := NewCircuits()
	circuits.Random = func() float64 { return 0.5 }
	c := circuits.Get(CircuitKey{Scope: ScopeUpstreamModel, Upstream: "u", Model: "m"}, nil)
	begin := time.Now()
	openings, asked := 0, 0
	for step := range 3000 {
		now := begin.Add(time.Duration(step) * 100 * time.Millisecond)
		before := c.View(now).State
		p, ok := c.Allow(now)
		if !ok {
			continue
		}
		o := Outcome{Class: ClassOK}
		if now.Sub(begin)/(5*time.Second)%2 == 0 {
			o.Class = ClassServer
			asked++
		}
		p.Done(now, o)
		if after := c.View(now); before != CircuitOpen && after.State == CircuitOpen {
			openings++
		}
	}
	if openings == 0 || openings > 20 {
		t.Errorf("%d openings in 5 minutes, want from 1 to 20", openings)
	}
	if asked > 100 {
		t.Errorf("%d requests were sent in vain", asked)
	}
}

// TestFault77ClockJumps: the clock is set by a day while a circuit is open. In the
// process nothing changes; after a restart the open time has neither vanished, if the
// clock went back, nor does it exceed its limit.
func TestFault77ClockJumps(t *testing.T) {
	key := CircuitKey{Scope: ScopeUpstreamModel, Upstream: "u", Model: "m"}
	policy := new(upstream.CircuitPolicy).Effective()
	for _, tc := range []struct {
		name string
		jump time.Duration
		open bool
	}{
		{"a day ahead", 24 * time.Hour, false},
		{"a day back", -24 * time.Hour, true},
		{"none", 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var kept CircuitRecord
			first := NewCircuits()
			first.OnChange(func(r CircuitRecord) { kept = r })
			now := time.Now()
			c := first.Get(key, nil)
			for range 5 {
				p, ok := c.Allow(now)
				if !ok {
					t.Fatal("the circuit opened too soon")
				}
				p.Done(now, Outcome{Class: ClassServer})
			}
			if kept.State != CircuitOpen {
				t.Fatalf("the circuit is %s", kept.State)
			}
			after := now.Add(tc.jump).Round(0) // another process: no monotonic reading
			second := NewCircuits()
			if err := second.Load(after, []CircuitRecord{kept}); err != nil {
				t.Fatal(err)
			}
			restored := second.Get(key, nil)
			if _, ok := restored.Allow(after); ok == tc.open {
				t.Errorf("an attempt is admitted: %t", ok)
			}
			most := time.Duration(policy.OpenForMax) * 12 / 10
			if v := restored.View(after); v.Until.Sub(after) > most {
				t.Errorf("it is open for %s, the most is %s", v.Until.Sub(after), most)
			}
			if p, ok := restored.Allow(after.Add(most + time.Second)); !ok {
				t.Error("it stays open for longer than its limit")
			} else {
				p.Cancel(after)
			}
		})
	}
}
