package catalogue

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// runFor runs the upstreams for some time. It returns when Run has.
func runFor(t *testing.T, s *Syncer, d time.Duration, upstreams ...*upstream.Upstream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	s.Run(ctx, upstreams)
	if took := time.Since(began); took > d {
		t.Errorf("stopped after %s", took)
	}
}

// gaps are the times between the calls.
func gaps(calls []time.Time) (between []time.Duration) {
	for i := 1; i < len(calls); i++ {
		between = append(between, calls[i].Sub(calls[i-1]))
	}
	return between
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(new(memory))
		service, u := newService(t, "one", `"sync":"10m",`)
		service.says("a")
		never, idle := newService(t, "never", "")
		off, disabled := newService(t, "off", `"sync":"1s","disabled":true,`)
		bare, missing := newService(t, "bare", `"sync":"1s","credentials":[{"type":"bearer","token":"{env.NO_SUCH}"}],`)
		began := time.Now()
		runFor(t, s, 20*time.Hour, u, idle, disabled, missing)

		calls := service.calls()
		if first := calls[0].Sub(began); first > 5*time.Second {
			t.Errorf("asked after %s", first)
		}
		between := gaps(calls)
		if len(between) < 100 {
			t.Fatalf("asked %d times", len(calls))
		}
		if low, high := slices.Min(between), slices.Max(between); low < 9*time.Minute || high >= 11*time.Minute || high-low < time.Minute {
			t.Errorf("pauses from %s to %s", low, high)
		}
		if n := len(never.calls()) + len(off.calls()) + len(bare.calls()); n > 0 {
			t.Errorf("others were asked %d times", n)
		}
		if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %q", got)
		}
		time.Sleep(time.Hour)
		if n := len(service.calls()); n != len(calls) {
			t.Errorf("asked %d times after the end", n-len(calls))
		}
	})
}

// A second is enough to see two syncs in three.
func TestShortInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service, u := newService(t, "one", `"sync":"1s",`)
		service.says("a")
		runFor(t, New(new(memory)), 3*time.Second, u)
		if n := len(service.calls()); n < 2 || n > 4 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Failures double the pause up to eightfold; a success ends that. The catalogue
// stays all the time.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(new(memory))
		var told []string
		s.OnError(func(upstream string, err error) { told = append(told, upstream+": "+err.Error()) })
		service, u := newService(t, "one", `"sync":"10m",`)
		service.says("a")
		mustSync(t, s, u)
		service.answers(503, "")
		runFor(t, s, 10*time.Hour, u)
		between := gaps(service.calls())
		if len(between) < 7 {
			t.Fatalf("asked %d times", len(between)+1)
		}
		for i, gap := range between {
			want := 10 * time.Minute * time.Duration([]int{1, 2, 4, 8}[min(i, 3)])
			if gap < want*9/10 || gap >= want*11/10 {
				t.Errorf("pause %d is %s, want about %s", i, gap, want)
			}
		}
		if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %q", got)
		}
		if len(told) != len(between) || told[0] != "one: openai_models: status 503: the service failed" {
			t.Errorf("got errors %q for %d calls", told, len(between)+1)
		}

		// A new configuration goes on waiting, and a success is the end of it.
		failed := service.calls()
		last := failed[len(failed)-1]
		service.says("a", "b")
		runFor(t, s, 3*time.Hour, leadingTo(t, "one", `"sync":"10m",`))
		after := service.calls()[len(failed):]
		if wait := after[0].Sub(last); wait < 72*time.Minute || wait >= 88*time.Minute {
			t.Errorf("asked again after %s", wait)
		}
		for _, gap := range gaps(after) {
			if gap < 9*time.Minute || gap >= 11*time.Minute {
				t.Errorf("a pause is %s", gap)
			}
		}
		if c, _ := s.Get("one"); c.Error != "" || len(c.Entries) != 2 {
			t.Errorf("got %+v", c)
		}
	})
}

// Reloads ask nobody before the time, unless the upstream has become another; so
// does a restart.
func TestReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory)
		s := New(store)
		service, u := newService(t, "one", `"sync":"1h",`)
		service.says("a")
		for range 5 {
			runFor(t, s, 5*time.Minute, u)
			u = leadingTo(t, "one", `"sync":"1h",`)
		}
		s = New(store)
		if err := s.Load(); err != nil {
			t.Fatal(err)
		}
		runFor(t, s, 5*time.Minute, u)
		if n := len(service.calls()); n != 1 {
			t.Errorf("asked %d times in half an hour", n)
		}
		runFor(t, s, 37*time.Minute, u)
		if n := len(service.calls()); n != 2 {
			t.Errorf("asked %d times in an hour", n)
		}
		runFor(t, s, time.Minute, leadingTo(t, "one", `"sync":"1h","credentials":[{"type":"bearer","token":"another"}],`))
		if n := len(service.calls()); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

// The end of a configuration ends a call that nobody else waits for, and what was
// cut off is no failure.
func TestStopDuringACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(new(memory))
		s.OnError(func(_ string, err error) { t.Errorf("told of %v", err) })
		service, u := newService(t, "one", `"sync":"10s",`)
		service.takes = 20 * time.Second
		service.says("a")
		runFor(t, s, 10*time.Second, u)
		synctest.Wait()
		if len(service.calls()) != 1 || service.ended != 1 {
			t.Errorf("asked %d times, %d given up", len(service.calls()), service.ended)
		}
		if c, ok := s.Get("one"); ok {
			t.Errorf("got %+v", c)
		}
	})
}

// A clock that was wrong does not stop the syncs for long.
func TestClockThatWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service, u := newService(t, "one", `"sync":"10m",`)
		service.says("a")
		store := &memory{kept: map[string]Catalogue{"one": {
			Upstream: "one", SyncedAt: time.Now().Add(1000 * time.Hour), Identity: u.Identity(), Revision: 1,
		}}}
		s := New(store)
		if err := s.Load(); err != nil {
			t.Fatal(err)
		}
		runFor(t, s, 11*time.Minute, u)
		if n := len(service.calls()); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}
