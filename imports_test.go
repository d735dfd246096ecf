package aigateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/caddy-ai-gateway/caddy-ai-gateway"

// anything lets a package import every package of ours.
const anything = "..."

// mayImport is the table "Who may import whom" of the architecture page. A
// key is a folder (see folderOf), a value the folders it may import beside
// itself; "format/..." is the package format and everything below it. A
// package that no key covers has no place in the layout yet.
var mayImport = map[string][]string{
	".":          {anything},
	"cmd/caddy":  {"."},
	"caddytest":  {anything},
	"contrib":    {},
	"admin":      {"routing", "routing/upstream", "routing/registry", "routing/catalogue", "routing/probe", "format/..."},
	"handler":    {"routing", "routing/upstream", "format/..."},
	"routing":    {"routing/upstream", "format/..."},
	"credential": {"routing/upstream"},
	"demo":       {"format/..."},
	"storage":    {},

	"routing/upstream":  {"format/..."},
	"routing/catalogue": {"routing/upstream", "format/..."},
	"routing/registry":  {"routing", "routing/upstream", "format/..."},
	"routing/probe":     {"routing", "routing/upstream", "format/..."},

	"routing/registry/registrytest": {"routing/registry"},

	"format":            {"format/chat", "format/sse", "format/tape"},
	"format/chat":       leaves,
	"format/tape":       leaves,
	"format/sse":        leaves,
	"format/schema":     leaves,
	"format/capability": leaves,
	"format/openai":     vendor,
	"format/anthropic":  vendor,
	"format/gemini":     vendor,
	"format/formattest": {"format", "format/chat", "format/sse", "format/tape"},
}

// onlyForTests are the folders that nothing but tests imports.
var onlyForTests = []string{"format/formattest", "routing/registry/registrytest"}

// leaves are the folders below format that never import format. About each
// other the table says nothing, so Go's ban on cycles is enough there.
var leaves = []string{"format/chat", "format/tape", "format/sse", "format/schema", "format/capability"}

// vendor is what the wire formats of a vendor family may import.
var vendor = append([]string{"format"}, leaves...)

// notBelowFormat are the modules that format and everything below it must
// not reach, not even through others.
var notBelowFormat = []string{"github.com/caddyserver/caddy/v2", "go.uber.org/zap"}

// onlyIn are the modules with one home each, because of their size or
// because the rest states what it needs as an interface.
var onlyIn = map[string]string{
	"github.com/dgraph-io/badger/v4":    "storage",
	"github.com/aws/aws-sdk-go-v2":      "credential",
	"github.com/Azure/azure-sdk-for-go": "credential",
}

// checkImport says why the package importer may not import imported, both
// as full import paths. A test says that the import stands in a _test.go
// file: tests may use any package of ours but the root.
func checkImport(importer, imported string, test bool) error {
	from := folderOf(importer)
	allowed, ok := mayImport[from]
	if !ok {
		return fmt.Errorf("%s has no row in the import table", importer)
	}
	if !isOurs(imported) {
		return checkForeign(importer, from, imported, test)
	}
	to := folderOf(imported)
	if _, ok := mayImport[to]; !ok {
		return fmt.Errorf("%s imports %s, which has no row in the import table", importer, imported)
	}
	if slices.Contains(onlyForTests, to) && !test && from != to {
		return fmt.Errorf("%s may not import %s, which is for tests", importer, imported)
	}
	switch {
	case slices.Contains(allowed, anything), slices.Contains(allowed, to):
		return nil
	case from == to && from != "credential", importer == imported:
		return nil
	case isBelow(to, "format") && slices.Contains(allowed, "format/..."):
		return nil
	case test && to != ".":
		return nil
	}
	return fmt.Errorf("%s may not import %s", importer, imported)
}

func checkForeign(importer, from, imported string, test bool) error {
	if isBelow(from, "format") && !test {
		for _, m := range notBelowFormat {
			if isBelow(imported, m) {
				return fmt.Errorf("%s may not reach %s", importer, imported)
			}
		}
	}
	for m, home := range onlyIn {
		if isBelow(imported, m) && from != home {
			return fmt.Errorf("%s may not import %s: that belongs to %s", importer, imported, home)
		}
	}
	return nil
}

// folderOf returns the key of the import table that covers a package of
// ours: its own folder or the nearest above that has a row. Folders below
// format and routing stand for themselves.
func folderOf(importPath string) string {
	if importPath == modulePath {
		return "."
	}
	folder := strings.TrimPrefix(importPath, modulePath+"/")
	for dir := folder; dir != "."; dir = path.Dir(dir) {
		if _, ok := mayImport[dir]; ok && (dir == folder || dir != "format" && dir != "routing") {
			return dir
		}
	}
	return folder
}

func isOurs(importPath string) bool { return isBelow(importPath, modulePath) }

// isBelow reports whether p is top or below it.
func isBelow(p, top string) bool { return p == top || strings.HasPrefix(p, top+"/") }

// TestImports holds every package of the module to the import table.
func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		if len(p.Imports) == 0 && len(p.TestImports) == 0 && len(p.XTestImports) == 0 {
			continue
		}
		check := func(imports []string, test bool) {
			for _, imported := range imports {
				if err := checkImport(p.ImportPath, imported, test); err != nil {
					t.Error(err)
				}
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)

		if !isBelow(folderOf(p.ImportPath), "format") {
			continue
		}
		for _, dep := range p.Deps {
			if isOurs(dep) {
				continue // Its own row is checked where it is the importer.
			}
			if err := checkImport(p.ImportPath, dep, false); err != nil {
				t.Error(err)
			}
		}
	}
}

type listedPackage struct {
	ImportPath                               string
	Imports, TestImports, XTestImports, Deps []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e",
		"-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("reading the answer of go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("go list names no package")
	}
	return all
}

func TestCheckImport(t *testing.T) {
	ours := func(folder string) string { return path.Join(modulePath, folder) }
	const (
		caddy  = "github.com/caddyserver/caddy/v2/modules/caddyhttp"
		zap    = "go.uber.org/zap/zapcore"
		badger = "github.com/dgraph-io/badger/v4"
		aws    = "github.com/aws/aws-sdk-go-v2/config"
	)
	cases := []struct {
		name         string
		from, to     string
		test, forbid bool
	}{
		{"root imports anything", ours(""), ours("storage"), false, false},
		{"root imports format", ours(""), ours("format/gemini"), false, false},
		{"cmd imports root", ours("cmd/caddy"), ours(""), false, false},
		{"cmd imports nothing else", ours("cmd/caddy"), ours("handler"), false, true},
		{"caddytest imports root", ours("caddytest"), ours(""), false, false},
		{"handler imports root", ours("handler"), ours(""), false, true},
		{"a test of handler imports root", ours("handler"), ours(""), true, true},
		{"a test of handler imports demo", ours("handler"), ours("demo"), true, false},
		{"the root's own test", ours(""), ours(""), true, false},
		{"contrib imports format", ours("contrib/bench"), ours("format"), false, true},

		{"admin imports routing", ours("admin"), ours("routing"), false, false},
		{"admin imports upstream", ours("admin"), ours("routing/upstream"), false, false},
		{"admin imports its console", ours("admin"), ours("admin/console"), false, false},
		{"console imports routing", ours("admin/console"), ours("routing"), false, false},
		{"admin imports handler", ours("admin"), ours("handler"), false, true},
		{"admin imports storage", ours("admin"), ours("storage"), false, true},
		{"console imports storage", ours("admin/console"), ours("storage"), false, true},

		{"handler imports routing", ours("handler"), ours("routing"), false, false},
		{"handler imports upstream", ours("handler"), ours("routing/upstream"), false, false},
		{"handler imports format", ours("handler"), ours("format"), false, false},
		{"handler imports sse", ours("handler"), ours("format/sse"), false, false},
		{"handler imports admin", ours("handler"), ours("admin"), false, true},
		{"handler imports storage", ours("handler"), ours("storage"), false, true},
		{"handler imports demo", ours("handler"), ours("demo"), false, true},

		{"routing imports upstream", ours("routing"), ours("routing/upstream"), false, false},
		{"routing imports chat", ours("routing"), ours("format/chat"), false, false},
		{"routing imports handler", ours("routing"), ours("handler"), false, true},
		{"upstream imports format", ours("routing/upstream"), ours("format"), false, false},
		{"upstream imports routing", ours("routing/upstream"), ours("routing"), false, true},
		{"a new folder below routing", ours("routing/extra"), ours("format"), false, true},

		{"credential imports upstream", ours("credential/aws"), ours("routing/upstream"), false, false},
		{"credential imports routing", ours("credential/aws"), ours("routing"), false, true},
		{"credential imports format", ours("credential/aws"), ours("format"), false, true},
		{"credential imports another", ours("credential/aws"), ours("credential/google"), false, true},
		{"credential imports its SDK", ours("credential/aws"), aws, false, false},
		{"upstream imports a cloud SDK", ours("routing/upstream"), aws, false, true},

		{"demo imports openai", ours("demo"), ours("format/openai"), false, false},
		{"demo imports upstream", ours("demo"), ours("routing/upstream"), false, true},
		{"demo imports caddy", ours("demo"), caddy, false, false},

		{"format imports chat", ours("format"), ours("format/chat"), false, false},
		{"format imports openai", ours("format"), ours("format/openai"), false, true},
		{"format imports tape", ours("format"), ours("format/tape"), false, false},
		{"format imports routing", ours("format"), ours("routing"), false, true},
		{"chat imports format", ours("format/chat"), ours("format"), false, true},
		{"sse imports format", ours("format/sse"), ours("format"), false, true},
		{"tape imports format", ours("format/tape"), ours("format"), false, true},
		{"schema imports format", ours("format/schema"), ours("format"), false, true},
		{"capability imports format", ours("format/capability"), ours("format"), false, true},
		{"tape imports chat", ours("format/tape"), ours("format/chat"), false, false},
		{"chat imports openai", ours("format/chat"), ours("format/openai"), false, true},
		{"openai imports format", ours("format/openai"), ours("format"), false, false},
		{"anthropic imports sse", ours("format/anthropic"), ours("format/sse"), false, false},
		{"gemini imports schema", ours("format/gemini"), ours("format/schema"), false, false},
		{"openai imports anthropic", ours("format/openai"), ours("format/anthropic"), false, true},
		{"a new folder below format", ours("format/cohere"), ours("format"), false, true},

		{"a test of gemini imports what is for tests", ours("format/gemini"), ours("format/formattest"), true, false},
		{"gemini imports what is for tests", ours("format/gemini"), ours("format/formattest"), false, true},
		{"root imports what is for tests", ours(""), ours("format/formattest"), false, true},

		{"format imports caddy", ours("format"), caddy, false, true},
		{"format imports zap", ours("format"), zap, false, true},
		{"sse imports zap", ours("format/sse"), zap, false, true},
		{"openai imports caddy", ours("format/openai"), caddy, false, true},
		{"format imports the standard library", ours("format"), "net/http", false, false},
		{"handler imports caddy", ours("handler"), caddy, false, false},
		{"handler imports zap", ours("handler"), zap, false, false},

		{"storage imports badger", ours("storage"), badger, false, false},
		{"storage imports routing", ours("storage"), ours("routing"), false, true},
		{"handler imports badger", ours("handler"), badger, false, true},

		{"a folder without a row", ours("utils"), "fmt", false, true},
		{"an import without a row", ours(""), ours("utils"), false, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			err := checkImport(tc.from, tc.to, tc.test)
			if (err != nil) != tc.forbid {
				t.Errorf("%s -> %s: got %v, want forbidden: %v", tc.from, tc.to, err, tc.forbid)
			}
		})
	}
}
