package routing

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// abc is a model with the sources x, y and z of the given weights.
func abc(options string, x, y, z int) string {
	return fmt.Sprintf(`"m":{%s"sources":[{"upstream":"a","model":"x","weight":%d},{"upstream":"b","model":"y","weight":%d},{"upstream":"c","model":"z","weight":%d}]}`, options, x, y, z)
}

// firsts counts the sources that come first in n plans.
func firsts(t *testing.T, r *Router, s *Snapshot, n int, request func(i int) Request) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for i := range n {
		counts[drawn(t, r, s, request(i))[0]]++
	}
	return counts
}

func same(int) Request { return chatRequest("m") }

// within says that the counts are the given percentages, with a tolerance in
// points.
func within(t *testing.T, counts map[string]int, tolerance float64, want map[string]float64) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		got := float64(counts[name]) / float64(total) * 100
		if math.Abs(got-want[name]) > tolerance {
			t.Errorf("%s: got %.1f %%, want %.1f %%", name, got, want[name])
		}
	}
	for name, share := range want {
		if share > tolerance && counts[name] == 0 {
			t.Errorf("%s was never first", name)
		}
	}
}

var everyPolicy = []string{
	`{"policy":"weighted"}`, `{"policy":"round_robin"}`, `{"policy":"weighted_round_robin"}`, `{"policy":"least_conn"}`,
	`{"policy":"random"}`, `{"policy":"ip_hash"}`, `{"policy":"header_hash","header":"X-Session"}`, `{"policy":"lowest_latency"}`, `{"policy":"first"}`,
}

func TestLeastConn(t *testing.T) {
	s := snapshot(t, "", abc(`"policy":{"policy":"least_conn"},`, 1, 1, 4))
	states := statesOf(t, s)
	for range 2 {
		states["x"].Begin()
	}
	states["y"].Begin()
	for range 6 {
		states["z"].Begin()
	}
	// (1+1)/1 for y, (6+1)/4 for z, (2+1)/1 for x.
	if got := drawn(t, seeded(), s, chatRequest("m")); !slices.Equal(got, []string{"z", "y", "x"}) {
		t.Errorf("got %v", got)
	}
	for range 2 {
		states["z"].Begin()
	}
	if got := drawn(t, seeded(), s, chatRequest("m")); !slices.Equal(got, []string{"y", "z", "x"}) {
		t.Errorf("got %v", got)
	}
	for range 8 {
		states["z"].End(0)
	}
	states["y"].End(0)
	for range 2 {
		states["x"].End(0)
	}
	for name, state := range states {
		if n := state.InFlight(); n != 0 {
			t.Errorf("%s: %d attempts are under way", name, n)
		}
	}
	// Equals are drawn at random.
	even := snapshot(t, "", abc(`"policy":{"policy":"least_conn"},`, 1, 1, 1))
	within(t, firsts(t, seeded(), even, 2000, same), 4, map[string]float64{"x": 100. / 3, "y": 100. / 3, "z": 100. / 3})
}

// statesOf finds the states of the sources by their upstream models.
func statesOf(t *testing.T, s *Snapshot) map[string]*SourceState {
	t.Helper()
	states := map[string]*SourceState{}
	for _, c := range candidates(t, s) {
		states[c.Model] = c.State()
	}
	return states
}

// candidates are the candidates of the model m by their upstream models.
func candidates(t testing.TB, s *Snapshot) map[string]*Candidate {
	t.Helper()
	p, err := seeded().Plan(s, chatRequest("m"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*Candidate{}
	for c, ok := p.Next(); ok; c, ok = p.Next() {
		all[c.Model] = c
	}
	return all
}

func TestRandom(t *testing.T) {
	const n = 3000
	counts := firsts(t, seeded(), snapshot(t, "", abc(`"policy":{"policy":"random"},`, 100, 1, 1)), n, same)
	chi := 0.0
	for _, name := range []string{"x", "y", "z"} {
		chi += math.Pow(float64(counts[name])-n/3., 2) / (n / 3.)
	}
	if chi > 13.8 { // 2 degrees of freedom, one in a thousand
		t.Errorf("got %v: chi-square %.1f", counts, chi)
	}
}

func TestFirst(t *testing.T) {
	s := snapshot(t, "", abc(`"policy":{"policy":"first"},`, 0, 1, 5))
	for range 20 {
		if got := drawn(t, seeded(), s, chatRequest("m")); !slices.Equal(got, []string{"y", "z", "x"}) {
			t.Fatalf("got %v", got)
		}
	}
}

func TestLowestLatency(t *testing.T) {
	s, r := snapshot(t, "", abc(`"policy":{"policy":"lowest_latency"},`, 1, 1, 1)), seeded()
	states := statesOf(t, s)
	states["x"].Measure(300 * time.Millisecond)
	states["y"].Measure(100 * time.Millisecond)
	counts := firsts(t, r, s, 1600, same)
	if counts["z"] < 1400 || counts["x"] < 10 {
		t.Errorf("z was never measured and should come first: got %v", counts)
	}
	for range hopeless {
		states["z"].Measure(0)
	}
	counts = firsts(t, r, s, 1600, same)
	if counts["y"] < 1400 || counts["x"] < 10 || counts["z"] < 10 {
		t.Errorf("y is fastest and the others are tried now and then: got %v", counts)
	}
	for range 30 {
		states["x"].Measure(20 * time.Millisecond)
	}
	if counts = firsts(t, r, s, 1600, same); counts["x"] < 1400 {
		t.Errorf("x has become the fastest: got %v", counts)
	}
}

// byAddress are requests of many clients.
func byAddress(i int) Request {
	request := chatRequest("m")
	request.ClientIP = fmt.Sprintf("10.%d.%d.%d", i%7, i/250, i%250)
	return request
}

func TestPolicyName(t *testing.T) {
	for text, want := range map[string]string{
		"weighted": "weighted", "round-robin": "round_robin", "RR": "round_robin", "wrr": "weighted_round_robin",
		"least-conn": "least_conn", "least_connections": "least_conn", "least-connections": "least_conn",
		"random": "random", "ip-hash": "ip_hash", "header": "header_hash", "latency": "lowest_latency", "first": "first",
		"": "", "nope": "", "weighted ": "",
	} {
		if got, ok := PolicyName(text); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, ok)
		}
	}
	if got := len(Policies()); got != len(policies) {
		t.Errorf("got %d policies, want %d", got, len(policies))
	}
	seen := map[string]string{}
	for _, p := range policies {
		for _, text := range append([]string{p.name}, p.synonyms...) {
			if other, ok := seen[text]; ok {
				t.Errorf("%s is %s and %s", text, other, p.name)
			}
			seen[text] = p.name
		}
	}
}

func TestPolicyConfig(t *testing.T) {
	for _, tc := range []struct{ name, raw, want, written string }{
		{"usual", `{"policy":"random"}`, "", `{"policy":"random"}`},
		{"synonym", `{"policy":"Least-Connections"}`, "", `{"policy":"least_conn"}`},
		{"with a value", `{"policy":"header-hash","header":"a"}`, "", `{"header":"a","policy":"header_hash"}`},
		{"unknown", `{"policy":"nope"}`, `policy: policy: unknown policy "nope"; known: first, header_hash, `, ""},
		{"no name", `{"header":"a"}`, "policy: policy: required; known: first, ", ""},
		{"no string", `{"policy":5}`, "policy: policy: required; known: first, ", ""},
		{"text", `"random"`, "policy: must be an object such as ", ""},
		{"null", `null`, "policy: must be an object such as ", ""},
		{"unknown field", `{"policy":"random","header":"a"}`, `unknown field "header"`, ""},
		{"no header", `{"policy":"header_hash"}`, "header: the name of a header is required", ""},
		{"no name of a header", `{"policy":"header_hash","header":"a b"}`, `header: "a b" is no name of a header`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer cancel()
			m := &Model{PolicyRaw: json.RawMessage(tc.raw)}
			err := m.Provision(ctx)
			switch {
			case tc.want == "" && err != nil:
				t.Fatal(err)
			case tc.want != "":
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("got %v, want %s", err, tc.want)
				}
				return
			}
			if string(m.PolicyRaw) != tc.written {
				t.Errorf("the config reads %s, want %s", m.PolicyRaw, tc.written)
			}
			if err := m.Provision(ctx); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
	m := &Model{PolicyRaw: json.RawMessage(`{"policy":"random"}`), Sources: []Source{{Upstream: "a", Model: "x"}}}
	d := decode(t, "", "")
	if _, err := NewSnapshot(Definitions{Upstreams: d.Upstreams, Models: map[string]*Model{"m": m}}); err == nil || err.Error() != "models.m.policy: was not loaded" {
		t.Errorf("got %v", err)
	}
}

func TestPinned(t *testing.T) {
	s := snapshot(t, "", abc(`"mode":"pinned","active":"b:y",`, 1, 1, 1))
	for range 20 {
		if got := drawn(t, seeded(), s, chatRequest("m")); !slices.Equal(got, []string{"y"}) {
			t.Fatalf("got %v", got)
		}
	}
	balanced := snapshot(t, "", abc(`"mode":"balanced","active":"b:y",`, 1, 1, 1))
	if got := drawn(t, seeded(), balanced, chatRequest("m")); len(got) != 3 {
		t.Errorf("balanced: got %v", got)
	}
	off := snapshot(t, "", `"m":{"mode":"pinned","active":"a:x","sources":[{"upstream":"a","model":"x","disabled":true},{"upstream":"b","model":"y"}]}`)
	_, err := new(Router).Plan(off, chatRequest("m"))
	none, ok := err.(*NoSourceError)
	if !ok || !none.Disabled() || err.Error() != `model "m" has no usable source: a:x is disabled; b:y is not the active source` {
		t.Errorf("got %v", err)
	}
}

func TestChoiceErrors(t *testing.T) {
	for _, tc := range []struct{ name, options, want string }{
		{"mode", `"mode":"pined",`, `models.m.mode: must be balanced or pinned, not "pined"`},
		{"no active", `"mode":"pinned",`, "models.m.active: required, for the mode is pinned; one of a:x, b:y, c:z"},
		{"unknown active", `"mode":"pinned","active":"a:y",`, `models.m.active: the model has no source "a:y"; it has a:x, b:y, c:z`},
		{"unknown active while balanced", `"active":"a:y",`, `models.m.active: the model has no source "a:y"; it has a:x, b:y, c:z`},
		{"sticky header", `"sticky_header":"a b",`, `models.m.sticky_header: "a b" is no name of a header`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := decode(t, "", abc(tc.options, 1, 1, 1))
			if _, err := NewSnapshot(d); err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}
