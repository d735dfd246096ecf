// Package storage keeps what must outlive the process: managed definitions,
// circuits and other observed facts. It is a small Badger database behind
// typed tables, with the care around it that a proxy needs: a store that is
// full, locked, damaged or gone costs what it holds and nothing else.
//
// Below the data directory lie
//
//	lock                  held by the process that uses the directory
//	store/                the database
//	store.corrupt-<time>/ what was moved aside because it was damaged
//	store.replaced-<time>/ what was moved aside by a restore
//	backups/              the newest backups
package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Options say where the store lies and what it may use.
type Options struct {
	// Dir is the data directory. It is made if it is missing. Required.
	Dir string
	// MinFree is the room in bytes that must be free before anything is
	// written. The database writes through memory maps, so writing to a disk
	// that is really full would kill the process; the room is for what it is
	// still doing when others fill the disk. Default: 256 MiB.
	MinFree int64
	// LockWait is how long Open waits for another process to let go of the
	// directory. Default: 5 s; negative means not at all.
	LockWait time.Duration
	// Sealer seals the secrets among the data. Default: none, and a store that
	// holds secrets is then refused.
	Sealer *Sealer
	// Logger is told what an operator should know. Default: silence.
	Logger *zap.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

const (
	defaultMinFree  = 256 << 20
	defaultLockWait = 5 * time.Second
	// closeLimit is how long Close waits for the database.
	closeLimit = 10 * time.Second
	// schemaVersion is the version of everything below store/. A store with a
	// higher one is not touched.
	schemaVersion uint16 = 1
)

// Store is the store of one data directory. Its methods may be called by
// several goroutines at once and answer ErrClosed after Close. A store
// without a usable database answers at once, with an error that says why.
type Store struct {
	opt  Options
	dir  string // the database's directory
	sys  system
	log  *zap.Logger
	quit context.CancelFunc // ends the keeper
	kept chan struct{}      // closed when the keeper has ended

	sealer atomic.Pointer[Sealer] // nil: no secret key is set
	// keysMu is held while the list of keys that the store needs, or the sealer, is
	// changed. It comes after the engine's writing.
	keysMu sync.Mutex

	openMu sync.Mutex // held while the database is opened, replaced or closed

	keeping keeping // of the keeper, see keeper.go

	mu       sync.Mutex
	engine   *engine // nil: there is no database
	closed   bool
	poisoned bool // the database panicked while opening: never again in this process
	lock     *os.File
	trouble  error  // why there is no database, or why it cannot be written
	finding  string // what was lost at opening or found later; stays until the next start
	status   Status // all that the fields above do not say
}

// system is what the store asks of the operating system; tests replace parts
// of it.
type system struct {
	free       func(dir string) (int64, error)
	fileLimit  func() int64
	committing func() // called before each transaction
	part       int    // what one transaction takes, in bytes
	closeLimit time.Duration
	keepEvery  time.Duration
	schema     uint16
}

// Status is the state of a store.
type Status struct {
	// Degraded says that an operator should look: there is no database, it
	// cannot be written, or something was lost. Reason says which.
	Degraded bool
	// Available says that there is a database to read from.
	Available bool
	// Writable says that writes are accepted.
	Writable bool
	// Reason is a sentence about why the store is degraded. Empty otherwise.
	Reason string
	// Bytes is the room that the database takes on the disk.
	Bytes int64
	// FreeBytes is the room left on its file system when last looked at.
	FreeBytes int64
	// LastBackup is when the newest backup was made. Zero: there is none.
	LastBackup time.Time
	// Quarantined is where a damaged store was moved when this one was opened.
	// Empty: nowhere.
	Quarantined string
	// Restored is the backup that this store was begun from. Empty: none.
	Restored string
	// Lost is the number of acknowledged commits that were not found again.
	Lost uint64
	// Damaged is the number of records that failed their check.
	Damaged int
}

// Open opens the store of a data directory and starts its keeper, which lives
// until Close. Where the directory cannot be used the store is degraded, but
// it is there: an error only says that the options are wrong.
func Open(ctx context.Context, opt Options) (*Store, error) {
	return openWith(ctx, opt, system{})
}

func openWith(ctx context.Context, opt Options, sys system) (*Store, error) {
	if opt.Dir == "" {
		return nil, errors.New("opening the store: no directory is given")
	}
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	opt.Dir = dir
	s := &Store{opt: opt.withDefaults(), sys: sys.withDefaults(), dir: filepath.Join(dir, "store")}
	s.log = s.opt.Logger
	s.sealer.Store(opt.Sealer)
	if err := s.Reopen(ctx); err != nil {
		s.log.Warn("the store is degraded", zap.String("directory", dir), zap.Error(err))
	}
	// The keeper ends with Close and not with the context of the opening.
	keeperCtx, quit := context.WithCancel(context.WithoutCancel(ctx))
	s.quit, s.kept = quit, make(chan struct{})
	go s.keep(keeperCtx)
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.MinFree == 0 {
		o.MinFree = defaultMinFree
	}
	if o.LockWait == 0 {
		o.LockWait = defaultLockWait
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (s system) withDefaults() system {
	if s.free == nil {
		s.free = freeSpace
	}
	if s.fileLimit == nil {
		s.fileLimit = fileLimit
	}
	if s.committing == nil {
		s.committing = func() {}
	}
	if s.part == 0 {
		s.part = partBytes
	}
	if s.closeLimit == 0 {
		s.closeLimit = closeLimit
	}
	if s.keepEvery == 0 {
		s.keepEvery = keepEvery
	}
	if s.schema == 0 {
		s.schema = schemaVersion
	}
	return s
}

// Reopen tries again to open a store that has no database; with one it does
// nothing. The owner calls it every 10 s while Status says that the store is
// not available, and loads its records when it succeeds. The lock of another
// process is waited for as Open does only the first time.
func (s *Store) Reopen(ctx context.Context) error {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.mu.Lock()
	closed, engine, poisoned, trouble := s.closed, s.engine, s.poisoned, s.trouble
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case engine != nil:
		return nil
	case poisoned:
		return trouble
	}
	err := s.open(ctx, trouble == nil)
	s.mu.Lock()
	s.trouble = err
	s.mu.Unlock()
	return err
}

// Close ends the keeper and closes the database, so that the next start finds
// everything in order. It waits for at most 10 s; a store that takes longer
// is left as if the process had been killed, which is as safe. On a full disk
// the database is left like this as well, since closing it would write: Close
// then fails with ErrNoSpace, nothing that was acknowledged is lost, and the
// directory is free for the next. Further calls do nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	if already {
		return nil
	}
	s.quit()
	done := make(chan error, 1)
	go func() { done <- s.shut() }()
	limit := time.NewTimer(s.sys.closeLimit)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
		return fmt.Errorf("closing the store: not done within %s", s.sys.closeLimit)
	}
}

// shut waits for whoever still uses the database, closes it, or abandons it if
// there is no room to close it, and lets go of the directory.
func (s *Store) shut() error {
	<-s.kept
	s.openMu.Lock()
	defer s.openMu.Unlock()
	err := s.roomToClose()
	if err == nil {
		err = s.detach()
	} else if left := s.leave(); left != nil {
		// It may write yet: nobody may use the directory before the process ends.
		return fmt.Errorf("closing the store: %w; its directory stays locked", errors.Join(err, left))
	}
	if err := errors.Join(err, s.releaseLock()); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// leave takes the database out of use without closing it. The caller holds
// openMu.
func (s *Store) leave() error {
	e := s.takeEngine()
	if e == nil {
		return nil
	}
	return e.abandon(s.sys.closeLimit)
}

// detach takes the database out of use and closes it. The caller holds openMu.
func (s *Store) detach() error {
	e := s.takeEngine()
	if e == nil {
		return nil
	}
	return e.close()
}

// takeEngine takes the database out of use; nil if there is none.
func (s *Store) takeEngine() *engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.engine
	s.engine = nil
	return e
}

// Status tells how the store is. It never waits for the disk.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Available = s.engine != nil && !s.closed
	st.Writable = st.Available && s.trouble == nil
	switch {
	case s.closed:
		st.Reason = ErrClosed.Error()
	case s.trouble != nil:
		st.Reason = s.trouble.Error()
	default:
		st.Reason = s.finding
	}
	st.Degraded = st.Reason != ""
	return st
}

// use returns the database for one operation; leave must be called on it.
func (s *Store) use() (*engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.engine == nil && s.trouble != nil:
		return nil, &unavailableError{s.trouble}
	case s.engine == nil:
		return nil, ErrDegraded
	}
	s.engine.users.Add(1)
	return s.engine, nil
}

// unavailableError is an ErrDegraded that also is its cause.
type unavailableError struct{ cause error }

// Error says that the store is not available, and why.
func (e *unavailableError) Error() string { return fmt.Sprintf("%v: %v", ErrDegraded, e.cause) }

// Unwrap makes the error both.
func (e *unavailableError) Unwrap() []error { return []error{ErrDegraded, e.cause} }

// found records that something was lost; what was found first is kept, as it
// is what an operator should see first.
func (s *Store) found(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finding == "" {
		s.finding = what
	}
}
