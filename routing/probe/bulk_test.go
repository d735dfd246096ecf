package probe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// crowd is a server that holds all its requests until it is let go, and counts
// them.
type crowd struct {
	*server
	mu      sync.Mutex
	inside  int
	most    int
	arrived chan string
	release chan struct{}
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{arrived: make(chan string, 100), release: make(chan struct{}, 100)}
	c.server = serve(t, func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		c.mu.Lock()
		c.inside++
		c.most = max(c.most, c.inside)
		c.mu.Unlock()
		c.arrived <- fmt.Sprint(body["model"])
		select {
		case <-c.release:
			writeJSON(w, 200, chatAnswer)
		case <-r.Context().Done():
		}
		c.mu.Lock()
		c.inside--
		c.mu.Unlock()
	})
	return c
}

// wait waits until n requests are there.
func (c *crowd) wait(t *testing.T, n int) (models []string) {
	t.Helper()
	for range n {
		select {
		case model := <-c.arrived:
			models = append(models, model)
		case <-t.Context().Done():
			t.Fatal("the requests did not come")
		}
	}
	slices.Sort(models)
	return models
}

func TestBulkLimits(t *testing.T) {
	a, b, c := newCrowd(t), newCrowd(t), newCrowd(t)
	var models []string
	var text []string
	for _, name := range []string{"a1", "a2", "a3", "a4", "b1", "b2", "b3", "c1"} {
		models = append(models, name)
		text = append(text, fmt.Sprintf(`%q:{"sources":[{"upstream":%q,"model":%q}]}`, name, name[:1], name))
	}
	w := newWorld(t, map[string]string{
		"a": configOf(a.URL, format.OpenAIChat), "b": configOf(b.URL, format.OpenAIChat), "c": configOf(c.URL, format.OpenAIChat),
	}, "{"+strings.Join(text, ",")+"}")

	done := make(chan Summary)
	var told []string
	go func() {
		done <- (&Prober{Timeout: ample}).Bulk(t.Context(), w.snapshot, append(models, "a1", "nope"), false, func(r Result) { told = append(told, r.Model) })
	}()
	// The first two of a and of b fill the four places.
	if got := a.wait(t, 2); !slices.Equal(got, []string{"a1", "a2"}) {
		t.Errorf("a is asked for %v first", got)
	}
	if got := b.wait(t, 2); !slices.Equal(got, []string{"b1", "b2"}) {
		t.Errorf("b is asked for %v first", got)
	}
	b.release <- struct{}{}
	if got := b.wait(t, 1); got[0] != "b3" {
		t.Errorf("then b is asked for %v", got)
	}
	b.release <- struct{}{}
	if got := c.wait(t, 1); got[0] != "c1" {
		t.Errorf("then c is asked for %v", got)
	}
	for range 4 {
		a.release <- struct{}{}
	}
	c.release <- struct{}{}
	b.release <- struct{}{}
	sum := <-done
	if want := (Summary{Total: 9, Usable: 8, Error: 1}); sum != want {
		t.Errorf("got %+v, want %+v", sum, want)
	}
	if len(told) != 9 || !strings.HasPrefix(told[0], "b") {
		t.Errorf("got results of %v", told)
	}
	if a.most != 2 || b.most != 2 {
		t.Errorf("got %d and %d calls at once", a.most, b.most)
	}
}

func TestBulkStopsWithItsContext(t *testing.T) {
	a := newCrowd(t)
	w := newWorld(t, map[string]string{"a": configOf(a.URL, format.OpenAIChat)},
		`{"m1":{"sources":[{"upstream":"a","model":"m1"}]},"m2":{"sources":[{"upstream":"a","model":"m2"}]},"m3":{"sources":[{"upstream":"a","model":"m3"}]}}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan Summary)
	told := 0
	go func() {
		done <- (&Prober{Timeout: ample}).Bulk(ctx, w.snapshot, []string{"m1", "m2", "m3"}, true, func(Result) { told++; cancel() })
	}()
	a.wait(t, 2)
	a.release <- struct{}{}
	sum := <-done
	if sum != (Summary{Total: 1, Usable: 1}) || told != 1 {
		t.Errorf("got %+v, %d results", sum, told)
	}
	if n := len(a.asked()); n != 2 {
		t.Errorf("got %d calls", n)
	}
}

// All sources of a model are probed four at a time, and told in their order.
func TestModelInParallel(t *testing.T) {
	a := newCrowd(t)
	var sources []string
	for i := range 6 {
		sources = append(sources, fmt.Sprintf(`{"upstream":"a","model":"x%d"}`, i))
	}
	w := newWorld(t, map[string]string{"a": configOf(a.URL, format.OpenAIChat)}, `{"m":{"sources":[`+strings.Join(sources, ",")+`]}}`)
	done := make(chan []Result)
	go func() { done <- (&Prober{Timeout: ample}).Model(t.Context(), w.snapshot, "m", true) }()
	if got := a.wait(t, 4); !slices.Equal(got, []string{"x0", "x1", "x2", "x3"}) {
		t.Errorf("got %v first", got)
	}
	for range 6 {
		a.release <- struct{}{}
	}
	results := <-done
	for i, r := range results {
		if want := fmt.Sprintf("a:x%d", i); r.Source != want || r.Result != Usable {
			t.Errorf("result %d: got %s %s", i, r.Source, r.Result)
		}
	}
	if len(results) != 6 || a.most != 4 {
		t.Errorf("got %d results, %d calls at once", len(results), a.most)
	}
}

func TestModelCancelled(t *testing.T) {
	a := newCrowd(t)
	w := newWorld(t, map[string]string{"a": configOf(a.URL, format.OpenAIChat)}, `{"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"a","model":"y"}]}}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, r := range (&Prober{Timeout: ample}).Model(ctx, w.snapshot, "m", true) {
		r.check(t, Failed, CodeCancelled, 0)
	}
	if n := len(a.asked()); n != 0 {
		t.Errorf("got %d calls", n)
	}
}
