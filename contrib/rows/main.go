// Command rows lays the tables of what the gateway must do beside the results of the
// tests that show it:
//
//	go test -json ./... | go run ./contrib/rows [-table faults,lessons] [-update] [FILE...]
//
// It reads what `go test -json` has written from the files, or else from its standard
// input, and prints each row with its tests, their results and how long they took. It
// ends with 1 if a row has neither a test nor a reason, or if a test that a row names
// was not run, was skipped or failed; and with 2 if it could not read or write. With
// -update it then writes the tables of the pages in docs. It runs at the root of the
// module.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	only := flag.String("table", "", "the tables to check, by their names; all if it is empty")
	update := flag.Bool("update", false, "write the tables of the pages in docs, if their rows are shown")
	flag.Parse()

	out := bufio.NewWriter(os.Stdout)
	shown, err := run(*only, *update, flag.Args(), os.Stdin, out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "rows:", err)
		os.Exit(2)
	case !shown:
		os.Exit(1)
	}
}

// run prints the tables beside the results. It is false if a row is not shown to hold.
func run(only string, update bool, files []string, stdin io.Reader, out io.Writer) (shown bool, err error) {
	tables, err := choose(only)
	if err != nil {
		return false, err
	}
	results, err := readAll(files, stdin)
	if err != nil {
		return false, err
	}
	shown = true
	for _, t := range tables {
		faults, err := t.print(out, results)
		if err != nil {
			return false, err
		}
		shown = shown && faults == 0
		if !update || t.Page == "" {
			continue
		}
		if faults > 0 {
			fmt.Fprintf(out, "%s stays as it is\n", t.Page)
			continue
		}
		if err := t.writePage("."); err != nil {
			return false, err
		}
	}
	return shown, nil
}

// choose loads the tables whose names are listed, separated by commas, or all.
func choose(only string) ([]*table, error) {
	all, err := loadTables()
	if err != nil || only == "" {
		return all, err
	}
	var chosen []*table
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(t *table) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no table %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// readAll reads the results in the files, or else those from the standard input.
func readAll(files []string, stdin io.Reader) (results, error) {
	all := results{}
	if len(files) == 0 {
		if err := all.read(stdin); err != nil {
			return nil, fmt.Errorf("reading the standard input: %w", err)
		}
	}
	for _, name := range files {
		if err := all.readFile(name); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	return all, nil
}
