package storage

import (
	"errors"
	"fmt"
	"strings"
)

// What the methods of this package answer. Callers branch on them with
// errors.Is; the messages around them say what was being done.
var (
	// ErrNotFound says that no record has this key.
	ErrNotFound = errors.New("no such record")
	// ErrConflict says that the record is not at the revision that the caller
	// saw; see ConflictError for the one it is at.
	ErrConflict = errors.New("the record has changed")
	// ErrClosed says that Close was called. It never goes away.
	ErrClosed = errors.New("the store is closed")
	// ErrDegraded says that there is no database to ask; Status tells why, and
	// Reopen may end it.
	ErrDegraded = errors.New("the store is not available")
	// ErrReadOnly says that the directory cannot be written or is not ours.
	ErrReadOnly = errors.New("the store's directory cannot be written")
	// ErrNoSpace says that the file system has too little room left, or that a
	// limit on the size of files is too low. It goes away by itself.
	ErrNoSpace = errors.New("too little space for the store")
	// ErrLocked says that another process uses the directory.
	ErrLocked = errors.New("another process uses the store")
	// ErrDamaged says that bytes on the disk are not what was written.
	ErrDamaged = errors.New("the stored data is damaged")
	// ErrVersion says that another version of the gateway wrote the data, as a
	// rule a later one. Nothing of it is touched.
	ErrVersion = errors.New("written by another version of the gateway")
	// ErrTooLarge says that a key, a value or a batch exceeds its limit.
	ErrTooLarge = errors.New("too large for the store")
	// ErrBadKey says that a key or a table's name cannot be used.
	ErrBadKey = errors.New("not a usable key")

	// ErrNoSecretKey says that a secret is to be sealed or opened and no secret
	// key is set.
	ErrNoSecretKey = errors.New("no secret key is set")
	// ErrWrongSecretKey says that a secret was sealed with another secret key.
	ErrWrongSecretKey = errors.New("sealed with another secret key")
	// ErrBadSecretKey says that the secret key itself is not 32 bytes in base64.
	ErrBadSecretKey = errors.New("the secret key must be 32 bytes in base64")
)

// ConflictError is the ErrConflict of one record.
type ConflictError struct {
	// Key is the record's key within its table.
	Key string
	// Current is the revision the record is at, or Absent.
	Current Revision
}

// Error names the record and where it is.
func (e *ConflictError) Error() string {
	if e.Current == Absent {
		return fmt.Sprintf("record %q: %v: it does not exist", e.Key, ErrConflict)
	}
	return fmt.Sprintf("record %q: %v: it is at revision %d", e.Key, ErrConflict, e.Current)
}

// Is makes every ConflictError an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// panicked turns a panic of the database into an ErrDamaged: its code meets
// bytes on the disk that it does not expect with a panic, and no request may
// end for that reason. It is deferred.
func panicked(err *error) {
	if r := recover(); r != nil {
		*err = &panicError{value: r}
	}
}

// panicError is what a recovered panic of the database becomes.
type panicError struct{ value any }

// Error shows the beginning of the panic's value, on one line: the database
// writes whole reports there.
func (e *panicError) Error() string {
	text := strings.Join(strings.Fields(fmt.Sprint(e.value)), " ")
	return fmt.Sprintf("%v: the database panicked: %.200s", ErrDamaged, text)
}

// Is makes every panicError an ErrDamaged.
func (e *panicError) Is(target error) bool { return target == ErrDamaged }
