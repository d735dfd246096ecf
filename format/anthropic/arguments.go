package anthropic

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// argumentScanner finds out when the arguments of a call are complete: they are
// a JSON object that arrives in pieces, each of them escaped in a literal of its
// own. The zero value stands before the object.
type argumentScanner struct {
	depth    int
	inString bool
	escaped  bool // the next character in the string is escaped
	begun    bool
	complete bool // the whole object has come
}

// scan reads the next piece. It tells whether the piece has anything to do with
// the object: white space before it and all that is behind it has not.
func (s *argumentScanner) scan(l chat.Literal) bool {
	if s.complete {
		return false
	}
	in := l.Inner()
	for i := 0; i < len(in); i++ {
		c := in[i]
		if c == '\\' && i+1 < len(in) {
			i++
			switch in[i] {
			case '"', '\\':
				c = in[i]
			case 'u':
				c = unicodeEscape(in[i+1:])
				i = min(i+4, len(in))
			default:
				c = ' ' // White space, or it stands in a string.
			}
		}
		s.step(c)
	}
	return s.begun
}

// step reads a character.
func (s *argumentScanner) step(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case s.inString:
		s.escaped = c == '\\'
		s.inString = c != '"'
	case c == '"':
		s.inString, s.begun = true, true
	case c == '{' || c == '[':
		s.depth++
		s.begun = true
	case c == '}' || c == ']':
		s.depth--
		s.complete = s.complete || s.depth == 0
	case c != ' ' && c != '\n' && c != '\r' && c != '\t':
		s.begun = true
	}
}

// unicodeEscape is the character of a \u escape, whose digits begin hex, if it
// is one that matters to the scanner, and another character if not.
func unicodeEscape(hex []byte) byte {
	if len(hex) < 4 || hex[0] != '0' || hex[1] != '0' {
		return 'x'
	}
	var c byte
	for _, h := range hex[2:4] {
		switch {
		case '0' <= h && h <= '9':
			h -= '0'
		case 'a' <= h|0x20 && h|0x20 <= 'f':
			h = (h | 0x20) - 'a' + 10
		}
		c = c<<4 | h
	}
	return c
}
