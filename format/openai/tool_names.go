package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Limits of names.
const (
	maxToolName = 64
	maxCallID   = 40
)

// sentName returns the name of at most limit bytes under which a tool is sent.
// It depends on the name alone, so that definitions, calls and choices agree.
func sentName(l chat.Literal, limit int) chat.Literal {
	in := l.Inner()
	if len(in) > 0 && len(in) <= limit && plainName(in) {
		return l
	}
	const digits = 8
	kept := unescaped(l)
	sent := make([]byte, 0, limit)
	for _, c := range kept[:min(len(kept), limit-digits-1)] {
		if !plainName([]byte{c}) {
			c = '_'
		}
		sent = append(sent, c)
	}
	sent = append(sent, '_')
	return chat.Quote(string(append(sent, digest(digits, kept)...)))
}

// plainName says that a name has no characters but those the format takes.
func plainName(name []byte) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// callID returns the id under which a call is sent.
func callID(l chat.Literal) chat.Literal { return sentID(l, maxCallID) }

// sentID returns the id of at most limit bytes under which a call is sent. It
// depends on the id alone, so that the call and its result agree.
func sentID(l chat.Literal, limit int) chat.Literal {
	in := l.Inner()
	if len(in) > 0 && len(in) <= limit && bytes.IndexByte(in, '\\') < 0 {
		return l
	}
	id := unescaped(l)
	if len(id) > 0 && len(id) <= limit {
		return l
	}
	return chat.Quote("call_" + digest(32, id))
}

// sameText says that two literals have the same value.
func sameText(a, b chat.Literal) bool {
	return bytes.Equal(a, b) || bytes.Equal(unescaped(a), unescaped(b))
}
