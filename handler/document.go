package handler

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

const (
	// pooledBody is the largest buffer that is kept for other requests.
	pooledBody = 1 << 20
	// firstBody is where the buffer of a body of unknown length starts.
	firstBody = 16 << 10
)

// document is a JSON body, of a client or an upstream, and its index. It comes
// from a pool and goes back when its last user lets go.
type document struct {
	data  []byte
	one   [1]byte // for expectEOF, which must not allocate
	index tape.Tape
	users atomic.Int32
}

var documents = sync.Pool{New: func() any { return new(document) }}

// newDocument returns an empty document with one user.
func newDocument() *document {
	d := documents.Get().(*document)
	d.users.Store(1)
	return d
}

// retain adds a user.
func (d *document) retain() { d.users.Add(1) }

// release ends one use. Nobody may look at the bytes after the last.
func (d *document) release() {
	if d.users.Add(-1) > 0 {
		return
	}
	d.index.Reset()
	if cap(d.data) <= pooledBody {
		d.data = d.data[:0]
		documents.Put(d)
	}
}

// fill reads body to its end. A declared length is believed only up to a
// megabyte: memory beyond that is taken when the bytes have come.
func (d *document) fill(body io.Reader, length int64) error {
	size := int64(firstBody)
	if length >= 0 {
		size = min(length, pooledBody)
	}
	d.data = grow(d.data[:0], int(size))
	for {
		if len(d.data) == cap(d.data) {
			if int64(len(d.data)) == length {
				return d.expectEOF(body)
			}
			next := 2 * cap(d.data)
			if length > int64(len(d.data)) {
				next = int(length)
			}
			d.data = grow(d.data, max(next, firstBody))
		}
		n, err := body.Read(d.data[len(d.data):cap(d.data)])
		d.data = d.data[:len(d.data)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// expectEOF reads the end of a body whose declared length has been read.
func (d *document) expectEOF(body io.Reader) error {
	for {
		n, err := body.Read(d.one[:])
		switch {
		case n > 0:
			return errors.New("the body is longer than its Content-Length")
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// grow returns data with room for size bytes in all.
func grow(data []byte, size int) []byte {
	if cap(data) >= size {
		return data
	}
	bigger := make([]byte, len(data), size)
	copy(bigger, data)
	return bigger
}
