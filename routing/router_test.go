package routing

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// three provisions the upstreams a, b and c, besides those in the text.
const three = `"a":{"base_url":"http://a"},"b":{"base_url":"http://b"},"c":{"base_url":"http://c","formats":["anthropic_messages"]}`

func decode(t testing.TB, upstreams, models string) Definitions {
	t.Helper()
	var d Definitions
	if upstreams == "" {
		upstreams = three
	}
	if err := caddy.StrictUnmarshalJSON([]byte(`{"upstreams":{`+upstreams+`},"models":{`+models+`}}`), &d); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	for name, u := range d.Upstreams {
		if u == nil {
			continue
		}
		if err := u.Provision(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range d.Models {
		if m == nil {
			continue
		}
		if err := m.Provision(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func snapshot(t testing.TB, upstreams, models string) *Snapshot {
	t.Helper()
	d := decode(t, upstreams, models)
	s, err := NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seeded() *Router { return &Router{IntN: rand.New(rand.NewPCG(1, 2)).IntN} }

func chatRequest(model string) Request {
	return Request{Model: model, Format: format.OpenAIChat, Operation: format.OperationChat}
}

// drawn lists the upstream models of a plan in order.
func drawn(t testing.TB, r *Router, s *Snapshot, req Request) []string {
	t.Helper()
	p, err := r.Plan(s, req)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for c, ok := p.Next(); ok; c, ok = p.Next() {
		names = append(names, c.Model)
	}
	if _, ok := p.Next(); ok {
		t.Fatal("Next goes on after its end")
	}
	return names
}

func TestWeights(t *testing.T) {
	const draws, tolerance = 2000, 4.0
	for _, tc := range []struct {
		name, sources string
		want          map[string]float64 // percent of the first draws
	}{
		{"70 and 30", `{"upstream":"a","model":"x","weight":70},{"upstream":"b","model":"y","weight":30}`, map[string]float64{"x": 70, "y": 30}},
		{"defaults", `{"upstream":"a","model":"x"},{"upstream":"b","model":"y"}`, map[string]float64{"x": 50, "y": 50}},
		{"three", `{"upstream":"a","model":"x","weight":5},{"upstream":"b","model":"y"},{"upstream":"a","model":"z","weight":4}`, map[string]float64{"x": 50, "y": 10, "z": 40}},
		{"drained", `{"upstream":"a","model":"x","weight":0},{"upstream":"b","model":"y","weight":1000}`, map[string]float64{"y": 100}},
		{"all drained", `{"upstream":"a","model":"x","weight":0},{"upstream":"b","model":"y","weight":0}`, map[string]float64{"x": 50, "y": 50}},
		{"priority", `{"upstream":"a","model":"x","priority":2,"weight":1000},{"upstream":"b","model":"y"}`, map[string]float64{"y": 100}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, r := snapshot(t, "", `"m":{"sources":[`+tc.sources+`]}`), seeded()
			counts := map[string]int{}
			for range draws {
				p, err := r.Plan(s, chatRequest("m"))
				if err != nil {
					t.Fatal(err)
				}
				c, _ := p.Next()
				counts[c.Model]++
			}
			for name := range maps.Keys(counts) {
				if _, ok := tc.want[name]; !ok {
					t.Errorf("%s was drawn %d times", name, counts[name])
				}
			}
			for name, want := range tc.want {
				if got := float64(counts[name]) / draws * 100; got < want-tolerance || got > want+tolerance {
					t.Errorf("%s: got %.1f %%, want %.0f %%", name, got, want)
				}
			}
		})
	}
}

// After the first draw the rest is drawn by weight again.
func TestSecondDraw(t *testing.T) {
	s, r := snapshot(t, "", `"m":{"sources":[{"upstream":"a","model":"x","weight":1},{"upstream":"b","model":"y","weight":3},{"upstream":"a","model":"z","weight":1000}]}`), seeded()
	y, n := 0, 0
	for range 4000 {
		if names := drawn(t, r, s, chatRequest("m")); names[0] == "z" {
			if n++; names[1] == "y" {
				y++
			}
		}
	}
	if share := float64(y) / float64(n) * 100; share < 71 || share > 79 {
		t.Errorf("got %.1f %% of %d, want 75 %%", share, n)
	}
}

func TestOrder(t *testing.T) {
	s, r := snapshot(t, "", `"m":{"sources":[
		{"upstream":"a","model":"late","priority":7},
		{"upstream":"a","model":"second","priority":2},
		{"upstream":"a","model":"drained","weight":0},
		{"upstream":"a","model":"first"},
		{"upstream":"a","model":"off","disabled":true},
		{"upstream":"b","model":"also drained","weight":0},
		{"upstream":"b","model":"also second","priority":2}]}`), seeded()
	seen := map[string]bool{}
	for range 200 {
		names := drawn(t, r, s, chatRequest("m"))
		if len(names) != 6 || names[0] != "first" || names[5] != "late" {
			t.Fatalf("got %v", names)
		}
		drained, second := slices.Sorted(slices.Values(names[1:3])), slices.Sorted(slices.Values(names[3:5]))
		if !slices.Equal(drained, []string{"also drained", "drained"}) || !slices.Equal(second, []string{"also second", "second"}) {
			t.Fatalf("got %v", names)
		}
		seen[strings.Join(names, " ")] = true
	}
	if len(seen) != 4 {
		t.Errorf("got %d different orders, want 4", len(seen))
	}
}

func TestCandidate(t *testing.T) {
	const both = `"v":{"base_url":"http://v","formats":["openai_chat","anthropic_messages"]},` + three
	for _, tc := range []struct {
		name, source string
		client, want format.ID
	}{
		{"the client's own", `{"upstream":"v","model":"x"}`, format.AnthropicMessages, format.AnthropicMessages},
		{"translated", `{"upstream":"c","model":"x"}`, format.OpenAIChat, format.AnthropicMessages},
		{"fixed by the source", `{"upstream":"v","model":"x","format":"anthropic_messages"}`, format.OpenAIChat, format.AnthropicMessages},
		{"unknown client format", `{"upstream":"v","model":"x"}`, "other", format.OpenAIChat},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshot(t, both, `"m":{"sources":[`+tc.source+`]}`)
			p, err := new(Router).Plan(s, Request{Model: "m", Format: tc.client, Operation: format.OperationChat})
			if err != nil {
				t.Fatal(err)
			}
			c, ok := p.Next()
			if !ok || c.Format != tc.want || c.Model != "x" || c.Upstream.Name() != c.Source.Upstream {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestNoSource(t *testing.T) {
	const some = `"off":{"base_url":"http://h","disabled":true},
		"openai":{"credentials":[{"type":"bearer","token":"{env.NO_SUCH_KEY}"}]},` + three
	for _, tc := range []struct {
		name, model, want string
		op                format.Operation
		disabled          bool
	}{
		{"credential", `"sources":[{"upstream":"openai","model":"gpt-4o"}]`, `model "m" has no usable source: openai:gpt-4o is not configured (credential {env.NO_SUCH_KEY} is empty)`, format.OperationChat, false},
		{"source disabled", `"sources":[{"upstream":"a","model":"x","disabled":true}]`, `model "m" has no usable source: a:x is disabled`, format.OperationChat, true},
		{"upstream disabled", `"sources":[{"upstream":"off","model":"x"}]`, `model "m" has no usable source: off:x is disabled with its upstream`, format.OperationChat, true},
		{
			"several", `"sources":[{"upstream":"off","model":"x"},{"upstream":"openai","model":"y"}]`,
			`model "m" has no usable source: off:x is disabled with its upstream; openai:y is not configured (credential {env.NO_SUCH_KEY} is empty)`, format.OperationChat, false,
		},
		{"operation", `"sources":[{"upstream":"a","model":"x"}]`, `model "m" has no usable source: a:x does not serve list_models`, format.OperationListModels, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshot(t, some, `"m":{`+tc.model+`}`)
			_, err := new(Router).Plan(s, Request{Model: "m", Format: format.OpenAIChat, Operation: tc.op})
			none, ok := errors.AsType[*NoSourceError](err)
			if !ok || err.Error() != tc.want || none.Disabled() != tc.disabled {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if tc.op == format.OperationChat && len(s.Models()) != 0 {
				t.Error("the model is listed")
			}
		})
	}
}

func TestSkipped(t *testing.T) {
	s := snapshot(t, "", `"m":{"sources":[{"upstream":"a","model":"x","disabled":true},{"upstream":"b","model":"y"}]}`)
	p, err := new(Router).Plan(s, chatRequest("m"))
	if err != nil {
		t.Fatal(err)
	}
	skipped := p.Skipped()
	if len(skipped) != 1 || skipped[0].Source.ID() != "a:x" || skipped[0].Cause != CauseDisabled || skipped[0].Reason != "is disabled" {
		t.Errorf("got %+v", skipped)
	}
	var zero Plan
	if _, ok := zero.Next(); ok || zero.Skipped() != nil {
		t.Error("the zero plan has sources")
	}
}

func TestUnknownModel(t *testing.T) {
	s := snapshot(t, "", `"off":{"disabled":true,"sources":[{"upstream":"a","model":"x"}]},"Case":{"sources":[{"upstream":"a","model":"x"}]}`)
	for _, name := range []string{"off", "nope", "case", ""} {
		if _, err := new(Router).Plan(s, chatRequest(name)); !errors.Is(err, ErrUnknownModel) {
			t.Errorf("%q: got %v", name, err)
		}
		if _, ok := s.Model(name); ok {
			t.Errorf("%q is found", name)
		}
	}
}

func TestConcurrentPlans(t *testing.T) {
	s := snapshot(t, "", `"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y"},{"upstream":"c","model":"z","priority":2}]}`)
	r := new(Router)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if got := drawn(t, r, s, chatRequest("m")); len(got) != 3 || got[2] != "z" {
					t.Errorf("got %v", got)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkPlan(b *testing.B) {
	s := snapshot(b, "", `"m":{"sources":[{"upstream":"a","model":"x","weight":70},{"upstream":"b","model":"y","weight":30},{"upstream":"c","model":"z","priority":2}]}`)
	r, req := new(Router), chatRequest("m")
	b.ReportAllocs()
	for b.Loop() {
		p, err := r.Plan(s, req)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := p.Next(); !ok {
			b.Fatal("no candidate")
		}
	}
}
