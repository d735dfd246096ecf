package routing

import "time"

// Force opens the circuit by hand up to a time, or without an end if that is zero.
// It keeps its state whatever attempts bring, until the time has passed or somebody
// resets it. To say the same again changes nothing.
func (c *Circuit) Force(now, until time.Time, reason, actor string) {
	c.update(now, func(at int64) { c.force(at, now, until, reason, actor) })
}

// force is Force under the lock.
func (c *Circuit) force(at int64, now, until time.Time, reason, actor string) {
	end := int64(forever)
	if !until.IsZero() {
		end = at + int64(min(max(until.Sub(now), 0), farAway))
	}
	if c.forced(end) && c.reason == reason && c.actor == actor {
		return
	}
	c.clear()
	c.until.Store(end)
	c.enter(at, CircuitForcedOpen, CauseManual, reason, actor)
}

// forced says that the circuit is forced open up to about that moment: times of the
// wall clock are not exact to the nanosecond. It is called under the lock.
func (c *Circuit) forced(end int64) bool {
	const about = int64(time.Second)
	until := c.until.Load()
	return c.phase().state() == CircuitForcedOpen && max(until, end)-min(until, end) < about
}

// Reset closes the circuit by hand and forgets all that it has counted, the time
// for which the upstream asked to be left alone as well. A circuit that has nothing
// to forget is left as it is.
func (c *Circuit) Reset(now time.Time, actor string) {
	c.update(now, func(at int64) { c.reset(at, actor) })
}

// reset is Reset under the lock.
func (c *Circuit) reset(at int64, actor string) {
	if !c.pristine(at) {
		c.restart(at, CauseReset, actor)
	}
}

// restart closes the circuit as if it were new. It is called under the lock.
func (c *Circuit) restart(at int64, cause CircuitCause, actor string) {
	c.enter(at, CircuitClosed, cause, "", actor)
	c.openings = 0
	c.throttled.Store(0)
	c.slowdown = slowdown{}
}

// pristine says that the circuit is closed and has counted nothing that matters. It
// is called under the lock.
func (c *Circuit) pristine(at int64) bool {
	_, failed, slow := c.window.counts(at / c.limits.Load().width)
	return c.phase().state() == CircuitClosed && c.row.count == 0 && failed+slow == 0 &&
		c.openings == 0 && c.throttled.Load() == 0
}

// Throttle leaves the upstream alone for a while, at most 15 minutes: beside the
// state, without a probe at its end, and never for a shorter time than before. If d
// is 0, the upstream did not say how long: 5 s, then twice as long each time, up to
// a minute.
func (c *Circuit) Throttle(now time.Time, d time.Duration) {
	c.update(now, func(at int64) { c.throttle(at, d) })
}

// escalate opens an upstream's circuit because of its upstream models. One that is
// open already stays as it is.
func (c *Circuit) escalate(now time.Time, o Outcome) {
	c.update(now, func(at int64) {
		s := c.phase().state()
		if c.limits.Load().off || (s != CircuitClosed && s != CircuitHalfOpen) {
			return
		}
		c.escalated = true
		c.open(at, &o, CauseEscalated, string(CauseEscalated))
	})
}

// identify tells which upstream the circuit is about. What it found out about
// another one of that name is dropped; what a person decided stays.
func (c *Circuit) identify(now time.Time, identity string) {
	c.update(now, func(at int64) {
		other := c.identity != "" && c.identity != identity
		c.identity = identity
		if other && c.phase().state() != CircuitForcedOpen && !c.pristine(at) {
			c.restart(at, CauseIdentity, "")
		}
	})
}

// Refusal says why a circuit admits no attempt.
type Refusal struct {
	Circuit *Circuit
	// State is closed if the upstream merely asked to be left alone, half-open if
	// another attempt is the probe now.
	State CircuitState
	// Class is that of the failure that opened the circuit.
	Class Class
	// Throttled says that the upstream asked to be left alone.
	Throttled bool
	// Wait is how long it will last, 1 s if that is not known; 0 if the circuit was
	// forced open without an end.
	Wait time.Duration
}

// Refusal says why the circuit would admit no attempt now; it is false if it would.
// It asks for nothing and changes nothing.
func (c *Circuit) Refusal(now time.Time) (Refusal, bool) {
	at := c.moment(now)
	throttled := c.throttled.Load()
	if throttled <= at && c.phase().state() == CircuitClosed {
		return Refusal{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Refusal{Circuit: c, State: c.shown(at), Class: c.opened.Class, Throttled: throttled > at}
	until := throttled
	switch r.State {
	case CircuitOpen, CircuitForcedOpen:
		until = max(until, c.until.Load())
	case CircuitHalfOpen:
		if c.lease.Load() > at {
			until = max(until, at+int64(time.Second)) // how long the probe takes nobody knows
		}
	}
	if until == forever {
		return r, true
	}
	r.Wait = time.Duration(until - at)
	return r, r.Wait > 0
}

// Overdue says that the circuit could be probed for three open times now and no
// attempt came. The next request that can be served there should be.
func (c *Circuit) Overdue(now time.Time) bool {
	if c.phase().state() == CircuitClosed {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.moment(now)
	if c.until.Load() > at || c.lease.Load() > at || c.throttled.Load() > at {
		return false
	}
	waited := at - max(c.until.Load(), c.probeAt)
	return waited >= 3*max(c.openFor, c.limits.Load().open)
}
