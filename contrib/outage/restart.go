package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

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
	// Writes are a second apart. Whether it is stored by itself is what is measured, so
	// there is nothing that could be asked.
	time.Sleep(1500 * time.Millisecond)
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
