package sse

import "bytes"

// span is a place in a block; the zero span is none.
type span struct{ from, to int }

// of returns the span's bytes; nil if there is none. A field's value never
// stands at the very start of a block, so that an empty one differs from none.
func (p span) of(raw []byte) []byte {
	if p.to == 0 {
		return nil
	}
	return raw[p.from:p.to:p.to]
}

// mark remembers how far the buffer was searched for a byte, so that no byte is
// searched twice however small the reads are.
type mark struct{ at int }

// next returns the offset of the first c in buf[from:], or len(buf).
func (m *mark) next(buf []byte, from int, c byte) int {
	m.at = max(m.at, from)
	if m.at < len(buf) && buf[m.at] != c {
		n := bytes.IndexByte(buf[m.at:], c)
		if n < 0 {
			n = len(buf) - m.at
		}
		m.at += n
	}
	return m.at
}

// scan goes through the buffered lines until a block is complete. It may be
// called again at any time and goes on where it stopped.
func (s *Scanner) scan() bool {
	buf := s.buf[:s.end]
	for !s.block.complete {
		if s.afterCR && s.pos < s.end {
			s.afterCR = false
			if buf[s.pos] == '\n' {
				s.pos++
				// At the start of a block the LF belongs to the one before, which
				// has been returned.
				s.block.complete = s.pos-1 == s.start
				continue
			}
		}
		at := min(s.lf.next(buf, s.pos, '\n'), s.cr.next(buf, s.pos, '\r'))
		if at == s.end {
			s.checkSize(s.end)
			return false
		}
		blank := s.line(s.pos, at)
		s.afterCR = buf[at] == '\r'
		s.pos = at + 1
		if s.afterCR && s.pos < s.end {
			s.afterCR = false
			if buf[s.pos] == '\n' {
				s.pos++
			}
		}
		s.block.complete = blank
	}
	return s.checkSize(s.pos)
}

// checkSize refuses the block up to the offset to if it is too large.
func (s *Scanner) checkSize(to int) bool {
	if to-s.start <= s.max {
		return true
	}
	s.err = ErrEventTooLarge
	s.start, s.pos, s.end = 0, 0, 0
	s.lf, s.cr = mark{}, mark{}
	s.block = block{}
	return false
}

// line takes the line buf[from:to] into the block and tells if it is blank.
func (s *Scanner) line(from, to int) (blank bool) {
	line := s.buf[from:to]
	if !s.begun {
		s.begun = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	name, value := field(line)
	place := span{to - len(value) - s.start, to - s.start}
	switch string(name) {
	case "data":
		if s.block.dataLines == 0 {
			s.block.data = place
		}
		s.block.dataLines++
	case "event":
		s.block.name = place
	}
	return len(line) == 0
}

// field splits a line into the field's name and its value. The name of a comment
// is empty.
func field(line []byte) (name, value []byte) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return line, nil
	}
	value = line[colon+1:]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return line[:colon], value
}

// join returns the data of a block with several data lines, the first of which
// is known. It is done late, because Buffered scans while the event before is
// still in use.
func (s *Scanner) join(raw []byte) []byte {
	s.joined = append(s.joined[:0], s.block.data.of(raw)...)
	var lf, cr mark
	for pos := s.block.data.to; pos < len(raw); {
		at := min(lf.next(raw, pos, '\n'), cr.next(raw, pos, '\r'))
		if name, value := field(raw[pos:at]); string(name) == "data" {
			s.joined = append(append(s.joined, '\n'), value...)
		}
		pos = at + 1
	}
	return s.joined
}
