package format

import (
	"errors"
	"io"
	"sync"
)

// cursor is a place in a body. Its zero position is the start.
type cursor struct {
	body *Body
	at   int // in buf
	ref  int // the next view
	off  int // in that view
}

// span is what is left of the span at the place; nil at the end.
func (c *cursor) span() []byte {
	if until := c.written(); c.at < until {
		return c.body.buf[c.at:until]
	}
	if c.ref < len(c.body.refs) {
		return c.body.refs[c.ref].span[c.off:]
	}
	return nil
}

// advance moves on by n bytes of a span that had left bytes.
func (c *cursor) advance(n, left int) int {
	if c.at < c.written() {
		c.at += n
		return n
	}
	c.off += n
	if n == left {
		c.ref, c.off = c.ref+1, 0
	}
	return n
}

// written is where the written bytes end that stand before the next view.
func (c *cursor) written() int {
	if c.ref < len(c.body.refs) {
		return c.body.refs[c.ref].at
	}
	return len(c.body.buf)
}

// left is how many bytes come after the place.
func (c *cursor) left() int {
	n := len(c.body.buf) - c.at - c.off
	for _, r := range c.body.refs[c.ref:] {
		n += len(r.span)
	}
	return n
}

// errBodyClosed is what a reader answers after its Close.
var errBodyClosed = errors.New("request body is closed")

// bodyReader reads a body from start to end.
type bodyReader struct {
	// mu keeps Close from ending the use of the memory while a Read that runs
	// beside it still copies: a transport closes the body of a cancelled request
	// on another goroutine than the one that sends it.
	mu     sync.Mutex
	closed bool
	cursor
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, errBodyClosed
	}
	for n < len(p) {
		span := r.span()
		if span == nil {
			break
		}
		n += r.advance(copy(p[n:], span), len(span))
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Len is how many bytes are left to read. It may not run beside a Read.
func (r *bodyReader) Len() int {
	if !r.hold() {
		return 0
	}
	defer r.body.letGo()
	return r.left()
}

// WriteTo implements io.WriterTo: the spans are written from where they lie. It may not
// run beside a Read. A Close beside it does not wait for the writer, which may be stuck
// until its connection is closed.
func (r *bodyReader) WriteTo(w io.Writer) (n int64, err error) {
	if !r.hold() {
		return 0, errBodyClosed
	}
	defer r.body.letGo()
	for span := r.span(); span != nil; span = r.span() {
		wrote, err := w.Write(span)
		n += int64(r.advance(wrote, len(span)))
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// hold adds a user to the body unless the reader is closed, so that its memory stays
// when it is closed meanwhile.
func (r *bodyReader) hold() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.body.hold()
	return true
}

// Close ends the use of the body's memory. It may be called again.
func (r *bodyReader) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	if !was {
		r.body.letGo()
	}
	return nil
}
