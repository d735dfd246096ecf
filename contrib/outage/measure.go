package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sources is a model with two sources, of which the first is preferred.
func sources(first, second, options string) string {
	return fmt.Sprintf("upstream first %s {\nretries 0\n%s\n}\nupstream second %s {\nretries 0\n%[2]s\n}\nmodel m {\nsource first x\nsource second x priority 2\n}", first, options, second)
}

// refusing is an address that refuses connections: that of the calling end of one.
func refusing() (url string, release func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("making a dead address: %w", err)
	}
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		listener.Close()
		return "", nil, fmt.Errorf("making a dead address: %w", err)
	}
	return "http://" + conn.LocalAddr().String(), func() { conn.Close(); listener.Close() }, nil
}

// load sends n requests from a few clients and gives each answer to f, which is
// called by one at a time.
func (g *gateway) load(n int, f func(a answer, stream bool, err error)) {
	var next atomic.Int64
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := next.Add(1); i <= int64(n) && g.b.ctx.Err() == nil; i = next.Add(1) {
				a, err := g.ask(i%2 == 0)
				mu.Lock()
				f(a, i%2 == 0, err)
				mu.Unlock()
			}
		})
	}
	clients.Wait()
}

// percentile is the value below which p percent are.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*p/100)]
}

// deadSource measures a first source that refuses connections: what clients see, and
// what one failover costs.
func (b *bench) deadSource() ([]promise, error) {
	good, err := startProvider(steady)
	if err != nil {
		return nil, err
	}
	defer good.stop()
	dead, release, err := refusing()
	if err != nil {
		return nil, err
	}
	defer release()
	g, err := b.gateway("dead", sources(dead, good.url, ""))
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	n, errors, attempts := 10_000/b.scale, 0, 0
	g.load(n, func(a answer, stream bool, err error) {
		if err != nil || !a.whole(stream) {
			errors++
		}
		attempts += a.attempts
	})
	each := float64(attempts) / float64(n)
	added, err := b.failover(dead, good.url)
	if err != nil {
		return nil, err
	}
	return append([]promise{
		{fmt.Sprintf("client errors in %d requests, dead first source", n), "0", fmt.Sprint(errors), errors == 0},
		{"attempts per request meanwhile", "<= 1.2", fmt.Sprintf("%.3f", each), each <= 1.2},
	}, added...), nil
}

// failover measures requests that meet a refusal each, with circuits off, against
// such that meet none.
func (b *bench) failover(dead, good string) ([]promise, error) {
	base, err := b.latencies("base", sources(good, good, "circuit off"))
	if err != nil {
		return nil, err
	}
	moved, err := b.latencies("moved", sources(dead, good, "circuit off"))
	if err != nil {
		return nil, err
	}
	half := percentile(moved, 50) - percentile(base, 50)
	most := percentile(moved, 99) - percentile(base, 50)
	return []promise{
		{"time added by a failover on refusal, p50", "< 3ms", half.Round(time.Microsecond).String(), half < 3*time.Millisecond},
		{"the same, p99", "< 20ms", most.Round(time.Microsecond).String(), most < 20*time.Millisecond},
	}, nil
}

// latencies measures requests one after the other.
func (b *bench) latencies(name, block string) ([]time.Duration, error) {
	g, err := b.gateway(name, block)
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	var all []time.Duration
	for range 2000 / b.scale {
		a, err := g.ask(false)
		if err != nil {
			return nil, err
		}
		if !a.whole(false) {
			return nil, fmt.Errorf("%s: %d %s", name, a.status, a.body)
		}
		all = append(all, a.took)
	}
	return all, nil
}

// flakySource measures a first source of which every second answer fails.
func (b *bench) flakySource() ([]promise, error) {
	bad, err := startProvider(func(n int64, w http.ResponseWriter, r *http.Request) {
		if n%2 == 0 {
			failing(n, w, r)
			return
		}
		steady(n, w, r)
	})
	if err != nil {
		return nil, err
	}
	defer bad.stop()
	good, err := startProvider(steady)
	if err != nil {
		return nil, err
	}
	defer good.stop()
	g, err := b.gateway("flaky", sources(bad.url, good.url, ""))
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	n, errors := 10_000/b.scale, 0
	g.load(n, func(a answer, stream bool, err error) {
		if err != nil || !a.whole(stream) {
			errors++
		}
	})
	return []promise{{fmt.Sprintf("client errors in %d requests, first source fails by turns", n), "0", fmt.Sprint(errors), errors == 0}}, nil
}

// everythingOpen measures how fast clients are refused when no source may be asked.
func (b *bench) everythingOpen() ([]promise, error) {
	bad, err := startProvider(failing)
	if err != nil {
		return nil, err
	}
	defer bad.stop()
	g, err := b.gateway("open", sources(bad.url, bad.url, "circuit {\nfailures 1\nopen_for 1h up to 1h\n}"))
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	for range 3 {
		if _, err := g.ask(false); err != nil {
			return nil, err
		}
	}
	before := bad.asked.Load()
	var all []time.Duration
	hints := 0
	n := 2000 / b.scale
	for range n {
		a, err := g.ask(false)
		if err != nil {
			return nil, err
		}
		all = append(all, a.took)
		if a.status == http.StatusServiceUnavailable && a.retryAfter != "" {
			hints++
		}
	}
	most, asked := percentile(all, 99), bad.asked.Load()-before
	return []promise{
		{"refusal when everything is open, p99", "< 10ms", most.Round(time.Microsecond).String(), most < 10*time.Millisecond},
		{"refusals with 503 and Retry-After", fmt.Sprint(n), fmt.Sprint(hints), hints == n},
		{"attempts while open", "0", fmt.Sprint(asked), asked == 0},
	}, nil
}

// abandoned measures what stays of streams that their clients leave.
func (b *bench) abandoned() ([]promise, error) {
	slow, err := startProvider(endless)
	if err != nil {
		return nil, err
	}
	defer slow.stop()
	g, err := b.gateway("abandoned", sources(slow.url, slow.url, ""))
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	if err := g.leave(10); err != nil { // what is made once is made
		return nil, err
	}
	before, err := g.settled()
	if err != nil {
		return nil, err
	}
	n := 1000 / b.scale
	for range n / 50 {
		if err := g.leave(50); err != nil {
			return nil, err
		}
	}
	kept := 0
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		now, err := g.goroutines()
		if err != nil {
			return nil, err
		}
		if kept = max(0, now-before); kept <= 10 {
			break
		}
	}
	return []promise{{fmt.Sprintf("goroutines kept after %d abandoned streams", n), "<= 10", fmt.Sprint(kept), kept <= 10}}, nil
}

// settled waits until the number of goroutines has stayed the same for half a second,
// and returns it.
func (g *gateway) settled() (int, error) {
	const each, enough = 50 * time.Millisecond, 10
	last, same := -1, 0
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(each) {
		now, err := g.goroutines()
		if err != nil {
			return 0, err
		}
		if now != last {
			last, same = now, 0
		}
		if same++; same == enough {
			return now, nil
		}
	}
	return 0, errors.New("the number of goroutines does not settle")
}

// leave opens n streams at once, reads the first line of each, and leaves.
func (g *gateway) leave(n int) error {
	failures := make(chan error, n)
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			resp, err := g.open(true)
			if err != nil {
				failures <- err
				return
			}
			defer resp.Body.Close()
			if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
				failures <- fmt.Errorf("reading a stream: %w", err)
			}
		})
	}
	clients.Wait()
	close(failures)
	return <-failures
}
