package format

import (
	"io"
	"sync/atomic"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// bigSpan is the size from which a span is kept as a reference instead of being
// copied: an image of megabytes is never moved.
const bigSpan = 64 << 10

// Body is a request body as a sequence of spans: some written by an encoder,
// some views into the client's bytes. The zero value is an empty body. It is
// written once and then read any number of times, also concurrently.
//
// A Body whose memory is to be used again counts its users: see Own.
type Body struct {
	buf   []byte
	refs  []ref
	few   [4]ref // where refs begins, so that a few views cost no allocation
	size  int
	users atomic.Int32
	free  func()
	base  *Body // that the views look into, if it is another body: see WithMember
}

// ref is a span that stands before buf[at:].
type ref struct {
	at   int
	span []byte
}

// Reset empties the body and keeps its memory.
func (b *Body) Reset() {
	clear(b.refs)
	b.buf, b.refs, b.size, b.base = b.buf[:0], b.refs[:0], 0, nil
}

// Grow makes room for n written bytes in all, so that an encoder that knows about
// how much it will write does not move it.
func (b *Body) Grow(n int) {
	if n > cap(b.buf) {
		b.buf = append(make([]byte, 0, n), b.buf...)
	}
}

// Room is how many bytes can be written in all without taking more memory.
func (b *Body) Room() int { return cap(b.buf) }

// Len is the number of bytes.
func (b *Body) Len() int { return b.size }

// Str appends s.
func (b *Body) Str(s string) {
	b.buf = append(b.buf, s...)
	b.size += len(s)
}

// Byte appends c.
func (b *Body) Byte(c byte) {
	b.buf = append(b.buf, c)
	b.size++
}

// Raw appends p. A large p is kept as a view, so p must not change afterwards.
func (b *Body) Raw(p []byte) {
	if len(p) >= bigSpan {
		b.View(p)
		return
	}
	b.buf = append(b.buf, p...)
	b.size += len(p)
}

// View appends p as a view, whatever its size.
func (b *Body) View(p []byte) {
	if len(p) == 0 {
		return
	}
	if b.refs == nil {
		b.refs = b.few[:0]
	}
	b.refs = append(b.refs, ref{at: len(b.buf), span: p})
	b.size += len(p)
}

// Quote appends s as a JSON string literal.
func (b *Body) Quote(s string) {
	from := len(b.buf)
	b.buf = chat.AppendQuoted(b.buf, s)
	b.size += len(b.buf) - from
}

// Append lets f append to the body's memory.
func (b *Body) Append(f func(dst []byte) []byte) {
	from := len(b.buf)
	b.buf = f(b.buf)
	b.size += len(b.buf) - from
}

// Bytes returns the whole body as one new slice: for tests and small bodies.
func (b *Body) Bytes() []byte {
	out := make([]byte, 0, b.size)
	at := 0
	for _, r := range b.refs {
		out = append(out, b.buf[at:r.at]...)
		out = append(out, r.span...)
		at = r.at
	}
	return append(out, b.buf[at:]...)
}

// Own makes the caller the body's first user. When it has called Release and
// every reader is closed, free is called: then nobody looks at the body's memory
// any more, nor at the views in it. An HTTP transport may hold a reader for a
// while after it has answered.
func (b *Body) Own(free func()) {
	b.free = free
	b.users.Store(1)
}

// Release ends the use of the one who called Own.
func (b *Body) Release() {
	if b.users.Add(-1) == 0 && b.free != nil {
		b.free()
	}
}

// NewReader returns a reader over the whole body. It must be closed if the body
// is owned.
func (b *Body) NewReader() io.ReadCloser {
	b.hold()
	return &bodyReader{cursor: cursor{body: b}}
}

// hold adds a user, letGo ends its use.
func (b *Body) hold() {
	b.users.Add(1)
	if b.base != nil {
		b.base.users.Add(1)
	}
}

func (b *Body) letGo() {
	base := b.base // the body may be another one's when its last user has gone
	b.Release()
	if base != nil {
		base.Release()
	}
}
