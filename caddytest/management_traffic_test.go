package caddytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// together runs a function n times at once and returns what each returned, by its
// number.
func together(n int, f func(i int) (*apiReply, error)) ([]*apiReply, []error) {
	replies, errs := make([]*apiReply, n), make([]error, n)
	var running sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		running.Go(func() {
			<-begin
			replies[i], errs[i] = f(i)
		})
	}
	close(begin)
	running.Wait()
	return replies, errs
}

// TestConcurrentWriters shows that nothing is lost when many people write at once, and
// that of those who have read the same revision one wins.
func TestConcurrentWriters(t *testing.T) {
	const n = 50
	g := startManaged(t, "", "")
	send := func(method, path, body string, headers ...string) (*apiReply, error) {
		return g.request(context.WithoutCancel(t.Context()), method, path, body, headers...)
	}
	all := func(want int, f func(i int) (*apiReply, error)) {
		t.Helper()
		replies, errs := together(n, f)
		for i := range replies {
			if errs[i] != nil || replies[i].status != want {
				t.Errorf("writer %d: status %d, want %d, %v: %s", i, replies[i].status, want, errs[i], replies[i].body)
			}
		}
	}
	all(201, func(i int) (*apiReply, error) {
		return send("POST", "/upstreams", named(fmt.Sprintf("u%d", i), serviceAt("http://127.0.0.1:9")))
	})
	g.create("models", "m", `{}`)
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	all(200, func(i int) (*apiReply, error) { // each its own field of one definition
		return send("PATCH", "/upstreams/u", fmt.Sprintf(`{"spec":{"headers":{"X-%d":["1"]}}}`, i))
	})
	if got := g.read("/upstreams/u").at("spec.headers").Map(); len(got) != n {
		t.Errorf("%d headers are left, want %d", len(got), n)
	}
	all(201, func(i int) (*apiReply, error) {
		return send("POST", "/models/m/sources", fmt.Sprintf(`{"upstream":"u%d","model":"x"}`, i))
	})
	if got := g.read("/models/m"); got.at("spec.sources.#").Int() != n || got.at("status.sources").Int() != n {
		t.Errorf("%d sources, want %d", got.at("spec.sources.#").Int(), n)
	}
	all(200, func(i int) (*apiReply, error) {
		return send("PATCH", fmt.Sprintf("/upstreams/u%d", i), `{"spec":{"retries":0}}`)
	})
	if got := g.read("/upstreams?page_size=1000").at("items.#(spec.retries==0)#").Array(); len(got) != n {
		t.Errorf("%d upstreams are patched, want %d", len(got), n)
	}

	tag, before := g.read("/models/m").tag(), g.read("/models/m").at("revision").Uint()
	replies, errs := together(n, func(i int) (*apiReply, error) {
		return send("PATCH", "/models/m", fmt.Sprintf(`{"spec":{"description":"by %d"}}`, i), "If-Match", tag)
	})
	won := -1
	for i, r := range replies {
		switch {
		case errs[i] != nil || r.status != 200 && r.status != 412:
			t.Errorf("writer %d: %d, %v: %s", i, r.status, errs[i], r.body)
		case r.status == 200 && won >= 0:
			t.Errorf("writers %d and %d have both won", won, i)
		case r.status == 200:
			won = i
		}
	}
	if got := g.read("/models/m"); got.at("spec.description").String() != fmt.Sprintf("by %d", won) || got.at("revision").Uint() <= before {
		t.Errorf("writer %d has won, and the model reads %s", won, got.body)
	}
	replies, _ = together(n, func(int) (*apiReply, error) { return send("POST", "/aliases", named("a", `{"model":"m"}`)) })
	created := 0
	for _, r := range replies {
		if r.status == 201 {
			created++
		} else if r.status != 409 {
			t.Errorf("status %d: %s", r.status, r.body)
		}
	}
	if created != 1 {
		t.Errorf("one alias was created %d times", created)
	}
	before2 := g.everything()
	g.restart()
	if after := g.everything(); after != before2 {
		t.Errorf("after a restart:\n%s\n%s", before2, after)
	}
}

// TestWritesUnderTraffic shows that no request fails while definitions around it, and its
// own, change all the time.
func TestWritesUnderTraffic(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt(p.URL()))
	g.create("models", "m", from("u"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	asked := make([]int, 8)
	for i := range asked {
		running.Go(func() {
			c := clients[i%len(clients)]
			for ctx.Err() == nil {
				// A request that has begun is awaited, so that none is broken off by the test.
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+c.path, strings.NewReader(c.body("m")))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "hello") {
					t.Errorf("status %d, %v: %s", resp.StatusCode, err, body)
					return
				}
				asked[i]++
			}
		})
	}
	for i := range 60 {
		name := fmt.Sprintf("other%d", i)
		g.create("upstreams", name, serviceAt(p.URL()+"/v1"))
		g.create("models", name, from(name, "u"))
		g.patch("/upstreams/u", fmt.Sprintf(`{"max_concurrency":%d,"timeouts":{"idle":"%ds"}}`, 100+i, 30+i))
		g.patch("/models/m", fmt.Sprintf(`{"sources":[{"upstream":"u","model":"x","weight":%d},{"upstream":%q,"model":"x"}]}`, i+1, name))
		if i%3 == 0 {
			g.do("DELETE", "/upstreams/"+name+"?cascade=true", "").is(200)
		}
	}
	stop()
	running.Wait()
	for i, n := range asked {
		if n == 0 {
			t.Errorf("client %d was never served", i)
		}
	}
}

// TestStreamsOutliveTheirDefinitions shows that a stream goes on as it began when its
// upstream and its model are changed, disabled and deleted.
func TestStreamsOutliveTheirDefinitions(t *testing.T) {
	goOn := make(chan struct{})
	old := startProvider(t, provider.Say("one two three four").WaitAt(2, goOn))
	next := startProvider(t, provider.Say("from the next"))
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt(old.URL()))
	g.create("models", "m", from("u"))
	type running struct {
		client client
		body   io.ReadCloser
	}
	var streams []running
	open := func() {
		c := clients[1+2*(len(streams)%2)]
		resp := g.open(t.Context(), c.path, c.body("m"))
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		streams = append(streams, running{c, resp.Body})
	}
	for range 4 {
		open()
	}
	g.patch("/upstreams/u", `{"timeouts":{"idle":"50s"}}`)
	for range 2 {
		open()
	}
	g.do("PUT", "/upstreams/u", unnamed(serviceAt(next.URL()))).is(200)
	if text := g.asks(200, "m"); text != "from the next" {
		t.Errorf("a new request is answered by %q", text)
	}
	g.patch("/models/m", `{"disabled":true}`)
	g.patch("/upstreams/u", `{"disabled":true}`)
	g.do("DELETE", "/upstreams/u?cascade=true", "").is(200)
	g.do("DELETE", "/models/m", "").is(200)
	g.asks(404, "m")
	close(goOn)
	for i, s := range streams {
		answer, err := io.ReadAll(s.body)
		s.body.Close()
		if err != nil || s.client.text(t, string(answer)) != "one two three four" {
			t.Errorf("stream %d broke: %v\n%s", i, err, answer)
		}
	}
	if n := len(old.Requests()); n != len(streams) {
		t.Errorf("the old service was asked %d times, want %d", n, len(streams))
	}
}
