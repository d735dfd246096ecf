package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// module is the path before the folder of each package.
const module = "github.com/caddy-ai-gateway/caddy-ai-gateway"

// rootPackage stands for the folder of the package at the root of the module.
const rootPackage = "aigateway"

// outcome is how a test ended.
type outcome string

// The outcomes. Any but pass is a fault of the rows that name the test.
const (
	passed     outcome = "pass"
	failed     outcome = "fail"
	skipped    outcome = "skip" // itself or a part of it
	unfinished outcome = "unfinished"
	notRun     outcome = "not run"
)

// severity orders what several runs, or the parts of a test, came to.
var severity = map[outcome]int{passed: 0, skipped: 1, unfinished: 2, failed: 3}

// worse is the worse of two outcomes.
func worse(a, b outcome) outcome {
	if severity[b] > severity[a] {
		return b
	}
	return a
}

// result is what became of a test, by its worst run.
type result struct {
	outcome outcome
	seconds float64 // of the longest run
}

// results are those of the tests that ran, each under its name as rows name it.
type results map[string]result

// of is the result of a test; one that is unknown was not run.
func (rs results) of(name string) result {
	r, ok := rs[name]
	if !ok {
		return result{outcome: notRun}
	}
	return r
}

// event is a line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
}

func (rs results) readFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close() // it was only read
	return rs.read(file)
}

// read adds the results that `go test -json` has written. Lines that are no events,
// such as what the compiler says, are passed over.
func (rs results) read(from io.Reader) error {
	running := map[testID]bool{}
	reader := bufio.NewReader(from)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line = bytes.TrimSpace(line); bytes.HasPrefix(line, []byte("{")) {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			rs.take(&e, running)
		}
		if err != nil {
			break
		}
	}
	for id := range running {
		rs.add(id, unfinished, 0)
	}
	return nil
}

// testID names a test as Go does.
type testID struct{ folder, test string }

// take adds what an event says. Running are the tests that have begun and not ended.
func (rs results) take(e *event, running map[testID]bool) {
	folder, ours := strings.CutPrefix(e.Package, module+"/")
	if !ours && e.Package != module || e.Test == "" {
		return
	}
	if !ours {
		folder = rootPackage
	}
	id := testID{folder, e.Test}
	switch o := outcome(e.Action); o {
	case "run":
		running[id] = true
	case passed, failed, skipped:
		delete(running, id)
		rs.add(id, o, e.Elapsed)
	}
}

// add adds the result of a test to it and to all that it is a part of: Go says that a
// test passed if its parts were skipped.
func (rs results) add(id testID, o outcome, seconds float64) {
	for test := id.test; ; {
		name := id.folder + "." + test
		r, ok := rs[name]
		if !ok {
			r.outcome = o
		}
		rs[name] = result{worse(r.outcome, o), max(r.seconds, seconds)}
		end := strings.LastIndexByte(test, '/')
		if end < 0 {
			return
		}
		test = test[:end]
	}
}
