package routing

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newCircuits() *Circuits {
	s := NewCircuits()
	s.Random = func() float64 { return 0.5 }
	return s
}

func model(upstream, name string) CircuitKey {
	return CircuitKey{Scope: ScopeUpstreamModel, Upstream: upstream, Model: name}
}

func whole(upstream string) CircuitKey {
	return CircuitKey{Scope: ScopeUpstream, Upstream: upstream}
}

// attempts makes attempts at a circuit, as long as it admits them.
func attempts(s *Circuits, now time.Time, key CircuitKey, n int, o Outcome) {
	for range n {
		if p, ok := s.Get(key, nil).Allow(now); ok {
			p.Done(now, o)
		}
	}
}

func stateOf(s *Circuits, now time.Time, key CircuitKey) CircuitState {
	return s.Get(key, nil).View(now).State
}

func TestGetIsTheSame(t *testing.T) {
	s := newCircuits()
	if s.Get(model("u", "m"), nil) != s.Get(model("u", "m"), new(upstream.CircuitPolicy)) {
		t.Error("two circuits of one key")
	}
	if s.Get(model("u", "m"), nil) == s.Get(model("u", "n"), nil) {
		t.Error("one circuit of two keys")
	}
	if s.Get(model("u", "m"), nil).Key() != model("u", "m") {
		t.Error("the key is another")
	}
}

// The upstream opens when half of its models that are used are open.
func TestEscalation(t *testing.T) {
	server := Outcome{Class: ClassServer, Status: 503}
	for _, tc := range []struct {
		name string
		run  func(s *Circuits, now time.Time) time.Time
		want CircuitState
	}{
		{"one model alone", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitClosed},
		{"one of two", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("u", "b"), 1, Outcome{})
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitOpen},
		{"one of three", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("u", "b"), 1, Outcome{})
			attempts(s, now, model("u", "c"), 1, Outcome{})
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitClosed},
		{"two of three", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("u", "b"), 1, Outcome{})
			attempts(s, now, model("u", "c"), 5, server)
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitOpen},
		{"the other is not used", func(s *Circuits, now time.Time) time.Time {
			s.Get(model("u", "b"), nil)
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitClosed},
		{"the other was used long ago", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("u", "b"), 5, server)
			now = now.Add(31 * time.Second)
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitClosed},
		{"of another upstream", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("v", "b"), 5, server)
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitClosed},
		{"missing models say nothing of others", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("u", "a"), 2, Outcome{Class: ClassMissing})
			attempts(s, now, model("u", "b"), 2, Outcome{Class: ClassMissing})
			return now
		}, CircuitClosed},
		{"a person says nothing of others", func(s *Circuits, now time.Time) time.Time {
			attempts(s, now, model("u", "b"), 1, Outcome{})
			s.Get(model("u", "b"), nil).Force(now, time.Time{}, "why", "ann")
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitClosed},
		{"off", func(s *Circuits, now time.Time) time.Time {
			s.Get(whole("u"), &upstream.CircuitPolicy{Off: true})
			attempts(s, now, model("u", "b"), 1, Outcome{})
			attempts(s, now, model("u", "a"), 5, server)
			return now
		}, CircuitClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newCircuits()
			now := tc.run(s, noon)
			v := s.Get(whole("u"), nil).View(now)
			if v.State != tc.want {
				t.Fatalf("got %+v", v)
			}
			if v.State == CircuitOpen && (v.Reason != "escalated" || v.Cause != CauseEscalated || v.Class != ClassServer) {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// An upstream that opened because of its models is probed by what they do.
func TestEscalatedHealsWithItsModels(t *testing.T) {
	s := newCircuits()
	now := noon
	attempts(s, now, model("u", "b"), 1, Outcome{})
	attempts(s, now, model("u", "a"), 5, Outcome{Class: ClassServer})
	now = now.Add(15 * time.Second)
	attempts(s, now, whole("u"), 1, Outcome{Class: ClassServer})
	if v := s.Get(whole("u"), nil).View(now); v.State != CircuitOpen || v.Openings != 2 {
		t.Fatalf("got %+v", v)
	}
	now = now.Add(30 * time.Second)
	attempts(s, now, whole("u"), 2, Outcome{})
	attempts(s, now, whole("u"), 20, Outcome{Class: ClassServer})
	if got := stateOf(s, now, whole("u")); got != CircuitClosed {
		t.Errorf("got %s", got)
	}
}

func TestOnChange(t *testing.T) {
	s := newCircuits()
	var told []string
	s.OnChange(func(r CircuitRecord) {
		told = append(told, string(r.Key.Scope)+" "+r.State.String()+" "+string(r.Cause))
	})
	attempts(s, noon, model("u", "b"), 1, Outcome{})
	attempts(s, noon, model("u", "a"), 5, Outcome{Class: ClassServer})
	later := noon.Add(15 * time.Second)
	attempts(s, later, model("u", "a"), 2, Outcome{})
	want := []string{
		"upstream_model open failures", "upstream open escalated",
		"upstream_model half_open expired", "upstream_model closed probed",
	}
	if !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}

func TestIdentify(t *testing.T) {
	s := newCircuits()
	s.Identify(noon, "u", "one")
	attempts(s, noon, model("u", "a"), 5, Outcome{Class: ClassServer})
	attempts(s, noon, model("v", "a"), 5, Outcome{Class: ClassServer})
	s.Get(model("u", "b"), nil).Force(noon, time.Time{}, "why", "ann")
	s.Identify(noon, "u", "one") // a reload that changes nothing
	if got := stateOf(s, noon, model("u", "a")); got != CircuitOpen {
		t.Fatalf("a reload made it %s", got)
	}
	s.Identify(noon, "u", "two")
	if v := s.Get(model("u", "a"), nil).View(noon); v.State != CircuitClosed || v.Cause != CauseIdentity || v.Openings != 0 {
		t.Errorf("got %+v", v)
	}
	if got := stateOf(s, noon, model("u", "b")); got != CircuitForcedOpen {
		t.Errorf("what a person opened is %s", got)
	}
	if got := stateOf(s, noon, model("v", "a")); got != CircuitOpen {
		t.Errorf("another upstream is %s", got)
	}
}

func TestResetAll(t *testing.T) {
	fresh := func() *Circuits {
		s := newCircuits()
		attempts(s, noon, model("u", "a"), 5, Outcome{Class: ClassServer})
		attempts(s, noon, model("u", "b"), 5, Outcome{Class: ClassServer})
		attempts(s, noon, model("v", "a"), 5, Outcome{Class: ClassServer})
		attempts(s, noon, CircuitKey{Scope: ScopeCredential, Upstream: "u", Credential: "a"}, 1, Outcome{Class: ClassExhausted})
		return s
	}
	for _, tc := range []struct {
		name, upstream, model string
		reset, open           int
	}{
		{"all of an upstream", "u", "", 4, 1},
		{"one model", "u", "a", 1, 4},
		{"an unknown model", "u", "z", 0, 5},
		{"no upstream", "", "", 0, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := fresh()
			views, err := s.ResetAll(noon, tc.upstream, tc.model, "ann")
			if err != nil || len(views) != tc.reset {
				t.Fatalf("reset %+v, %v", views, err)
			}
			open := 0
			for _, v := range s.All(noon) {
				if v.State == CircuitOpen {
					open++
				}
			}
			if open != tc.open {
				t.Errorf("%d are open, want %d", open, tc.open)
			}
		})
	}
}

func TestAllIsSorted(t *testing.T) {
	s := newCircuits()
	for _, key := range []CircuitKey{
		{Scope: ScopeCredential, Upstream: "u", Credential: "b"},
		model("u", "z"), model("u", "a"), whole("u"),
		whole("v"),
		{Scope: ScopeCredential, Upstream: "u", Credential: "a"},
		model("a", "m"),
	} {
		s.Get(key, nil)
	}
	var got []string
	for _, v := range s.All(noon) {
		got = append(got, v.Key.Upstream+"/"+v.Key.Model+"/"+v.Key.Credential)
	}
	if want := "a/m/ u// u/a/ u/z/ u//a u//b v//"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
	if views := s.Upstream(noon, "u"); len(views) != 5 {
		t.Errorf("upstream u has %d", len(views))
	}
}

func TestPrune(t *testing.T) {
	s := newCircuits()
	attempts(s, noon, model("u", "a"), 5, Outcome{Class: ClassServer})
	attempts(s, noon, model("v", "a"), 5, Outcome{Class: ClassServer})
	attempts(s, noon, model("v", "old"), 5, Outcome{Class: ClassServer})
	if _, err := s.Open(noon, model("u", "forced"), noon.Add(36*time.Hour), "why", "ann"); err != nil {
		t.Fatal(err)
	}
	left := func(at time.Time) (names []string) {
		t.Helper()
		if err := s.Prune(at); err != nil {
			t.Fatal(err)
		}
		for _, v := range s.All(at) {
			names = append(names, v.Key.Upstream+" "+v.Key.Model)
		}
		return names
	}
	check := func(after time.Duration, want ...string) {
		t.Helper()
		if got := left(noon.Add(after)); !slices.Equal(got, want) {
			t.Errorf("after %s there are %q, want %q", after, got, want)
		}
	}
	everything := left(noon.Add(100 * time.Hour)) // before the first snapshot
	if len(everything) != 4+1 {                   // v has escalated
		t.Fatalf("without a snapshot there are %q", everything)
	}
	s.name(func() map[CircuitKey]bool { return map[CircuitKey]bool{whole("v"): true, model("v", "a"): true} })
	check(0, everything...)
	check(24*time.Hour-1, everything...)
	s.name(func() map[CircuitKey]bool {
		return map[CircuitKey]bool{whole("v"): true, model("v", "a"): true, model("v", "old"): true}
	})
	check(24*time.Hour-1, everything...) // v's old model is back in time
	check(24*time.Hour, "u forced", "v ", "v a", "v old")
	s.name(func() map[CircuitKey]bool { return map[CircuitKey]bool{whole("v"): true, model("v", "a"): true} })
	check(35*time.Hour, "u forced", "v ", "v a", "v old")
	check(36*time.Hour, "u forced", "v ", "v a", "v old") // from now on nobody holds it
	check(59*time.Hour, "u forced", "v ", "v a")
	check(60*time.Hour, "v ", "v a")
	// A forgotten model says nothing of the others either.
	attempts(s, noon, model("u", "b"), 5, Outcome{Class: ClassServer})
	if got := stateOf(s, noon, whole("u")); got != CircuitClosed {
		t.Errorf("the upstream is %s", got)
	}
}

// What a restart makes of a record, whatever the clock did meanwhile.
func TestLoad(t *testing.T) {
	open := CircuitRecord{
		Key: model("u", "m"), State: CircuitOpen, Class: ClassServer, Status: 529, Cause: CauseFailures, Reason: "five",
		OpenedAt: noon, OpenUntil: noon.Add(time.Minute), Openings: 3, Generation: 7, Identity: "one",
		Failures: []CircuitFailure{{Time: noon, Class: ClassServer, Status: 529}},
	}
	forced := CircuitRecord{
		Key: model("u", "m"), State: CircuitForcedOpen, Cause: CauseManual, Reason: "why", Actor: "ann",
		OpenedAt: noon, OpenUntil: noon.Add(100 * time.Hour), Generation: 7, Identity: "one",
	}
	with := func(r CircuitRecord, change func(*CircuitRecord)) CircuitRecord { change(&r); return r }
	for _, tc := range []struct {
		name  string
		r     CircuitRecord
		after time.Duration // how much later the restart is, by the wall clock
		state CircuitState
		left  time.Duration
	}{
		{"open", open, 20 * time.Second, CircuitOpen, 40 * time.Second},
		{"over", open, time.Minute, CircuitHalfOpen, 0},
		{"clock a day ahead", open, 24 * time.Hour, CircuitHalfOpen, 0},
		{"clock a day back", open, -24 * time.Hour, CircuitOpen, time.Minute},
		{"longer than the cap", with(open, func(r *CircuitRecord) { r.OpenUntil = noon.Add(18 * 24 * time.Hour) }), 0, CircuitOpen, 15 * time.Minute},
		{"a credential, longer than the cap", with(open, func(r *CircuitRecord) {
			r.Key = CircuitKey{Scope: ScopeCredential, Upstream: "u", Credential: "c"}
			r.Class, r.OpenUntil = ClassExhausted, noon.Add(18*24*time.Hour)
		}), 0, CircuitOpen, 72 * time.Minute},
		{"ends before it began", with(open, func(r *CircuitRecord) { r.OpenUntil = noon.Add(-time.Hour) }), -24 * time.Hour, CircuitHalfOpen, 0},
		{"half-open", with(open, func(r *CircuitRecord) { r.State = CircuitHalfOpen }), 0, CircuitHalfOpen, 0},
		{"closed", with(open, func(r *CircuitRecord) { r.State = CircuitClosed }), 0, CircuitClosed, 0},
		{"another upstream", with(open, func(r *CircuitRecord) { r.Identity = "two" }), 0, CircuitClosed, 0},
		{"forced", forced, time.Hour, CircuitForcedOpen, 99 * time.Hour},
		{"forced, over", forced, 100 * time.Hour, CircuitHalfOpen, 0},
		{"forced without an end", with(forced, func(r *CircuitRecord) { r.OpenUntil = time.Time{} }), 10000 * time.Hour, CircuitForcedOpen, 0},
		{"forced, another upstream", with(forced, func(r *CircuitRecord) { r.Identity = "two" }), 0, CircuitForcedOpen, 100 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now := noon.Add(tc.after)
			s := newCircuits()
			s.Identify(now, "u", "one")
			if err := s.Load(now, []CircuitRecord{tc.r}); err != nil {
				t.Fatal(err)
			}
			v := s.Get(tc.r.Key, nil).View(now)
			left := time.Duration(0)
			if !v.Until.IsZero() {
				left = v.Until.Sub(now)
			}
			if v.State != tc.state || left != tc.left || v.Generation < 7 {
				t.Errorf("%s for %s, want %s for %s; %+v", v.State, left, tc.state, tc.left, v)
			}
			if tc.state == CircuitForcedOpen && (v.Actor != "ann" || v.Reason != "why") {
				t.Errorf("who and why are lost: %+v", v)
			}
			if v.Since.After(now) {
				t.Errorf("it began in the future: %s", v.Since)
			}
		})
	}
}

// The upstream may be known before the records are there, or after.
func TestIdentityAfterLoad(t *testing.T) {
	r := CircuitRecord{
		Key: model("u", "m"), State: CircuitOpen, OpenedAt: noon, OpenUntil: noon.Add(time.Minute),
		Generation: 2, Identity: "one",
	}
	for identity, want := range map[string]CircuitState{"one": CircuitOpen, "two": CircuitClosed} {
		s := newCircuits()
		if err := s.Load(noon, []CircuitRecord{r}); err != nil {
			t.Fatal(err)
		}
		s.Identify(noon, "u", identity)
		if got := stateOf(s, noon, r.Key); got != want {
			t.Errorf("%s: got %s, want %s", identity, got, want)
		}
	}
}

// A store that comes late does not overrule what happened meanwhile, save for what
// a person decided.
func TestLoadLate(t *testing.T) {
	record := func(s CircuitState, until time.Time) CircuitRecord {
		return CircuitRecord{
			Key: model("u", "m"), State: s, OpenedAt: noon, OpenUntil: until, Generation: 9, Actor: "ann",
		}
	}
	open, forced := record(CircuitOpen, noon.Add(time.Minute)), record(CircuitForcedOpen, noon.Add(time.Hour))
	for _, tc := range []struct {
		name   string
		r      CircuitRecord
		before func(c *Circuit)
		want   CircuitState
	}{
		{"counted, but not changed", open, func(c *Circuit) { c.Throttle(noon, time.Second) }, CircuitOpen},
		{"reset", open, func(c *Circuit) { c.Force(noon, time.Time{}, "", ""); c.Reset(noon, "bob") }, CircuitClosed},
		{"reset, the record a person's", forced, func(c *Circuit) { c.Force(noon, time.Time{}, "", ""); c.Reset(noon, "bob") }, CircuitClosed},
		{"open by itself, the record a person's", forced, func(c *Circuit) { c.escalate(noon, Outcome{Class: ClassServer}) }, CircuitForcedOpen},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newCircuits()
			c := s.Get(tc.r.Key, nil)
			tc.before(c)
			generation := c.View(noon).Generation
			if err := s.Load(noon, []CircuitRecord{tc.r}); err != nil {
				t.Fatal(err)
			}
			if v := c.View(noon); v.State != tc.want || v.Generation < generation {
				t.Errorf("got %+v", v)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	good := CircuitRecord{Key: model("u", "good"), State: CircuitOpen, OpenedAt: noon, OpenUntil: noon.Add(time.Minute), Generation: 2}
	bad := []CircuitRecord{
		{},
		{Key: CircuitKey{Scope: "galaxy", Upstream: "u"}},
		{Key: CircuitKey{Scope: ScopeUpstreamModel, Upstream: "u"}},
		{Key: CircuitKey{Scope: ScopeUpstream, Upstream: "u", Model: "m"}},
		{Key: whole("a"), State: 77},
		{Key: whole("b"), Class: 77},
		{Key: whole("c"), State: CircuitOpen},
		{Key: whole("d"), Openings: -1},
		{Key: whole("e"), Generation: 1 << 63},
	}
	s := newCircuits()
	err := s.Load(noon, append(bad, good))
	if err == nil {
		t.Fatal("no error")
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != len(bad) {
		t.Errorf("error is %v", err)
	}
	if views := s.All(noon); len(views) != 1 || views[0].State != CircuitOpen {
		t.Errorf("loaded %+v", views)
	}
}

// Times of records may be anything.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"key":{"scope":"upstream","upstream":"u"},"state":"open","class":"server","opened_at":"2026-11-21T12:00:00Z","open_until":"2026-11-21T12:01:00Z","generation":4}`))
	f.Add([]byte(`{"key":{"scope":"upstream","upstream":"u"},"state":"forced_open","class":"ok","opened_at":"0001-01-01T00:00:00Z","open_until":"9999-01-01T00:00:00Z","openings":99999999999,"generation":4,"failures":[{"time":"9999-01-01T00:00:00Z","class":"server"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r CircuitRecord
		if json.Unmarshal(raw, &r) != nil {
			return
		}
		s := newCircuits()
		if s.Load(noon, []CircuitRecord{r}) != nil {
			return
		}
		c := s.Get(r.Key, nil)
		v := c.View(noon)
		if _, refused := c.Refusal(noon); refused != (v.State == CircuitOpen || v.State == CircuitForcedOpen) {
			t.Fatalf("refused is %t in %+v", refused, v)
		}
		if v.State == CircuitOpen && v.Until.Sub(noon) > 72*time.Minute {
			t.Fatalf("open until %s", v.Until)
		}
		if p, ok := c.Allow(noon); ok {
			p.Done(noon, Outcome{Class: ClassServer})
			p.Done(noon, Outcome{Class: ClassConnect})
		}
		if _, err := json.Marshal(c.View(noon.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
	})
}

// The first requests of a crowd that finds a half-open circuit: one is the probe.
func TestFault56CrowdAtHalfOpen(t *testing.T) {
	s := newCircuits()
	c := s.Get(model("u", "m"), nil)
	attempts(s, noon, model("u", "m"), 5, Outcome{Class: ClassServer})
	now := noon.Add(15 * time.Second)
	var crowd sync.WaitGroup
	var inFlight, most, served atomic.Int64
	for range 50 {
		crowd.Go(func() {
			for range 200 {
				p, ok := c.AllowFor(now, time.Minute)
				if !ok {
					continue
				}
				if n := inFlight.Add(1); p.Probe() && n > most.Load() {
					most.Store(n)
				}
				served.Add(1)
				inFlight.Add(-1)
				p.Done(now, Outcome{Class: ClassClientFault}) // so that it stays half-open
			}
		})
	}
	crowd.Wait()
	if most.Load() != 1 || served.Load() == 0 {
		t.Errorf("%d probes at once, %d served", most.Load(), served.Load())
	}
	if got := stateOf(s, now, model("u", "m")); got != CircuitHalfOpen {
		t.Errorf("state is %s", got)
	}
}

// Everything at once, for the race detector; afterwards the counts are right.
func TestConcurrentUse(t *testing.T) {
	s := newCircuits()
	s.OnChange(func(r CircuitRecord) {
		if r.Generation < 2 {
			t.Errorf("a transition to generation %d", r.Generation)
		}
	})
	keys := []CircuitKey{model("u", "a"), model("u", "b"), whole("u"), {Scope: ScopeCredential, Upstream: "u", Credential: "c"}}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			now := noon
			for j := range 2000 {
				now = now.Add(time.Duration(j%50) * 100 * time.Millisecond)
				for _, key := range keys[j%2:] {
					if permit, ok := s.Get(key, nil).AllowFor(now, time.Second); ok {
						permit.Started(now)
						permit.Done(now, Outcome{Class: Class(j*i) % (ClassRefused + 1)})
					}
				}
				switch j % 500 {
				case 100:
					s.Get(keys[i%4], nil).Force(now, now.Add(time.Second), "why", "ann")
				case 200:
					if _, err := s.ResetAll(now, "u", "", "ann"); err != nil {
						t.Error(err)
					}
				case 300:
					s.Identify(now, "u", "one")
				case 400:
					s.All(now)
				}
			}
		})
	}
	all.Wait()
	far := noon.Add(1000 * time.Hour)
	if _, err := s.ResetAll(far, "u", "", "ann"); err != nil {
		t.Fatal(err)
	}
	for _, v := range s.All(far) {
		if v.State != CircuitClosed || v.Openings != 0 || !v.ThrottledUntil.IsZero() {
			t.Errorf("got %+v", v)
		}
	}
}

// 50 workers see an upstream die: none of them reaches it after it opened.
func TestNothingWhileOpen(t *testing.T) {
	s := newCircuits()
	var reached atomic.Int64
	var workers sync.WaitGroup
	for range 50 {
		workers.Go(func() {
			for range 100 {
				attempt := s.Get(whole("u"), new(upstream.CircuitPolicy)) // as after reloads
				p, ok := attempt.Allow(noon)
				if !ok {
					continue
				}
				reached.Add(1)
				p.Done(noon, Outcome{Class: ClassConnect})
			}
		})
	}
	workers.Wait()
	if got := reached.Load(); got < 5 || got > 5+50 {
		t.Errorf("%d attempts, want 5 and those in flight", got)
	}
}
