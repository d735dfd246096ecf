package routing

import (
	"slices"
	"strings"
	"testing"
)

// windows are sources in two priorities with all kinds of windows.
const windows = `"sources":[
	{"upstream":"a","model":"gpt-4o"},
	{"upstream":"a","model":"claude-sonnet-4-5","context_window":1000000},
	{"upstream":"b","model":"house"},
	{"upstream":"b","model":"other","context_window":32000},
	{"upstream":"b","model":"gpt-4.1","priority":2},
	{"upstream":"a","model":"drained","priority":2,"weight":0,"context_window":500000},
	{"upstream":"b","model":"gpt-4o-mini","priority":2}]`

// TestWindow shows where the window of a candidate comes from: the source, the
// model's capability, the built-in table.
func TestWindow(t *testing.T) {
	got := map[string]int{}
	for name, c := range candidates(t, snapshot(t, "", `"m":{`+windows+`}`)) {
		got[name] = c.Window()
	}
	for name, want := range map[string]int{
		"gpt-4o": 128_000, "claude-sonnet-4-5": 1_000_000, "house": 0, "other": 32_000, "gpt-4.1": 1_047_576, "drained": 500_000,
	} {
		if got[name] != want {
			t.Errorf("%s: %d tokens, want %d", name, got[name], want)
		}
	}
	for name, c := range candidates(t, snapshot(t, "", `"m":{"capability":{"context_window":"9000"},`+windows+`}`)) {
		want := 9000
		switch name {
		case "claude-sonnet-4-5", "other", "drained":
			want = got[name] // the source's own
		}
		if c.Window() != want {
			t.Errorf("%s with a capability of the model: %d tokens, want %d", name, c.Window(), want)
		}
	}
}

// TestLarger shows what is left of a plan for a request that was too long for a
// candidate: in the order of the plan, what is known to have a larger window.
func TestLarger(t *testing.T) {
	for _, policy := range []string{"weighted", "first", "round_robin", "random"} {
		t.Run(policy, func(t *testing.T) {
			s, r := snapshot(t, "", `"m":{"policy":{"policy":"`+policy+`"},`+windows+`}`), seeded()
			all := candidates(t, s)
			for _, tc := range []struct{ tooSmall, want string }{
				{"other", "claude-sonnet-4-5 gpt-4o | drained gpt-4.1 gpt-4o-mini"},
				{"gpt-4o", "claude-sonnet-4-5 | drained gpt-4.1"},
				{"drained", "claude-sonnet-4-5 | gpt-4.1"},
				{"claude-sonnet-4-5", " | gpt-4.1"},
				{"gpt-4.1", " | "},
			} {
				p, err := r.Plan(s, chatRequest("m"))
				if err != nil {
					t.Fatal(err)
				}
				if !p.Larger(all[tc.tooSmall]) {
					t.Fatalf("the window of %s is not known", tc.tooSmall)
				}
				if got := inGroups(&p); got != tc.want {
					t.Errorf("too long for %s: left is %s, want %s", tc.tooSmall, got, tc.want)
				}
			}
		})
	}
}

// inGroups lists the rest of a plan by priority, sorted inside each, since policies
// differ there.
func inGroups(p *Plan) string {
	var groups [2][]string
	for c, ok := p.Next(); ok; c, ok = p.Next() {
		groups[c.Source.priority()-1] = append(groups[c.Source.priority()-1], c.Model)
	}
	slices.Sort(groups[0])
	slices.Sort(groups[1])
	return strings.Join(groups[0], " ") + " | " + strings.Join(groups[1], " ")
}

// TestLargerOfUnknown shows that nothing is known to be larger than a window that is
// not known, and that the plan then goes on as if nobody had asked.
func TestLargerOfUnknown(t *testing.T) {
	s, r := snapshot(t, "", `"m":{`+windows+`}`), seeded()
	p, err := r.Plan(s, chatRequest("m"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Larger(candidates(t, s)["house"]) {
		t.Error("a window that is not known has been compared")
	}
	n := 0
	for _, ok := p.Next(); ok; _, ok = p.Next() {
		n++
	}
	if n != 7 {
		t.Errorf("%d candidates are left, want all 7", n)
	}
}

// TestLargerGrows shows that a second refusal never brings smaller windows back.
func TestLargerGrows(t *testing.T) {
	s, r := snapshot(t, "", `"m":{`+windows+`}`), seeded()
	all := candidates(t, s)
	p, err := r.Plan(s, chatRequest("m"))
	if err != nil {
		t.Fatal(err)
	}
	p.Larger(all["drained"])
	p.Larger(all["other"])
	if got, want := inGroups(&p), "claude-sonnet-4-5 | gpt-4.1"; got != want {
		t.Errorf("left is %s, want %s", got, want)
	}
}

// TestLargerAdmits shows that barred candidates stay barred however large they are.
func TestLargerAdmits(t *testing.T) {
	g := newScene(t, "", `"m":{`+windows+`}`)
	g.open("a", "claude-sonnet-4-5")
	p := g.plan(chatRequest("m"))
	p.Larger(candidates(t, g.s)["gpt-4o"])
	a, ok := p.Admit(g.now, false)
	if !ok || a.Candidate.Model != "gpt-4.1" {
		t.Fatalf("admitted %+v, want gpt-4.1", a.Candidate)
	}
	a.Cancel(g.now)
	g.idle()
}

func TestWindowIsChecked(t *testing.T) {
	for window, want := range map[string]string{
		`-1`:         "models.m.sources[0].context_window: must be a number of tokens up to 1000000000",
		`2000000000`: "models.m.sources[0].context_window: must be a number of tokens up to 1000000000",
	} {
		d := decode(t, "", `"m":{"sources":[{"upstream":"a","model":"x","context_window":`+window+`}]}`)
		if _, err := NewSnapshot(Definitions{Upstreams: d.Upstreams, Models: d.Models}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", window, err, want)
		}
	}
}

// TestExplainTellsWindows shows that explanations tell the windows that are known.
func TestExplainTellsWindows(t *testing.T) {
	g := newScene(t, "", `"m":{`+windows+`}`)
	e, _ := explain(t, g, chatRequest("m"))
	got := map[string]int{}
	for _, x := range e.Sources {
		got[x.UpstreamModel] = x.ContextWindow
	}
	if got["gpt-4o"] != 128_000 || got["other"] != 32_000 || got["house"] != 0 {
		t.Errorf("got %v", got)
	}
}
