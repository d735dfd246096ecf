package routing

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// trialOf is the trial of the only source of a model.
func (g *scene) trialOf(model string) *Trial {
	g.t.Helper()
	trials, ok := g.s.Trials(model)
	if !ok || len(trials) != 1 {
		g.t.Fatalf("got %d trials, %t", len(trials), ok)
	}
	return trials[0]
}

// try makes one recorded attempt.
func (g *scene) try(t *Trial, o Outcome) {
	g.t.Helper()
	t.Record(g.now, t.Credential(g.now), time.Minute).Done(g.now, o)
}

func TestTrialsAreInOrder(t *testing.T) {
	g := newScene(t, `"off":{"base_url":"http://h","disabled":true},"bare":{"base_url":"{env.NO_SUCH_URL}"},`+three, `"m":{"mode":"pinned","active":"a:x","sources":[
		{"upstream":"a","model":"last","priority":2},
		{"upstream":"a","model":"drained","weight":0},
		{"upstream":"a","model":"x"},
		{"upstream":"b","model":"y","disabled":true},
		{"upstream":"off","model":"z"},
		{"upstream":"bare","model":"w"},
		{"upstream":"b","model":"v","format":"openai_chat"}]},
		"gone":{"disabled":true,"sources":[{"upstream":"a","model":"x"}]}`)
	trials, ok := g.s.Trials("m")
	if !ok {
		t.Fatal("the model is not found")
	}
	var got []string
	for _, trial := range trials {
		got = append(got, trial.Candidate.Model+" "+trial.Off.String())
		if (trial.Reason == "") != (trial.Off == CauseNone) {
			t.Errorf("%s: got reason %q", trial.Candidate.Model, trial.Reason)
		}
	}
	if want := []string{"x ", "y disabled", "z disabled", "w unconfigured", "v inactive", "drained inactive", "last inactive"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if f := trials[4].Candidate.Format; f != "openai_chat" {
		t.Errorf("format: got %q", f)
	}
	if gone := g.trialOf("gone"); gone.Off != CauseDisabled || !strings.Contains(gone.Reason, "model") {
		t.Errorf("a disabled model: got %+v", gone)
	}
	if _, ok := g.s.Trials("nope"); ok {
		t.Error("a model that there is not is found")
	}
}

// What is asked without being recorded leaves no mark.
func TestTrialTakesNothing(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.open("a", "x")
	before := g.state.Circuits.All(g.now)
	trial := g.trialOf("m")
	if id := trial.Credential(g.now); id != "" || trial.HalfOpen(g.now, id) {
		t.Errorf("got credential %q, half open %t", id, trial.HalfOpen(g.now, id))
	}
	for i, v := range g.state.Circuits.All(g.now) {
		if v.Generation != before[i].Generation || v.State != before[i].State {
			t.Errorf("%v: got %s, generation %d", v.Key, v.State, v.Generation)
		}
	}
	g.idle()
}

func TestRecordedTrials(t *testing.T) {
	ok := Outcome{Class: ClassOK, Status: 200, Latency: 20 * time.Millisecond}
	bad := Outcome{Class: ClassServer, Status: 500}
	for _, tc := range []struct {
		name     string
		prepare  func(g *scene, c *Circuit)
		outcomes []Outcome
		want     []CircuitState // after each
	}{
		{"closed stays closed", func(*scene, *Circuit) {}, []Outcome{ok}, []CircuitState{CircuitClosed}},
		{"failures open it", func(*scene, *Circuit) {}, []Outcome{bad, bad, bad, bad, bad}, []CircuitState{CircuitClosed, CircuitClosed, CircuitClosed, CircuitClosed, CircuitOpen}},
		{"half open closes after two", func(g *scene, _ *Circuit) {
			g.open("a", "x")
			g.now = g.now.Add(time.Minute)
		}, []Outcome{ok, ok}, []CircuitState{CircuitHalfOpen, CircuitClosed}},
		{"half open fails", func(g *scene, _ *Circuit) {
			g.open("a", "x")
			g.now = g.now.Add(time.Minute)
		}, []Outcome{ok, bad}, []CircuitState{CircuitHalfOpen, CircuitOpen}},
		{"open closes before its time", func(g *scene, _ *Circuit) { g.open("a", "x") }, []Outcome{ok, ok}, []CircuitState{CircuitHalfOpen, CircuitClosed}},
		{"open stays open", func(g *scene, _ *Circuit) { g.open("a", "x") }, []Outcome{bad, bad}, []CircuitState{CircuitOpen, CircuitOpen}},
		{"what says nothing changes nothing", func(g *scene, _ *Circuit) { g.open("a", "x") }, []Outcome{{Class: ClassClientFault, Status: 400}}, []CircuitState{CircuitOpen}},
		{"forced open stays", func(g *scene, c *Circuit) { c.Force(g.now, time.Time{}, "repair", "ann") }, []Outcome{ok, ok}, []CircuitState{CircuitForcedOpen, CircuitForcedOpen}},
		{"throttled is asked all the same", func(g *scene, c *Circuit) { c.Throttle(g.now, time.Minute) }, []Outcome{bad, bad, bad, bad, bad}, []CircuitState{CircuitClosed, CircuitClosed, CircuitClosed, CircuitClosed, CircuitOpen}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
			c := g.circuit(ScopeUpstreamModel, "a", "x", "")
			tc.prepare(g, c)
			trial := g.trialOf("m")
			for i, o := range tc.outcomes {
				g.try(trial, o)
				if got := c.View(g.now).State; got != tc.want[i] {
					t.Fatalf("after attempt %d: got %s, want %s", i+1, got, tc.want[i])
				}
				half := tc.want[i] == CircuitHalfOpen
				if got := trial.HalfOpen(g.now, ""); got != half {
					t.Errorf("after attempt %d: HalfOpen is %t", i+1, got)
				}
			}
			g.idle()
		})
	}
}

func TestTrialClosesOpenCircuitOnRecord(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.open("a", "x")
	trial := g.trialOf("m")
	for range 2 {
		g.try(trial, Outcome{Class: ClassOK, Status: 200, Latency: 30 * time.Millisecond})
	}
	v := g.circuit(ScopeUpstreamModel, "a", "x", "").View(g.now)
	var causes []CircuitCause
	for _, e := range v.History {
		causes = append(causes, e.Cause)
	}
	if want := []CircuitCause{CauseFailures, CauseTrial, CauseProbed}; !slices.Equal(causes, want) {
		t.Errorf("got causes %v, want %v", causes, want)
	}
	if got := trial.Candidate.State().Latency(); got != 30*time.Millisecond {
		t.Errorf("got latency %s", got)
	}
	if got := g.admitted(false); got != "x" {
		t.Errorf("afterwards a request gets %q", got)
	}
}

// A probe that a request makes is not disturbed, and a trial that is given up gives
// its lease back.
func TestTrialBesideProbe(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.open("a", "x")
	g.now = g.now.Add(time.Minute)
	c := g.circuit(ScopeUpstreamModel, "a", "x", "")
	trial := g.trialOf("m")

	probe, ok := c.Allow(g.now)
	if !ok || !probe.Probe() {
		t.Fatal("the request is no probe")
	}
	g.try(trial, Outcome{Class: ClassServer, Status: 500})
	if got := c.View(g.now).State; got != CircuitHalfOpen {
		t.Errorf("beside a probe: got %s", got)
	}
	probe.Cancel(g.now)

	record := trial.Record(g.now, "", time.Minute)
	if _, ok := c.Allow(g.now); ok {
		t.Error("a second probe is admitted beside the trial")
	}
	record.Cancel(g.now)
	p, ok := c.Allow(g.now)
	if !ok {
		t.Fatal("the lease of the trial was not given back")
	}
	p.Cancel(g.now)
	g.idle()
}

// What began before a person reset the circuit says nothing of how it is now.
func TestTrialFromBeforeAReset(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.open("a", "x")
	c := g.circuit(ScopeUpstreamModel, "a", "x", "")
	record := g.trialOf("m").Record(g.now, "", time.Minute)
	c.Reset(g.now, "ann")
	g.open("a", "x")
	record.Done(g.now, Outcome{Class: ClassOK, Status: 200})
	if got := c.View(g.now).State; got != CircuitOpen {
		t.Errorf("got %s", got)
	}
}

func TestTrialCredential(t *testing.T) {
	g := newScene(t, `"a":{"base_url":"http://a","credentials":[{"type":"bearer","token":"{env.NO_SUCH_KEY}"},{"id":"two","type":"bearer","token":"t2"},{"id":"three","type":"bearer","token":"t3"}]}`,
		`"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	trial := g.trialOf("m")
	if got := trial.Credential(g.now); got != "two" {
		t.Errorf("got %q, want two", got)
	}
	g.try(trial, Outcome{Class: ClassExhausted, Status: 402})
	if got := trial.Credential(g.now); got != "three" {
		t.Errorf("with two exhausted: got %q, want three", got)
	}
	g.circuit(ScopeCredential, "a", "", "three").Force(g.now, time.Time{}, "", "ann")
	if got := trial.Credential(g.now); got != "two" {
		t.Errorf("with both barred: got %q, want two", got)
	}
	g.try(trial, Outcome{Class: ClassOK, Status: 200})
	g.try(trial, Outcome{Class: ClassOK, Status: 200})
	if got := g.circuit(ScopeCredential, "a", "", "two").View(g.now).State; got != CircuitClosed {
		t.Errorf("after two successes: got %s", got)
	}
}

func TestClassOf(t *testing.T) {
	for _, tc := range []struct {
		status int
		kind   chat.ErrorKind
		want   Class
	}{
		{429, chat.ErrQuota, ClassExhausted},
		{402, chat.ErrServer, ClassExhausted},
		{429, chat.ErrRateLimit, ClassThrottled},
		{403, chat.ErrNotFound, ClassMissing},
		{403, chat.ErrPermission, ClassCredential},
		{401, chat.ErrAuthentication, ClassCredential},
		{404, chat.ErrNotFound, ClassMissing},
		{408, chat.ErrClientTimeout, ClassConflict},
		{503, chat.ErrUnavailable, ClassServer},
		{999, chat.ErrServer, ClassServer},
		{422, chat.ErrInvalidRequest, ClassClientFault},
		{302, chat.ErrServer, ClassBadAnswer},
	} {
		if got := ClassOf(tc.status, &chat.Error{Kind: tc.kind}); got != tc.want {
			t.Errorf("%d, kind %d: got %s, want %s", tc.status, tc.kind, got, tc.want)
		}
	}
}
