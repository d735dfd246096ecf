package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the root of the module.
const root = "../.."

// tablesOf loads the tables for a test.
func tablesOf(t *testing.T) []*table {
	t.Helper()
	tables, err := loadTables()
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// TestTables checks that all tables can be read, and that each test that a row names
// exists. Whether it passes is what the command is for.
func TestTables(t *testing.T) {
	known := testsBelow(t, root)
	for _, table := range tablesOf(t) {
		for i := range table.Rows {
			r := &table.Rows[i]
			for _, name := range r.Tests {
				folder, test, _ := strings.Cut(name, ".")
				test, _, _ = strings.Cut(test, "/") // a part is known only when it runs
				if !known[folder+"."+test] {
					t.Errorf("%s: %s: there is no test %s", table.name, r.title(), name)
				}
			}
		}
	}
}

// TestFaultsNameTheirTests checks that the rows of the faults are numbered from 1, and
// that each test that has a fault's number in its name stands in the fault's row.
func TestFaultsNameTheirTests(t *testing.T) {
	tables := tablesOf(t)
	i := slices.IndexFunc(tables, func(t *table) bool { return t.name == "faults" })
	if i < 0 {
		t.Fatal("there is no table of faults")
	}
	rows := tables[i].Rows
	for i, r := range rows {
		if r.Name != strconv.Itoa(i+1) {
			t.Errorf("the row %s stands at the place of %d", r.Name, i+1)
		}
	}
	numbered := regexp.MustCompile(`\.TestFault([0-9]{2})[A-Z]`)
	for name := range testsBelow(t, root) {
		match := numbered.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		number, err := strconv.Atoi(match[1])
		switch {
		case err != nil || number < 1 || number > len(rows):
			t.Errorf("the test %s is of no row", name)
		case !slices.Contains(rows[number-1].Tests, name):
			t.Errorf("tables/faults.json: row %d does not name the test %s", number, name)
		}
	}
}

// TestPages checks that the pages show the tables as they are. They are written from
// results, so the test cannot write them.
func TestPages(t *testing.T) {
	for _, table := range tablesOf(t) {
		if table.Page == "" {
			continue
		}
		page, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(table.Page)))
		if err != nil {
			t.Fatal(err)
		}
		_, got, _, err := table.cut(string(page))
		if err != nil {
			t.Fatal(err)
		}
		if want := table.markdown(); got != want {
			t.Errorf("%s is not up to date; run `go test -json ./... | go run ./contrib/rows -table %s -update`\n%s", table.Page, table.name, firstDifference(got, want))
		}
	}
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer"
}

func TestParseTable(t *testing.T) {
	const head = `{"columns":["#","what"],"rows":[`
	for _, tc := range []struct{ name, raw, err string }{
		{"good", head + `{"name":"1","fields":["x"],"tests":["a/b.TestC","a.TestC/part"]},{"name":"2","reason":"later"}]}`, ""},
		{"nothing said", head + `{"name":"1"}]}`, "row 1 (1): it has neither a test nor a reason"},
		{"no name", head + `{"reason":"later"}]}`, "row 1 (): it has no name"},
		{"a name twice", head + `{"name":"1","reason":"r"},{"name":"1","reason":"r"}]}`, "row 2: the name 1 is taken"},
		{"a test twice", head + `{"name":"1","tests":["a.TestB","a.TestB"]}]}`, "row 1 (1): it names a.TestB twice"},
		{"no test's name", head + `{"name":"1","tests":["TestB"]}]}`, `row 1 (1): "TestB" is not the name of a test`},
		{"too many fields", head + `{"name":"1","fields":["x","y"],"reason":"r"}]}`, "row 1 (1): 2 fields and a name in 2 columns"},
		{"a field that is not known", head + `{"name":"1","result":"pass"}]}`, `json: unknown field "result"`},
		{"no rows", head + `]}`, "it has no columns or no rows"},
		{"two tables", head + `{"name":"1","reason":"r"}]} {}`, "something follows the table"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parseTable("t", []byte(tc.raw))
			if got := errorText(err); got != tc.err {
				t.Errorf("got %q, want %q", got, tc.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// testsBelow are the tests of all packages below a folder, as rows name them.
func testsBelow(t *testing.T, root string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (entry.Name() == "node_modules" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if folder == "." {
			folder = rootPackage
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				found[filepath.ToSlash(folder)+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
