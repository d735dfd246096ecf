//go:build !linux && !darwin && !freebsd && !windows

package storage

import (
	"io/fs"
	"math"
	"os"
)

// freeSpace cannot be asked for here, so the guard for it never acts.
func freeSpace(string) (int64, error) { return math.MaxInt64, nil }

// fileLimit is unknown here.
func fileLimit() int64 { return math.MaxInt64 }

// ownLock says that lockFile keeps nobody away.
const ownLock = false

// lockFile only opens the file: here the database's own lock must do.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

// checkOwner accepts every directory.
func checkOwner(fs.FileInfo) error { return nil }

// allocated is the file's size.
func allocated(info fs.FileInfo) int64 { return info.Size() }
