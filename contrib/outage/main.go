// Command outage measures what the gateway promises for bad days:
//
//	go run ./contrib/outage [-quick] [-only PART]
//
// It builds ./cmd/caddy, runs it as a process of its own with providers that fail on
// the loopback, and prints a table of what was promised and what was measured. It
// ends with 1 if a promise is broken. -quick makes each measurement ten times
// smaller and leaves out flood, which wants an idle machine; -only makes one of them.
// Everything that it starts and writes is gone when it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "measure a tenth")
	only := flag.String("only", "", "measure one part: dead, flaky, open, abandoned, reloads, kills or flood")
	limit := flag.Duration("timeout", 10*time.Minute, "time for the whole run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *limit, errors.New("the time of -timeout is over"))
	defer cancel()

	kept, err := run(ctx, *quick, *only, os.Stdout)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		fmt.Fprintln(os.Stderr, "outage:", err)
	}
	if err != nil || !kept {
		cancel()
		stop()
		os.Exit(1)
	}
}

// A promise is a number that was promised, "-" if nothing was, and what was measured.
type promise struct {
	what, promised, measured string
	kept                     bool
}

// bench is where measurements run.
type bench struct {
	ctx    context.Context
	dir    string
	binary string
	scale  int // divides the size of each measurement
}

// run makes all measurements, or the one that is named, and prints them. It is false if
// a promise is broken.
func run(ctx context.Context, quick bool, only string, out io.Writer) (kept bool, err error) {
	dir, err := os.MkdirTemp("", "ai-gateway-outage-")
	if err != nil {
		return false, fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{ctx: ctx, dir: dir, binary: filepath.Join(dir, "caddy"), scale: 1}
	if quick {
		b.scale = 10
	}
	if err := b.build(); err != nil {
		return false, err
	}
	var promises []promise
	for _, part := range []struct {
		name    string
		measure func() ([]promise, error)
	}{
		{"dead", b.deadSource},
		{"flaky", b.flakySource},
		{"open", b.everythingOpen},
		{"abandoned", b.abandoned},
		{"reloads", b.reloads},
		{"kills", b.kills},
		{"flood", b.flood},
	} {
		// How long streams wait says little on a machine with other work to do.
		if only != part.name && (only != "" || quick && part.name == "flood") {
			continue
		}
		some, err := part.measure()
		if err != nil {
			return false, err
		}
		promises = append(promises, some...)
	}
	if promises == nil {
		return false, fmt.Errorf("there is no part %q", only)
	}
	return print(out, promises), nil
}

// print prints a table, and says whether all promises are kept.
func print(out io.Writer, promises []promise) bool {
	all := true
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROMISE\tPROMISED\tMEASURED\t")
	for _, p := range promises {
		verdict := "kept"
		switch {
		case !p.kept:
			verdict, all = "BROKEN", false
		case p.promised == "-":
			verdict = "no verdict"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", p.what, p.promised, p.measured, verdict)
	}
	table.Flush() // of a terminal: an error has nobody to tell
	return all
}
