//go:build amd64 && !purego

package tape

import (
	"math/rand/v2"
	"testing"
)

// easy is what skipString does, byte by byte.
func easy(s []byte) (n int, backslash bool) {
	whole := len(s) / 32 * 32
	for i := 0; i < whole; i++ {
		switch c := s[i]; {
		case c == '\\':
			if i+1 == whole {
				return i, true
			}
			switch s[i+1] {
			case '"', '\\', 'n', 'r', 't':
				backslash = true
				i++
			default:
				return i, true
			}
		case !isPlain(c):
			return i, backslash
		}
	}
	return whole, backslash
}

// TestSkipString compares blocks with single bytes: rows of backslashes at every place,
// over the ends of blocks, and at the ends of strings.
func TestSkipString(t *testing.T) {
	alphabet := []byte("\\\\\\\"\"nrtabu/ xyz~!#[]\x1f\x7f\x80\xff")
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300_000 {
		s := make([]byte, random.IntN(140))
		letters := alphabet[:1+random.IntN(len(alphabet))]
		for i := range s {
			s[i] = 'a'
			if random.IntN(8) >= round%8 {
				s[i] = letters[random.IntN(len(letters))]
			}
		}
		wantN, wantBackslash := easy(s)
		n, backslashes := skipString(s)
		// The one at which it stops may be counted or not: it belongs to the string.
		atOne := n < len(s) && s[n] == '\\'
		if n != wantN || (backslashes != 0) != wantBackslash && !atOne {
			t.Fatalf("%q: %d and %#x, want %d and %t", s, n, backslashes, wantN, wantBackslash)
		}
	}
}
