package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	badgeroptions "github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"
)

const (
	memTableSize     = 8 << 20
	numMemtables     = 2
	valueLogFileSize = 16 << 20
	// largestFile is the size of the largest file that the database makes.
	largestFile = 2 * valueLogFileSize
)

// engine is one opened database. A store gets a new one when it is reopened
// or restored.
type engine struct {
	db   *badger.DB
	dir  string
	head *head
	// noted is the revision that the head named at opening; 0: none.
	noted Revision
	// users are the operations under way. The store adds to it only while the
	// engine is in use, and so never while close waits.
	users sync.WaitGroup

	writing sync.Mutex    // one commit at a time; it sets what follows
	last    atomic.Uint64 // the revision of the newest commit
	records atomic.Int64  // in all tables
	// settling is guarded by writing.
	settling settling

	// viewing is held while a view is made, and while pending is set: then writing
	// and maintenance are held too.
	viewing sync.RWMutex
	pending *pending // nil: the database has all

	// maintenance is held by a backup, by a merging of tables, by the value log's
	// collection, and while a batch is done in parts. It comes after writing; who
	// holds it may only try to take that.
	maintenance sync.Mutex

	closing  chan struct{} // closed when close begins
	verified chan struct{} // closed when verify has ended
}

// badgerOptions are the options of a small store: about 10 MB of memory
// instead of 85 MB, and every commit synced. The cache is off because nothing
// is compressed; blocks are checked when read, as a damaged one would make
// the database panic in a goroutine of its own. Tables are merged by compact
// alone, and the directory's lock is ours where we can take one.
func badgerOptions(dir string, schema uint16, log *zap.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithMemTableSize(memTableSize).
		WithNumMemtables(numMemtables).
		WithNumCompactors(0).
		WithNumLevelZeroTables(compactAt - 1).
		WithNumLevelZeroTablesStall(manyTables).
		WithBypassLockGuard(ownLock).
		WithValueLogFileSize(valueLogFileSize).
		WithValueThreshold(valueThreshold).
		WithBlockCacheSize(0).
		WithCompression(badgeroptions.None).
		WithChecksumVerificationMode(badgeroptions.OnBlockRead).
		WithNumGoroutines(2).
		WithMetricsEnabled(false).
		WithDetectConflicts(false). // commits stand in line anyway
		WithSyncWrites(true).
		WithExternalMagic(schema).
		WithLogger(badgerLog{log})
}

// openEngine opens the database in dir. From then on, until close, a stop is
// an unclean one.
func openEngine(dir string, schema uint16, log *zap.Logger) (e *engine, err error) {
	defer panicked(&err)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := unmarkClean(dir); err != nil {
		return nil, err
	}
	db, err := badger.Open(badgerOptions(dir, schema, log))
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	e = &engine{db: db, dir: dir, closing: make(chan struct{}), verified: make(chan struct{})}
	if err = e.takeUp(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if e.head, err = openHead(filepath.Join(dir, headName)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if e.noted, err = e.head.read(); err != nil {
		return nil, errors.Join(err, db.Close(), e.head.close())
	}
	return e, nil
}

// leave ends an operation.
func (e *engine) leave() { e.users.Done() }

// close waits for the operations under way, closes the database and marks the
// stop as clean. The engine must be out of use.
func (e *engine) close() (err error) {
	defer panicked(&err)
	close(e.closing)
	e.users.Wait()
	e.maintenance.Lock()
	defer e.maintenance.Unlock()
	if err := errors.Join(e.db.Close(), e.head.close()); err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return markClean(e.dir)
}

// abandon waits for the operations under way and leaves the database as if the
// process had been killed: closing it would write. It may be opened anew, as
// nothing of it writes any more; its memory and open files stay until the
// process ends. It fails if the database did not come to rest in time. The
// engine must be out of use.
func (e *engine) abandon(limit time.Duration) error {
	close(e.closing)
	e.users.Wait()
	e.maintenance.Lock() // never to be let go
	e.writing.Lock()
	defer e.writing.Unlock()
	clear(e.settling.kept) // nobody reads any more
	rest, err := e.awaitFlush(limit)
	if err == nil && !rest {
		err = errRestless
	}
	return errors.Join(err, e.head.close())
}

// errRestless says that the database still writes tables.
var errRestless = errors.New("the database is not at rest")

// cleanName is the file that a clean stop leaves in the database's directory.
const cleanName = "CLEAN"

// markClean records that the database was closed.
func markClean(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, cleanName), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("marking the clean stop: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close(), syncDir(dir)); err != nil {
		return fmt.Errorf("marking the clean stop: %w", err)
	}
	return nil
}

// unmarkClean takes the mark away before the database is used.
func unmarkClean(dir string) error {
	err := os.Remove(filepath.Join(dir, cleanName))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("removing the mark of the last clean stop: %w", err)
	}
	return syncDir(dir)
}
