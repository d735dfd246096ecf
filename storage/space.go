package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"
)

// checkRoom refuses to write where the process could be killed for it, and
// keeps what Status says about it. It costs two system calls.
func (s *Store) checkRoom() error {
	free, err := s.room()
	s.mu.Lock()
	s.status.FreeBytes = free
	before := s.trouble
	if s.engine != nil {
		s.trouble = err
	}
	running := s.engine != nil
	s.mu.Unlock()
	switch {
	case running && err != nil && before == nil:
		s.log.Error("the store stops writing", zap.String("directory", s.opt.Dir), zap.Error(err))
	case running && err == nil && before != nil:
		s.log.Info("the store writes again", zap.String("directory", s.opt.Dir))
	}
	return err
}

// room is the free space in bytes, and an ErrNoSpace if it is too little.
func (s *Store) room() (int64, error) {
	free, err := s.sys.free(s.opt.Dir)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	if free < s.opt.MinFree {
		return free, fmt.Errorf("%w: %s are free in %s, %s are needed", ErrNoSpace,
			humanize.IBytes(uint64(max(free, 0))), s.opt.Dir, humanize.IBytes(uint64(s.opt.MinFree)))
	}
	return free, s.checkFileLimit()
}

// checkFileLimit refuses to write where a limit on the size of files would
// end the process.
func (s *Store) checkFileLimit() error {
	limit := s.sys.fileLimit()
	if limit >= largestFile {
		return nil
	}
	return fmt.Errorf("%w: this process may write files of %s at most, %s are needed", ErrNoSpace,
		humanize.IBytes(uint64(max(limit, 0))), humanize.IBytes(largestFile))
}

// roomToClose refuses to close the database where that could kill the process:
// what is in memory goes to a table. A store without one can always be closed.
func (s *Store) roomToClose() error {
	s.mu.Lock()
	open := s.engine != nil
	s.mu.Unlock()
	if !open {
		return nil
	}
	_, err := s.room()
	return err
}

// measure updates the room that the database takes.
func (s *Store) measure() {
	n, err := diskUsage(s.dir)
	if err != nil {
		s.log.Warn("the store's size could not be read", zap.Error(err))
		return
	}
	s.mu.Lock()
	s.status.Bytes = n
	s.mu.Unlock()
}

// diskUsage is the room that the files of a directory take. Files that go
// away meanwhile do not count.
func diskUsage(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, entry := range entries {
		info, err := entry.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return 0, err
		default:
			total += allocated(info)
		}
	}
	return total, nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
