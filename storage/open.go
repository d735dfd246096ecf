package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// open takes the lock and opens the database, whatever state it is in. Its
// error is why there is none. The caller holds openMu.
func (s *Store) open(ctx context.Context, wait bool) error {
	if err := prepareDir(s.opt.Dir); err != nil {
		return err
	}
	if err := s.takeLock(ctx, wait); err != nil {
		return err
	}
	e, err := s.openDatabase()
	switch {
	case err != nil && fatal(err):
		return err // Parts of the database may still run: nobody may use the directory.
	case err != nil:
		return errors.Join(err, s.releaseLock())
	}
	s.attach(e)
	return nil
}

// attach puts an opened database into use and begins to verify it. A batch that is
// in force is finished before, or read from memory until it can be.
func (s *Store) attach(e *engine) {
	s.checkHead(e)
	e.writing.Lock()
	if err := e.settle(); err != nil {
		s.log.Warn("the store has no room for the next write", zap.Error(err))
	}
	if err := s.finishHeld(e); err != nil {
		s.log.Warn("a large batch is in force but not yet all in the database", zap.Error(err))
	}
	e.writing.Unlock()
	e.users.Add(1)
	s.mu.Lock()
	s.engine = e
	s.trouble = nil
	s.mu.Unlock()
	s.measure()
	s.noteBackups()
	go func() { // Ends with close, which waits for it.
		defer e.leave()
		s.verify(e)
	}()
}

// prepareDir makes the data directory and checks that it is ours to write.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if err := checkOwner(info); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return nil
}

// takeLock takes the lock of the data directory, if it is not held already.
// Everything that follows may move files, so no other process may use them.
func (s *Store) takeLock(ctx context.Context, wait bool) error {
	limit := max(s.opt.LockWait, 0)
	if !wait {
		limit = 0
	}
	end := time.NewTimer(limit)
	defer end.Stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		f, err := lockFile(filepath.Join(s.opt.Dir, "lock"))
		if err == nil {
			s.mu.Lock()
			s.lock = f
			s.mu.Unlock()
			return nil
		}
		if !errors.Is(err, ErrLocked) {
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		select {
		case <-end.C:
			return fmt.Errorf("%s: %w", s.opt.Dir, err)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", s.opt.Dir, errors.Join(err, ctx.Err()))
		case <-again.C:
		}
	}
}

func (s *Store) releaseLock() error {
	s.mu.Lock()
	f := s.lock
	s.lock = nil
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}

// openDatabase opens the database, in place of a damaged one the newest
// backup, and otherwise an empty one.
func (s *Store) openDatabase() (*engine, error) {
	if err := s.checkRoom(); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(s.loadingDir()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	empty, err := isEmpty(s.dir)
	if err != nil {
		return nil, err
	}
	if empty {
		return s.begin()
	}
	if err := s.sealer.Load().checkKeys(s.dir); err != nil {
		return nil, err
	}
	e, err := s.openExisting()
	if err == nil {
		err = s.checkAgainstBackup(e)
	}
	if err != nil && errors.Is(err, ErrDamaged) {
		return s.replace(err)
	}
	return e, err
}

// checkAgainstBackup gives up an opened database that has lost more than the
// newest backup lacks: it closes it and fails with ErrDamaged.
func (s *Store) checkAgainstBackup(e *engine) error {
	if e.lost() == 0 {
		return nil
	}
	all, err := s.Backups()
	if err != nil || len(all) == 0 || uint64(all[0].Revision) <= e.last.Load() {
		return err
	}
	err = fmt.Errorf("%w: the newest %d commits are missing, and a backup has some of them", ErrDamaged, e.lost())
	return errors.Join(err, e.close())
}

// isEmpty tells whether there is nothing in a directory, or no directory.
func isEmpty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return false, nil // Whatever it is, it is in the way: inspect says so.
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return len(entries) == 0, nil
}

// openExisting opens the database in place. It fails with ErrDamaged if that
// cannot be done with these files.
func (s *Store) openExisting() (*engine, error) {
	if info, err := os.Stat(s.dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is not a directory", ErrDamaged, s.dir)
	}
	orphans, err := inspect(s.dir, s.sys.schema, s.log)
	if err != nil {
		return nil, err
	}
	if err := s.setAside(orphans); err != nil {
		return nil, err
	}
	e, err := openEngine(s.dir, s.sys.schema, s.log)
	if err != nil && !fatal(err) {
		// A kill can leave files that the first attempt fails over and mends.
		s.log.Warn("the store did not open and is tried once more", zap.Error(err))
		e, err = openEngine(s.dir, s.sys.schema, s.log)
	}
	switch {
	case err == nil:
		return e, nil
	case environmental(err):
		return nil, fmt.Errorf("%w: %w", ErrDegraded, err)
	case errors.Is(err, ErrVersion):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

// fatal tells whether the database panicked while it opened, which may leave
// goroutines of it behind that work on the same files.
func fatal(err error) bool {
	var p *panicError
	return errors.As(err, &p)
}

// environmental tells whether opening failed for a reason that says nothing
// about the files. The database does not wrap the errors it passes on, so
// their texts must do.
func environmental(err error) bool {
	causes := []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOSPC, syscall.EACCES,
		syscall.EPERM, syscall.EROFS, syscall.EFBIG, syscall.EIO, syscall.EAGAIN,
	}
	for _, cause := range causes {
		if errors.Is(err, cause) || strings.Contains(err.Error(), cause.Error()) {
			return true
		}
	}
	return strings.Contains(err.Error(), "Cannot acquire directory lock")
}

// replace moves a damaged database aside and begins another.
func (s *Store) replace(cause error) (*engine, error) {
	aside, err := s.moveAside("corrupt")
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	s.log.Error("the store was damaged and has been moved aside",
		zap.String("moved_to", aside), zap.Error(cause))
	s.mu.Lock()
	s.status.Quarantined = aside
	s.mu.Unlock()
	if fatal(cause) {
		s.mu.Lock()
		s.poisoned = true
		s.mu.Unlock()
		return nil, fmt.Errorf("%w; the next start begins with the newest backup", cause)
	}
	e, err := s.begin()
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	s.found(fmt.Sprintf("the store was damaged (%v), was moved to %s and %s", cause, aside, s.begunFrom()))
	return e, nil
}

// begunFrom says in words what begin began with.
func (s *Store) begunFrom() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Restored == "" {
		return "begun anew without its contents, as there was no backup"
	}
	return "restored from " + s.status.Restored
}

// moveAside renames the database's directory to a name that says why and
// when, and returns the new path.
func (s *Store) moveAside(why string) (string, error) {
	base := fmt.Sprintf("%s.%s-%s", s.dir, why, s.opt.Now().UTC().Format("20060102T150405Z"))
	for n := 1; n < 1000; n++ {
		path := base
		if n > 1 {
			path = fmt.Sprintf("%s-%d", base, n)
		}
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if err := os.Rename(s.dir, path); err != nil {
			return "", fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		return path, syncDir(s.opt.Dir)
	}
	return "", fmt.Errorf("%w: no name is left to move %s aside", ErrReadOnly, s.dir)
}

// orphansDir is where tables wait that the manifest does not name.
func (s *Store) orphansDir() string { return s.dir + ".orphans" }

// setAside moves tables away that the database would delete. A kill leaves
// such tables, and so does a damaged manifest; which it was, verify finds out.
func (s *Store) setAside(names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := os.MkdirAll(s.orphansDir(), 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(s.dir, name), filepath.Join(s.orphansDir(), name)); err != nil {
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
	}
	return nil
}
