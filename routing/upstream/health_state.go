package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// HealthState is the mark that checks leave beside an upstream's circuits. The
// zero value is that of an upstream that was not checked yet, which counts as
// healthy. It is safe for concurrent use.
type HealthState struct {
	unhealthy atomic.Bool

	// mu guards the fields below.
	mu   sync.Mutex
	view HealthView
	// good and bad count the checks in a row that ended so.
	good, bad int
}

// HealthView is what the checks of an upstream have found. Times are zero for
// what has not happened.
type HealthView struct {
	// Unhealthy bars the upstream.
	Unhealthy bool `json:"unhealthy"`
	// Since is when the upstream became healthy or unhealthy.
	Since time.Time `json:"since,omitzero"`
	// LastError is what the last failed check found, without keys and hosts, and
	// LastErrorAt is when it ended.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// LastOK is when the last check succeeded.
	LastOK time.Time `json:"last_ok,omitzero"`
}

// Reason says why an unhealthy upstream is barred; "" for a healthy one.
func (v HealthView) Reason() string {
	if !v.Unhealthy {
		return ""
	}
	reason := "unhealthy since " + v.Since.UTC().Format(time.RFC3339)
	if v.LastError != "" {
		reason += ": " + v.LastError
	}
	return reason
}

// HealthView tells what the checks have found. It is the zero value for an upstream
// that is not checked.
func (u *Upstream) HealthView() HealthView {
	u.state.mu.Lock()
	defer u.state.mu.Unlock()
	return u.state.view
}

// Unhealthy says whether the checks bar the upstream. It is cheap enough to ask
// for every request.
func (u *Upstream) Unhealthy() bool { return u.state.unhealthy.Load() }

// record takes in the end of a check; problem is "" for a success. changed says
// that the upstream has become unhealthy or healthy by it.
func (s *HealthState) record(now time.Time, problem string, c *checks) (view HealthView, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &s.view
	if problem == "" {
		s.good, s.bad = s.good+1, 0
		v.LastOK = now
		if v.Since.IsZero() {
			v.Since = now
		}
		changed = v.Unhealthy && s.good >= c.healthy
	} else {
		s.good, s.bad = 0, s.bad+1
		v.LastError, v.LastErrorAt = problem, now
		changed = !v.Unhealthy && s.bad >= c.unhealthy
	}
	if changed {
		v.Unhealthy, v.Since = !v.Unhealthy, now
		s.unhealthy.Store(v.Unhealthy)
	}
	return *v, changed
}
