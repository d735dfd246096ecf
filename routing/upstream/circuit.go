package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// CircuitPolicy says when the circuits of an upstream open, and for how long.
// There is one circuit for the upstream, one for each of its models and one for
// each of its credentials; the policy is that of all of them. What is not set is
// that of the app, and what the app does not set has the defaults.
type CircuitPolicy struct {
	// Never opens a circuit because of failures. People can still open it, and an
	// upstream that asks to be left alone for a while is left alone. An upstream
	// with a policy of its own decides this for itself, whatever the app says.
	// Default: false.
	Off bool `json:"off,omitempty"`

	// As many failures in a row open the circuit, 1 to 1000. Default: 5.
	Failures int `json:"failures,omitempty"`
	// A pause between two failures that ends the row. Default: 3m.
	FailuresWithin caddy.Duration `json:"failures_within,omitempty"`

	// The percentage of failed attempts in the window that opens the circuit, 1 to
	// 100. Default: 50.
	ErrorRate int `json:"error_rate,omitempty"`
	// As many attempts must have ended in the window before a rate counts, 1 to
	// 10000. Default: 10.
	MinAttempts int `json:"min_attempts,omitempty"`
	// How far back rates look, 100ms to 1h. Default: 30s.
	Window caddy.Duration `json:"window,omitempty"`

	// The percentage of slow attempts in the window that opens the circuit, 1 to
	// 100. Without slow_over it means nothing. Default: 80.
	SlowRate int `json:"slow_rate,omitempty"`
	// An attempt that takes longer is slow; a stream is measured up to its first
	// content. Default: no attempt is slow.
	SlowOver caddy.Duration `json:"slow_over,omitempty"`

	// How long the circuit stays open the first time; doubled each time that it
	// opens again, and varied by a fifth. Default: 15s.
	OpenFor caddy.Duration `json:"open_for,omitempty"`
	// What doubling never exceeds; never less than open_for. Default: 10m.
	OpenForMax caddy.Duration `json:"open_for_max,omitempty"`
	// As many attempts in a row must succeed, one at a time, before an opened
	// circuit closes, 1 to 100. Default: 2.
	Probes int `json:"probes,omitempty"`
}

// defaultCircuit is the policy where nobody sets another.
var defaultCircuit = CircuitPolicy{
	Failures:       5,
	FailuresWithin: caddy.Duration(3 * time.Minute),
	ErrorRate:      50,
	MinAttempts:    10,
	Window:         caddy.Duration(30 * time.Second),
	SlowRate:       80,
	OpenFor:        caddy.Duration(15 * time.Second),
	OpenForMax:     caddy.Duration(10 * time.Minute),
	Probes:         2,
}

// Inherit returns the policy with what it does not set taken from another. Both
// may be nil; neither is changed.
func (p *CircuitPolicy) Inherit(from *CircuitPolicy) *CircuitPolicy {
	if from == nil {
		from = new(CircuitPolicy)
	}
	if p == nil {
		same := *from
		return &same
	}
	return &CircuitPolicy{
		Off:            p.Off,
		Failures:       cmp.Or(p.Failures, from.Failures),
		FailuresWithin: cmp.Or(p.FailuresWithin, from.FailuresWithin),
		ErrorRate:      cmp.Or(p.ErrorRate, from.ErrorRate),
		MinAttempts:    cmp.Or(p.MinAttempts, from.MinAttempts),
		Window:         cmp.Or(p.Window, from.Window),
		SlowRate:       cmp.Or(p.SlowRate, from.SlowRate),
		SlowOver:       cmp.Or(p.SlowOver, from.SlowOver),
		OpenFor:        cmp.Or(p.OpenFor, from.OpenFor),
		OpenForMax:     cmp.Or(p.OpenForMax, from.OpenForMax),
		Probes:         cmp.Or(p.Probes, from.Probes),
	}
}

// Effective returns the policy with the defaults for what is not set. A nil
// policy is all defaults.
func (p *CircuitPolicy) Effective() CircuitPolicy {
	e := *p.Inherit(&defaultCircuit)
	e.OpenForMax = max(e.OpenForMax, e.OpenFor)
	return e
}

// Validate refuses what cannot be meant. An error starts with the field's name. A
// nil policy is valid.
func (p *CircuitPolicy) Validate() error {
	if p == nil {
		return nil
	}
	for _, number := range []struct {
		name        string
		value, most int
	}{
		{"failures", p.Failures, 1000},
		{"error_rate", p.ErrorRate, 100},
		{"min_attempts", p.MinAttempts, 10000},
		{"slow_rate", p.SlowRate, 100},
		{"probes", p.Probes, 100},
	} {
		if number.value < 0 || number.value > number.most {
			return fmt.Errorf("%s: must be between 1 and %d", number.name, number.most)
		}
	}
	return p.validateDurations()
}

// longestCircuitTime is the longest duration of a policy: two days are a
// decision of people, not of a circuit.
const longestCircuitTime = 48 * time.Hour

func (p *CircuitPolicy) validateDurations() error {
	for _, duration := range []struct {
		name        string
		value       caddy.Duration
		least, most time.Duration
	}{
		{"failures_within", p.FailuresWithin, time.Millisecond, longestCircuitTime},
		{"window", p.Window, 100 * time.Millisecond, time.Hour},
		{"slow_over", p.SlowOver, time.Millisecond, longestCircuitTime},
		{"open_for", p.OpenFor, time.Millisecond, longestCircuitTime},
		{"open_for_max", p.OpenForMax, time.Millisecond, longestCircuitTime},
	} {
		value := time.Duration(duration.value)
		if value != 0 && (value < duration.least || value > duration.most) {
			return fmt.Errorf("%s: must be between %s and %s", duration.name, duration.least, duration.most)
		}
	}
	if p.OpenForMax != 0 && p.OpenForMax < p.OpenFor {
		return errors.New("open_for_max: must not be shorter than open_for")
	}
	return nil
}
