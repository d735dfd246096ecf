package storage

import (
	"context"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

const (
	keepEvery     = 5 * time.Second
	collectEvery  = 10 * time.Minute
	collectRatio  = 0.5
	backupAfter   = 30 * time.Second // after the last change
	backupAtLast  = 5 * time.Minute  // after the first change, if they do not end
	backupEvery   = 24 * time.Hour
	backupRetryIn = 10 * time.Minute // after one that failed
)

// keeping is what the keeper is about to do. It is guarded by the store's mu.
type keeping struct {
	firstChange time.Time // zero: nothing was changed since the last backup
	lastChange  time.Time
	backedUp    Revision  // that the newest backup of this process has
	notBefore   time.Time // the next backup
	collected   time.Time // when the value log was last collected
}

// BackupSoon asks for a backup, as a person has changed something: 30 s after
// the last such change. Besides there is one a day, if anything changed. It
// does not wait.
func (s *Store) BackupSoon() {
	now := s.opt.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keeping.firstChange.IsZero() {
		s.keeping.firstChange = now
	}
	s.keeping.lastChange = now
}

// keep does what is due every 5 s until the store is closed.
func (s *Store) keep(ctx context.Context) {
	defer close(s.kept)
	tick := time.NewTicker(s.sys.keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.tick(s.opt.Now())
		}
	}
}

// tick does what is due at a time: look at the free space, finish a batch, make a
// backup, merge tables, collect the value log.
func (s *Store) tick(now time.Time) {
	e, err := s.use()
	if err != nil {
		return // The owner reopens a store that has no database.
	}
	defer e.leave()
	s.measure()
	if s.checkRoom() != nil {
		return // Status tells.
	}
	s.finishSoon(e)
	if s.backupDue(now, Revision(e.last.Load())) {
		s.backUp(now)
	}
	s.compact(e)
	if s.collectDue(now) && s.roomToSpare(largestFile) {
		s.collect(e)
	}
}

// backupDue tells whether a backup is due, for a store at a revision.
func (s *Store) backupDue(now time.Time, rev Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.keeping
	switch {
	case now.Before(k.notBefore), rev == 0, rev == k.backedUp:
		return false
	case !k.firstChange.IsZero():
		return now.Sub(k.lastChange) >= backupAfter || now.Sub(k.firstChange) >= backupAtLast
	default:
		// A clock that was put back must not hold up backups for long.
		age := now.Sub(s.status.LastBackup)
		return age >= backupEvery || age <= -backupEvery
	}
}

// backUp makes the backup that is due, and notes when to try again if it
// fails.
func (s *Store) backUp(now time.Time) {
	b, err := s.Backup()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.keeping.notBefore = now.Add(backupRetryIn)
		s.log.Error("the store could not be backed up", zap.Error(err))
		return
	}
	s.keeping.backedUp = b.Revision
	if !s.keeping.lastChange.After(now) {
		s.keeping.firstChange, s.keeping.lastChange = time.Time{}, time.Time{}
	}
}

// finishSoon finishes a batch that a commit has left, unless a commit is under way.
func (s *Store) finishSoon(e *engine) {
	if !e.writing.TryLock() {
		return
	}
	defer e.writing.Unlock()
	if err := s.finishHeld(e); err != nil {
		s.log.Warn("a large batch is in force but not yet all in the database", zap.Error(err))
	}
}

// collectDue tells whether the value log is to be collected, and takes note.
func (s *Store) collectDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.keeping.collected) < collectEvery {
		return false
	}
	s.keeping.collected = now
	return true
}

// collect frees room in the value log, unless a backup or a commit is under way. It
// writes what is still needed anew, as commits do.
func (s *Store) collect(e *engine) {
	if !e.maintenance.TryLock() {
		return
	}
	defer e.maintenance.Unlock()
	if !e.writing.TryLock() {
		return // A slow disk is no place for it.
	}
	defer e.writing.Unlock()
	err := e.collect()
	if err := e.settle(); err != nil {
		s.log.Warn("the store has no room for the next write", zap.Error(err))
	}
	if err != nil && !errors.Is(err, badger.ErrNoRewrite) && !errors.Is(err, badger.ErrRejected) {
		s.log.Warn("the value log could not be collected", zap.Error(err))
	}
}

func (e *engine) collect() (err error) {
	defer panicked(&err)
	return e.db.RunValueLogGC(collectRatio)
}
