package aigateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// A large gateway: what an operator's tools may come to.
const (
	manyUpstreams = 1000
	manyModels    = 10_000
	sourcesEach   = 3
)

// largeApp is an app that manages a large gateway in a store of its own.
func largeApp(b *testing.B) *App {
	b.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	b.Cleanup(cancel)
	a := &App{DataDir: b.TempDir()}
	if err := a.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := a.Cleanup(); err != nil {
			b.Error(err)
		}
	})
	for from := 0; from < manyUpstreams; from += 500 {
		create(b, a, registry.Upstreams, from, from+500, func(i int) string {
			return fmt.Sprintf(`{"base_url":"http://127.0.0.1:%d/v1"}`, 1+i)
		})
	}
	for from := 0; from < manyModels; from += 1000 {
		create(b, a, registry.Models, from, from+1000, func(i int) string {
			var sources []routing.Source
			for k := range sourcesEach {
				sources = append(sources, routing.Source{Upstream: fmt.Sprintf("upstreams-%d", (i+k*331)%manyUpstreams), Model: fmt.Sprintf("m%d", i)})
			}
			text, err := json.Marshal(routing.Model{Sources: sources})
			if err != nil {
				b.Fatal(err)
			}
			return string(text)
		})
	}
	return a
}

// create creates a part of the definitions in one change.
func create(b *testing.B, a *App, kind registry.Kind, from, to int, spec func(int) string) {
	b.Helper()
	var ops []registry.Op
	for i := from; i < to; i++ {
		ops = append(ops, registry.Op{ID: registry.ID{Kind: kind, Name: fmt.Sprintf("%s-%d", kind, i)}, Verb: registry.Create, Spec: json.RawMessage(spec(i))})
	}
	if _, err := a.Change(ops, registry.ChangeOptions{Actor: "bench"}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLargeGateway measures what an operator waits for with 1,000 upstreams,
// 10,000 models and 30,000 sources, and reports the memory they take.
func BenchmarkLargeGateway(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := largeApp(b)
	runtime.GC()
	runtime.ReadMemStats(&after)
	api := admin.New(func() (admin.Gateway, error) { return a, nil }, zap.NewNop())
	edit := func(id registry.ID, i int) registry.Op {
		return registry.Op{ID: id, Verb: registry.Edit, Edit: func(spec json.RawMessage) (json.RawMessage, error) {
			var fields map[string]any
			if err := json.Unmarshal(spec, &fields); err != nil {
				return nil, err
			}
			if id.Kind == registry.Models {
				fields["description"] = fmt.Sprint(i)
			} else {
				fields["tags"] = []string{fmt.Sprint("t", i)}
			}
			return json.Marshal(fields)
		}}
	}
	change := func(b *testing.B, ops ...registry.Op) {
		if _, err := a.Change(ops, registry.ChangeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("write a model", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			change(b, edit(registry.ID{Kind: registry.Models, Name: "models-77"}, i))
		}
		b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/(1<<20), "MiB-heap")
	})
	b.Run("write an upstream", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			change(b, edit(registry.ID{Kind: registry.Upstreams, Name: "upstreams-77"}, i))
		}
	})
	b.Run("plan", func(b *testing.B) {
		var router routing.Router
		for b.Loop() {
			snapshot, err := a.Snapshot()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := router.Plan(snapshot, routing.Request{Model: "models-4711", Format: format.OpenAIChat, Operation: format.OperationChat}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, path := range map[string]string{
		"list a page": "/models?page=50", "list by status": "/models?status=active&page_size=10", "search": "/models?q=9999",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				if api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
