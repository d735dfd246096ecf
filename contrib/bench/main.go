// Command bench measures what a request costs in the gateway, with plain
// Caddy as the yardstick:
//
//	go run ./contrib/bench
//
// It builds ./cmd/caddy once and starts three processes on the loopback: a
// mock provider, Caddy A (reverse_proxy to the mock) and Caddy B (the
// ai_gateway directive). Rounds of identical requests go to A and B by turns
// (A B, B A, …), so that other load on the machine meets both alike. The
// result is CPU time of each Caddy process per request, and the ratio B/A.
// README.md beside this file tells how to read it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// mockFlag, as the only argument, turns the process into the mock provider.
const mockFlag = "-serve-mock-provider"

type options struct {
	rounds    int
	requests  int
	clients   int
	scenarios string
	caddy     string
	timeout   time.Duration
	gap       time.Duration
	control   bool
	json      bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == mockFlag {
		if err := serveMock(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "mock provider:", err)
			os.Exit(1)
		}
		return
	}

	var o options
	flag.IntVar(&o.rounds, "rounds", 8, "rounds per scenario and side")
	flag.IntVar(&o.requests, "requests", 0, "requests per round (0: the scenario's own number)")
	flag.IntVar(&o.clients, "c", 0, "concurrent clients (0: the scenario's own number)")
	flag.StringVar(&o.scenarios, "scenarios", "", "names separated by commas (empty: all of "+scenarioNames()+")")
	flag.StringVar(&o.caddy, "caddy", "", "Caddy binary to measure (empty: build ./cmd/caddy)")
	flag.DurationVar(&o.timeout, "timeout", 20*time.Minute, "time for the whole run")
	flag.DurationVar(&o.gap, "gap", time.Millisecond, "pause of the mock provider between two chunks of a stream")
	flag.BoolVar(&o.control, "control", false, "let B be plain Caddy too: the spread shows the noise of the machine")
	flag.BoolVar(&o.json, "json", false, "print the result as JSON")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, errors.New("the time of -timeout is over"))
	defer cancel()

	if err := run(ctx, o); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run does everything; all its processes have ended when it returns.
func run(ctx context.Context, o options) error {
	chosen, err := chooseScenarios(o.scenarios)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ai-gateway-bench-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)

	binary := o.caddy
	if binary == "" {
		note("building ./cmd/caddy")
		binary = filepath.Join(dir, "caddy")
		if err := buildCaddy(ctx, binary); err != nil {
			return err
		}
	}
	withGateway := !o.control
	if withGateway && !hasGateway(ctx, binary) {
		note("this binary has no ai_gateway module: measuring plain Caddy alone")
		withGateway = false
	}

	mock, err := startMock(ctx, o.gap)
	if err != nil {
		return err
	}
	defer mock.stop()

	var results []result
	for _, s := range chosen {
		if o.requests > 0 {
			s.requests = o.requests
		}
		if o.clients > 0 {
			s.clients = o.clients
		}
		note("%s: %s", s.name, s.about)
		sides := []*side{{name: "A", config: plainConfig, mock: mock.plain}}
		switch {
		case withGateway:
			sides = append(sides, &side{name: "B", config: s.gateway, mock: mock.gateway, gateway: true})
		case o.control:
			sides = append(sides, &side{name: "B", config: plainConfig, mock: mock.plain})
		}
		r, err := measure(ctx, binary, dir, s, sides, o.rounds)
		if err != nil {
			return fmt.Errorf("scenario %s: %w", s.name, err)
		}
		results = append(results, r)
	}

	if o.json {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(results)
	}
	printTable(os.Stdout, results)
	return nil
}

func chooseScenarios(names string) ([]scenario, error) {
	all := scenarios()
	if names == "" {
		return all, nil
	}
	var chosen []scenario
next:
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		for _, s := range all {
			if s.name == name {
				chosen = append(chosen, s)
				continue next
			}
		}
		return nil, fmt.Errorf("unknown scenario %q; there are %s", name, scenarioNames())
	}
	return chosen, nil
}

// note tells on the error output what goes on.
func note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
