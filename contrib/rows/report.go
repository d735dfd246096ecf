package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"unicode/utf8"
)

// print writes the rows beside the results of their tests, and how many rows are not
// shown to hold.
func (t *table) print(out io.Writer, rs results) (faults int, err error) {
	lines := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(lines, "%s\tRESULT\tSECONDS\tTEST\n", t.name)
	later := 0
	for i := range t.Rows {
		r := &t.Rows[i]
		if !r.print(lines, rs) {
			faults++
		}
		if r.Reason != "" {
			later++
		}
	}
	if err := lines.Flush(); err != nil {
		return faults, err
	}
	_, err = fmt.Fprintf(out, "%s: %d rows, %d not shown, %d with a reason why not or not all\n\n", t.name, len(t.Rows), faults, later)
	return faults, err
}

// print writes a line for each test of the row, and one for its reason. It is false if
// a test did not pass.
func (r *row) print(lines io.Writer, rs results) (shown bool) {
	shown = true
	title := shorten(r.title())
	for _, name := range r.Tests {
		result := rs.of(name)
		shown = shown && result.outcome == passed
		fmt.Fprintf(lines, "%s\t%s\t%.2f\t%s\n", title, result.outcome, result.seconds, name)
		title = ""
	}
	if r.Reason != "" {
		fmt.Fprintf(lines, "%s\treason\t\t%s\n", title, r.Reason)
	}
	return shown
}

// widest is the longest text in the first column, in characters.
const widest = 56

// shorten cuts a text that is too long for its column.
func shorten(text string) string {
	if utf8.RuneCountInString(text) <= widest {
		return text
	}
	return string([]rune(text)[:widest-1]) + "…"
}
