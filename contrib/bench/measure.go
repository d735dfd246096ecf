package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"
)

// A side is one of the two that are compared, during one scenario.
type side struct {
	name    string
	config  string
	mock    string // host:port of its provider
	gateway bool

	caddy     *caddyProcess
	client    *http.Client
	cpu       []float64 // µs per request, by round
	wall      time.Duration
	requests  int
	latencies []time.Duration
}

// A result is what one scenario gave.
type result struct {
	Scenario string       `json:"scenario"`
	Requests int          `json:"requests_per_round"`
	Clients  int          `json:"clients"`
	Rounds   int          `json:"rounds"`
	Sides    []sideResult `json:"sides"`
	// Ratio is the median over the rounds of B's CPU time divided by A's in
	// the same round; 0 when only A was measured.
	Ratio    float64 `json:"ratio,omitempty"`
	RatioMin float64 `json:"ratio_min,omitempty"`
	RatioMax float64 `json:"ratio_max,omitempty"`
}

type sideResult struct {
	Name              string    `json:"name"`
	CPU               float64   `json:"cpu_us_per_request"` // median of the rounds
	CPUByRound        []float64 `json:"cpu_us_per_request_by_round"`
	RequestsPerSecond float64   `json:"requests_per_second"`
	P50               float64   `json:"p50_ms"`
	P99               float64   `json:"p99_ms"`
	PeakRSS           int64     `json:"peak_rss_bytes"`
}

// measure runs one scenario: fresh processes, a warm-up, then the rounds.
func measure(ctx context.Context, binary, dir string, s scenario, sides []*side, rounds int) (result, error) {
	for _, one := range sides {
		caddy, err := startCaddy(ctx, binary, filepath.Join(dir, s.name+"-"+one.name), one.config, one.mock)
		if err != nil {
			return result{}, fmt.Errorf("side %s: %w", one.name, err)
		}
		defer caddy.stop()
		one.caddy, one.client = caddy, newClient(s.clients)
		defer one.client.CloseIdleConnections()
		if _, err := load(ctx, s, one, max(s.clients, s.requests/4)); err != nil {
			return result{}, fmt.Errorf("warm-up: %w", err)
		}
		resetPeak(caddy.pid)
	}

	order := slices.Clone(sides)
	for range rounds {
		for _, one := range order {
			if err := one.round(ctx, s); err != nil {
				return result{}, err
			}
		}
		slices.Reverse(order) // A B, B A, A B, …
	}

	r := result{Scenario: s.name, Requests: s.requests, Clients: s.clients, Rounds: rounds}
	for _, one := range sides {
		summary, err := one.summary()
		if err != nil {
			return result{}, err
		}
		r.Sides = append(r.Sides, summary)
	}
	if len(sides) == 2 {
		ratios := make([]float64, rounds)
		for i := range ratios {
			ratios[i] = sides[1].cpu[i] / sides[0].cpu[i]
		}
		r.Ratio, r.RatioMin, r.RatioMax = median(ratios), slices.Min(ratios), slices.Max(ratios)
	}
	return r, nil
}

// round sends one round of requests and reads the CPU clock around it.
func (o *side) round(ctx context.Context, s scenario) error {
	before, err := cpuTime(o.caddy.pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	latencies, err := load(ctx, s, o, s.requests)
	if err != nil {
		return err
	}
	o.wall += time.Since(begin)
	// What the last answers left behind (closing, collecting) belongs to
	// this round, not to nobody's.
	time.Sleep(50 * time.Millisecond)
	after, err := cpuTime(o.caddy.pid)
	if err != nil {
		return err
	}
	o.cpu = append(o.cpu, float64((after-before).Nanoseconds())/1e3/float64(s.requests))
	o.requests += s.requests
	o.latencies = append(o.latencies, latencies...)
	return nil
}

func (o *side) summary() (sideResult, error) {
	rss, err := peakRSS(o.caddy.pid)
	if err != nil {
		return sideResult{}, err
	}
	slices.Sort(o.latencies)
	return sideResult{
		Name:              o.name,
		CPU:               median(o.cpu),
		CPUByRound:        o.cpu,
		RequestsPerSecond: float64(o.requests) / o.wall.Seconds(),
		P50:               percentile(o.latencies, 50),
		P99:               percentile(o.latencies, 99),
		PeakRSS:           rss,
	}, nil
}

// percentile returns a percentile of sorted latencies in milliseconds.
func percentile(sorted []time.Duration, p int) float64 {
	i := min(len(sorted)*p/100, len(sorted)-1)
	return float64(sorted[i].Microseconds()) / 1e3
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
