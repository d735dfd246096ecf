package handler

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

const (
	// pooledLimit is the largest buffer that is kept for other requests.
	pooledLimit = 4 << 20
	// believed is the largest declared length for which memory is taken at once.
	believed = 1 << 20
	// firstBody is where the buffer of a body of unknown length starts.
	firstBody = 16 << 10
	// earnest is how much of a larger body has to come before.
	earnest = 256 << 10
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
	if cap(d.data) <= pooledLimit {
		d.data = d.data[:0]
		documents.Put(d)
	}
}

// fill reads body to its end. The memory for a large one is taken only when a
// part of it has come.
func (d *document) fill(body io.Reader, length int64) error {
	size := int64(firstBody)
	switch {
	case length > believed:
		size = earnest
	case length >= 0:
		size = length
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

// pooledBody is the body of an attempt: memory from a pool, and views into the
// client's document, which it keeps from being freed.
type pooledBody struct {
	format.Body
	document *document
	freed    func() // free, made once
}

var bodies = sync.Pool{New: func() any { return new(pooledBody) }}

// newBody returns an empty body for an attempt. The caller must Release it; it
// goes back to the pool when the transport has let go of it, too.
func newBody(d *document) *pooledBody {
	b := bodies.Get().(*pooledBody)
	d.retain()
	b.document = d
	if b.freed == nil {
		b.freed = b.free
	}
	b.Own(b.freed)
	return b
}

// free is called by the body when its last user has gone.
func (b *pooledBody) free() {
	b.document.release()
	b.document = nil
	if b.Room() <= pooledLimit {
		b.Reset()
		bodies.Put(b)
	}
}
