package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// reloads measures requests and streams while the configuration is loaded again and
// again.
func (b *bench) reloads() ([]promise, error) {
	good, err := startProvider(steady)
	if err != nil {
		return nil, err
	}
	defer good.stop()
	g, err := b.gateway("reloads", sources(good.url, good.url, ""))
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer g.kill()
	n := 100 / b.scale
	done := make(chan error, 1)
	go func() { done <- g.reload(n) }()
	failed, repeated, sent := 0, 0, 0
	var result error
	for running := true; running; {
		select {
		case result = <-done:
			running = false
		default:
		}
		g.load(64, func(a answer, stream bool, err error) {
			sent++
			switch {
			case a.status == 0 && dropped(err):
				repeated++
			case err != nil || !a.whole(stream):
				failed++
				fmt.Fprintf(os.Stderr, "outage: failed during a reload: %d %.200s (%v)\n", a.status, a.body, err)
			}
		})
	}
	return []promise{
		{fmt.Sprintf("answers of %d that were wrong or broke off, %d reloads", sent, n), "0", fmt.Sprint(failed), failed == 0},
		// Nothing is promised of these yet: a client that does not repeat them sees
		// them fail.
		{"connections closed before an answer meanwhile", "-", fmt.Sprint(repeated), true},
	}, result
}

// dropped says that a connection was closed before a byte of an answer came: one that
// waited to be accepted, or one that was kept.
func dropped(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.As(err, &op) && op.Op == "dial" || err != nil && (strings.HasSuffix(err.Error(), ": EOF") || strings.HasSuffix(err.Error(), "server closed idle connection"))
}

// reload loads n configurations that differ.
func (g *gateway) reload(n int) error {
	for i := range n {
		config := strings.Replace(g.config, "model m {", fmt.Sprintf("max_body %dMiB\nmodel m {", i+1), 1)
		if err := g.call(http.MethodPost, "/load", config, "text/caddyfile", nil); err != nil {
			return fmt.Errorf("reload %d: %w", i, err)
		}
	}
	return nil
}

// A circuit is what the management API tells of one.
type circuit struct {
	Scope  string    `json:"scope"`
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// circuits are those of the first upstream.
func (g *gateway) circuits() ([]circuit, error) {
	var out struct {
		Items []circuit `json:"items"`
	}
	err := g.call(http.MethodGet, "/ai_gateway/upstreams/first/circuits", "", "application/json", &out)
	return out.Items, err
}

// find returns the circuit of a scope, and whether there is one.
func find(all []circuit, scope string) (circuit, bool) {
	for _, c := range all {
		if c.Scope == scope {
			return c, true
		}
	}
	return circuit{}, false
}

// kills measures what outlives kill -9: a circuit that opened by itself, and one that
// a person opened and was told so just before.
func (b *bench) kills() ([]promise, error) {
	bad, err := startProvider(failing)
	if err != nil {
		return nil, err
	}
	defer bad.stop()
	g, err := b.gateway("kills", sources(bad.url, bad.url, "circuit {\nopen_for 5m\n}"))
	if err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	defer func() { g.kill() }()
	same, err := g.automatic()
	if err != nil {
		return nil, err
	}
	n, lost, slowest := 100/b.scale, 0, time.Duration(0)
	for i := range n {
		reason := fmt.Sprintf("kill %d", i)
		body := fmt.Sprintf(`{"reason":%q,"for":"1h"}`, reason)
		if err := g.call(http.MethodPost, "/ai_gateway/upstreams/first/circuit/open", body, "application/json", nil); err != nil {
			return nil, err
		}
		g.kill()
		began := time.Now()
		if err := g.start(); err != nil {
			return nil, fmt.Errorf("start after kill %d: %w", i, err)
		}
		slowest = max(slowest, time.Since(began))
		all, err := g.circuits()
		if err != nil {
			return nil, err
		}
		if c, ok := find(all, "upstream"); !ok || c.State != "forced_open" || c.Reason != reason {
			lost++
		}
	}
	return []promise{
		{"circuit open by itself, kill -9: open with the same end", "yes", yes(same), same},
		{fmt.Sprintf("manual openings lost in %d kill -9", n), "0", fmt.Sprint(lost), lost == 0},
		{"slowest start after kill -9", "< 2s", slowest.Round(time.Millisecond).String(), slowest < 2*time.Second},
	}, nil
}

// automatic opens a circuit by failures, kills the process, starts it again, and says
// whether the circuit is open with the same end.
func (g *gateway) automatic() (same bool, err error) {
	var before circuit
	for range 20 {
		if _, err := g.ask(false); err != nil {
			return false, err
		}
		all, err := g.circuits()
		if err != nil {
			return false, err
		}
		if before, _ = find(all, "upstream_model"); before.State == "open" {
			break
		}
	}
	if before.State != "open" {
		return false, errors.New("the circuit does not open")
	}
	time.Sleep(2 * time.Second) // what opens by itself is stored within a second
	g.kill()
	if err := g.start(); err != nil {
		return false, err
	}
	all, err := g.circuits()
	if err != nil {
		return false, err
	}
	after, _ := find(all, "upstream_model")
	return after.State == "open" && after.Until.Sub(before.Until).Abs() < time.Second, nil
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
