package routing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// describe tells all that can be seen of a snapshot.
func describe(s *Snapshot, names []string) string {
	var b strings.Builder
	for _, u := range s.Upstreams() {
		fmt.Fprintf(&b, "upstream %s %s\n", u.Name(), u.Identity())
	}
	for _, name := range []string{"all", "some"} {
		var in *Names
		if name == "some" {
			in = &Names{exact: map[string]bool{"m1": true, "m2": true, "m3": true, "x1": true}}
		}
		for _, o := range s.Offers(in) {
			fmt.Fprintf(&b, "%s offer %s %s\n", name, o.Name, o.DisplayName())
		}
	}
	for _, name := range names {
		e, ok := s.Lookup(name)
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "%s is %s\n", name, e.Name)
		for _, op := range []format.Operation{format.OperationChat, format.OperationEmbed} {
			r := e.newRoute(format.OpenAIChat, op)
			for _, g := range r.groups {
				for _, c := range g.candidates {
					fmt.Fprintf(&b, "  %d %s %s %d %s\n", g.priority, c.Source.ID(), c.Format, c.weight, c.Upstream.Identity())
				}
			}
			for _, skip := range r.skipped {
				fmt.Fprintf(&b, "  %s %s\n", skip.Source.ID(), skip.Reason)
			}
		}
	}
	return b.String()
}

// sandbox makes random changes.
type sandbox struct {
	rand      *rand.Rand
	upstreams []*upstream.Upstream
}

func (s *sandbox) one(prefix string) string { return fmt.Sprintf("%s%d", prefix, s.rand.IntN(5)) }

func (s *sandbox) change() Change {
	c := Change{Upstreams: map[string]*upstream.Upstream{}, Models: map[string]*Model{}, Aliases: map[string]*Alias{}, Catalogues: map[string]*Catalogue{}}
	for range 1 + s.rand.IntN(3) {
		gone := s.rand.IntN(4) == 0
		switch s.rand.IntN(4) {
		case 0:
			i := s.rand.IntN(len(s.upstreams))
			c.Upstreams[s.upstreams[i].Name()] = s.upstreams[i]
			if gone {
				c.Upstreams[s.upstreams[i].Name()] = nil
			}
		case 1:
			c.Models[s.one("m")] = s.model(gone)
		case 2:
			name := [...]string{s.one("x"), s.one("x") + "*", "*" + s.one("y"), s.one("m")}[s.rand.IntN(4)]
			c.Aliases[name] = nil
			if !gone {
				c.Aliases[name] = &Alias{Model: [...]string{s.one("m"), "@" + s.one("u") + "/z1", s.one("x")}[s.rand.IntN(3)], Disabled: s.rand.IntN(5) == 0}
				if strings.HasSuffix(name, "*") && s.rand.IntN(2) == 0 {
					c.Aliases[name].Announce = []string{strings.TrimSuffix(name, "*") + s.one("")}
				}
			}
		default:
			c.Catalogues[s.one("u")] = nil
			if !gone {
				models := []string{s.one("m"), s.one("z"), s.one("x")}
				slices.Sort(models)
				c.Catalogues[s.one("u")] = &Catalogue{Models: slices.Compact(models), Disabled: map[string]bool{s.one("z"): true}}
			}
		}
	}
	return c
}

func (s *sandbox) model(gone bool) *Model {
	if gone {
		return nil
	}
	m := &Model{Order: s.rand.IntN(3), Disabled: s.rand.IntN(6) == 0}
	if s.rand.IntN(4) == 0 {
		m.Access = AccessInternal
	}
	if s.rand.IntN(4) == 0 {
		m.Operations = []format.Operation{format.OperationEmbed}
	}
	for i := range 1 + s.rand.IntN(3) {
		m.Sources = append(m.Sources, Source{Upstream: s.one("u"), Model: s.one("z"), Priority: i + 1})
	}
	return m
}

// applied are the definitions after a change.
func applied(d Definitions, c Change) Definitions {
	return Definitions{
		Upstreams: replaced(d.Upstreams, c.Upstreams), Models: replaced(d.Models, c.Models),
		Aliases: replaced(d.Aliases, c.Aliases), Catalogues: replaced(d.Catalogues, c.Catalogues),
	}
}

func replaced[T any](m, change map[string]*T) map[string]*T {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]*T{}
	}
	for name, value := range change {
		m[name] = value
		if value == nil {
			delete(m, name)
		}
	}
	return m
}

// TestChangesEqualDefinitions shows that a snapshot with a change is what a new
// snapshot of the changed definitions would be, that both are refused alike, and
// that the snapshot that is changed stays what it was.
func TestChangesEqualDefinitions(t *testing.T) {
	box := &sandbox{rand: rand.New(rand.NewPCG(7, 11))}
	for _, formats := range []string{`["openai_chat"]`, `["openai_embeddings","anthropic_messages"]`} {
		text := ""
		for i := range 5 {
			text += fmt.Sprintf(`,"u%d":{"base_url":"http://h%d","formats":%s,"disabled":%t}`, i, i, formats, i == 4)
		}
		for _, u := range decode(t, text[1:], "").Upstreams {
			box.upstreams = append(box.upstreams, u)
		}
	}
	slices.SortFunc(box.upstreams, func(a, b *upstream.Upstream) int {
		return strings.Compare(a.Name()+a.Identity(), b.Name()+b.Identity())
	})
	var names []string
	for _, prefix := range []string{"m", "x", "y", "z", "x1", "@u1/z", "@u2/m"} {
		for i := range 5 {
			names = append(names, fmt.Sprintf("%s%d", prefix, i))
		}
	}
	state := NewState()
	var d Definitions
	s, err := state.NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for range 3000 {
		before := describe(s, names)
		c := box.change()
		want := applied(d, c)
		direct, wrong := NewSnapshot(want)
		next, err := s.With(c)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("the change: %v\nthe definitions: %v\n%+v", err, wrong, c)
		}
		if after := describe(s, names); after != before {
			t.Fatalf("the snapshot has changed\n%s\n%s", before, after)
		}
		if err != nil {
			continue
		}
		if got, want := describe(next, names), describe(direct, names); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		if box.rand.IntN(3) > 0 {
			next.Adopt()
		}
		if s.adopted.Load() && next.adopted.Load() && len(state.models) != len(next.models) {
			t.Fatalf("%d models have a state, there are %d", len(state.models), len(next.models))
		}
		s, d = next, want
		made++
	}
	if made < 500 {
		t.Errorf("only %d changes were made", made)
	}
}

func TestChangeErrors(t *testing.T) {
	d := decode(t, "", twoModels)
	d.Aliases = decodeAliases(t, `"alias":{"model":"other"},"pin":{"model":"@c/x"},"o*":{"model":"writer","announce":["o1"]}`)
	s, err := NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Change{
		`models.writer.sources[0].upstream: unknown upstream "a"; known: b, c`:          {Upstreams: map[string]*upstream.Upstream{"a": nil}},
		`models.writer.sources[0].format: upstream a does not speak "openai_responses"`: {Models: map[string]*Model{"writer": {Sources: []Source{{Upstream: "a", Model: "x", Format: format.OpenAIResponses}}}}},
		`aliases.pin.model: unknown upstream "c"; known: a, b`:                          {Upstreams: map[string]*upstream.Upstream{"c": nil}},
		`aliases.alias.model: unknown model "other"; known: writer`:                     {Models: map[string]*Model{"other": nil}},
		`models.new.sources: a model needs at least one source`:                         {Models: map[string]*Model{"new": {}}},
		`models.alias: there is an alias of this name`:                                  {Models: map[string]*Model{"alias": d.Models["writer"]}},
		`models.o1: alias "o*" announces this name`:                                     {Models: map[string]*Model{"o1": d.Models["writer"]}},
		`aliases.writer: there is a model of this name`:                                 {Aliases: map[string]*Alias{"writer": {Model: "other"}}},
		`upstreams: name "" must not be empty`:                                          {Upstreams: map[string]*upstream.Upstream{"": d.Upstreams["a"]}},
	} {
		if _, err := s.With(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := s.With(Change{Models: map[string]*Model{"other": nil}, Aliases: map[string]*Alias{"alias": nil}}); err != nil {
		t.Errorf("a model with its alias: %v", err)
	}
}

// TestChangeSharesTheRest shows that a change leaves alone what it does not concern,
// and that only adoption reaches the state.
func TestChangeSharesTheRest(t *testing.T) {
	state := NewState()
	d := decode(t, "", twoModels)
	s, err := state.NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	s.Adopt()
	now := time.Now()
	circuit := state.Circuits.Get(CircuitKey{Scope: ScopeUpstream, Upstream: "a"}, nil)
	for range 5 {
		p, _ := circuit.Allow(now)
		p.Done(now, Outcome{Class: ClassConnect})
	}
	elsewhere := decode(t, strings.Replace(three, "http://a", "http://elsewhere", 1), "").Upstreams["a"]
	next, err := s.With(Change{Upstreams: map[string]*upstream.Upstream{"a": elsewhere}, Models: map[string]*Model{"new": d.Models["other"]}})
	if err != nil {
		t.Fatal(err)
	}
	if next.models["other"] != s.models["other"] || next.models["writer"] == s.models["writer"] {
		t.Error("the wrong models were made anew")
	}
	if next.models["writer"].observed != s.models["writer"].observed {
		t.Error("what was observed of the model is lost")
	}
	if v := circuit.View(now); v.State != CircuitOpen || len(state.models) != 2 {
		t.Errorf("before adoption: %s, %d models", v.State, len(state.models))
	}
	next.Adopt()
	next.Adopt()
	if v := circuit.View(now); v.State != CircuitClosed || len(state.models) != 3 {
		t.Errorf("after adoption: %s, %d models", v.State, len(state.models))
	}
	gone, err := next.With(Change{Models: map[string]*Model{"new": nil}})
	if err != nil {
		t.Fatal(err)
	}
	gone.Adopt()
	if len(state.models) != 2 {
		t.Errorf("%d models are left", len(state.models))
	}
}
