package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// explain lists the sources of an explanation in short.
func explain(t *testing.T, g *scene, request Request) (Explanation, string) {
	t.Helper()
	e, err := g.r.Explain(g.s, request, g.now)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range e.Sources {
		line := fmt.Sprintf("%d %s", x.Position, x.ID)
		if x.Probe {
			line += " probe"
		}
		if x.Skipped != CauseNone {
			line += fmt.Sprintf(" %s: %s", x.Skipped, x.Reason)
		}
		lines = append(lines, line)
	}
	return e, strings.Join(lines, "; ")
}

func TestExplain(t *testing.T) {
	const off = `"off":{"base_url":"http://off","disabled":true},` + three
	g := newScene(t, off, `"m":{"policy":{"policy":"weighted"},"sources":[
		{"upstream":"a","model":"light","weight":2},
		{"upstream":"a","model":"heavy","weight":5},
		{"upstream":"a","model":"drained","weight":0},
		{"upstream":"b","model":"late","priority":2},
		{"upstream":"b","model":"open"},
		{"upstream":"b","model":"half"},
		{"upstream":"b","model":"forced"},
		{"upstream":"b","model":"slow","priority":4},
		{"upstream":"a","model":"unused","disabled":true},
		{"upstream":"off","model":"x"}]}`)
	g.open("b", "half")
	g.now = g.now.Add(20 * time.Second)
	// Its circuits are those of another upstream model each, so the upstream stays
	// closed only if a minority of them is open.
	for _, model := range []string{"late", "slow", "forced"} {
		p, _ := g.circuit(ScopeUpstreamModel, "b", model, "").Allow(g.now)
		p.Done(g.now, Outcome{})
	}
	g.open("b", "open")
	g.circuit(ScopeUpstreamModel, "b", "forced", "").Force(g.now, g.now.Add(time.Hour), "it lies", "ann")
	g.circuit(ScopeUpstreamModel, "b", "slow", "").Throttle(g.now, 5*time.Second)
	heavy := candidates(t, g.s)["heavy"].State()
	heavy.Begin()
	heavy.Measure(150 * time.Millisecond)

	e, got := explain(t, g, chatRequest("m"))
	want := "1 a:heavy; 2 a:light; 3 b:half probe; 4 a:drained; 5 b:late; " +
		"0 b:open open: is left alone for 15s; 0 b:forced forced_open: is kept out of use; 0 b:slow throttled: is throttled for 5s; " +
		"0 a:unused disabled: is disabled; 0 off:x disabled: is disabled with its upstream"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if e.Model != "m" || e.Policy != "weighted" || e.Mode != "balanced" || !e.Usable || e.RetryAfter != 0 || e.Sticky {
		t.Errorf("got %+v", e)
	}
	first, forced := e.Sources[0], e.Sources[6]
	if first.Upstream != "a" || first.UpstreamModel != "heavy" || first.Format != format.OpenAIChat || first.Priority != 1 ||
		first.Weight != 5 || first.InFlight != 1 || first.LatencyMS != 150 {
		t.Errorf("got %+v", first)
	}
	if forced.Detail != "the circuit of its upstream model was opened by ann: it lies" || !forced.Until.Equal(g.now.Add(time.Hour)) {
		t.Errorf("got %+v", forced)
	}
	text, err := json.Marshal(e)
	if err != nil || !strings.Contains(string(text), `"skipped":"forced_open","reason":"is kept out of use"`) || strings.Count(string(text), `"until"`) != 3 {
		t.Errorf("got %s, %v", text, err)
	}
}

// To explain takes no turn and no permit.
func TestExplainTakesNothing(t *testing.T) {
	for _, policy := range []string{"round_robin", "weighted_round_robin"} {
		g := newScene(t, "", abc(`"policy":{"policy":"`+policy+`"},`, 3, 2, 1))
		for range 30 {
			_, expected := explain(t, g, chatRequest("m"))
			explain(t, g, chatRequest("m"))
			a, ok := g.plan(chatRequest("m")).Admit(g.now, false)
			if !ok || !strings.HasPrefix(expected, "1 "+a.Candidate.Source.ID()) {
				t.Fatalf("%s: explained %s, got %s", policy, expected, a.Candidate.Source.ID())
			}
			a.Done(g.now, Outcome{})
		}
	}
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.open("a", "x")
	g.now = g.now.Add(20 * time.Second)
	for range 3 {
		if _, got := explain(t, g, chatRequest("m")); got != "1 a:x probe" {
			t.Errorf("got %s", got)
		}
	}
	if got := g.admitted(false); got != "x" {
		t.Errorf("the probe is gone: got %q", got)
	}
	g.idle()
}

func TestExplainNothingLeft(t *testing.T) {
	g := newScene(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]},"off":{"sources":[{"upstream":"a","model":"x","disabled":true}]}`)
	g.circuit(ScopeUpstreamModel, "a", "x", "").Throttle(g.now, 90*time.Second)
	if e, got := explain(t, g, chatRequest("m")); e.Usable || e.RetryAfter != 90 || got != "0 a:x throttled: is throttled for 1m30s" {
		t.Errorf("got %s, %+v", got, e)
	}
	if e, got := explain(t, g, chatRequest("off")); e.Usable || e.RetryAfter != 0 || got != "0 a:x disabled: is disabled" {
		t.Errorf("got %s, %+v", got, e)
	}
	if _, err := g.r.Explain(g.s, chatRequest("nope"), g.now); !errors.Is(err, ErrUnknownModel) {
		t.Errorf("got %v", err)
	}
}

func TestExplainSticky(t *testing.T) {
	g := newScene(t, "", abc(`"sticky_header":"X-Session","policy":{"policy":"round-robin"},`, 1, 1, 1))
	request := chatRequest("m")
	request.Header = http.Header{"X-Session": {"one"}}
	e, first := explain(t, g, request)
	if !e.Sticky || e.Policy != "round_robin" {
		t.Errorf("got %+v", e)
	}
	if got := drawn(t, g.r, g.s, request)[0]; !strings.HasSuffix(e.Sources[0].ID, ":"+got) {
		t.Errorf("explained %s, got %s", first, got)
	}
	pinned := newScene(t, "", abc(`"mode":"pinned","active":"b:y",`, 1, 1, 1))
	e, got := explain(t, pinned, chatRequest("m"))
	if e.Mode != "pinned" || got != "1 b:y; 0 a:x inactive: is not the active source; 0 c:z inactive: is not the active source" {
		t.Errorf("got %s, %+v", got, e)
	}
}

// A plan that is pinned to an upstream keeps the order of the policy.
func TestPinKeepsTheOrder(t *testing.T) {
	g := newScene(t, "", `"m":{"policy":{"policy":"first"},"sources":[
		{"upstream":"a","model":"x","weight":0},{"upstream":"b","model":"y"},{"upstream":"a","model":"z"},{"upstream":"a","model":"w","priority":2}]}`)
	p := g.plan(chatRequest("m"))
	if p.Pin("nope") || !p.Pin("a") {
		t.Fatal("Pin")
	}
	var got []string
	for a, ok := p.Admit(g.now, false); ok; a, ok = p.Admit(g.now, false) {
		got = append(got, a.Candidate.Model)
		a.Done(g.now, Outcome{Class: ClassServer})
	}
	if !slices.Equal(got, []string{"z", "x", "w"}) {
		t.Errorf("got %v", got)
	}
	g.idle()
}
