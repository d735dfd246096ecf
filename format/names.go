package format

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Digest returns n hexadecimal digits, 64 at most, that depend on all the parts
// and on where they part.
func Digest(n int, parts ...[]byte) string {
	var digits [2 * sha256.Size]byte
	if len(parts) == 1 {
		sum := sha256.Sum256(parts[0])
		return string(hex.AppendEncode(digits[:0], sum[:])[:n])
	}
	h := sha256.New()
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write(p)
	}
	var sum [sha256.Size]byte
	return string(hex.AppendEncode(digits[:0], h.Sum(sum[:0]))[:n])
}

// NameRules are what a format demands of the names of tools, or of ids.
type NameRules struct {
	// Max is how long a name may be, in bytes.
	Max int
	// Takes says which characters a name may have, and Starts with which of them it
	// may begin. A nil Starts means with all.
	Takes, Starts func(c byte) bool
}

// PlainCharacter says that a name may have a character in all formats: it is a
// letter or a digit of ASCII, _ or -.
func PlainCharacter(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		return true
	default:
		return false
	}
}

// PlainName says that a name has such characters only, and one at least.
func PlainName(name []byte) bool {
	for _, c := range name {
		if !PlainCharacter(c) {
			return false
		}
	}
	return len(name) > 0
}

// Allow says that a name follows the rules. An empty one does not.
func (r *NameRules) Allow(name []byte) bool {
	if len(name) == 0 || len(name) > r.Max || r.Starts != nil && !r.Starts(name[0]) {
		return false
	}
	for _, c := range name {
		if !r.Takes(c) {
			return false
		}
	}
	return true
}

// Fit returns the name under which something is sent: name itself if it follows
// the rules, and else one that resembles it. It depends on the name alone, so that
// all places that mention it agree, and different names stay different.
func (r *NameRules) Fit(name chat.Literal) chat.Literal {
	if r.Allow(name.Inner()) {
		return name
	}
	text := name.Unescaped()
	if r.Allow(text) {
		return chat.Quote(string(text))
	}
	const digits = 8
	room := r.Max - digits - len("_")
	var b strings.Builder
	if r.Starts != nil {
		if room--; len(text) == 0 || !r.Starts(text[0]) {
			b.WriteByte('_')
		}
	}
	for _, c := range text[:min(len(text), room)] {
		if !r.Takes(c) {
			c = '_'
		}
		b.WriteByte(c)
	}
	b.WriteByte('_')
	b.WriteString(Digest(digits, text))
	return chat.Quote(b.String())
}
