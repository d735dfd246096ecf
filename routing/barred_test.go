package routing

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoSourceNow(t *testing.T) {
	const two = `"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y"},{"upstream":"a","model":"off","disabled":true}]}`
	for _, tc := range []struct {
		name      string
		bar       func(g *scene)
		throttled bool
		retry     time.Duration
		want      string
	}{
		{"throttled", func(g *scene) {
			g.circuit(ScopeUpstreamModel, "a", "x", "").Throttle(g.now, 1500*time.Millisecond)
			g.circuit(ScopeUpstreamModel, "b", "y", "").Throttle(g.now, 7*time.Second)
		}, true, 2 * time.Second, "a:off is disabled; a:x is throttled for 2s; b:y is throttled for 7s"},
		{"throttled and open", func(g *scene) {
			g.open("a", "x")
			g.circuit(ScopeUpstreamModel, "b", "y", "").Throttle(g.now, 7*time.Second)
		}, false, 7 * time.Second, "a:off is disabled; a:x is left alone for 15s; b:y is throttled for 7s"},
		{"an open one that is throttled too", func(g *scene) {
			g.open("a", "x")
			g.circuit(ScopeUpstreamModel, "a", "x", "").Throttle(g.now, 40*time.Second)
			g.circuit(ScopeUpstream, "b", "", "").Force(g.now, time.Time{}, "repair", "ann")
		}, false, 40 * time.Second, "a:off is disabled; a:x is left alone for 40s; b:y is kept out of use"},
		{"forced open without an end", func(g *scene) {
			g.circuit(ScopeUpstream, "a", "", "").Force(g.now, time.Time{}, "repair", "ann")
			g.circuit(ScopeUpstream, "b", "", "").Force(g.now, time.Time{}, "repair", "ann")
		}, false, time.Minute, "a:off is disabled; a:x is kept out of use; b:y is kept out of use"},
		{"a probe is out", func(g *scene) {
			g.open("a", "x")
			g.now = g.now.Add(20 * time.Second)
			if _, ok := g.circuit(ScopeUpstreamModel, "a", "x", "").Allow(g.now); !ok {
				g.t.Fatal("no probe")
			}
			g.circuit(ScopeUpstream, "b", "", "").Force(g.now, g.now.Add(time.Hour), "repair", "ann")
		}, false, time.Second, "a:off is disabled; a:x is being probed; b:y is kept out of use"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newScene(t, "", two)
			tc.bar(g)
			p := g.plan(chatRequest("m"))
			if a, ok := p.Admit(g.now, false); ok {
				t.Fatalf("admitted: %+v", a)
			}
			none := p.NoSource(g.now)
			if none.Throttled != tc.throttled || none.RetryAfter != tc.retry || none.Disabled() {
				t.Errorf("throttled %v, retry after %s, disabled %v", none.Throttled, none.RetryAfter, none.Disabled())
			}
			if want := `model "m" has no usable source: ` + tc.want; none.Error() != want {
				t.Errorf("got  %s\nwant %s", none, want)
			}
			g.idle()
		})
	}
}

func TestLastResort(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y"},{"upstream":"c","model":"z"}]}`)
	resort := func() string {
		a, ok := g.plan(chatRequest("m")).LastResort(g.now)
		if !ok {
			return ""
		}
		name := a.Candidate.Model
		a.Done(g.now, Outcome{Class: ClassServer})
		return name
	}
	if got := resort(); got != "" {
		t.Errorf("with all closed: got %q", got)
	}
	g.open("b", "y")
	g.now = g.now.Add(2 * time.Second)
	g.open("a", "x")
	g.circuit(ScopeUpstream, "c", "", "").Force(g.now, g.now.Add(time.Second), "repair", "ann")
	before := g.circuit(ScopeUpstreamModel, "b", "y", "").View(g.now)
	if got := resort(); got != "y" {
		t.Errorf("got %q, want y, whose time ends first", got)
	}
	if after := g.circuit(ScopeUpstreamModel, "b", "y", "").View(g.now); !after.Until.Equal(before.Until) || after.Openings != before.Openings {
		t.Errorf("the circuit has moved: %+v, %+v", before, after)
	}
	g.now = g.now.Add(999 * time.Millisecond)
	if got := resort(); got != "" {
		t.Errorf("got %q within a second", got)
	}
	g.now = g.now.Add(2 * time.Millisecond)
	g.circuit(ScopeUpstreamModel, "b", "y", "").Throttle(g.now, time.Minute)
	if got := resort(); got != "x" {
		t.Errorf("got %q, want x, for y is throttled", got)
	}
	g.now = g.now.Add(2 * time.Second)
	g.circuit(ScopeUpstream, "a", "", "").Force(g.now, time.Time{}, "repair", "ann")
	if got := resort(); got != "" {
		t.Errorf("got %q through what a person opened", got)
	}
	g.idle()
}

// A credential that is out of money or refused is never tried as a last resort.
func TestLastResortSparesCredentials(t *testing.T) {
	for _, class := range []Class{ClassExhausted, ClassCredential} {
		g := newScene(t, `"a":{"base_url":"http://a","credentials":[{"type":"bearer","token":"k"}]}`, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
		for range 2 {
			if a, ok := g.plan(chatRequest("m")).Admit(g.now, false); ok {
				a.Done(g.now, Outcome{Class: class})
			}
		}
		if a, ok := g.plan(chatRequest("m")).LastResort(g.now); ok {
			t.Errorf("%s: got %+v", class, a)
		}
		g.idle()
	}
}

func TestLastResortOncePerSecond(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.open("a", "x")
	var given atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			p, err := new(Router).Plan(g.s, chatRequest("m"))
			if err != nil {
				t.Error(err)
				return
			}
			if a, ok := p.LastResort(g.now); ok {
				given.Add(1)
				a.Done(g.now, Outcome{})
			}
		})
	}
	wg.Wait()
	if given.Load() != 1 {
		t.Errorf("%d attempts in one second, want 1", given.Load())
	}
	g.idle()
}

// An upstream that fails its checks gets nothing until it passes them again.
func TestUnhealthyUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newScene(t, `"a":{"base_url":"http://127.0.0.1:1","health":{"path":"/","unhealthy":1,"interval":"10s"}},"b":{"base_url":"http://b"}`,
			`"m":{"policy":{"policy":"first"},"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y"}]}`)
		if got := g.admitted(false); got != "x" {
			t.Fatalf("before the first check: got %q", got)
		}
		u, _ := g.s.Upstream("a")
		checker, ok := u.Checker()
		if !ok {
			t.Fatal("the upstream has no checks")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			checker.Run(ctx)
		}()
		for range 120 {
			time.Sleep(time.Second)
			if u.Unhealthy() {
				break
			}
		}
		cancel()
		<-done
		if got := g.admitted(false); got != "y" {
			t.Errorf("after failed checks: got %q", got)
		}
		g.circuit(ScopeUpstream, "b", "", "").Force(g.now, time.Time{}, "repair", "ann")
		p := g.plan(chatRequest("m"))
		if _, ok := p.Admit(g.now, false); ok {
			t.Error("admitted")
		}
		none := p.NoSource(g.now)
		if none.Skipped[0].Cause != CauseUnhealthy || none.Throttled || none.RetryAfter != time.Minute {
			t.Errorf("got %+v", none)
		}
		if _, ok := p.LastResort(g.now); ok {
			t.Error("an unhealthy upstream is the last resort")
		}
		g.idle()
	})
}
