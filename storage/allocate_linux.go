package storage

import (
	"errors"
	"os"
	"syscall"
)

// fallocKeepSize says that a file keeps its size when it gets its room.
const fallocKeepSize = 1

// allocate gives a file the room that its size names, holes included, so that
// writes into it cannot find the disk full. On file systems that know no such
// thing, or that write every page anew, only the free space protects.
func allocate(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 || allocated(info) >= info.Size() {
		return err
	}
	for {
		err = syscall.Fallocate(int(f.Fd()), fallocKeepSize, 0, info.Size())
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return nil
		}
		return err
	}
}
