package handler

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// What the process may hold of its memory limit before it takes no more requests.
// Beyond it the collector would work ever harder for ever less.
const (
	overloadShare = 0.9
	// overloadLook is how long a look at the memory counts.
	overloadLook = 50 * time.Millisecond
	// overloadCollect is how often the memory is collected on purpose while requests
	// are refused: without requests nothing else would notice that streams have ended.
	overloadCollect = time.Second
	// overloadRetry is when refused clients may come again.
	overloadRetry = 2 * time.Second
)

// memory guards that of the process: a limit holds for all configs. It is made for
// the first request, as Caddy sets the limit of its container when it starts.
var memory = sync.OnceValue(func() *memoryGuard {
	return newMemoryGuard(debug.SetMemoryLimit(-1), held, func() { go runtime.GC() })
})

// memoryGuard says when so much memory is held that requests must be refused. It is
// off without a limit (GOMEMLIMIT, or what Caddy takes from its container or the
// machine). It is safe for concurrent use; as a rule asking
// costs a look at the clock and at two words.
type memoryGuard struct {
	most    uint64 // 0: there is no limit
	held    func() uint64
	collect func()
	began   time.Time

	looked    atomic.Int64 // when, since it began; 0: never
	collected atomic.Int64 // likewise
	full      atomic.Bool
}

// newMemoryGuard guards a limit in bytes. held tells how much is held; collect
// begins to collect what is not.
func newMemoryGuard(limit int64, held func() uint64, collect func()) *memoryGuard {
	g := &memoryGuard{held: held, collect: collect, began: time.Now()}
	if limit > 0 && limit < math.MaxInt64 {
		g.most = uint64(float64(limit) * overloadShare)
	}
	return g
}

// refuses says whether a request must be refused now.
func (g *memoryGuard) refuses(now time.Time) bool {
	if g.most == 0 {
		return false
	}
	at := max(1, 1+int64(now.Sub(g.began)))
	last := g.looked.Load()
	if last != 0 && at-last < int64(overloadLook) || !g.looked.CompareAndSwap(last, at) {
		return g.full.Load()
	}
	full := g.held() >= g.most
	g.full.Store(full)
	if again := g.collected.Load(); full && (again == 0 || at-again >= int64(overloadCollect)) && g.collected.CompareAndSwap(again, at) {
		g.collect()
	}
	return full
}

// held is the memory in bytes that no collection would free: what was reachable at
// the last one, stacks, and what the runtime itself needs.
func held() uint64 {
	samples := [...]metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	metrics.Read(samples[:])
	var values [len(samples)]uint64
	for i := range samples {
		if samples[i].Value.Kind() == metrics.KindUint64 { // else this Go does not know it
			values[i] = samples[i].Value.Uint64()
		}
	}
	heap := values[2] + values[3] + values[4] + values[5]
	return values[0] + values[1] - min(values[1], heap)
}

// overloaded is the error for a request that the process has no memory for; nil if
// it has.
func overloaded(now time.Time) error {
	if !memory().refuses(now) {
		return nil
	}
	return &chat.Error{
		Kind: chat.ErrUnavailable, Code: "out_of_memory", RetryAfter: overloadRetry,
		Message: "the gateway has too many requests under way; try again later",
	}
}
