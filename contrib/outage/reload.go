package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// crowds are the kinds of clients that ask while configurations are loaded. The promise
// holds for those that speak HTTP/2, in which a server tells what it did not take, and
// for those that repeat by themselves, as SDKs of providers do. The others show what is
// lost without: as much as with every Caddy.
func crowds() []crowd {
	return []crowd{
		{name: "HTTP/2", http2: true, promised: true, pause: soon},
		{name: "HTTP/2, new connections", http2: true, fresh: true, promised: migrates(), pause: soon},
		// Nobody reloads more often than this for long. If reloads were soon, a repeat
		// would meet one as easily as the request did.
		{name: "HTTP/1.1, 2 repeats", repeats: 2, promised: true, pause: time.Second},
		{name: "HTTP/1.1", pause: soon},
		{name: "HTTP/1.1, new connections", fresh: true, pause: soon},
		{name: "HTTP/1.1, only reverse_proxy", plain: true, pause: soon},
		{name: "HTTP/1.1, only reverse_proxy, new connections", plain: true, fresh: true, pause: soon},
	}
}

const (
	soon  = 20 * time.Millisecond
	meets = 20 // requests that end between two reloads, at least
)

// migrates says that the kernel moves connections that wait to be accepted from a
// listener that closes to the one that takes its place. Linux does if it is told to.
func migrates() bool {
	set, err := os.ReadFile("/proc/sys/net/ipv4/tcp_migrate_req")
	return err == nil && strings.TrimSpace(string(set)) == "1"
}

// reloads measures requests and streams while configurations are loaded, for each
// kind of clients with a process of its own.
func (b *bench) reloads() ([]promise, error) {
	var all []promise
	for i, c := range crowds() {
		n := 100 / b.scale
		t, err := b.reloadsUnder(fmt.Sprintf("reloads-%d", i), c, n)
		if err != nil {
			return nil, fmt.Errorf("reloads, %s: %w", c.name, err)
		}
		all = append(all, t.promises(c, n)...)
	}
	return all, nil
}

// reloadsUnder loads n configurations while clients of one kind ask.
func (b *bench) reloadsUnder(name string, c crowd, n int) (*tally, error) {
	loaded := newTurns()
	good, err := startProvider(loaded.patient)
	if err != nil {
		return nil, err
	}
	defer good.stop()
	site := "reverse_proxy " + good.url
	if !c.plain {
		site = "ai_gateway {\n" + sources(good.url, good.url, "") + "\n}"
	}
	g, err := b.caddy(name, "https", "header "+turnField+" 0\n"+site)
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	var t tally
	crowd := make(chan error, 1)
	go func() { crowd <- c.askUntil(ctx, g, loaded, &t) }()
	reloaded := g.reload(n, loaded, func() error { return t.grow(b.ctx, meets, c.pause) })
	stop()
	loaded.finish()
	if err := <-crowd; err != nil {
		return nil, err
	}
	return &t, reloaded
}

// reload loads n configurations that differ, and calls ready before each.
func (g *gateway) reload(n int, loaded *turns, ready func() error) error {
	for i := range n {
		if err := ready(); err != nil {
			return fmt.Errorf("before reload %d: %w", i+1, err)
		}
		config := strings.Replace(g.config, turnField+" 0", fmt.Sprintf("%s %d", turnField, i+1), 1)
		if err := g.call(http.MethodPost, "/load", config, "text/caddyfile", nil); err != nil {
			return fmt.Errorf("reload %d: %w", i+1, err)
		}
		loaded.next()
	}
	return nil
}

// grow waits for a time, and until some more requests have ended.
func (t *tally) grow(ctx context.Context, requests int, pause time.Duration) error {
	began, before := time.Now(), t.requests()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < pause || t.requests() < before+requests {
		if time.Since(began) > pause+30*time.Second {
			return errors.New("the clients do not go on")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// turnField is a header field that tells which configuration answers.
const turnField = "Config-Turn"

// turns counts reloads, for those who wait for the next. It is safe for concurrent use.
type turns struct {
	mu    sync.Mutex
	count int
	turn  chan struct{} // closed with the next reload, or when there will be none
	over  bool
}

func newTurns() *turns { return &turns{turn: make(chan struct{})} }

// now is how many reloads there were, and what is closed with the next.
func (t *turns) now() (int, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count, t.turn
}

// next tells of a reload.
func (t *turns) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	close(t.turn)
	t.turn = make(chan struct{})
}

// finish tells that there are no more reloads. Nobody waits any longer.
func (t *turns) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.over = true
		close(t.turn)
	}
}

// across is how many reloads a long stream waits for, with a piece after each.
const across = 4

// patient answers like steady. Long streams wait for the next reloads.
func (t *turns) patient(n int64, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has left
	}
	if !bytes.Contains(body, []byte(`"`+long+`"`)) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		steady(n, w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for range across {
		_, turn := t.now()
		_, _ = io.WriteString(w, content)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-turn:
		case <-r.Context().Done():
			return
		}
	}
	_, _ = io.WriteString(w, content+ending)
}
