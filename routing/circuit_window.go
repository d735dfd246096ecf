package routing

import (
	"sync/atomic"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// limits is a policy with its defaults, in the units a circuit counts in.
type limits struct {
	policy                             *upstream.CircuitPolicy
	off                                bool
	failures, errorRate, slowRate      int
	minAttempts, probes                int
	gap, width, slow, open, openAtMost int64 // nanoseconds; slow is 0 without a slow rule
}

func newLimits(p *upstream.CircuitPolicy) *limits {
	e := p.Effective()
	return &limits{
		policy:      p,
		off:         e.Off,
		failures:    e.Failures,
		errorRate:   e.ErrorRate,
		slowRate:    e.SlowRate,
		minAttempts: e.MinAttempts,
		probes:      e.Probes,
		gap:         int64(e.FailuresWithin),
		width:       max(1, int64(e.Window)/buckets),
		slow:        int64(e.SlowOver),
		open:        int64(e.OpenFor),
		openAtMost:  int64(e.OpenForMax),
	}
}

// slowly says whether an attempt that took this long is slow.
func (l *limits) slowly(latency time.Duration) bool { return l.slow > 0 && int64(latency) > l.slow }

// buckets is the number of parts of a window.
const buckets = 10

// window counts the attempts of the last while without a lock. An attempt that is
// counted in the same instant in which another begins a new bucket may be lost or
// land in that one, which no rate notices.
type window struct {
	buckets [buckets]atomic.Uint64
}

// A bucket holds three counts of 14 bits and above them the 22 lowest bits of the
// number of its part of time. When a count is full all three are halved, which
// keeps their ratio.
const (
	countBits    = 14
	fullCount    = 1<<countBits - 1
	oneAttempt   = 1
	oneFailed    = 1 << countBits
	oneSlow      = 1 << (2 * countBits)
	countsMask   = 1<<(3*countBits) - 1
	epochShift   = 3 * countBits
	epochMask    = 1<<(64-epochShift) - 1
	nearFull     = fullCount - 1024 // leaves room for those who add at the same time
	halvedCounts = countsMask >> 1 &^ (1<<(countBits-1) | 1<<(2*countBits-1))
)

// add counts one attempt in the part of time with this number; what is the sum of
// oneAttempt and, as it applies, oneFailed and oneSlow.
func (w *window) add(epoch int64, what uint64) {
	b := &w.buckets[epoch%buckets]
	mine := uint64(epoch) & epochMask
	for {
		old := b.Load()
		if old>>epochShift == mine && old&fullCount < nearFull {
			b.Add(what)
			return
		}
		fresh := mine<<epochShift | what
		if old>>epochShift == mine {
			fresh += old & countsMask >> 1 & halvedCounts
		}
		if b.CompareAndSwap(old, fresh) {
			return
		}
	}
}

// counts adds up the window that ends in the part of time with this number.
func (w *window) counts(epoch int64) (attempts, failed, slow int) {
	for i := range w.buckets {
		b := w.buckets[i].Load()
		if age := (uint64(epoch) - b>>epochShift) & epochMask; age >= buckets {
			continue
		}
		attempts += int(b & fullCount)
		failed += int(b >> countBits & fullCount)
		slow += int(b >> (2 * countBits) & fullCount)
	}
	return attempts, failed, slow
}

// clear forgets all counts.
func (w *window) clear() {
	for i := range w.buckets {
		w.buckets[i].Store(0)
	}
}

// row counts failures without a success in between.
type row struct {
	count int
	// alike is how many of the last failures were of the same class.
	alike int
	class Class
	last  int64
}

// add counts a failure; a gap longer than the given one begins a new row.
func (r *row) add(at, gap int64, c Class) {
	if r.count > 0 && at-r.last > gap {
		*r = row{}
	}
	if r.count > 0 && r.class == c {
		r.alike++
	} else {
		r.alike = 1
	}
	r.count++
	r.class = c
	r.last = max(r.last, at)
}

// ring keeps the last few of what is added.
type ring[T any] struct {
	items []T
	next  int
}

// keep is how many items a ring holds.
func (r *ring[T]) keep(most int) { r.items = make([]T, 0, most) }

func (r *ring[T]) add(item T) {
	if len(r.items) < cap(r.items) {
		r.items = append(r.items, item)
		return
	}
	r.items[r.next] = item
	r.next = (r.next + 1) % len(r.items)
}

// list returns the items, oldest first.
func (r *ring[T]) list() []T {
	all := make([]T, 0, len(r.items))
	all = append(all, r.items[r.next:]...)
	return append(all, r.items[:r.next]...)
}
