//go:build linux || darwin || freebsd

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// freeSpace is the number of bytes that we may still write to the file system
// of dir.
func freeSpace(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // the types differ between systems
}

// fileLimit is the largest size in bytes that a file of this process may have.
// A write beyond it kills the process.
func fileLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return math.MaxInt64 // Cannot fail for a known resource.
	}
	return int64(min(uint64(limit.Cur), math.MaxInt64)) //nolint:unconvert // signed on some systems
}

// ownLock says that lockFile keeps other processes away.
const ownLock = true

// lockFile takes the exclusive lock on path and holds it until the file is
// closed or the process ends, however that happens. It fails with ErrLocked
// if another process holds it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	closeErr := f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(ErrLocked, closeErr)
	}
	return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), closeErr)
}

// checkOwner refuses a directory of another user: that user could change what
// lies in it, and what we put there could not be read by the service that the
// directory was made for. Directories of root are accepted, as volumes are
// often mounted like this.
func checkOwner(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%w: it belongs to user %d, and this process runs as user %d", ErrReadOnly, st.Uid, os.Geteuid())
}

// allocated is the room in bytes that a file takes on the disk; files with
// holes take less than their size.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
