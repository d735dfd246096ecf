package storage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// children are the programs that tests run as processes of their own: the
// test binary is started again with the name of one.
var children = map[string]func(dir string, args []string) error{
	"writer": runWriter,
	"holder": runHolder,
	"filler": runFiller,
}

const childVariable = "AI_GATEWAY_STORAGE_TEST_CHILD"

func TestMain(m *testing.M) {
	name := os.Getenv(childVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	run, ok := children[name]
	if !ok {
		fmt.Println("error: no such child", name)
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// child is a running child process.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// startChild starts a child on a data directory. It is killed when the test
// ends.
func startChild(t *testing.T, name, dir string, configure func(*exec.Cmd), args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, exe, append([]string{dir}, args...)...)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	if configure != nil {
		configure(cmd)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	t.Cleanup(cancel)
	return &child{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
}

// line returns the child's next line.
func (c *child) line(t *testing.T) string {
	t.Helper()
	if !c.lines.Scan() {
		t.Fatalf("the child ended early: %v, %v", c.lines.Err(), c.cmd.Wait())
	}
	text := c.lines.Text()
	if strings.HasPrefix(text, "error: ") {
		t.Fatal("the child failed with ", text)
	}
	return text
}

// expect reads the child's next line and compares it.
func (c *child) expect(t *testing.T, want string) {
	t.Helper()
	if got := c.line(t); got != want {
		t.Fatalf("the child said %q, want %q", got, want)
	}
}

// kill kills the child and returns what it had said that was not read.
func (c *child) kill(t *testing.T) []string {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	var rest []string
	for c.lines.Scan() {
		rest = append(rest, c.lines.Text())
	}
	_ = c.cmd.Wait() // It was killed, and says so.
	return rest
}

// succeed waits for the child to end without an error.
func (c *child) succeed(t *testing.T) {
	t.Helper()
	for c.lines.Scan() {
		t.Log(c.lines.Text())
	}
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("the child failed: %v", err)
	}
}

// openStore opens a store that must be in order, and closes it with the test.
func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s := openAny(t, Options{Dir: dir}, system{})
	if st := s.Status(); st.Degraded {
		t.Fatalf("the store is degraded: %s", st.Reason)
	}
	return s
}

// openAny opens a store in whatever state, and closes it with the test.
func openAny(t testing.TB, opt Options, sys system) *Store {
	t.Helper()
	if opt.LockWait == 0 {
		opt.LockWait = -1
	}
	s, err := openWith(t.Context(), opt, sys)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// closeStore closes a store now.
func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("closing the store: %v", err)
	}
}

// awaitVerified waits until everything was read once after opening.
func awaitVerified(s *Store) {
	s.mu.Lock()
	e := s.engine
	s.mu.Unlock()
	if e != nil {
		<-e.verified
	}
}

type note struct {
	N    int    `json:"n"`
	Text string `json:"text,omitempty"`
}

func mustPut[T any](t testing.TB, table *Table[T], key string, value T) Revision {
	t.Helper()
	rev, err := table.Put(key, value, Any)
	if err != nil {
		t.Fatalf("putting %q: %v", key, err)
	}
	return rev
}

func mustGet[T any](t testing.TB, table *Table[T], key string) T {
	t.Helper()
	v, _, err := table.Get(key)
	if err != nil {
		t.Fatalf("getting %q: %v", key, err)
	}
	return v
}

// wantError checks that an error is one of a kind.
func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

// image is a file: its contents without the zeros at the end, and its size.
type image struct {
	path     string // below the directory
	contents []byte
	size     int64
}

// readTree reads all files of a directory.
func readTree(t testing.TB, dir string) []image {
	t.Helper()
	var all []image
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		all = append(all, image{path: rel, contents: bytes.TrimRight(b, "\x00"), size: int64(len(b))})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// writeTree writes files into a directory. Files with holes stay cheap.
func writeTree(t testing.TB, dir string, files []image) {
	t.Helper()
	for _, file := range files {
		path := filepath.Join(dir, file.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.contents, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, file.size); err != nil {
			t.Fatal(err)
		}
	}
}

// treeState describes all files of a directory but the lock.
func treeState(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %d %x\n", path, len(data), recordSum([]byte(path), nil, data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
