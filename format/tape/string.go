package tape

import (
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// isBroken is what scanString finds, besides hasEscapes.
const isBroken = hasEscapes << 1

// scanString checks the string whose first byte behind the quote is at i. It
// returns the offset behind the closing quote and, if there are any, hasEscapes;
// or the offset of the byte that does not belong there, and isBroken.
//
// It goes on by whole words wherever their special bytes are, for then the
// processor need not wait for one word to know the place of the next.
func scanString(doc []byte, i int) (end int, found uint32) {
	last := len(doc) - 8 // of the words
	if hasBlocks {
		last = min(last, i+firstWords) // most strings are short
	}
	plain := i // nothing special stands in doc[plain:i]
next:
	for i <= last {
		marks := special(word(doc[i:])) & highs
		if marks == 0 {
			if i += 8; !hasBlocks && i-plain >= 64 {
				i = skipPlain(doc, i)
				plain = i
			}
			continue
		}
		plain = i
		for marks != 0 {
			n := bits.TrailingZeros64(marks) >> 3
			at := i + n
			c := doc[at]
			if c == '"' {
				return at + 1, found
			}
			if c == '\\' && at+1 < len(doc) && shortEscape[doc[at+1]] {
				found = hasEscapes
				if n >= 6 { // The escape ends the word, or reaches into the next.
					i = at + 2
					continue next
				}
				marks &= ^uint64(0) << (8*n + 16)
				continue
			}
			if i = skipSpecial(doc, at); i == at {
				return at, isBroken
			}
			if c == '\\' {
				found = hasEscapes
			}
			continue next
		}
		i += 8
	}
	if hasBlocks {
		return scanBlocks(doc, i, found)
	}
	return scanTail(doc, i, found)
}

// scanTail is scanString for the last few bytes of a document.
func scanTail(doc []byte, i int, found uint32) (int, uint32) {
	for i < len(doc) {
		c := doc[i]
		if c == '"' {
			return i + 1, found
		}
		end := skipSpecial(doc, i)
		if end == i {
			return i, isBroken
		}
		if c == '\\' {
			found = hasEscapes
		}
		i = end
	}
	return i, isBroken
}

// skipSpecial returns the offset behind what stands at i, be it an escape,
// characters beyond ASCII, or a plain byte that was marked wrongly; or i if it
// may not stand in a string.
func skipSpecial(doc []byte, i int) int {
	switch c := doc[i]; {
	case c == '\\':
		return i + escapeLen(doc[i:])
	case c < ' ':
		return i
	case c < utf8.RuneSelf:
		return i + 1
	}
	return skipUTF8(doc, i)
}

// stringError tells what scanString found at the offset at.
func stringError(doc []byte, at int) error {
	switch {
	case at == len(doc):
		return syntaxError(at, "the string is not closed")
	case doc[at] == '\\':
		return syntaxError(at, "unknown escape")
	case doc[at] < ' ':
		return syntaxError(at, "control character in a string")
	}
	return fmt.Errorf("offset %d: %w", at, ErrUTF8)
}

// shortEscape tells which bytes make an escape with the backslash before them.
var shortEscape = [256]bool{
	'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true,
}

// escapeLen returns the length of the escape that esc starts with, 0 if it is
// not a legal one.
func escapeLen(esc []byte) int {
	if len(esc) >= 2 && shortEscape[esc[1]] {
		return 2
	}
	if len(esc) < 6 || esc[1] != 'u' {
		return 0
	}
	for _, c := range esc[2:6] {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0
		}
	}
	return 6
}
