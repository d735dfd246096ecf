package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
	"unsafe"
)

// diskFreeSpace is the system's call for free space.
var diskFreeSpace = syscall.NewLazyDLL("kernel32.dll").NewProc("GetDiskFreeSpaceExW")

// freeSpace is the number of bytes that we may still write to the volume of
// dir.
func freeSpace(dir string) (int64, error) {
	path, err := syscall.UTF16PtrFromString(dir)
	if err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	var free uint64
	ok, _, err := diskFreeSpace.Call(uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&free)), 0, 0)
	if ok == 0 {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return int64(min(free, math.MaxInt64)), nil
}

// fileLimit is unknown here.
func fileLimit() int64 { return math.MaxInt64 }

// sharingViolation is the system's code for a file that another process has
// opened without sharing it.
const sharingViolation = syscall.Errno(32)

// ownLock says that lockFile keeps other processes away.
const ownLock = true

// lockFile opens path without sharing it, until the file is closed or the
// process ends. It fails with ErrLocked if another process has it open.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	switch {
	case errors.Is(err, sharingViolation):
		return nil, ErrLocked
	case err != nil:
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return os.NewFile(uintptr(handle), path), nil
}

// checkOwner accepts every directory: here access lists decide.
func checkOwner(fs.FileInfo) error { return nil }

// allocated is the file's size.
func allocated(info fs.FileInfo) int64 { return info.Size() }
