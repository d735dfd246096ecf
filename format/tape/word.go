package tape

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Eight bytes are looked at together, as one little-endian word.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

func word(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

// special sets the high bit of the lowest byte in x that is not plain: quote,
// backslash, control character or not ASCII. Bytes above that one may be marked
// wrongly. The other bits mean nothing.
//
// Flipping bit 1 swaps the quote (0x22) with the space (0x20), which puts it
// right above the control characters; the subtraction then borrows into the high
// bit for all of them.
func special(x uint64) uint64 {
	return ((x ^ 0x02*ones) - 0x21*ones) | ((x ^ '\\'*ones) - ones) | x
}

// unprintable is special without quote and backslash.
func unprintable(x uint64) uint64 { return (x - ' '*ones) | x }

// skipPlain skips plain bytes from i on, as far as whole steps of 32 go.
func skipPlain(doc []byte, i int) int {
	from := i
	for i+32 <= len(doc) {
		p := doc[i : i+32 : i+32]
		m := special(word(p)) | special(word(p[8:])) |
			special(word(p[16:])) | special(word(p[24:]))
		if m&highs != 0 {
			return i
		}
		if i += 32; i-from == 1<<10 {
			i = skipBlocks(doc, i)
			from = i
		}
	}
	return i
}

// skipBlocks skips plain bytes from i on, as far as whole blocks go: the images
// and documents in a request. Here bytes.IndexByte, which the processor does 32
// bytes at a time, pays for its two extra looks at a block in the cache.
func skipBlocks(doc []byte, i int) int {
	const size = 4 << 10
	for i+size <= len(doc) {
		block := doc[i : i+size]
		if bytes.IndexByte(block, '"') >= 0 || bytes.IndexByte(block, '\\') >= 0 || !printable(block) {
			break
		}
		i += size
	}
	return i
}

// printable says that p, whose length is a multiple of 64, is ASCII without
// control characters.
func printable(p []byte) bool {
	for i := 0; i+64 <= len(p); i += 64 {
		q := p[i : i+64 : i+64]
		m := unprintable(word(q)) | unprintable(word(q[8:])) |
			unprintable(word(q[16:])) | unprintable(word(q[24:])) |
			unprintable(word(q[32:])) | unprintable(word(q[40:])) |
			unprintable(word(q[48:])) | unprintable(word(q[56:]))
		if m&highs != 0 {
			return false
		}
	}
	return true
}

// skipUTF8 returns the offset behind the valid characters beyond ASCII from i
// on.
func skipUTF8(doc []byte, i int) int {
	// Pairs of characters of three bytes: Chinese, Japanese, Korean.
	for i+8 <= len(doc) {
		x := word(doc[i:])
		if x&0xc0c0f0_c0c0f0 != 0x8080e0_8080e0 || isEdge(x) || isEdge(x>>24) {
			break
		}
		i += 6
	}
	for i < len(doc) && doc[i] >= utf8.RuneSelf {
		n := runeLen(doc[i:])
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

// isEdge says that the lead byte of three in x allows for overlong forms (E0)
// or surrogates (ED).
func isEdge(x uint64) bool { return 1<<(x&0x0f)&(1<<0x0|1<<0xd) != 0 }

// runeLen returns the length of the character beyond ASCII that p starts with,
// 0 if it is not valid.
func runeLen(p []byte) int {
	if len(p) < 4 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			return 0
		}
		return n
	}
	x := binary.LittleEndian.Uint32(p)
	switch {
	case x&0xc0_e0 == 0x80_c0 && x&0x1e != 0: // no overlong form
		return 2
	case x&0xc0c0_f0 == 0x8080_e0:
		const surrogates, count = 0xd800 >> 6, 0x800 >> 6
		if high := x&0x0f<<6 | x>>8&0x3f; high >= 0x800>>6 && high-surrogates >= count {
			return 3
		}
	case x&0xc0c0c0_f8 == 0x808080_f0:
		if high := x&0x07<<6 | x>>8&0x3f; high >= 0x10000>>12 && high <= 0x10ffff>>12 {
			return 4
		}
	}
	return 0
}
