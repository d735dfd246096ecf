package storage

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() { children["full-disk-large"] = runFullDiskLarge }

// TestFault70FullDiskWithinLargeBatches fills a disk while large batches are written.
func TestFault70FullDiskWithinLargeBatches(t *testing.T) {
	probe := exec.Command("/bin/true")
	withDisk(probe)
	if err := probe.Run(); err != nil {
		t.Logf("this system gives no name spaces (%v): the guard is tested with told free space only, "+
			"in TestFault70NoSpaceWithinALargeBatch", err)
		return
	}
	for fillAt := 1; fillAt < 12; fillAt += 3 {
		startChild(t, "full-disk-large", t.TempDir(), withDisk, strconv.Itoa(fillAt)).succeed(t)
	}
}

// runFullDiskLarge runs a store on a small disk that others fill as fast as they can,
// from the transaction of the given number on.
func runFullDiskLarge(dir string, args []string) error {
	fillAt, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+strconv.Itoa(2*diskSize)); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	filled := make(chan error, 1)
	var st steps
	st.watch(func(step int) {
		if step == fillAt {
			go func() { filled <- fillDisk(filepath.Join(dir, "ballast")) }()
		}
	})
	opt := Options{Dir: filepath.Join(dir, "data"), LockWait: -1}
	s, err := openWith(context.Background(), opt, system{keepEvery: 10 * time.Millisecond, committing: st.committing})
	if err != nil {
		return err
	}
	written := 0
	for ; err == nil; written++ {
		if written > diskSize>>20 {
			return errors.New("the disk did not get full")
		}
		_, err = s.Commit(wideBatch(s, written+1))
	}
	written-- // the last was refused
	if !errors.Is(err, ErrNoSpace) {
		return err
	}
	if err := <-filled; err != nil {
		return err
	}
	fmt.Println(written, "large batches before the guard:", err)
	if err := checkWide(s, written); err != nil {
		return fmt.Errorf("while running: %w", err)
	}
	if err := s.Close(); !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("closing on a full disk: %w", err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size="+strconv.Itoa(5*diskSize)); err != nil {
		return fmt.Errorf("making the disk larger: %w", err)
	}
	if s, err = Open(context.Background(), opt); err != nil {
		return err
	}
	awaitVerified(s)
	if st := s.Status(); st.Degraded {
		return fmt.Errorf("with room again: %s", st.Reason)
	}
	if err := checkWide(s, written); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	if _, err := s.Commit(wideBatch(s, written+1)); err != nil {
		return err
	}
	return s.Close()
}

// wideRecords is how many records wideBatch writes, of 100 kB each.
const wideRecords = 50

// wideBatch writes all records anew.
func wideBatch(s *Store, n int) *Batch {
	var b Batch
	for i := range wideRecords {
		NewTable[note](s, "wide").PutIn(&b, strconv.Itoa(i), note{N: n, Text: strings.Repeat("x", 100_000)}, Any)
	}
	return &b
}

// checkWide checks that all records are of one batch.
func checkWide(s *Store, n int) error {
	found := 0
	for row, err := range NewTable[note](s, "wide").All() {
		if err != nil || row.Value.N != n {
			return fmt.Errorf("record %q is of batch %d and not of %d, %w", row.Key, row.Value.N, n, err)
		}
		found++
	}
	if n > 0 && found != wideRecords {
		return fmt.Errorf("%d records of batch %d", found, n)
	}
	return nil
}
