package handler

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// clock ends an attempt whose current phase takes too long: no answer, no
// content, silence between events. One timer serves all phases. It is not set
// anew for each event, which would cost more than the event: when it fires it
// looks whether there was an event in the meantime.
type clock struct {
	cancel   context.CancelCauseFunc
	began    time.Time     // of the whole request
	total    time.Duration // for the whole request; 0 is no limit
	progress atomic.Int64  // when the phase began or last went on, since began
	held     atomic.Bool   // the client is waited for, not the upstream

	mu    sync.Mutex // guards phase and the setting of timer
	phase *timeoutError
	timer *time.Timer
}

// start begins the first phase. cancel is called with a *timeoutError when a
// phase, or the time of the whole request, runs out.
func (c *clock) start(cancel context.CancelCauseFunc, began time.Time, total time.Duration, first *timeoutError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel, c.began, c.total, c.phase = cancel, began, total, first
	c.touch()
	c.timer = time.AfterFunc(c.left(), c.expire)
}

// enter begins the next phase.
func (c *clock) enter(phase *timeoutError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = phase
	c.touch()
	c.timer.Reset(c.left())
}

// touch begins the current phase anew, and ends a hold.
func (c *clock) touch() {
	c.progress.Store(int64(time.Since(c.began)))
	c.held.Store(false)
}

// hold stops the phase until the next touch: a client that takes its answer slowly
// must not look like a silent upstream.
func (c *clock) hold() { c.held.Store(true) }

// stop ends the watch. The attempt's context stays as it is.
func (c *clock) stop() { c.timer.Stop() }

// expire cancels the attempt and says which limit did it, or waits on if there
// was progress.
func (c *clock) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.left()
	switch {
	case left > 0:
		c.timer.Reset(left)
	case c.total > 0 && time.Since(c.began) >= c.total:
		c.cancel(&timeoutError{what: "complete answer", limit: c.total})
	case c.held.Load():
		c.timer.Reset(c.phase.limit)
	default:
		c.cancel(c.phase)
	}
}

// left is the time until the phase or the whole request runs out. A limit of 0
// is none.
func (c *clock) left() time.Duration {
	const never = 100 * 365 * 24 * time.Hour
	left := never
	elapsed := time.Since(c.began)
	if c.phase.limit > 0 {
		left = time.Duration(c.progress.Load()) + c.phase.limit - elapsed
	}
	if c.total > 0 {
		left = min(left, c.total-elapsed)
	}
	return max(left, 0)
}
