package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// data holds the tables, a file each.
//
//go:embed tables/*.json
var data embed.FS

// A table is a list of things that the gateway must do.
type table struct {
	name string // of its file
	// Columns are the headings of a row's name and of its fields.
	Columns []string `json:"columns"`
	// Page is the page that shows the table, from the root of the module; empty if
	// none does.
	Page string `json:"page,omitempty"`
	Rows []row  `json:"rows"`
}

// A row is one of those things.
type row struct {
	// Name is unique in the table.
	Name string `json:"name"`
	// Fields describe it. There may be fewer than columns.
	Fields []string `json:"fields,omitempty"`
	// Tests show it: each as the folder of its package, "aigateway" for the root, a dot,
	// and the test's name, as in "routing/upstream.TestScrub"; a subtest follows after a
	// slash.
	Tests []string `json:"tests,omitempty"`
	// Reason says why there is no test, or what of the row has none: because it comes
	// later, or was decided otherwise.
	Reason string `json:"reason,omitempty"`
}

// loadTables loads all tables, ordered by their names.
func loadTables() ([]*table, error) {
	files, err := data.ReadDir("tables")
	if err != nil {
		return nil, err
	}
	var all []*table
	for _, file := range files {
		raw, err := data.ReadFile(path.Join("tables", file.Name()))
		if err != nil {
			return nil, err
		}
		t, err := parseTable(strings.TrimSuffix(file.Name(), ".json"), raw)
		if err != nil {
			return nil, fmt.Errorf("tables/%s: %w", file.Name(), err)
		}
		all = append(all, t)
	}
	return all, nil
}

// parseTable reads a table, and refuses one that says anything twice or not at all.
func parseTable(name string, raw []byte) (*table, error) {
	t := &table{name: name}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(t); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the table")
	}
	if len(t.Columns) == 0 || len(t.Rows) == 0 {
		return nil, errors.New("it has no columns or no rows")
	}
	seen := map[string]bool{}
	for i := range t.Rows {
		r := &t.Rows[i]
		if err := r.check(len(t.Columns)); err != nil {
			return nil, fmt.Errorf("row %d (%s): %w", i+1, r.Name, err)
		}
		if seen[r.Name] {
			return nil, fmt.Errorf("row %d: the name %s is taken", i+1, r.Name)
		}
		seen[r.Name] = true
	}
	return t, nil
}

// check refuses a row that cannot be shown.
func (r *row) check(columns int) error {
	switch {
	case r.Name == "":
		return errors.New("it has no name")
	case len(r.Fields) >= columns:
		return fmt.Errorf("%d fields and a name in %d columns", len(r.Fields), columns)
	case len(r.Tests) == 0 && r.Reason == "":
		return errors.New("it has neither a test nor a reason")
	}
	seen := map[string]bool{}
	for _, name := range r.Tests {
		if folder, test, ok := strings.Cut(name, "."); !ok || folder == "" || !strings.HasPrefix(test, "Test") {
			return fmt.Errorf("%q is not the name of a test", name)
		}
		if seen[name] {
			return fmt.Errorf("it names %s twice", name)
		}
		seen[name] = true
	}
	return nil
}

// title is the row's name with what it is about.
func (r *row) title() string {
	if len(r.Fields) == 0 {
		return r.Name
	}
	return r.Name + ": " + r.Fields[0]
}
