package caddytest

import (
	"bufio"
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// follower reads the events of a gateway.
type follower struct {
	t     *testing.T
	lines *bufio.Scanner
	last  uint64
}

// follow begins to read the events behind one; "" for those that come.
func (g *managed) follow(after string) *follower {
	g.t.Helper()
	ctx, leave := context.WithTimeout(g.t.Context(), 20*time.Second)
	resp, err := g.begin(ctx, "GET", "/events", "", "Last-Event-ID", after)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		leave()
		resp.Body.Close()
	})
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		g.t.Fatalf("the events are answered with %d of type %q", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	f := &follower{t: g.t, lines: bufio.NewScanner(resp.Body)}
	if !f.lines.Scan() || f.lines.Text() != ":" {
		g.t.Fatalf("the stream begins with %q", f.lines.Text())
	}
	return f
}

// next reads the next event of a type; ids must rise.
func (f *follower) next(kind string) gjson.Result {
	f.t.Helper()
	var got string
	for f.lines.Scan() {
		line := f.lines.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			n, err := strconv.ParseUint(id, 10, 64)
			if err != nil || n <= f.last {
				f.t.Fatalf("after event %d comes %q", f.last, id)
			}
			f.last = n
		}
		if text, ok := strings.CutPrefix(line, "event: "); ok {
			got = text
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || got != kind {
			continue
		}
		event := gjson.Parse(data)
		if event.Get("id").Uint() != f.last || event.Get("type").String() != kind || event.Get("time").Time().IsZero() {
			f.t.Errorf("event %d reads %s", f.last, data)
		}
		return event.Get("data")
	}
	f.t.Fatalf("the stream ended without an event of type %s (%v)", kind, f.lines.Err())
	return gjson.Result{}
}

// TestEventsTellOfChanges: definitions, circuits and catalogues, over reloads, and from
// where the reader was.
func TestEventsTellOfChanges(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("Hello.")))
	g := startManaged(t, "", "")
	f := g.follow("")
	g.create("upstreams", "u", `{"base_url":"`+p.URL()+`"}`)
	if e := f.next("definition"); e.Get("kind").String() != "upstream" || e.Get("name").String() != "u" || e.Get("what").String() != "create" || e.Get("revision").Uint() == 0 || e.Get("actor").String() != "admin" {
		t.Errorf("the creation is told as %s", e)
	}
	first := f.last
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	if e := f.next("catalogue"); e.Get("upstream").String() != "u" || e.Get("added").Int() != 2 {
		t.Errorf("the sync is told as %s", e)
	}
	g.do("POST", "/upstreams/u/circuit/open", `{"reason":"maintenance"}`).is(200)
	if e := f.next("circuit"); e.Get("state").String() != "forced_open" || e.Get("reason").String() != "maintenance" {
		t.Errorf("the circuit is told as %s", e)
	}
	g.block = "max_body 3MiB"
	g.reload()
	g.patch("/upstreams/u", `{"tags":["x"]}`)
	if e := f.next("definition"); e.Get("what").String() != "edit" {
		t.Errorf("the change after the reload is told as %s", e)
	}
	g.do("DELETE", "/upstreams/u", "").is(200)
	if e := f.next("definition"); e.Get("what").String() != "delete" {
		t.Errorf("the deletion is told as %s", e)
	}

	back := g.follow(strconv.FormatUint(first, 10))
	back.next("catalogue")
	if back.last != first+1 {
		t.Errorf("after event %d the reader got %d", first, back.last)
	}
	back.next("circuit")
	for _, what := range []string{"edit", "delete"} {
		if e := back.next("definition"); e.Get("what").String() != what {
			t.Errorf("want %s, got %s", what, e)
		}
	}

	// What a restore changes is told too.
	g.create("upstreams", "u", `{"base_url":"`+p.URL()+`"}`)
	name := g.do("POST", "/backups", "").is(201).at("name").String()
	g.do("DELETE", "/upstreams/u", "").is(200)
	g.do("POST", "/restore", `{"name":"`+name+`"}`).is(200)
	for _, what := range []string{"create", "delete", "create"} {
		if e := back.next("definition"); e.Get("what").String() != what || e.Get("name").String() != "u" {
			t.Errorf("want %s of u, got %s", what, e)
		}
	}
}

// TestEventsEndWithTheGateway: a config without the gateway lets its readers go.
func TestEventsEndWithTheGateway(t *testing.T) {
	g := startManaged(t, "", "")
	f := g.follow("")
	g.stop()
	for f.lines.Scan() {
		if strings.HasPrefix(f.lines.Text(), "data:") {
			t.Errorf("it ends with %s", f.lines.Text())
		}
	}
	if err := f.lines.Err(); err != nil {
		t.Errorf("the stream breaks: %v", err)
	}
}
