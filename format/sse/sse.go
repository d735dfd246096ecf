// Package sse reads and writes event streams (text/event-stream).
package sse

import (
	"errors"
	"io"
)

// DefaultMaxEvent is the largest event a Scanner takes unless told otherwise.
const DefaultMaxEvent = 32 << 20

// ErrEventTooLarge says that an event of a stream is above the Scanner's limit.
var ErrEventTooLarge = errors.New("event of the stream is too large")

// Event is one block of an event stream: everything up to and with a blank
// line. Its slices are views, valid until the next call of Next.
type Event struct {
	// Name is the event field; nil if there was none.
	Name []byte
	// Data is the data field, several lines joined by LF. nil if the block has
	// no data: comments, retry hints, stray blank lines.
	Data []byte
	// Raw is the block as it was received, through its blank line. The Raw of all
	// events, one after the other, are the stream.
	//
	// If a stream with CRLF is cut between the two bytes that end an event, the
	// event is returned at once and its LF follows as a block without data.
	Raw []byte
	// Partial says that the stream ended without the block's blank line.
	Partial bool
}

// Scanner splits a stream into events.
type Scanner struct {
	r   io.Reader
	max int
	err error // of r, or of the stream; what is buffered comes first

	buf []byte
	// The block being scanned is buf[start:pos] so far, always whole lines;
	// buf[pos:end] is yet to be scanned.
	start, pos, end int

	lf, cr  mark
	afterCR bool // the byte before pos is a CR whose LF may still follow
	begun   bool // the stream's first line has been scanned
	block   block
	joined  []byte // memory for data of several lines
	quiet   int    // see fill
}

// block is what is known of the block being scanned. Its spans are relative to
// the block's start, so that they survive a move of the buffer.
type block struct {
	complete  bool // its blank line has been scanned
	name      span
	data      span // of the first data line
	dataLines int
}

// NewScanner returns a Scanner on r. Events above max bytes are refused with
// ErrEventTooLarge; max <= 0 means DefaultMaxEvent.
func NewScanner(r io.Reader, max int) *Scanner {
	if max <= 0 {
		max = DefaultMaxEvent
	}
	return &Scanner{r: r, max: max}
}

// Next returns the next block; io.EOF after the last one, or the reader's error.
func (s *Scanner) Next() (Event, error) {
	for !s.scan() {
		if s.err != nil {
			return s.last()
		}
		s.fill()
	}
	return s.take(), nil
}

// Buffered says that Next will return without reading. Events that Next returned
// stay valid.
func (s *Scanner) Buffered() bool { return s.scan() || s.err != nil }

// Release gives the Scanner's memory back for other streams. The Scanner and
// its events must not be used afterwards.
func (s *Scanner) Release() {
	releaseBuffer(s.buf)
	*s = Scanner{err: io.ErrClosedPipe}
}

// last returns what is left of the stream when its reader has ended.
func (s *Scanner) last() (Event, error) {
	if s.err != io.EOF || s.start == s.end {
		s.start, s.pos = s.end, s.end
		return Event{}, s.err
	}
	if s.pos < s.end {
		s.line(s.pos, s.end)
		s.pos = s.end
	}
	e := s.take()
	e.Partial = true
	return e, nil
}

// take returns buf[start:pos] as an event and begins a new block.
func (s *Scanner) take() Event {
	raw := s.buf[s.start:s.pos:s.pos]
	e := Event{Name: s.block.name.of(raw), Raw: raw}
	switch s.block.dataLines {
	case 0:
	case 1:
		e.Data = s.block.data.of(raw)
	default:
		e.Data = s.join(raw)
	}
	s.start, s.block = s.pos, block{}
	return e
}
