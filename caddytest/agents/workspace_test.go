//go:build unix

package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	runLimit  = 2 * time.Minute // of one run of an agent
	waitLimit = 5 * time.Second // for the output of what it left behind
)

// workspace is the folder an agent works in, and its home.
type workspace struct {
	dir, home string
}

// newWorkspace makes a folder with the work and an empty home.
func newWorkspace(t *testing.T) workspace {
	t.Helper()
	// The agents resolve links in paths, so theirs and ours would differ.
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := workspace{dir: filepath.Join(root, "work"), home: filepath.Join(root, "home")}
	write(t, w.path("greeting.txt"), greeting)
	write(t, w.path("names.txt"), names)
	if err := os.MkdirAll(w.temporary(), 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

// path is the path of a file of the work.
func (w workspace) path(name string) string { return filepath.Join(w.dir, name) }

// temporary is the folder of the agent's temporary files.
func (w workspace) temporary() string { return filepath.Join(w.home, "tmp") }

// write writes a file and makes the folders it is in.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkDone checks that the work is done and nothing else was changed.
func (w workspace) checkDone(t *testing.T) {
	t.Helper()
	for name, want := range map[string]string{"greeting.txt": correct, "names.txt": names} {
		if got, err := os.ReadFile(w.path(name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}

// run runs a program to its end and returns what it printed. It gets the given
// environment and no more of ours than the path. Whatever it started ends with it.
func (w workspace) run(t *testing.T, environment []string, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = w.dir
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + w.home,
		"TMPDIR=" + w.temporary(),
		"LANG=C.UTF-8",
		"TERM=dumb",
	}, environment...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.WaitDelay = waitLimit
	command.Cancel = func() error { return killGroup(command.Process.Pid) }
	err := command.Run()
	if command.Process != nil {
		err = errors.Join(err, killGroup(command.Process.Pid))
	}
	if err != nil {
		t.Errorf("running %s: %v\nstdout:\n%s\nstderr:\n%s", program, err, &stdout, &stderr)
	}
	return stdout.String()
}

// killGroup ends what is left of a group of processes.
func killGroup(id int) error {
	if err := syscall.Kill(-id, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending the processes of group %d: %w", id, err)
	}
	return nil
}
