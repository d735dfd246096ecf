package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ran is what go test has written about two packages, of which one broke off.
const ran = `# a line of the compiler
{"Action":"start","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a"}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestGood"}
{"Action":"output","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestGood","Output":"{\n"}
{"Action":"pass","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestGood","Elapsed":1.25}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestParts"}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestParts/v1.2/x"}
{"Action":"skip","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestParts/v1.2/x","Elapsed":0}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestParts/good"}
{"Action":"pass","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestParts/good","Elapsed":0.5}
{"Action":"pass","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestParts","Elapsed":0.5}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestTwice"}
{"Action":"fail","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestTwice","Elapsed":2}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestTwice"}
{"Action":"pass","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Test":"TestTwice","Elapsed":1}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a/b","Test":"TestGone"}
{"Action":"run","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway","Test":"TestRoot"}
{"Action":"pass","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway","Test":"TestRoot","Elapsed":0.1}
{"Action":"pass","Package":"example.com/other/a","Test":"TestForeign","Elapsed":0.1}
{"Action":"pass","Package":"github.com/caddy-ai-gateway/caddy-ai-gateway/a","Elapsed":9}`

func TestResults(t *testing.T) {
	rs := results{}
	if err := rs.read(strings.NewReader(ran)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]result{
		"a.TestGood":          {passed, 1.25},
		"a.TestParts":         {skipped, 0.5},
		"a.TestParts/v1.2/x":  {skipped, 0},
		"a.TestParts/good":    {passed, 0.5},
		"a.TestTwice":         {failed, 2},
		"a/b.TestGone":        {unfinished, 0},
		"aigateway.TestRoot":  {passed, 0.1},
		"a.TestForeign":       {notRun, 0},
		"a.TestNobodyWroteIt": {notRun, 0},
	} {
		if got := rs.of(name); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	if err := rs.read(strings.NewReader("\n{\"Action\":\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("got %v for a line that is broken", err)
	}
}

func TestPrint(t *testing.T) {
	rs := results{}
	if err := rs.read(strings.NewReader(ran)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		row    row
		faults int
		want   string
	}{
		{"passed", row{Name: "1", Fields: []string{"good"}, Tests: []string{"a.TestGood"}}, 0, "1: good  pass    1.25     a.TestGood\n"},
		{"failed", row{Name: "1", Tests: []string{"a.TestGood", "a.TestTwice"}}, 1, "1  pass    1.25     a.TestGood\n   fail    2.00     a.TestTwice\n"},
		{"skipped", row{Name: "1", Tests: []string{"a.TestParts"}}, 1, "1  skip    0.50     a.TestParts\n"},
		{"not run", row{Name: "1", Tests: []string{"a.TestNew"}}, 1, "1  not run  0.00     a.TestNew\n"},
		{"unfinished", row{Name: "1", Tests: []string{"a/b.TestGone"}}, 1, "1  unfinished  0.00     a/b.TestGone\n"},
		{"later", row{Name: "1", Reason: "comes later"}, 0, "1  reason           comes later\n"},
		{"partly later", row{Name: "1", Tests: []string{"a.TestTwice"}, Reason: "comes later"}, 1, "1  fail    2.00     a.TestTwice\n   reason           comes later\n"},
		{"long", row{Name: "1", Fields: []string{strings.Repeat("ä", 60)}, Tests: []string{"a.TestGood"}}, 0, "1: " + strings.Repeat("ä", 52) + "…  pass    1.25     a.TestGood\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			table := &table{name: "t", Rows: []row{tc.row}}
			faults, err := table.print(&out, rs)
			if err != nil || faults != tc.faults {
				t.Errorf("got %d faults and the error %v, want %d", faults, err, tc.faults)
			}
			_, lines, _ := strings.Cut(out.String(), "\n")
			if !strings.HasPrefix(lines, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", lines, tc.want)
			}
		})
	}
}

func TestWritePage(t *testing.T) {
	table, err := parseTable("t", []byte(`{"columns":["#","Fault","Alone"],"page":"docs/p.md","rows":[
		{"name":"1","fields":["refused","502"],"tests":["a.TestA","a.TestB"]},
		{"name":"2","fields":["posts"],"tests":["a.TestC"],"reason":"comes later"},
		{"name":"3","fields":["two","503"],"tests":["a.TestD"],"reason":"not all"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	page := filepath.Join(dir, "docs", "p.md")
	if err := os.Mkdir(filepath.Dir(page), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte("# P\n\n| # | Old |\n|---|---|\n| 1 | x |\n\nAfter.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := table.writePage(dir); err != nil {
		t.Fatal(err)
	}
	const want = "# P\n\n| # | Fault | Alone | Tests | Result |\n|---|---|---|---|---|\n" +
		"| 1 | refused | 502 | `a.TestA` `a.TestB` | pass |\n" +
		"| 2 | posts | comes later | `a.TestC` | later |\n" +
		"| 3 | two | 503 | `a.TestD` | pass; not all |\n\nAfter.\n"
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
	if err := os.WriteFile(page, []byte("# P\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := table.writePage(dir); err == nil {
		t.Error("a page without a table was written")
	}
}

// TestRun shows that a run in which nothing ran shows nothing, and writes no page.
func TestRun(t *testing.T) {
	var out strings.Builder
	t.Chdir(t.TempDir()) // there is no page here: to write one were an error
	shown, err := run("faults,lessons", true, nil, strings.NewReader(""), &out)
	if err != nil || shown {
		t.Errorf("got %t and the error %v", shown, err)
	}
	for _, want := range []string{"not run", "docs/faults.md stays as it is", "lessons:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if _, err := run("faults,no-such", false, nil, strings.NewReader(""), &out); err == nil {
		t.Error("a table that does not exist was checked")
	}
	if _, err := run("faults", false, []string{"no-such"}, nil, &out); err == nil {
		t.Error("a file that does not exist was read")
	}
}
