package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// routed is an API whose gateway nobody asks.
func routed() *API {
	return New(func() (Gateway, error) { return nil, fmt.Errorf("not asked for") }, zap.NewNop())
}

// TestRoutesAreDocumented holds the table of paths in docs/admin-api.md, and
// docs/openapi.json, against the routes.
func TestRoutesAreDocumented(t *testing.T) {
	a := routed()
	const page, begin, end = "../docs/admin-api.md", "<!-- routes:", "<!-- end of routes -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	mark, rest, ok2 := strings.Cut(rest, "\n")
	_, tail, ok3 := strings.Cut(rest, end)
	if !ok || !ok2 || !ok3 {
		t.Fatalf("%s has no place for the routes", page)
	}
	var table strings.Builder
	table.WriteString("\n| Path | | Does |\n|---|---|---|\n")
	routes := a.routes()
	slices.SortStableFunc(routes, func(a, b route) int { return strings.Compare(a.path, b.path) })
	for _, r := range routes {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.path, r.method, r.summary)
	}
	same(t, page, text, head+begin+mark+"\n"+table.String()+"\n"+end+tail)

	description, err := json.MarshalIndent(a.describe(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "../docs/openapi.json"
	stored, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	same(t, golden, stored, string(description)+"\n")
}

// same holds a file against what it is to be, or writes it.
func same(t *testing.T, path string, got []byte, want string) {
	t.Helper()
	if bytes.Equal(got, []byte(want)) {
		return
	}
	if !*update {
		t.Errorf("%s is not current; run go test ./admin -run %s -update", path, t.Name())
		return
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRoutesAreComplete looks for what a route must tell.
func TestRoutesAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range routed().routes() {
		name := r.method + " " + r.path
		switch {
		case seen[name]:
			t.Errorf("%s stands twice", name)
		case r.serve == nil || r.summary == "" || r.answer == nil || r.status == 0:
			t.Errorf("%s is not described", name)
		case (r.method == "POST" || r.method == "PUT" || r.method == "PATCH") == (r.body == nil):
			t.Errorf("%s has a body that it must not have, or lacks it", name)
		}
		seen[name] = true
		for _, q := range r.query {
			if parameters[q] == "" {
				t.Errorf("%s: the parameter %q is not described", name, q)
			}
		}
	}
}
