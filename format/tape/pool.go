package tape

import "sync"

// pool holds tapes that are not in use.
var pool = sync.Pool{New: func() any { return new(Tape) }}

// Take returns an empty tape, for a small document such as the arguments of a tool
// call. Release gives it back.
func Take() *Tape { return pool.Get().(*Tape) }

// Release gives back a tape that [Take] returned. Neither it nor its values may be
// used any more.
func (t *Tape) Release() {
	t.Reset()
	pool.Put(t)
}
