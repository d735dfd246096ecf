package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// These tests need what only Linux has, and run in processes of their own,
// since what they provoke ends the process where the store is not careful.

// withDisk lets a child mount file systems that only it sees. It needs no
// rights where the system lets users have name spaces of their own.
func withDisk(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER}
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
}

func init() {
	children["full-disk"] = runFullDisk
	children["file-limit"] = runFileLimit
	children["read-only"] = runReadOnly
}

func TestFault70FullDisk(t *testing.T) {
	probe := exec.Command("/bin/true")
	withDisk(probe)
	if err := probe.Run(); err != nil {
		t.Logf("this system gives no name spaces (%v): the guard is tested with told free space only, "+
			"in TestFault70NoSpaceWhileRunningAndAtStart", err)
		return
	}
	for n := range fillings {
		startChild(t, "full-disk", t.TempDir(), withDisk, strconv.Itoa(n)).succeed(t)
	}
}

// fillings is how often the disk is filled, at another moment each time.
const fillings = 5

// diskSize is that of the small disk: a little more than must be free and than
// the store takes at once.
const diskSize = defaultMinFree + 100<<20

// runFullDisk runs a store on a small disk that others fill to the last byte
// as fast as they can while the store writes as fast as it can.
func runFullDisk(dir string, args []string) error {
	delay, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+strconv.Itoa(diskSize)); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	data, ctx := filepath.Join(dir, "data"), context.Background()
	s, err := openWith(ctx, Options{Dir: data}, system{keepEvery: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	notes := NewTable[note](s, "notes")
	// The later it is filled, the more the store has to write by then.
	filled := make(chan error, 1)
	written, err := writeUntilFull(notes, func(n int) {
		if n == 5*(delay%10)+1 {
			go func() { filled <- fillDisk(filepath.Join(dir, "ballast")) }()
		}
	})
	if err != nil {
		return err
	}
	if err := <-filled; err != nil {
		return err
	}
	fmt.Println(written, "records of 1 MB fitted before the guard")
	if err := checkFull(notes, written); err != nil {
		return fmt.Errorf("while running: %w", err)
	}
	if err := s.Close(); !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("closing on a full disk: %w", err)
	}
	// The same directory, which is free again, and one that was never used.
	for _, d := range []string{data, filepath.Join(dir, "other")} {
		if s, err = Open(ctx, Options{Dir: d, LockWait: -1}); err != nil {
			return err
		}
		if _, _, err := NewTable[note](s, "notes").Get("0"); !errors.Is(err, ErrReadOnly) && !errors.Is(err, ErrNoSpace) {
			return fmt.Errorf("at start on a full disk: %w", err)
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	// The store has used up the room that it leaves free, so it needs a larger
	// disk to write again.
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size="+strconv.Itoa(4*diskSize)); err != nil {
		return fmt.Errorf("making the disk larger: %w", err)
	}
	return checkRoomAgain(data, written)
}

// checkRoomAgain opens the store that could not be closed.
func checkRoomAgain(data string, written int) error {
	s, err := Open(context.Background(), Options{Dir: data, LockWait: -1})
	if err != nil {
		return err
	}
	awaitVerified(s)
	if st := s.Status(); st.Degraded {
		return fmt.Errorf("with room again: %s", st.Reason)
	}
	notes := NewTable[note](s, "notes")
	for n := range written {
		if v, _, err := notes.Get(strconv.Itoa(n)); err != nil || v.N != n {
			return fmt.Errorf("with room again, record %d reads as %d, %w", n, v.N, err)
		}
	}
	if _, err := notes.Put("after", note{}, Any); err != nil {
		return err
	}
	return s.Close()
}

// writeUntilFull writes records until the store refuses, which must be soon. It
// tells of each before it writes it.
func writeUntilFull(notes *Table[note], tell func(n int)) (int, error) {
	for n := range 2 * diskSize >> 20 {
		tell(n)
		_, err := notes.Put(strconv.Itoa(n), note{N: n, Text: strings.Repeat("x", 1_000_000)}, Any)
		if errors.Is(err, ErrNoSpace) && n > 0 {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return 0, errors.New("the disk did not get full")
}

// fillDisk takes all room that is left.
func fillDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		_, err := f.Write(chunk)
		if errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// checkFull checks that a store on a full disk reads and refuses to write.
func checkFull(notes *Table[note], written int) error {
	for n := range written {
		if v, _, err := notes.Get(strconv.Itoa(n)); err != nil || v.N != n {
			return fmt.Errorf("record %d reads as %d, %w", n, v.N, err)
		}
	}
	for range 100 {
		if _, err := notes.Put("0", note{}, Any); !errors.Is(err, ErrNoSpace) {
			return fmt.Errorf("a write: %w", err)
		}
	}
	if _, err := notes.store.Backup(); !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("a backup: %w", err)
	}
	return nil
}

func TestFault71FileSizeLimitOfTheSystem(t *testing.T) {
	startChild(t, "file-limit", t.TempDir(), nil).succeed(t)
}

// runFileLimit lowers the limit on the size of files below an open store, and
// starts another under it. A write beyond the limit would kill the process.
func runFileLimit(dir string, _ []string) error {
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	notes := NewTable[note](s, "notes")
	if _, err := notes.Put("k", note{N: 1}, Any); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if _, err := notes.Put("k", note{N: 2}, Any); !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("a write under the limit: %w", err)
	}
	if v, _, err := notes.Get("k"); err != nil || v.N != 1 {
		return fmt.Errorf("a read under the limit: %d, %w", v.N, err)
	}
	if err := s.Close(); !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("closing under the limit: %w", err)
	}
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		return err
	}
	if s, err = Open(context.Background(), Options{Dir: other}); err != nil {
		return err
	}
	if _, _, err := NewTable[note](s, "notes").Get("k"); !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("a store was opened under the limit: %w", err)
	}
	return s.Close()
}

// ownedBy is the information about a file of some user.
type ownedBy struct {
	fs.FileInfo
	uid uint32
}

func (o ownedBy) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

func TestFault72NotOurs(t *testing.T) {
	us := uint32(os.Geteuid())
	for uid, want := range map[uint32]error{0: nil, us: nil, us + 1: ErrReadOnly} {
		err := checkOwner(ownedBy{uid: uid})
		if !errors.Is(err, want) {
			t.Errorf("a directory of user %d for user %d: %v, want %v", uid, us, err, want)
		}
	}
}

func TestFault72ReadOnlyDirectory(t *testing.T) {
	dir, err := os.MkdirTemp("", "storage-read-only-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.Chmod(dir, 0o700), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	s := openStore(t, dir)
	mustPut(t, NewTable[note](s, "notes"), "k", note{N: 1})
	closeStore(t, s)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	before := treeState(t, dir)
	startChild(t, "read-only", dir, nil).succeed(t)
	if after := treeState(t, dir); after != before {
		t.Error("files were touched")
	}
}

// runReadOnly opens a store that it may not write, as a user who is not root.
func runReadOnly(dir string, _ []string) error {
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
	}
	for _, d := range []string{dir, filepath.Join(dir, "missing")} {
		s, err := Open(context.Background(), Options{Dir: d})
		if err != nil {
			return err
		}
		notes := NewTable[note](s, "notes")
		if _, err := notes.Put("k", note{}, Any); !errors.Is(err, ErrReadOnly) || !errors.Is(err, ErrDegraded) {
			return fmt.Errorf("a write: %w", err)
		}
		if st := s.Status(); !st.Degraded || st.Available || !strings.Contains(st.Reason, "cannot be written") {
			return fmt.Errorf("status: %+v", st)
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}
