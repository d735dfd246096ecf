package admin

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"go.uber.org/zap"
)

// TestOpenAPIStructure holds the description against the rules of OpenAPI 3.1 that it
// could break: ids are unique, references lead somewhere, the names in a path are its
// parameters, answers have a description and a schema.
func TestOpenAPIStructure(t *testing.T) {
	text, err := json.Marshal(routed().describe())
	if err != nil {
		t.Fatal(err)
	}
	doc := gjson.ParseBytes(text)
	if doc.Get("openapi").String() != "3.1.0" || doc.Get("info.title").String() == "" || doc.Get("info.version").String() == "" {
		t.Errorf("it begins with %s, %s", doc.Get("openapi"), doc.Get("info"))
	}
	named := doc.Get("components.schemas").Map()
	for _, ref := range regexp.MustCompile(`"\$ref":"([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		if name, ok := strings.CutPrefix(ref[1], "#/components/schemas/"); !ok || !named[name].Exists() {
			t.Errorf("the reference %s leads nowhere", ref[1])
		}
	}
	for name := range named {
		if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(name) {
			t.Errorf("the schema %q has a name that is not allowed", name)
		}
	}
	ids := make(map[string]bool)
	for path, methods := range doc.Get("paths").Map() {
		for method, op := range methods.Map() {
			call, id := method+" "+path, op.Get("operationId").String()
			if id == "" || ids[id] || op.Get("summary").String() == "" {
				t.Errorf("%s has the operationId %q and the summary %q", call, id, op.Get("summary"))
			}
			ids[id] = true
			checkParameters(t, call, path, op.Get("parameters").Array())
			for status, answer := range op.Get("responses").Map() {
				if _, err := strconv.Atoi(status); err != nil && status != "default" || answer.Get("description").String() == "" {
					t.Errorf("%s: the answer %s is %s", call, status, answer)
				}
				for kind, media := range answer.Get("content").Map() {
					if !media.Get("schema").Exists() {
						t.Errorf("%s: the answer %s of type %s has no schema", call, status, kind)
					}
				}
			}
		}
	}
}

// checkParameters looks for the parameters of an operation that are missing or double.
func checkParameters(t *testing.T, call, path string, list []gjson.Result) {
	t.Helper()
	seen := make(map[string]bool)
	for _, p := range list {
		place := p.Get("in").String() + " " + p.Get("name").String()
		if seen[place] || p.Get("description").String() == "" || !p.Get("schema").Exists() || p.Get("in").String() == "path" && !p.Get("required").Bool() {
			t.Errorf("%s: parameter %s", call, p)
		}
		seen[place] = true
	}
	for _, name := range regexp.MustCompile(`\{([^}]*)\}`).FindAllStringSubmatch(path, -1) {
		if !seen["path "+name[1]] {
			t.Errorf("%s: the name %s of the path is no parameter", call, name[1])
		}
		delete(seen, "path "+name[1])
	}
	for place := range seen {
		if strings.HasPrefix(place, "path ") {
			t.Errorf("%s: the parameter %s is not in the path", call, place)
		}
	}
}

// TestSchemasOfTwoPackages: types of the same name are two schemas.
func TestSchemasOfTwoPackages(t *testing.T) {
	seen := make(map[reflect.Type]string)
	types := newSchemas()
	for _, r := range routed().routes() {
		for _, v := range []any{r.body, r.answer} {
			if v == nil || reflect.TypeOf(v).Kind() != reflect.Struct {
				continue
			}
			typ := reflect.TypeOf(v)
			ref, _ := types.of(typ)["$ref"].(string)
			for other, name := range seen {
				if name == ref && other != typ && ref != "" {
					t.Errorf("%s and %s are both %s", other, typ, ref)
				}
			}
			seen[typ] = ref
		}
	}
}

// TestEveryRouteIsThere asks for every route: none of them is an unknown path, and no
// path has a method that is not described.
func TestEveryRouteIsThere(t *testing.T) {
	a := New(func() (Gateway, error) {
		return nil, &Error{Status: http.StatusTeapot, Code: "asked", Message: "the gateway was asked for"}
	}, zap.NewNop())
	known := make(map[string]bool)
	for _, r := range a.routes() {
		known[r.method+" "+r.path] = true
	}
	for _, r := range a.routes() {
		path := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(r.path, "x%2Fy")
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			w := call(a, method, path, "{}", "Content-Type", "application/json")
			is := known[method+" "+r.path]
			// A definition may have the name of an action.
			action := strings.Count(r.path, "/") == 2 && !strings.Contains(r.path, "{") && method != http.MethodPost
			switch {
			case is && w.Code != http.StatusTeapot:
				t.Errorf("%s %s is answered with %d: %s", method, r.path, w.Code, w.Body)
			case !is && !action && w.Code != http.StatusMethodNotAllowed:
				t.Errorf("%s %s is not described, and answered with %d", method, r.path, w.Code)
			}
		}
	}
	if w := call(a, http.MethodGet, "/nothing", ""); w.Code != http.StatusNotFound {
		t.Errorf("an unknown path is answered with %d", w.Code)
	}
}

// TestChangesFromForeignPages: what a page of somebody else makes a browser send is
// refused by every route that changes anything, before the gateway is asked for.
func TestChangesFromForeignPages(t *testing.T) {
	a := New(func() (Gateway, error) {
		t.Error("the gateway was asked for")
		return nil, &Error{Status: http.StatusTeapot}
	}, zap.NewNop())
	for _, r := range a.routes() {
		if r.method == http.MethodGet {
			continue
		}
		path := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(r.path, "x")
		for name, headers := range map[string][]string{
			"foreign origin": {"Origin", "https://evil.example"},
			"null origin":    {"Origin", "null"},
			"cross-site":     {"Sec-Fetch-Site", "cross-site"},
			"same-site":      {"Sec-Fetch-Site", "same-site", "Origin", "https://other.example.com"},
			"no-cors":        {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Content-Type", "text/plain"},
		} {
			w := call(a, r.method, path, "{}", append([]string{"Content-Type", "application/json"}, headers...)...)
			if w.Code != http.StatusForbidden || gjson.Get(w.Body.String(), "error.code").String() != "cross_origin" {
				t.Errorf("%s %s from a page (%s): %d %s", r.method, r.path, name, w.Code, w.Body)
			}
		}
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
			if w := call(a, r.method, path, "x=y", "Content-Type", kind); w.Code != http.StatusUnsupportedMediaType {
				t.Errorf("%s %s with a body of type %q: %d %s", r.method, r.path, kind, w.Code, w.Body)
			}
		}
	}
}

// TestQueriesAreDescribed reads the source: a route describes the parameters that its
// handler, or what that calls, reads out of the query, and no others.
func TestQueriesAreDescribed(t *testing.T) {
	functions := sourceFunctions(t)
	for _, r := range routed().routes() {
		name := runtime.FuncForPC(reflect.ValueOf(r.serve).Pointer()).Name()
		name = regexp.MustCompile(`.*\(\*API\)\.([A-Za-z]+).*`).ReplaceAllString(name, "$1")
		if r.path == "/openapi.json" {
			continue // it only names the others
		}
		read := functions.queries(name)
		if kind, ok := r.kind(); ok && name == "list" {
			read = slices.Sorted(slices.Values(append(read, wordFilters[kind]...)))
		}
		described := slices.Sorted(slices.Values(r.query))
		if !slices.Equal(read, described) {
			t.Errorf("%s %s (%s) reads %q and describes %q", r.method, r.path, name, read, described)
		}
	}
}

// functions are those of the package: what each calls, and which parameters of
// the query it reads itself.
type functions map[string]*function

type function struct {
	calls []string
	reads []string
}

// readers are the functions that are told the name of a parameter, and at which place.
var readers = map[string]int{"yes": 1, "positive": 1}

func sourceFunctions(t *testing.T) functions {
	t.Helper()
	all := make(functions)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "command") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Body != nil {
				all.add(f)
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("there is no source")
	}
	return all
}

// add notes what a function calls and reads.
func (all functions) add(f *ast.FuncDecl) {
	own := all[f.Name.Name]
	if own == nil {
		own = new(function)
		all[f.Name.Name] = own
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IndexExpr:
			if isQuery(n.X) {
				own.read(n.Index)
			}
		case *ast.CallExpr:
			name := ""
			switch called := n.Fun.(type) {
			case *ast.Ident:
				name = called.Name
			case *ast.IndexExpr:
				if ident, ok := called.X.(*ast.Ident); ok {
					name = ident.Name
				}
			case *ast.SelectorExpr:
				name = called.Sel.Name
				if isQuery(called.X) && (name == "Get" || name == "Has") {
					own.read(n.Args[0])
					return true
				}
				if receiver, ok := called.X.(*ast.Ident); !ok || receiver.Name == "g" || receiver.Obj != nil {
					return true // of another package
				}
			}
			if i, ok := readers[name]; ok && len(n.Args) > i {
				own.read(n.Args[i])
				return true
			}
			own.calls = append(own.calls, name)
		}
		return true
	})
}

// read notes a parameter whose name is written out.
func (f *function) read(name ast.Expr) {
	if literal, ok := name.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		if text, err := strconv.Unquote(literal.Value); err == nil {
			f.reads = append(f.reads, text)
		}
	}
}

// isQuery says whether an expression is a request's query.
func isQuery(x ast.Expr) bool {
	if called, ok := x.(*ast.CallExpr); ok {
		selected, ok := called.Fun.(*ast.SelectorExpr)
		return ok && selected.Sel.Name == "Query"
	}
	name, ok := x.(*ast.Ident)
	return ok && name.Name == "query"
}

// queries are the parameters that a function reads, and those that it calls, sorted.
func (all functions) queries(name string) []string {
	seen, read := map[string]bool{}, map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		f := all[name]
		if f == nil || seen[name] {
			return
		}
		seen[name] = true
		for _, parameter := range f.reads {
			read[parameter] = true
		}
		for _, called := range f.calls {
			visit(called)
		}
	}
	visit(name)
	return slices.Sorted(maps.Keys(read))
}
