package format

import (
	"bytes"
	"errors"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// ErrNoObject is the error of a body that should be a JSON object and is none, such
// as a form.
var ErrNoObject = errors.New("the body is no JSON object")

// WithMember returns the body b with one more member in its JSON object: a string
// of that name, in front of the others. It takes the place of all that b has under
// that name, whatever escapes they are spelled with. A body that is no object gives
// ErrNoObject; otherwise b must be valid JSON, as all are that an encoder has
// written or tape.Tape has read.
//
// Nothing is copied but the new member: the result is made of views into b, which
// is read through once. A reader of the result is a user of b, too.
func (b *Body) WithMember(name, value string) (*Body, error) {
	found := memberScan{name: name}
	spans := cursor{body: b}
	for span := spans.span(); span != nil && !found.over(); span = spans.span() {
		found.scan(span)
		spans.advance(len(span), len(span))
	}
	if !found.complete {
		return nil, ErrNoObject
	}
	out := &Body{base: b}
	from := cursor{body: b}
	from.move(found.open, out)
	out.Quote(name)
	out.Byte(':')
	out.Quote(value)
	if found.firstStays {
		out.Byte(',')
	}
	at := found.open
	for _, c := range found.cuts {
		from.move(c.start-at, out)
		from.move(c.end-c.start, nil)
		at = c.end
	}
	from.move(b.Len()-at, out)
	return out, nil
}

// move moves on by n bytes, which become views of out if there is one.
func (c *cursor) move(n int, out *Body) {
	for n > 0 {
		span := c.span()
		if span == nil {
			return
		}
		piece := span[:min(n, len(span))]
		if out != nil {
			out.View(piece)
		}
		n -= c.advance(len(piece), len(span))
	}
}

// memberScan looks for the members of one name in an object that comes in spans,
// which may end anywhere. It knows no more of JSON than that takes.
type memberScan struct {
	name string

	at       int // of the next span
	depth    int // of open brackets
	inString bool
	escaped  bool // the next byte of the string belongs to an escape
	keyNext  bool // the next string is a key of the object
	inKey    bool
	literal  []byte // of that key, or its beginning if it is too long to be the name

	// open is the offset behind the object's opening bracket.
	open int
	// from is where the current member begins: at its comma, or at open.
	from    int
	members int
	named   bool // the current member has the name
	// firstStays says that there is a first member with another name.
	firstStays bool
	// cuts are the members that have the name, each with the comma in front of it.
	cuts     []span
	complete bool
	broken   bool
}

// span is a part of a body.
type span struct{ start, end int }

// over says that there is nothing more to be found.
func (s *memberScan) over() bool { return s.complete || s.broken }

// scan takes in the next bytes.
func (s *memberScan) scan(p []byte) {
	for i := 0; i < len(p) && !s.over(); {
		if s.inString {
			i += s.text(p[i:])
			continue
		}
		s.punctuation(p[i], s.at+i)
		i++
	}
	s.at += len(p)
}

// punctuation takes in the byte c outside of strings, which stands at an offset.
func (s *memberScan) punctuation(c byte, at int) {
	if s.depth == 0 && c != '{' {
		s.broken = c != ' ' && c != '\t' && c != '\n' && c != '\r'
		return
	}
	switch c {
	case '"':
		s.inString = true
		if s.inKey = s.keyNext; s.inKey {
			s.keyNext, s.literal = false, append(s.literal[:0], c)
		}
	case '{', '[':
		if s.depth++; s.depth == 1 {
			s.open, s.from, s.keyNext = at+1, at+1, true
		}
	case '}', ']':
		if s.depth--; s.depth == 0 {
			s.endMember(at)
			s.complete = true
		}
	case ',':
		if s.depth == 1 {
			s.endMember(at)
			s.from, s.keyNext = at, true
		}
	}
}

// text takes in what p has of a string, and returns how many bytes these are.
func (s *memberScan) text(p []byte) int {
	n := s.endOfString(p)
	if !s.inKey {
		return n
	}
	// A byte has at most six in a literal; one byte more shows that it is too long.
	room := 6*len(s.name) + len(`""`) + 1 - len(s.literal)
	s.literal = append(s.literal, p[:max(0, min(n, room))]...)
	if !s.inString {
		s.inKey = false
		s.members++
		s.named = chat.Literal(s.literal).Is(s.name)
	}
	return n
}

// endOfString returns the length of what p has of a string, and notes whether it
// ends there.
func (s *memberScan) endOfString(p []byte) int {
	i, quote := 0, -1
	if s.escaped {
		s.escaped, i = false, 1
	}
	for i < len(p) {
		if quote < i { // looked for once, however many escapes there are before it
			quote = len(p)
			if found := bytes.IndexByte(p[i:], '"'); found >= 0 {
				quote = i + found
			}
		}
		escape := bytes.IndexByte(p[i:quote], '\\')
		if escape < 0 {
			s.inString = quote == len(p)
			return min(quote+1, len(p))
		}
		i += escape + len(`\n`)
	}
	s.escaped = i > len(p)
	return len(p)
}

// endMember ends the current member, if there is one, at an offset.
func (s *memberScan) endMember(at int) {
	switch {
	case s.named:
		s.cuts = append(s.cuts, span{s.from, at})
	case s.members == 1:
		s.firstStays = true
	}
	s.named = false
}
