package routing

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// A large gateway: each upstream has 30 sources of models and exposes 20 models
// besides.
const (
	largeUpstreams = 1_000
	largeModels    = 10_000
	largeSources   = 3 // of a model
	largeAliases   = 1_000
	largeExposed   = 20 // of an upstream
)

// large is made once: provisioning a thousand upstreams takes its time.
var large = sync.OnceValue(func() Definitions {
	ctx, _ := caddy.NewContext(caddy.Context{Context: context.Background()})
	d := Definitions{
		Upstreams: make(map[string]*upstream.Upstream), Models: make(map[string]*Model),
		Aliases: make(map[string]*Alias), Catalogues: make(map[string]*Catalogue),
	}
	for i := range largeUpstreams {
		u := &upstream.Upstream{BaseURL: fmt.Sprintf("http://10.0.%d.%d/v1", i/250, i%250)}
		if err := u.Provision(ctx, upstreamName(i)); err != nil {
			panic(err) // the test's own mistake
		}
		d.Upstreams[upstreamName(i)] = u
		c := new(Catalogue)
		for j := range largeExposed {
			c.Models = append(c.Models, fmt.Sprintf("exposed-%04d-%02d", i, j))
		}
		d.Catalogues[upstreamName(i)] = c
	}
	for i := range largeModels {
		m := &Model{Order: i % 100}
		for j := range largeSources {
			m.Sources = append(m.Sources, Source{Upstream: upstreamName((i + j*331) % largeUpstreams), Model: fmt.Sprintf("vendor/model-%d", i), Priority: j + 1})
		}
		d.Models[modelName(i)] = m
	}
	for i := range largeAliases {
		a := &Alias{Model: modelName(i)}
		switch i % 4 {
		case 0:
			d.Aliases[fmt.Sprintf("alias-%d", i)] = a
		case 1:
			d.Aliases[fmt.Sprintf("glob-%d-*", i)] = a
		case 2:
			a.Pattern = fmt.Sprintf("pattern-%d-[a-z]+(-\\d+)?", i)
			d.Aliases[fmt.Sprintf("by pattern %d", i)] = a
		default:
			a.Announce = []string{fmt.Sprintf("announced-%d-x", i)}
			d.Aliases[fmt.Sprintf("announced-%d-*", i)] = a
		}
	}
	return d
})

func upstreamName(i int) string { return fmt.Sprintf("upstream-%04d", i) }
func modelName(i int) string    { return fmt.Sprintf("team/model-%05d", i) }

// largeSnapshot is a snapshot of the large gateway that is in use.
func largeSnapshot(tb testing.TB, state *State) *Snapshot {
	tb.Helper()
	s, err := state.NewSnapshot(large())
	if err != nil {
		tb.Fatal(err)
	}
	s.Adopt()
	return s
}

// heap is how much memory is in use, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkLargeSnapshot(b *testing.B) {
	large()
	b.ReportAllocs()
	for b.Loop() {
		largeSnapshot(b, NewState())
	}
	before := heap()
	state := NewState()
	s, err := state.NewSnapshot(large())
	if err != nil {
		b.Fatal(err)
	}
	made := heap()
	s.Adopt()
	adopted := heap()
	b.ReportMetric(float64(made-before)/(1<<20), "MB-snapshot")
	b.ReportMetric(float64(adopted-made)/(1<<20), "MB-adopted")
	runtime.KeepAlive(s)
	runtime.KeepAlive(state)
}

// BenchmarkLargeReload makes the whole snapshot again on what was observed.
func BenchmarkLargeReload(b *testing.B) {
	state := NewState()
	largeSnapshot(b, state)
	b.ReportAllocs()
	for b.Loop() {
		largeSnapshot(b, state)
	}
}

func BenchmarkLargePlan(b *testing.B) {
	s := largeSnapshot(b, NewState())
	for _, name := range []string{modelName(77), "alias-400", "glob-401-x", "pattern-402-x-1", "announced-403-x", "exposed-0404-04", "@" + upstreamName(77) + "/vendor/model-77"} {
		b.Run(name[:5], func(b *testing.B) {
			r, req := new(Router), chatRequest(name)
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
		})
	}
	b.Run("first use", func(b *testing.B) {
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			s.models[modelName(i%largeModels)].newRoute(format.OpenAIChat, format.OperationChat)
			i++
		}
	})
	b.Run("unknown", func(b *testing.B) {
		r, req := new(Router), chatRequest("nobody/knows-this-name")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Plan(s, req); err == nil {
				b.Fatal("known")
			}
		}
	})
}

// BenchmarkLargeOffers lists what clients can ask for, the first time after a
// change.
func BenchmarkLargeOffers(b *testing.B) {
	s := largeSnapshot(b, NewState())
	b.ReportAllocs()
	for b.Loop() {
		s.prepare()
		if n := len(s.Offers(nil)); n < largeModels+largeExposed*largeUpstreams {
			b.Fatalf("%d names are offered", n)
		}
	}
}

func BenchmarkLargeChange(b *testing.B) {
	d := large()
	first := largeSnapshot(b, NewState())
	for name, change := range map[string]Change{
		"model":     {Models: map[string]*Model{modelName(5): d.Models[modelName(6)]}},
		"upstream":  {Upstreams: map[string]*upstream.Upstream{upstreamName(5): d.Upstreams[upstreamName(6)]}},
		"alias":     {Aliases: map[string]*Alias{"new-*": {Model: modelName(5)}}},
		"catalogue": {Catalogues: map[string]*Catalogue{upstreamName(5): {Models: []string{"new"}}}},
	} {
		b.Run(name, func(b *testing.B) {
			s := first
			b.ReportAllocs()
			for b.Loop() {
				next, err := s.With(change)
				if err != nil {
					b.Fatal(err)
				}
				next.Adopt()
				s = next
			}
		})
	}
}
