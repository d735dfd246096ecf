package sse

import (
	"io"
	"sync"
)

// bufferSize is the size of the buffers that streams share. Thousands of streams
// may wait at the same time, each with its buffer.
const bufferSize = 8 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func newBuffer() []byte { return buffers.Get().(*[bufferSize]byte)[:] }

// releaseBuffer puts buf back unless it was grown for a large event.
func releaseBuffer(buf []byte) {
	if len(buf) == bufferSize {
		buffers.Put((*[bufferSize]byte)(buf))
	}
}

// fill reads once, after it has made room for it.
func (s *Scanner) fill() {
	switch {
	case s.start == s.end:
		s.empty()
	case len(s.buf)-s.end >= len(s.buf)/4:
	case s.start > 0:
		s.move(s.buf)
	case s.end == len(s.buf):
		// The block is not above max, or scan would have refused it.
		grown := make([]byte, min(2*len(s.buf), s.max+1))
		old := s.buf
		s.move(grown)
		releaseBuffer(old)
	}
	const maxEmptyReads = 100
	for range maxEmptyReads {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.err = err
		if n > 0 || err != nil {
			return
		}
	}
	s.err = io.ErrNoProgress
}

// empty starts again at the front of the buffer. A buffer that was grown for a
// large event is given up when the stream has been small for a while.
func (s *Scanner) empty() {
	const patience = 16
	if s.quiet++; s.end > bufferSize {
		s.quiet = 0
	}
	if s.buf == nil || len(s.buf) > bufferSize && s.quiet >= patience {
		s.buf, s.joined = newBuffer(), nil
	}
	s.start, s.pos, s.end = 0, 0, 0
	s.lf, s.cr = mark{}, mark{}
}

// move copies the block being scanned to the front of buf, which may be the same
// buffer.
func (s *Scanner) move(buf []byte) {
	copy(buf, s.buf[s.start:s.end])
	by := s.start
	s.buf = buf
	s.start, s.pos, s.end = 0, s.pos-by, s.end-by
	s.lf.at, s.cr.at = max(s.lf.at-by, 0), max(s.cr.at-by, 0)
}
