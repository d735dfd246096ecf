//go:build amd64 && !purego

package tape

import (
	"math/bits"
	"unicode/utf8"
)

// hasBlocks says that scanBlocks is worth its call.
const hasBlocks = true

// firstWords is how far a string is looked at by words before it is by blocks.
const firstWords = 16

// scanBlocks is scanString for what is longer than a few words: 32 bytes at a time,
// from one place that needs a closer look to the next.
func scanBlocks(doc []byte, i int, found uint32) (int, uint32) {
	for {
		end, escapes := skipEasy(doc, i)
		found |= escapes
		if end == len(doc) {
			return end, isBroken
		}
		switch i = end; {
		case doc[i] == '"':
			return i + 1, found
		case doc[i] == '\\':
			found = hasEscapes
			i += escapeLen(doc[i:])
		case doc[i] >= utf8.RuneSelf:
			i = skipForeign(doc, i)
		}
		if i == end {
			return end, isBroken
		}
	}
}

// skipForeign is skipUTF8 for text in which characters beyond ASCII are never far from
// each other.
func skipForeign(doc []byte, i int) int {
	for {
		end := skipUTF8(doc, i)
		if end == i || end+8 > len(doc) {
			return end
		}
		marks := special(word(doc[end:])) & highs
		next := end + bits.TrailingZeros64(marks)>>3
		if marks == 0 || doc[next] < utf8.RuneSelf {
			return end
		}
		i = next
	}
}

// skipEasy skips from i on what stands in a string and needs no closer look. It
// returns where it stops, and hasEscapes if it met any.
func skipEasy(doc []byte, i int) (end int, found uint32) {
	const part = 4 << 10
	for {
		n, backslashes := skipString(doc[i:min(i+part, len(doc))])
		i += n
		if backslashes != 0 {
			found = hasEscapes
		}
		if n < part {
			break
		}
		if backslashes == 0 {
			i = skipBlocks(doc, i)
		}
	}
	for len(doc)-i < 32 && i < len(doc) && isPlain(doc[i]) { // no whole block is left
		i++
	}
	return i, found
}

// isPlain says that a byte of a string needs no closer look.
func isPlain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

// skipString skips, in whole blocks of 32 bytes, what may stand in a string: ASCII, and
// the escapes \" \\ \n \r \t. It returns how much of s it has skipped, up to the first
// byte or escape that needs a closer look or up to the last whole block; an escape is
// not torn apart. backslashes is not 0 if the string has any up to there.
//
//go:noescape
func skipString(s []byte) (n int, backslashes uint64)
