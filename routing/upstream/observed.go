package upstream

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Observed is what is seen of an upstream while it runs, and outlives the
// configuration: the root keeps one for each name and hands it to the upstream
// of a new configuration. The zero value is ready for use. It is safe for
// concurrent use.
type Observed struct {
	inFlight atomic.Int64

	// mu guards the fields below.
	mu sync.Mutex
	// health is the mark of the newest definition, and of is what it is about.
	health *HealthState
	of     string
}

// InFlight is how many requests are under way.
func (o *Observed) InFlight() int { return int(o.inFlight.Load()) }

// healthOf returns the mark for a definition: the one that is there if it is
// about the same, otherwise a new one. An upstream of an older definition keeps
// the one it has.
func (o *Observed) healthOf(definition string) *HealthState {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.health == nil || o.of != definition {
		o.health, o.of = new(HealthState), definition
	}
	return o.health
}

// Adopt makes the upstream go on with what was observed under its name before: the
// requests under way, and the health mark if address, credentials and checks are
// the same. It is called after Provision and before the upstream is used; one
// that adopts nothing begins anew.
func (u *Upstream) Adopt(o *Observed) {
	u.observed = o
	u.state = o.healthOf(u.health.definition(u.identity))
}

// TryAcquire takes a place for a request, unless max_concurrency requests are
// under way. Each place is given back with one Release. It allocates nothing.
func (u *Upstream) TryAcquire() bool {
	for {
		n := u.observed.inFlight.Load()
		if u.MaxConcurrency > 0 && n >= int64(u.MaxConcurrency) {
			return false
		}
		if u.observed.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives back the place of a request that has ended.
func (u *Upstream) Release() { u.observed.inFlight.Add(-1) }

// InFlight is how many requests are under way, those of an earlier configuration
// included.
func (u *Upstream) InFlight() int { return u.observed.InFlight() }

// The limits of what can be configured.
const (
	defaultRetries = 1
	maxRetries     = 1 // a source that has failed twice is no better the third time
	maxConcurrency = 1_000_000
)

// MaxRetries is how often one request may ask the same source again.
func (u *Upstream) MaxRetries() int {
	if u.Retries == nil {
		return defaultRetries
	}
	return *u.Retries
}

// checkNumbers refuses numbers that make no sense.
func (u *Upstream) checkNumbers() error {
	if n := u.MaxRetries(); n < 0 || n > maxRetries {
		return fmt.Errorf("retries: must be 0 or 1, not %d: no request repeats a source more often", n)
	}
	if u.MaxConcurrency < 0 {
		return errors.New("max_concurrency: must not be negative; 0 is no limit")
	}
	if u.MaxConcurrency > maxConcurrency {
		return fmt.Errorf("max_concurrency: must not be over %d; 0 is no limit", maxConcurrency)
	}
	return nil
}
