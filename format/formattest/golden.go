// Package formattest holds what the tests of wire formats share: golden files,
// and streams that are decoded and encoded. It is imported by tests only.
package formattest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// Cases runs f as a subtest for every folder below testdata that has the file.
// There must be one.
func Cases(t *testing.T, file string, f func(t *testing.T, dir string, content []byte)) {
	t.Helper()
	for _, path := range found(t, file) {
		content := read(t, path)
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, dir, content) })
	}
}

// Seeds adds the files of that name below testdata to what a fuzz test begins
// with. There must be one.
func Seeds(f *testing.F, file string) {
	f.Helper()
	for _, path := range found(f, file) {
		f.Add(read(f, path))
	}
}

// Golden compares got with a golden file, or rewrites the file if the test runs
// with -update.
func Golden(t *testing.T, dir, file string, got []byte) {
	t.Helper()
	path := filepath.Join(dir, file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := read(t, path); !bytes.Equal(got, want) {
		t.Errorf("%s differs\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// found are the paths of the files of that name below testdata.
func found(tb testing.TB, file string) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*", file))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no cases with %s: %v", file, err)
	}
	return paths
}

// read reads a file.
func read(tb testing.TB, path string) []byte {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}
