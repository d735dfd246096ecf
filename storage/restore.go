package storage

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"
	"go.uber.org/zap"
)

const (
	// revisionGap is by how much revisions jump at a restore, so that those
	// given out after the backup was made do not come again.
	revisionGap = 1 << 20
	// pendingLoads is how many batches of a backup are written at once.
	pendingLoads = 4
)

// loadingDir is where a backup is loaded before it becomes the store. A
// restore that was cut short leaves it behind; the next start removes it.
func (s *Store) loadingDir() string { return s.dir + ".new" }

// Restore replaces the contents of the store by those of a backup and puts
// the former aside, as store.replaced-<time>. Meanwhile the store is not
// available. The owner loads its records anew when it succeeds. If it fails,
// the store is as it was.
func (s *Store) Restore(path string) error {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.mu.Lock()
	closed, poisoned, locked, trouble := s.closed, s.poisoned, s.lock != nil, s.trouble
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case poisoned, !locked: // What lies there may be another's.
		return &unavailableError{trouble}
	}
	if err := s.checkRoom(); err != nil {
		return err
	}
	if err := s.load(path); err != nil {
		return fmt.Errorf("restoring %s: %w", path, err)
	}
	s.mu.Lock()
	before, finding := s.status, s.finding
	s.status.Restored, s.status.Lost, s.status.Damaged, s.finding = path, 0, 0, ""
	s.mu.Unlock()
	if err := s.swap(); err != nil {
		s.mu.Lock()
		s.status, s.finding = before, finding
		s.mu.Unlock()
		return fmt.Errorf("restoring %s: %w", path, err)
	}
	s.log.Info("the store was restored", zap.String("backup", path))
	return nil
}

// swap puts what was loaded in the place of the database.
func (s *Store) swap() error {
	if err := s.detach(); err != nil {
		return errors.Join(err, s.resume())
	}
	aside, err := s.moveAside("replaced")
	if err != nil {
		return errors.Join(err, s.resume())
	}
	if err := s.adopt(); err != nil {
		return errors.Join(err, os.Rename(aside, s.dir), s.resume())
	}
	return s.resume()
}

// resume opens what lies in the database's directory after a swap.
func (s *Store) resume() error {
	e, err := s.openExisting()
	if err != nil {
		s.mu.Lock()
		s.trouble = err
		s.mu.Unlock()
		return err
	}
	s.attach(e)
	return nil
}

// begin makes a new database from the newest backup that loads, else an empty
// one. A backup that needs another secret key, or more room than there is, is not
// passed over: what is begun without it would be taken for all there was.
func (s *Store) begin() (*engine, error) {
	all, err := s.Backups()
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		err := s.load(b.Path)
		if err == nil {
			err = s.adopt()
		}
		switch {
		case err == nil:
			s.log.Warn("the store was begun from a backup", zap.String("backup", b.Path))
			s.mu.Lock()
			s.status.Restored = b.Path
			s.mu.Unlock()
			return s.openExisting()
		case errors.Is(err, ErrWrongSecretKey), errors.Is(err, ErrNoSecretKey), errors.Is(err, ErrVersion), errors.Is(err, ErrNoSpace):
			return nil, fmt.Errorf("beginning from %s: %w", b.Path, err)
		}
		s.log.Warn("a backup cannot be used", zap.String("backup", b.Path), zap.Error(err))
	}
	e, err := openEngine(s.dir, s.sys.schema, s.log)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDegraded, err)
	}
	return e, nil
}

// load makes a database of a backup beside the one in use.
func (s *Store) load(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, stream, err := readBackup(f)
	if err != nil {
		return err
	}
	if b.Schema != s.sys.schema {
		return fmt.Errorf("%w: the backup has schema %d, known is %d", ErrVersion, b.Schema, s.sys.schema)
	}
	if err := s.sealer.Load().knows(b.Keys); err != nil {
		return err
	}
	if !s.roomToLoad(b.Bytes) {
		return fmt.Errorf("%w: the backup has %s", ErrNoSpace, humanize.IBytes(uint64(b.Bytes)))
	}
	if err := os.RemoveAll(s.loadingDir()); err != nil {
		return err
	}
	e, err := openEngine(s.loadingDir(), s.sys.schema, s.log)
	if err != nil {
		return err
	}
	err = e.fill(io.LimitReader(f, stream))
	if len(b.Keys) > 0 && err == nil {
		err = writeKeys(e.dir, b.Keys)
	}
	return errors.Join(err, e.close())
}

// roomToLoad tells whether a backup of a size can be loaded: the database
// writes it into a log first, then into tables.
func (s *Store) roomToLoad(size int64) bool {
	free, err := s.room()
	return err == nil && free-s.opt.MinFree >= 2*size
}

// fill writes a backup's stream into an empty database.
func (e *engine) fill(stream io.Reader) (err error) {
	defer panicked(&err)
	if err := e.db.Load(bufio.NewReader(stream), pendingLoads); err != nil {
		return err
	}
	newest, marked, err := e.readNewest()
	switch {
	case err != nil:
		return err
	case marked:
		return fmt.Errorf("%w: %w", ErrDamaged, errUnfinished)
	}
	e.last.Store(uint64(newest) + revisionGap)
	rev, err := e.commit(new(Batch), func() {})
	if err != nil {
		return err
	}
	return e.head.write(rev)
}

// adopt gives a loaded database the name of the store.
func (s *Store) adopt() error {
	if err := os.Remove(s.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // It is empty or missing, or moveAside has failed.
	}
	if err := os.Rename(s.loadingDir(), s.dir); err != nil {
		return err
	}
	return syncDir(s.opt.Dir)
}
