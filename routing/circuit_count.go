package routing

import (
	"fmt"
	"strconv"
	"time"
)

// The open times that no policy sets.
const (
	// A credential that is refused or has no quota left does not heal in seconds.
	openCredential       = 5 * time.Minute
	openCredentialAtMost = time.Hour
	// A model that the upstream does not know is rarely there a moment later.
	openMissing = 10 * time.Minute
	// retryAfterAtMost is the longest that a circuit stays open, or an upstream is
	// left alone, because the upstream asked for it.
	retryAfterAtMost = 15 * time.Minute
	// forgetOpenings is how long a circuit must be closed until its open times begin
	// anew.
	forgetOpenings = 5 * time.Minute
	// refusals is how many refusals of a credential or a model in a row are believed.
	refusals = 2
)

// Done records how the attempt ended. A result of an attempt from before a
// transition is dropped: a slow failure from before a reset must not open the
// circuit again.
func (p Permit) Done(now time.Time, o Outcome) {
	c := p.circuit
	if c == nil {
		return
	}
	g := c.phase()
	if !g.accepts(p.generation) {
		return
	}
	if g.state() == CircuitClosed && p.probe == 0 && c.doneEasily(now, &o) {
		return
	}
	c.update(now, func(at int64) { c.settle(at, p, &o) })
}

// doneEasily records without the lock what a closed circuit need not think about:
// a success after a success, and what says nothing.
func (c *Circuit) doneEasily(now time.Time, o *Outcome) bool {
	l := c.limits.Load()
	if o.Class == ClassThrottled || c.slowly(l, o.Latency) {
		return false
	}
	switch o.judge(c.key.Scope, false) {
	case neutral:
		return true
	case success:
		if c.failing.Load() {
			return false
		}
		at := c.moment(now)
		c.succeeded.Store(at)
		if !l.off {
			c.window.add(at/l.width, oneAttempt)
		}
		return true
	default:
		return false
	}
}

// Cancel gives the permit back unused.
func (p Permit) Cancel(now time.Time) { p.Done(now, Outcome{Class: ClassRefused}) }

// Started says that a stream has brought its first content. That is what a probe is
// to find out: it has succeeded, and the next may be made while the stream runs. If
// the stream breaks later, Done counts it as it would any other.
func (p Permit) Started(now time.Time) {
	c := p.circuit
	if c == nil || p.probe == 0 {
		return
	}
	c.update(now, func(at int64) {
		if c.phase().accepts(p.generation) && c.release(p) {
			c.probeSucceeded(at)
		}
	})
}

// slowly says whether an attempt that took this long is slow, which is about the
// upstream model: others of the same upstream may be fast.
func (c *Circuit) slowly(l *limits, latency time.Duration) bool {
	return c.key.Scope == ScopeUpstreamModel && l.slowly(latency)
}

// settle records an outcome. Like all below it is called under the lock.
func (c *Circuit) settle(at int64, p Permit, o *Outcome) {
	g := c.phase()
	if !g.accepts(p.generation) {
		return
	}
	held := c.release(p)
	c.throttleBy(at, o)
	if o.Class == ClassOK {
		c.succeeded.Store(at)
	}
	l := c.limits.Load()
	if l.off {
		return
	}
	what := uint64(oneAttempt)
	if c.slowly(l, o.Latency) {
		what += oneSlow
	}
	switch o.judge(c.key.Scope, c.escalated) {
	case success:
		c.window.add(at/l.width, what)
		c.row = row{}
		c.failing.Store(false)
		if held {
			c.probeSucceeded(at)
		}
	case failure:
		c.window.add(at/l.width, what+oneFailed)
		c.failed(at, o)
	case neutral:
		if o.Class != ClassAbandoned || c.key.Scope != ScopeUpstreamModel || what == oneAttempt {
			return
		}
		// Who left because it took too long says so about the upstream model.
		c.window.add(at/l.width, what)
	}
	if what != oneAttempt {
		c.openIfSlow(at, o, l)
	}
}

// release ends the lease of a probe. It is false if the attempt has none any more.
func (c *Circuit) release(p Permit) bool {
	if p.probe == 0 || p.probe != c.probe || c.lease.Load() == 0 {
		return false
	}
	c.lease.Store(0)
	return true
}

// probeSucceeded counts a probe, and closes the circuit when there were enough.
func (c *Circuit) probeSucceeded(at int64) {
	if c.phase().state() != CircuitHalfOpen {
		return
	}
	c.probed++
	if c.probed >= c.limits.Load().probes {
		c.enter(at, CircuitClosed, CauseProbed, "", "")
	}
}

// failed counts a failure and opens the circuit if that was one too many.
func (c *Circuit) failed(at int64, o *Outcome) {
	c.failures.add(timedFailure{at: at, class: o.Class, status: o.Status})
	switch c.phase().state() {
	case CircuitClosed:
		c.row.add(at, c.limits.Load().gap, o.Class)
		c.failing.Store(true)
		if cause, reason := c.tripped(at, o); cause != "" {
			c.open(at, o, cause, reason)
		}
	case CircuitHalfOpen:
		c.open(at, o, CauseProbeFailed, "a probe failed: "+o.text())
	}
}

// tripped says why a closed circuit must open after a failure; the cause is empty if
// it need not.
func (c *Circuit) tripped(at int64, o *Outcome) (cause CircuitCause, reason string) {
	l := c.limits.Load()
	twice := c.row.alike >= min(refusals, l.failures)
	switch {
	case o.Class == ClassExhausted:
		return CauseExhausted, o.text()
	case o.Class == ClassCredential && twice:
		return CauseCredential, o.text()
	case o.Class == ClassMissing && twice:
		return CauseMissing, o.text()
	case c.row.count >= l.failures:
		return CauseFailures, fmt.Sprintf("%d failures in a row, the last: %s", c.row.count, o.text())
	}
	attempts, failed, _ := c.window.counts(at / l.width)
	if attempts >= l.minAttempts && failed*100 >= attempts*l.errorRate {
		return CauseErrorRate, fmt.Sprintf("%d of %d attempts failed, the last: %s", failed, attempts, o.text())
	}
	return "", ""
}

// openIfSlow opens a closed circuit when too many attempts were slow.
func (c *Circuit) openIfSlow(at int64, o *Outcome, l *limits) {
	if c.phase().state() != CircuitClosed {
		return
	}
	attempts, _, slow := c.window.counts(at / l.width)
	if attempts >= l.minAttempts && slow*100 >= attempts*l.slowRate {
		c.open(at, o, CauseSlow, fmt.Sprintf("%d of %d attempts took longer than %s", slow, attempts, time.Duration(l.slow)))
	}
}

// open opens a closed or half-open circuit because of an outcome.
func (c *Circuit) open(at int64, o *Outcome, cause CircuitCause, reason string) {
	c.openings = c.openingsAt(at) + 1
	c.opened = *o
	c.openFor = c.openTime(o)
	c.until.Store(max(c.until.Load(), at+c.openFor))
	c.enter(at, CircuitOpen, cause, reason, "")
}

// openTime draws how long the circuit stays open.
func (c *Circuit) openTime(o *Outcome) int64 {
	d, most := c.openBounds(o.Class)
	for range c.openings - 1 {
		if d >= most {
			break
		}
		d *= 2
	}
	// The spread keeps many circuits that opened together from probing together.
	spread := int64(float64(min(d, most)) * (0.8 + 0.4*c.random()))
	return max(spread, int64(min(o.RetryAfter, retryAfterAtMost)))
}

// openBounds is the first open time after a failure of a class, and the longest,
// both before they are spread.
func (c *Circuit) openBounds(class Class) (first, most int64) {
	switch class {
	case ClassExhausted, ClassCredential:
		return int64(openCredential), int64(openCredentialAtMost)
	case ClassMissing:
		return int64(openMissing), int64(openMissing)
	default:
		l := c.limits.Load()
		return l.open, l.openAtMost
	}
}

// longest is the longest time that a circuit can be open after a failure of a class.
func (c *Circuit) longest(class Class) int64 {
	_, most := c.openBounds(class)
	return max(most+most/5, int64(retryAfterAtMost))
}

// slowdown counts what an upstream that is too busy leaves to be guessed.
type slowdown struct {
	count int
	last  int64
}

// Bounds of the time that an upstream is left alone after it answered that it gets
// too many requests.
const (
	throttleAtLeast     = time.Second
	throttleFirst       = 5 * time.Second
	throttleGuessAtMost = time.Minute
	forgetThrottles     = 5 * time.Minute
)

// throttleBy marks the circuit if the outcome asks for it in its scope.
func (c *Circuit) throttleBy(at int64, o *Outcome) {
	if o.Class != ClassThrottled {
		return
	}
	in := o.Throttles
	if in == "" {
		in = ScopeUpstreamModel
	}
	if in == c.key.Scope {
		c.throttle(at, o.RetryAfter)
	}
}

// throttle bars attempts for a while: for as long as the upstream said, or for 5 s,
// twice as long each time up to a minute. Several refusals of the same burst are
// one.
func (c *Circuit) throttle(at int64, d time.Duration) {
	s := &c.slowdown
	if at-s.last > int64(forgetThrottles) {
		s.count = 0
	}
	s.last = max(s.last, at)
	if d > 0 {
		d = min(max(d, throttleAtLeast), retryAfterAtMost)
	} else {
		if s.count == 0 || c.throttled.Load() <= at {
			s.count++
		}
		d = min(throttleFirst<<min(s.count-1, 8), throttleGuessAtMost)
	}
	c.throttled.Store(max(c.throttled.Load(), at+int64(d)))
}

// text tells the class and the status.
func (o *Outcome) text() string {
	if o.Status == 0 {
		return o.Class.String()
	}
	return o.Class.String() + " " + strconv.Itoa(o.Status)
}
