package routing

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Scope is the kind of thing a circuit guards.
type Scope string

// The scopes.
const (
	// ScopeUpstream guards an upstream: whether it can be reached at all.
	ScopeUpstream Scope = "upstream"
	// ScopeUpstreamModel guards one model of an upstream.
	ScopeUpstreamModel Scope = "upstream_model"
	// ScopeCredential guards one credential of an upstream.
	ScopeCredential Scope = "credential"
)

// CircuitKey names a circuit.
type CircuitKey struct {
	Scope    Scope  `json:"scope"`
	Upstream string `json:"upstream"`
	// Model is the upstream model; only in ScopeUpstreamModel.
	Model string `json:"upstream_model,omitempty"`
	// Credential is the credential's id; only in ScopeCredential.
	Credential string `json:"credential,omitempty"`
}

// CircuitState is what a circuit does with attempts.
type CircuitState uint8

// The states.
const (
	// CircuitClosed admits every attempt.
	CircuitClosed CircuitState = iota
	// CircuitOpen admits none until its time has passed.
	CircuitOpen
	// CircuitHalfOpen admits one attempt at a time, a probe, to find out.
	CircuitHalfOpen
	// CircuitForcedOpen was opened by a person and admits none until its time, if
	// it has one, has passed.
	CircuitForcedOpen
)

var circuitStateNames = [...]string{
	CircuitClosed:     "closed",
	CircuitOpen:       "open",
	CircuitHalfOpen:   "half_open",
	CircuitForcedOpen: "forced_open",
}

// String returns the name of the state as the API, logs and metrics show it.
func (s CircuitState) String() string {
	if int(s) >= len(circuitStateNames) {
		return "unknown"
	}
	return circuitStateNames[s]
}

// MarshalText implements encoding.TextMarshaler. A state without a name is an
// error.
func (s CircuitState) MarshalText() ([]byte, error) {
	return marshalName(circuitStateNames[:], int(s), "circuit state")
}

// UnmarshalText implements encoding.TextUnmarshaler. An unknown name is an error.
func (s *CircuitState) UnmarshalText(text []byte) error {
	i, err := unmarshalName(circuitStateNames[:], text, "circuit state")
	if err == nil {
		*s = CircuitState(i)
	}
	return err
}

// Circuit keeps attempts away from what fails. It is a state machine without
// goroutine, timer or clock: the time is an argument, and an open circuit becomes
// half-open when the next attempt asks. A registry makes it (see Circuits). It is
// safe for concurrent use; admitting and recording a success neither locks nor
// allocates.
//
// Times are compared by their monotonic readings, so that a clock that is set
// moves no deadline.
type Circuit struct {
	key    CircuitKey
	origin time.Time // what moments are counted from
	random func() float64
	// changed is told each transition, and marked each time that the upstream asks
	// to be left alone for longer, without the lock. They may be nil.
	changed func(now time.Time, r CircuitRecord)
	marked  func(r CircuitRecord)

	limits atomic.Pointer[limits]
	word   atomic.Uint64 // a phase; written under mu
	// until is when an open circuit may become half-open; forever for one that was
	// forced open without an end.
	until     atomic.Int64
	throttled atomic.Int64 // when the mark ends
	succeeded atomic.Int64 // when an attempt last succeeded; 0 if none did
	lease     atomic.Int64 // when the probe in flight is given up; 0 without one
	failing   atomic.Bool  // the row is not empty
	window    window

	mu sync.Mutex
	// identity is the upstream as it was known last; "" if it is not known.
	identity string
	row      row
	// opened is the failure that opened the circuit; it stays until it closes.
	opened Outcome
	cause  CircuitCause
	reason string
	actor  string
	since  int64 // the last transition
	// openFor is the length of the last open time, in nanoseconds.
	openFor  int64
	openings int
	// escalated says that an upstream's circuit opened because of its models.
	escalated bool
	probed    int    // probes that succeeded since the circuit is half-open
	probe     uint64 // number of the last lease
	probeAt   int64  // when it was given
	slowdown  slowdown
	history   ring[CircuitEvent]
	failures  ring[timedFailure]
}

// Key names the circuit.
func (c *Circuit) Key() CircuitKey { return c.key }

// A moment is a time in nanoseconds, always above 0: the time since the circuit's
// origin plus this many, so that times before the origin fit as well.
const momentOffset = 1 << 62

// forever is a moment that never comes.
const forever = math.MaxInt64

// moment is the time in the circuit's own count.
func (c *Circuit) moment(now time.Time) int64 {
	return max(1, int64(now.Sub(c.origin))+momentOffset)
}

// phase is a circuit's state and generation in one word: the generation in the
// upper bits, then whether results of the generation before count too, then the
// state.
type phase uint64

const (
	phaseStateBits = 2
	phaseKin       = 1 << phaseStateBits
	phaseShift     = phaseStateBits + 1
)

func newPhase(generation uint64, s CircuitState, kin bool) phase {
	g := phase(generation<<phaseShift) | phase(s)
	if kin {
		g |= phaseKin
	}
	return g
}

func (g phase) state() CircuitState { return CircuitState(g & (phaseKin - 1)) }

func (g phase) generation() uint64 { return uint64(g >> phaseShift) }

// accepts says whether the result of an attempt that was admitted in a generation
// still counts.
func (g phase) accepts(generation uint64) bool {
	if g&phaseKin != 0 {
		generation++
	}
	return generation >= g.generation()
}

// phase is the state and generation now.
func (c *Circuit) phase() phase { return phase(c.word.Load()) }

// Permit is the leave to make one attempt. Exactly one of Done and Cancel must be
// called for it, once; Started may come before. The zero value stands for no
// circuit and all its methods do nothing. It is a value that may be copied.
type Permit struct {
	circuit    *Circuit
	generation uint64
	probe      uint64 // number of the lease; 0 if the attempt is no probe
}

// Probe says that the attempt is the one by which a half-open circuit finds out.
// It should be made only if another source could still serve the request, or if
// nothing else is left.
func (p Permit) Probe() bool { return p.probe != 0 }

const (
	// attemptLimit is how long an attempt takes at most if nothing else is said.
	attemptLimit = 10 * time.Minute
	// leaseGrace is what a probe may take beyond its attempt's limit.
	leaseGrace = 5 * time.Second
)

// Allow asks for leave to make an attempt that takes at most ten minutes, for a
// stream up to its first content. See AllowFor.
func (c *Circuit) Allow(now time.Time) (Permit, bool) { return c.AllowFor(now, attemptLimit) }

// AllowFor asks for leave to make an attempt. A half-open circuit gives one permit
// at a time; the next is given when that has ended, and at the latest 5 s after the
// limit of the attempt, so that a lost probe can never wedge the circuit. The limit
// is that of the whole attempt, for a stream that up to its first content; 0 stands
// for ten minutes, and two days are the most.
func (c *Circuit) AllowFor(now time.Time, limit time.Duration) (Permit, bool) {
	at := c.moment(now)
	if c.throttled.Load() > at {
		return Permit{}, false
	}
	if g := c.phase(); g.state() == CircuitClosed {
		return Permit{circuit: c, generation: g.generation()}, true
	}
	if (c.until.Load() > at || c.lease.Load() > at) && !c.limits.Load().off {
		return Permit{}, false // without the lock: a crowd may stand here
	}
	return c.allowProbe(now, limit)
}

// allowProbe gives out the lease of a half-open circuit, or of one whose open time
// has passed.
func (c *Circuit) allowProbe(now time.Time, limit time.Duration) (p Permit, ok bool) {
	if limit <= 0 {
		limit = attemptLimit
	}
	c.update(now, func(at int64) {
		if c.shown(at) == CircuitClosed {
			c.closeIfOff(at)
			p, ok = Permit{circuit: c, generation: c.phase().generation()}, true
			return
		}
		if c.until.Load() > at || c.lease.Load() > at {
			return
		}
		if c.phase().state() != CircuitHalfOpen {
			c.enter(at, CircuitHalfOpen, CauseExpired, c.reason, "")
		}
		c.probe++
		c.probeAt = at
		c.lease.Store(at + int64(min(limit, longestLimit)+leaseGrace))
		p, ok = Permit{circuit: c, generation: c.phase().generation(), probe: c.probe}, true
	})
	return p, ok
}

// closeIfOff closes a circuit that its policy has switched off since it opened. It
// is called under the lock.
func (c *Circuit) closeIfOff(at int64) {
	if c.phase().state() != CircuitClosed {
		c.enter(at, CircuitClosed, CauseOff, "", "")
	}
}

// longestLimit is the longest limit of an attempt; it keeps moments from
// overflowing.
const longestLimit = 48 * time.Hour

// Bypass asks for leave to make an attempt in spite of an open circuit: the last
// resort when nothing else is left. It is never given through a circuit that a
// person opened, nor through one that opened because of a credential, as such an
// attempt could not succeed. What comes of it moves the circuit neither way.
func (c *Circuit) Bypass(now time.Time) (Permit, bool) {
	if p, ok := c.Allow(now); ok {
		return p, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.phase()
	barred := g.state() != CircuitOpen || c.opened.Class == ClassCredential || c.opened.Class == ClassExhausted
	if barred || c.throttled.Load() > c.moment(now) {
		return Permit{}, false
	}
	return Permit{circuit: c, generation: g.generation()}, true
}

// update runs act under the lock and tells of the transition or the mark that it
// made, if any. At is now as a moment.
func (c *Circuit) update(now time.Time, act func(at int64)) {
	c.mu.Lock()
	r, n := c.act(now, act)
	c.mu.Unlock()
	c.tell(now, &r, n)
}

// news is what an act has brought about.
type news uint8

const (
	newsNone  news = iota
	newsMark       // the upstream is to be left alone for longer
	newsState      // a transition
)

// act runs an act and returns what it has brought about, with the record of it if
// there is any. It is called under the lock; tell is called without it.
func (c *Circuit) act(now time.Time, act func(at int64)) (r CircuitRecord, n news) {
	before, throttled := c.phase().generation(), c.throttled.Load()
	act(c.moment(now))
	switch {
	case c.phase().generation() != before:
		n = newsState
	case c.throttled.Load() > throttled:
		n = newsMark
	default:
		return r, newsNone
	}
	return c.record(now), n
}

// tell passes on what an act has brought about.
func (c *Circuit) tell(now time.Time, r *CircuitRecord, n news) {
	switch {
	case n == newsState && c.changed != nil:
		c.changed(now, *r)
	case n == newsMark && c.marked != nil:
		c.marked(*r)
	}
}

// enter makes a transition. The generation rises, so that results of attempts from
// before no longer count, save those of the probes that closed the circuit: their
// streams may still run. It is called under the lock.
func (c *Circuit) enter(at int64, to CircuitState, cause CircuitCause, reason, actor string) {
	from := c.phase()
	kin := from.state() == CircuitHalfOpen && to == CircuitClosed && cause == CauseProbed
	c.cause, c.reason, c.actor, c.since = cause, reason, actor, at
	c.lease.Store(0)
	c.probed = 0
	if to == CircuitClosed {
		c.clear()
	}
	// Last: from here on, those without the lock see the new state.
	c.word.Store(uint64(newPhase(from.generation()+1, to, kin)))
	c.history.add(CircuitEvent{
		at: at, From: from.state(), To: to, Class: c.opened.Class, Status: c.opened.Status,
		Cause: cause, Reason: reason, Actor: actor, Generation: from.generation() + 1,
	})
}

// clear forgets what was counted.
func (c *Circuit) clear() {
	c.row = row{}
	c.failing.Store(false)
	c.window.clear()
	c.until.Store(0)
	c.opened = Outcome{}
	c.escalated = false
}

// setPolicy changes when the circuit opens; nil changes nothing. A circuit that is
// open by itself closes, if the policy now switches it off, when the next attempt
// asks.
func (c *Circuit) setPolicy(p *upstream.CircuitPolicy) {
	if p == nil || c.limits.Load().policy == p {
		return
	}
	l := newLimits(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits.Load().width != l.width {
		c.window.clear() // its buckets mean other times now
	}
	c.limits.Store(l)
}
