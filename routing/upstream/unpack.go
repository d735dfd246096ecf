package upstream

import (
	"compress/gzip"
	"errors"
	"io"
)

// How far a packed answer may unpack. Text seldom unpacks to more than thirty times
// its size; what is made to fill memory does to a thousand times.
const (
	unpackedFree  = 4 << 20 // up to here anything goes
	unpackedTimes = 100
)

// errBomb is what reading a packed answer fails with that unpacks too far.
var errBomb = errors.New("the answer unpacks to more than 100 times its size")

// unpacker reads a body in gzip. It is used by one goroutine.
type unpacker struct {
	packed   countingReader
	unpacked int64
	gzip     *gzip.Reader
}

// newUnpacker reads the header of a body in gzip.
func newUnpacker(body io.Reader) (*unpacker, error) {
	u := &unpacker{packed: countingReader{from: body}}
	var err error
	u.gzip, err = gzip.NewReader(&u.packed)
	return u, err
}

// Read implements io.Reader. It fails with errBomb.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.gzip.Read(p)
	u.unpacked += int64(n)
	if u.unpacked > max(unpackedFree, unpackedTimes*u.packed.n) {
		return n, errBomb
	}
	return n, err
}

// countingReader counts what was read.
type countingReader struct {
	from io.Reader
	n    int64
}

// Read implements io.Reader.
func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.n += int64(n)
	return n, err
}
