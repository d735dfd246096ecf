package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// markdown is the table as its page shows it. It says that the tests passed, so it is
// written only when they did.
func (t *table) markdown() string {
	var b strings.Builder
	headings := append(append([]string{}, t.Columns...), "Tests", "Result")
	writeCells(&b, headings)
	b.WriteString(strings.Repeat("|---", len(headings)) + "|\n")
	for i := range t.Rows {
		writeCells(&b, t.Rows[i].cells(len(t.Columns)))
	}
	return b.String()
}

// cells are those of the row's line.
func (r *row) cells(columns int) []string {
	cells := append([]string{r.Name}, r.Fields...)
	result := string(passed)
	switch {
	case len(r.Tests) == 0 || r.Reason != "" && len(cells) < columns:
		cells = append(cells, r.Reason)
		result = "later"
	case r.Reason != "":
		result += "; " + r.Reason
	}
	for len(cells) < columns {
		cells = append(cells, "")
	}
	tests := make([]string, len(r.Tests))
	for i, name := range r.Tests {
		tests[i] = "`" + name + "`"
	}
	return append(cells, strings.Join(tests, " "), result)
}

func writeCells(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// writePage puts the table into its page, in the place of the table there, which is the
// first and the last that begins with the same heading.
func (t *table) writePage(root string) error {
	path := filepath.Join(root, filepath.FromSlash(t.Page))
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, _, after, err := t.cut(string(page))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(before+t.markdown()+after), 0o644)
}

// cut finds the table in its page, and what stands before and after it.
func (t *table) cut(page string) (before, found, after string, err error) {
	heading := "\n| " + t.Columns[0] + " | "
	i := strings.Index(page, heading)
	if i < 0 {
		return "", "", "", fmt.Errorf("%s has no table that begins with %q", t.Page, heading[1:])
	}
	before, rest := page[:i+1], page[i+1:]
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		found += line
	}
	return before, found, rest[len(found):], nil
}
