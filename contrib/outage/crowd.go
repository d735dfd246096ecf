package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// A crowd is a kind of clients. Each client has one request under way at any time.
type crowd struct {
	name     string
	http2    bool          // else HTTP/1.1
	fresh    bool          // each request has a connection of its own, else they are kept
	repeats  int           // how often a request is sent again that got no answer
	plain    bool          // they ask a Caddy that only proxies
	promised bool          // no request may go without its answer
	pause    time.Duration // between reloads
}

// A tally is what became of the requests of a crowd. It may be read when the crowd is
// done.
type tally struct {
	mu         sync.Mutex
	sent       int // requests, repeats not counted
	repeated   int // repeats
	most       int // repeats of one request
	unanswered int // requests that failed for lack of an answer
	wrong      int // answers that were not what they should be, or broke off
	long       int // streams that lived through several reloads
	met        int // configurations that answered the client that met the fewest
}

// Short requests come from more clients than long streams. Some share a transport,
// as requests of one process do.
const (
	shortClients = 8
	longClients  = 4
	transports   = 4
)

// askUntil sends requests until the context is done, and waits for their answers.
func (c crowd) askUntil(ctx context.Context, g *gateway, loaded *turns, t *tally) error {
	trust, err := g.trust()
	if err != nil {
		return err
	}
	var clients [transports]*http.Client
	for i := range clients {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!c.http2)
		protocols.SetHTTP2(c.http2)
		clients[i] = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			Protocols: protocols, TLSClientConfig: trust.Clone(),
			MaxIdleConnsPerHost: shortClients, DisableKeepAlives: c.fresh,
		}}
		defer clients[i].CloseIdleConnections()
	}
	var all sync.WaitGroup
	for i := range shortClients + longClients {
		one := client{crowd: &c, gateway: g, http: clients[i%transports]}
		all.Go(func() {
			if i >= shortClients {
				for ctx.Err() == nil {
					one.long(loaded, t)
				}
				return
			}
			met := make(map[string]bool)
			for stream := i%2 == 0; ctx.Err() == nil; stream = !stream {
				met[one.short(stream, t)] = true
			}
			delete(met, "") // no answer
			t.meet(len(met))
		})
	}
	all.Wait()
	return g.b.ctx.Err()
}

// A client of a crowd asks a gateway.
type client struct {
	crowd   *crowd
	gateway *gateway
	http    *http.Client
}

// short sends a request and counts what becomes of it. It returns which configuration
// answered.
func (c *client) short(stream bool, t *tally) (turn string) {
	a, repeated, err := c.ask("hi", stream)
	t.add(c.crowd, a, repeated, err, a.whole(stream))
	return a.turn
}

// long sends a request for a stream that lives through reloads, and counts what
// becomes of it.
func (c *client) long(loaded *turns, t *tally) {
	before, _ := loaded.now()
	a, repeated, err := c.ask(long, true)
	after, _ := loaded.now()
	whole := a.whole(true) && strings.Count(a.body, "steady") == across+1
	t.add(c.crowd, a, repeated, err, whole)
	if err == nil && whole && after-before >= across {
		t.mu.Lock()
		t.long++
		t.mu.Unlock()
	}
}

// ask sends a request, and sends it again if it got no answer, as often as the crowd
// does. The answer has no status if there was none, and the error is that of all
// attempts. The wait between is that of providers' SDKs: half a second, doubled with
// each repeat, less up to a quarter.
func (c *client) ask(text string, stream bool) (a answer, repeated int, err error) {
	for wait := time.Second / 2; ; wait *= 2 {
		var failure error
		a, failure = c.askOnce(text, stream)
		if a.status != 0 {
			return a, repeated, failure
		}
		err = errors.Join(err, failure)
		if repeated == c.crowd.repeats {
			return a, repeated, err
		}
		select {
		case <-time.After(wait - rand.N(wait/4)):
		case <-c.gateway.b.ctx.Done():
			return a, repeated, err
		}
		repeated++
	}
}

// askOnce sends a request and reads the whole answer.
func (c *client) askOnce(text string, stream bool) (answer, error) {
	began := time.Now()
	resp, err := c.gateway.post(c.http, text, stream)
	if err != nil {
		return answer{}, err
	}
	if resp.ProtoAtLeast(2, 0) != c.crowd.http2 {
		resp.Body.Close()
		return answer{status: resp.StatusCode}, fmt.Errorf("the answer speaks %s", resp.Proto)
	}
	return read(resp, began)
}

// meet notes how many configurations a client has met.
func (t *tally) meet(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.met == 0 || n < t.met {
		t.met = n
	}
}

// requests is how many requests have ended.
func (t *tally) requests() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

// add counts a request. Those that were promised an answer and have none, and wrong
// answers, are told on stderr.
func (t *tally) add(c *crowd, a answer, repeated int, err error, whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	t.repeated += repeated
	t.most = max(t.most, repeated)
	var slow net.Error
	switch {
	case err == nil && whole:
		return
	// An answer that never comes is no connection that was closed.
	case a.status == 0 && !(errors.As(err, &slow) && slow.Timeout()):
		t.unanswered++
		if !c.promised {
			return
		}
	default:
		t.wrong++
	}
	fmt.Fprintf(os.Stderr, "outage: during a reload, %s: %d %.200s (%v)\n", c.name, a.status, a.body, err)
}

// promises are what is promised to a crowd, and what it found in n reloads.
func (t *tally) promises(c crowd, n int) []promise {
	unanswered := promise{
		what:     fmt.Sprintf("%d reloads, %s: requests of %d without an answer", n, c.name, t.sent),
		promised: "-", measured: fmt.Sprint(t.unanswered), kept: true,
	}
	if c.promised {
		unanswered.promised, unanswered.kept = "0", t.unanswered == 0
	}
	if c.repeats > 0 {
		unanswered.measured += fmt.Sprintf(" (%d repeats, at most %d of a request)", t.repeated, t.most)
	}
	// A crowd that met no reload has shown nothing.
	shown := t.met > 1 && t.long > 0
	return []promise{unanswered, {
		what:     fmt.Sprintf("the same: answers that were wrong or broke off; %d streams over %d reloads, %d configurations or more met by each client", t.long, across, t.met),
		promised: "0", measured: fmt.Sprint(t.wrong), kept: t.wrong == 0 && shown,
	}}
}
