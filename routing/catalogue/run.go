package catalogue

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

const (
	// soon is within what time an upstream is asked whose models are not known.
	soon = 5 * time.Second
	// longestPause is how many times its interval an upstream is left alone at most
	// that keeps failing. It is a power of two.
	longestPause = 8
)

// Run syncs the upstreams of a configuration that have an interval and can be used,
// until the context ends; then it waits for its goroutines. The catalogues stay, and
// the Run of the next configuration goes on where this one was: an upstream that is
// still the same is not asked before its time.
//
// The interval is varied by a tenth, so that the upstreams of many gateways are not
// all asked at once. Each failure in a row doubles it, up to eightfold.
func (s *Syncer) Run(ctx context.Context, upstreams []*upstream.Upstream) {
	var running sync.WaitGroup
	for _, u := range upstreams {
		if u.Sync > 0 && u.Unavailable() == "" {
			running.Go(func() { s.follow(ctx, u) })
		}
	}
	running.Wait()
}

// follow syncs one upstream.
func (s *Syncer) follow(ctx context.Context, u *upstream.Upstream) {
	timer := time.NewTimer(s.untilFirst(u))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if _, err := s.Sync(ctx, u, false); err != nil && ctx.Err() == nil && s.onError != nil {
			s.onError(u.Name(), err)
		}
		timer.Reset(s.pause(u))
	}
}

// pause is the time from one sync to the next.
func (s *Syncer) pause(u *upstream.Upstream) time.Duration {
	every := time.Duration(u.Sync) * time.Duration(s.slowness(u))
	return every*9/10 + rand.N(every/5)
}

// slowness is how many times its interval an upstream is left alone.
func (s *Syncer) slowness(u *upstream.Upstream) int {
	st := s.state(u.Name())
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.failing != u.Identity() {
		return 1
	}
	slow := 1
	for range st.failures {
		if slow *= 2; slow >= longestPause {
			return longestPause
		}
	}
	return slow
}

// untilFirst is the time to the first sync: soon, if nothing is known of what the
// upstream is now, or else when it is due.
func (s *Syncer) untilFirst(u *upstream.Upstream) time.Duration {
	earliest := rand.N(min(time.Duration(u.Sync)/10, soon))
	last := s.lastAsked(u)
	if last.IsZero() {
		return earliest
	}
	// A clock that was set back does not make it longer than a pause.
	pause := s.pause(u)
	return max(earliest, min(pause, time.Until(last.Add(pause))))
}

// lastAsked is when the upstream was last asked, as what it is now; zero if that is
// not known.
func (s *Syncer) lastAsked(u *upstream.Upstream) time.Time {
	st := s.state(u.Name())
	c := st.catalogue(u.Name())
	var last time.Time
	if c.Identity == u.Identity() {
		last = c.SyncedAt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.failures > 0 && st.failing == u.Identity() && c.ErrorAt.After(last) {
		last = c.ErrorAt
	}
	return last
}
