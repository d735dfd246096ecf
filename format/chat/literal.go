package chat

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Literal is a JSON string as it stands in a document, with its quotes and
// escapes. nil means absent.
type Literal []byte

// Quote returns the literal of s.
func Quote(s string) Literal { return AppendQuoted(nil, s) }

// QuoteEscaped returns the literal of text that is escaped already.
func QuoteEscaped(escaped []byte) Literal {
	l := make(Literal, 0, len(escaped)+2)
	l = append(l, '"')
	l = append(l, escaped...)
	return append(l, '"')
}

// Inner returns the text between the quotes, still escaped.
func (l Literal) Inner() []byte {
	if len(l) < 2 {
		return nil
	}
	return l[1 : len(l)-1]
}

// Empty says that the literal is absent or the empty string.
func (l Literal) Empty() bool { return len(l) <= 2 }

// Blank says that the literal is absent, empty, or white space only.
func (l Literal) Blank() bool {
	in := l.Inner()
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case ' ':
		case '\\':
			i++
			if i >= len(in) || in[i] != 'n' && in[i] != 't' && in[i] != 'r' {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// Is says that the literal's value is s. It does not allocate for literals
// without escapes.
func (l Literal) Is(s string) bool {
	in := l.Inner()
	if len(in) > 6*len(s) { // \u0041 is the longest way to write a byte
		return false
	}
	for _, c := range in {
		if c == '\\' {
			return l.String() == s
		}
	}
	return l != nil && string(in) == s
}

// Equal says that two literals have the same value.
func (l Literal) Equal(other Literal) bool {
	return bytes.Equal(l, other) || bytes.Equal(l.Unescaped(), other.Unescaped())
}

// OrEmpty is the literal, or that of the empty string if it is absent.
func (l Literal) OrEmpty() Literal {
	if l == nil {
		return Literal(`""`)
	}
	return l
}

// Unescaped returns the literal's value: a view if it has no escapes.
func (l Literal) Unescaped() []byte {
	in := l.Inner()
	if bytes.IndexByte(in, '\\') < 0 {
		return in
	}
	return AppendUnquoted(nil, l)
}

// String returns the literal's value, unescaped.
func (l Literal) String() string { return string(AppendUnquoted(nil, l)) }

// AppendUnquoted appends the value of l, unescaped. Escapes that are not JSON
// and lone surrogates become U+FFFD.
func AppendUnquoted(dst []byte, l Literal) []byte {
	in := l.Inner()
	from := 0
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			continue
		}
		dst = append(dst, in[from:i]...)
		i++
		if i == len(in) {
			return utf8.AppendRune(dst, utf8.RuneError)
		}
		switch c := in[i]; c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, used := unescapeRune(in[i-1:])
			dst = utf8.AppendRune(dst, r)
			i += used - 2
		default:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		}
		from = i + 1
	}
	return append(dst, in[min(from, len(in)):]...)
}

// unescapeRune reads a \uXXXX escape, or a pair of them that makes one rune. It
// returns how many bytes it used.
func unescapeRune(in []byte) (r rune, used int) {
	hi, ok := hex4(in)
	if !ok {
		return utf8.RuneError, 2
	}
	if !utf16.IsSurrogate(hi) {
		return hi, 6
	}
	if lo, ok := hex4(in[6:]); ok {
		if r := utf16.DecodeRune(hi, lo); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 reads the four digits of a \uXXXX escape at the start of in.
func hex4(in []byte) (rune, bool) {
	if len(in) < 6 || in[0] != '\\' || in[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range in[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// AppendQuoted appends s as a JSON string literal. Only what JSON demands is
// escaped; bytes that are not UTF-8 become U+FFFD.
func AppendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped appends s escaped as inside a JSON string literal.
func AppendEscaped[T string | []byte](dst []byte, s T) []byte {
	const digits = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		from = i
	}
	return append(dst, s[from:]...)
}
