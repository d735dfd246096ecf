package routing

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// CircuitCause is what made a circuit change its state. There are few of them, so
// that metrics may carry them.
type CircuitCause string

// The causes.
const (
	// CauseFailures: too many failures in a row.
	CauseFailures CircuitCause = "failures"
	// CauseErrorRate: too large a part of the attempts failed.
	CauseErrorRate CircuitCause = "error_rate"
	// CauseSlow: too large a part of the attempts was slow.
	CauseSlow CircuitCause = "slow"
	// CauseExhausted: the credential has no money or quota left.
	CauseExhausted CircuitCause = "exhausted"
	// CauseCredential: the upstream refused the credential twice in a row.
	CauseCredential CircuitCause = "credential"
	// CauseMissing: the upstream did not know its model twice in a row.
	CauseMissing CircuitCause = "missing"
	// CauseEscalated: half of the upstream's models are open.
	CauseEscalated CircuitCause = "escalated"
	// CauseProbeFailed: an attempt failed while the circuit was half-open.
	CauseProbeFailed CircuitCause = "probe_failed"
	// CauseProbed: enough probes succeeded.
	CauseProbed CircuitCause = "probed"
	// CauseExpired: the open time has passed.
	CauseExpired CircuitCause = "expired"
	// CauseManual: a person opened the circuit.
	CauseManual CircuitCause = "manual"
	// CauseReset: a person reset the circuit.
	CauseReset CircuitCause = "reset"
	// CauseIdentity: the upstream is another one than the circuit knew.
	CauseIdentity CircuitCause = "identity"
	// CauseOff: the policy does not let circuits open by themselves any more.
	CauseOff CircuitCause = "off"
)

// CircuitFailure is one failure that a circuit counted.
type CircuitFailure struct {
	Time   time.Time `json:"time"`
	Class  Class     `json:"class"`
	Status int       `json:"status,omitempty"`
}

// CircuitEvent is one transition of a circuit.
type CircuitEvent struct {
	Time time.Time    `json:"time"`
	From CircuitState `json:"from"`
	To   CircuitState `json:"to"`
	// Class and Status are those of the failure that opened the circuit; ClassOK
	// and 0 if it is not open, or if no failure opened it.
	Class  Class        `json:"class"`
	Status int          `json:"status,omitempty"`
	Cause  CircuitCause `json:"cause"`
	// Reason is the cause in words, or what the person said.
	Reason string `json:"reason,omitempty"`
	// Actor is the person; empty if there was none.
	Actor string `json:"actor,omitempty"`
	// Generation is that which began.
	Generation uint64 `json:"generation"`

	at int64
}

type timedFailure struct {
	at     int64
	class  Class
	status int
}

// How many transitions a circuit remembers, and how many failures.
const (
	keptEvents   = 16
	keptFailures = 5
)

// CircuitView is how a circuit is at one moment. It shares nothing with it.
type CircuitView struct {
	Key CircuitKey `json:"key"`
	// State is half-open already when the open time has passed and no attempt has
	// asked yet.
	State CircuitState `json:"state"`
	// Class is that of the failure that opened the circuit; ClassOK if it is not
	// open, or if no failure opened it.
	Class  Class        `json:"class"`
	Cause  CircuitCause `json:"cause,omitempty"`
	Reason string       `json:"reason,omitempty"`
	// Actor is the person who brought about the state; empty if there was none.
	Actor string `json:"actor,omitempty"`
	// Since is when the state began; zero if it was never another.
	Since time.Time `json:"since,omitzero"`
	// Until is when an open circuit becomes half-open; zero in other states, and if
	// it was forced open without an end.
	Until time.Time `json:"until,omitzero"`
	// ThrottledUntil is up to when the upstream asked to be left alone; zero if it
	// did not, or if that is over.
	ThrottledUntil time.Time `json:"throttled_until,omitzero"`
	// Openings is how often the circuit opened in succession; the open time doubles
	// with each.
	Openings int `json:"openings,omitempty"`
	// Generation rises with each transition.
	Generation uint64 `json:"generation"`
	// History is the last transitions, oldest first.
	History []CircuitEvent `json:"history,omitempty"`
	// Failures is the last counted failures, oldest first.
	Failures []CircuitFailure `json:"failures,omitempty"`
	// Succeeded is when an attempt last succeeded; zero if none did.
	Succeeded time.Time `json:"succeeded,omitzero"`
}

// CircuitRecord is what is kept of a circuit across restarts. Its times are the
// wall clock's.
type CircuitRecord struct {
	Key    CircuitKey   `json:"key"`
	State  CircuitState `json:"state"`
	Class  Class        `json:"class"`
	Status int          `json:"status,omitempty"`
	Cause  CircuitCause `json:"cause,omitempty"`
	Reason string       `json:"reason,omitempty"`
	Actor  string       `json:"actor,omitempty"`
	// OpenedAt is when the state began.
	OpenedAt time.Time `json:"opened_at"`
	// OpenUntil is when an open circuit becomes half-open; zero in other states, and
	// if it was forced open without an end.
	OpenUntil time.Time `json:"open_until,omitzero"`
	// ThrottledUntil is up to when the upstream asked to be left alone; zero if it
	// did not, or if that was over.
	ThrottledUntil time.Time `json:"throttled_until,omitzero"`
	Openings       int       `json:"openings,omitempty"`
	Generation     uint64    `json:"generation"`
	// Escalated says that the circuit is an upstream's that opened because of its
	// upstream models.
	Escalated bool `json:"escalated,omitempty"`
	// Identity is the upstream as it was then; empty if it was not known. See
	// Circuits.Identify.
	Identity string           `json:"identity,omitempty"`
	Failures []CircuitFailure `json:"failures,omitempty"`
	// Succeeded is when an attempt last succeeded; zero if none did.
	Succeeded time.Time `json:"succeeded,omitzero"`
}

// View tells how the circuit is.
func (c *Circuit) View(now time.Time) CircuitView {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.moment(now)
	v := CircuitView{
		Key:        c.key,
		State:      c.shown(at),
		Class:      c.opened.Class,
		Cause:      c.cause,
		Reason:     c.reason,
		Actor:      c.actor,
		Generation: c.phase().generation(),
		Openings:   c.openingsAt(at),
		Failures:   c.failuresAt(now, at),
	}
	if len(c.history.items) > 0 {
		v.Since = timeOf(now, at, c.since)
	}
	barred := v.State == CircuitOpen || v.State == CircuitForcedOpen
	if until := c.until.Load(); barred && until != forever {
		v.Until = timeOf(now, at, until)
	}
	if succeeded := c.succeeded.Load(); succeeded != 0 {
		v.Succeeded = timeOf(now, at, succeeded)
	}
	if throttled := c.throttled.Load(); throttled > at {
		v.ThrottledUntil = timeOf(now, at, throttled)
	}
	v.History = c.history.list()
	for i := range v.History {
		v.History[i].Time = timeOf(now, at, v.History[i].at)
	}
	return v
}

// shown is the state that an attempt would meet now. It is called under the lock.
func (c *Circuit) shown(at int64) CircuitState {
	s := c.phase().state()
	over := c.until.Load() <= at
	switch {
	case s == CircuitClosed, c.limits.Load().off && (s != CircuitForcedOpen || over):
		return CircuitClosed // what is switched off nothing but people can open
	case over:
		return CircuitHalfOpen
	default:
		return s
	}
}

// openingsAt is how often the circuit opened in succession: a while closed ends
// that.
func (c *Circuit) openingsAt(at int64) int {
	if c.phase().state() == CircuitClosed && at-c.since >= int64(forgetOpenings) {
		return 0
	}
	return c.openings
}

func (c *Circuit) failuresAt(now time.Time, at int64) []CircuitFailure {
	var all []CircuitFailure
	for _, f := range c.failures.list() {
		all = append(all, CircuitFailure{Time: timeOf(now, at, f.at), Class: f.class, Status: f.status})
	}
	return all
}

// timeOf is a moment as a wall clock that shows now would show it.
func timeOf(now time.Time, at, moment int64) time.Time {
	return now.Add(time.Duration(moment - at)).Round(0)
}

// record is what must outlive the process. It is called under the lock.
func (c *Circuit) record(now time.Time) CircuitRecord {
	at := c.moment(now)
	g := c.phase()
	r := CircuitRecord{
		Key:        c.key,
		State:      g.state(),
		Class:      c.opened.Class,
		Status:     c.opened.Status,
		Cause:      c.cause,
		Reason:     c.reason,
		Actor:      c.actor,
		OpenedAt:   timeOf(now, at, c.since),
		Openings:   c.openings,
		Generation: g.generation(),
		Escalated:  c.escalated,
		Identity:   c.identity,
		Failures:   c.failuresAt(now, at),
	}
	if until := c.until.Load(); (r.State == CircuitOpen || r.State == CircuitForcedOpen) && until != forever {
		r.OpenUntil = timeOf(now, at, until)
	}
	if succeeded := c.succeeded.Load(); succeeded != 0 {
		r.Succeeded = timeOf(now, at, succeeded)
	}
	if throttled := c.throttled.Load(); throttled > at {
		r.ThrottledUntil = timeOf(now, at, throttled)
	}
	return r
}

// check refuses a record that no circuit can have written.
func (r *CircuitRecord) check() error {
	k := r.Key
	named := map[Scope]bool{
		ScopeUpstream:      k.Model == "" && k.Credential == "",
		ScopeUpstreamModel: k.Model != "" && k.Credential == "",
		ScopeCredential:    k.Model == "" && k.Credential != "",
	}
	switch {
	case k.Upstream == "" || !named[k.Scope]:
		return fmt.Errorf("record of no circuit: %+v", k)
	case int(r.State) >= len(circuitStateNames) || int(r.Class) >= len(classNames):
		return fmt.Errorf("circuit %+v: unknown state or class", k)
	case r.State == CircuitOpen && r.OpenUntil.IsZero():
		return fmt.Errorf("circuit %+v: open without an end", k)
	case r.Openings < 0 || r.Generation > maxGeneration:
		return fmt.Errorf("circuit %+v: counts that are none", k)
	}
	return nil
}

// maxGeneration is far beyond what a circuit can reach, and fits into a phase with
// much to spare.
const maxGeneration = 1 << 48

// restore gives a circuit the state it had before a restart. A time that has passed
// means half-open on next use; one that is further ahead than a circuit can stay
// open, as after a clock that was set, is cut. A circuit that has changed meanwhile
// keeps its state, save that what a person decided beats what it found out.
func (c *Circuit) restore(now time.Time, r CircuitRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.moment(now)
	c.restoreThrottle(now, at, &r)
	if !r.Succeeded.IsZero() && c.succeeded.Load() == 0 {
		c.succeeded.Store(min(at, c.momentOf(now, r.Succeeded)))
	}
	if c.phase().generation() > 1 && !c.yields(&r) {
		return
	}
	if r.Generation <= 1 && r.State == CircuitClosed {
		c.identity = r.Identity
		return // It was throttled and had never opened.
	}
	c.clear()
	c.opened = Outcome{Class: r.Class, Status: r.Status}
	c.cause, c.reason, c.actor = r.Cause, r.Reason, r.Actor
	c.since = min(at, c.momentOf(now, r.OpenedAt))
	c.openings, c.escalated, c.identity = r.Openings, r.Escalated, r.Identity
	c.until.Store(c.restoredUntil(now, at, &r))
	c.restoreFailures(now, at, r.Failures)
	generation := max(c.phase().generation()+1, r.Generation)
	c.word.Store(uint64(newPhase(generation, r.State, false)))
	c.history.add(CircuitEvent{
		at: c.since, From: r.State, To: r.State, Class: r.Class, Status: r.Status,
		Cause: r.Cause, Reason: r.Reason, Actor: r.Actor, Generation: generation,
	})
}

// restoreThrottle leaves the upstream alone for as long as it had asked, at most
// the longest time that it can ask for. Another upstream has not asked.
func (c *Circuit) restoreThrottle(now time.Time, at int64, r *CircuitRecord) {
	if r.ThrottledUntil.IsZero() || c.cause == CauseReset || c.identity != "" && r.Identity != "" && c.identity != r.Identity {
		return
	}
	until := min(c.momentOf(now, r.ThrottledUntil), at+int64(retryAfterAtMost))
	if until > at {
		c.throttled.Store(max(c.throttled.Load(), until))
	}
}

// yields says that a circuit which has changed since the start takes the state of a
// record all the same.
func (c *Circuit) yields(r *CircuitRecord) bool {
	return r.State == CircuitForcedOpen && c.phase().state() != CircuitForcedOpen && c.cause != CauseReset
}

// restoredUntil is when the state of a record ends; 0 for one that has no end to
// wait for.
func (c *Circuit) restoredUntil(now time.Time, at int64, r *CircuitRecord) int64 {
	switch {
	case r.State == CircuitOpen:
		c.openFor = min(max(0, int64(r.OpenUntil.Sub(r.OpenedAt))), c.longest(r.Class))
		return min(c.momentOf(now, r.OpenUntil), at+c.openFor)
	case r.State == CircuitForcedOpen && r.OpenUntil.IsZero():
		return forever
	case r.State == CircuitForcedOpen:
		return c.momentOf(now, r.OpenUntil)
	case r.State == CircuitHalfOpen:
		return c.since
	default:
		return 0
	}
}

func (c *Circuit) restoreFailures(now time.Time, at int64, failures []CircuitFailure) {
	for _, f := range failures[max(0, len(failures)-keptFailures):] {
		if int(f.Class) >= len(classNames) {
			continue
		}
		c.failures.add(timedFailure{at: min(at, c.momentOf(now, f.Time)), class: f.Class, status: f.Status})
	}
}

// momentOf is a time of the wall clock as a moment.
func (c *Circuit) momentOf(now, wall time.Time) int64 {
	ahead := min(max(wall.Sub(now.Round(0)), -farAway), farAway)
	return max(1, c.moment(now)+int64(ahead))
}

// farAway bounds the times of records, so that moments cannot overflow.
const farAway = 100 * 365 * 24 * time.Hour

// compareKeys orders circuits for lists: by upstream, the upstream's own first.
func compareKeys(a, b CircuitKey) int {
	order := []Scope{ScopeUpstream, ScopeUpstreamModel, ScopeCredential}
	return cmp.Or(
		cmp.Compare(a.Upstream, b.Upstream),
		cmp.Compare(slices.Index(order, a.Scope), slices.Index(order, b.Scope)),
		cmp.Compare(a.Model, b.Model),
		cmp.Compare(a.Credential, b.Credential),
	)
}
