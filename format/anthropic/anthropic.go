// Package anthropic holds the codec of Anthropic's Messages format.
//
// Requests in this format are decoded when their source speaks another format,
// and requests of other formats are encoded when their source speaks this one.
// A request whose source speaks the client's own format never comes here: its
// bytes are passed through, and only its answer is inspected or watched.
//
// What real clients of the format send, and which liberties of its servers are
// taken into account, is said where the code deals with it.
package anthropic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func init() {
	format.RegisterChat(format.AnthropicMessages, Messages{})
}

// Messages is the codec of the Messages format. The zero value is ready for use,
// also concurrently.
type Messages struct{}

// origin is how the neutral form names the Messages format.
const origin = string(format.AnthropicMessages)

// tapes are for the small documents inside a request, such as the arguments of
// a tool call.
var tapes = sync.Pool{New: func() any { return new(tape.Tape) }}

// present says that a value stands there and is not null: null means absent.
func present(v tape.Value) bool { return v.Kind() > tape.Null }

// member returns a member of an object, Absent if it is null.
func member(v tape.Value, key string) tape.Value {
	if found := v.Get(key); present(found) {
		return found
	}
	return tape.Value{}
}

// name is the unescaped name of a member.
func name(key tape.Value) []byte { return unescaped(key.Literal()) }

// unescaped is the value of a literal: a view if it has no escapes.
func unescaped(l chat.Literal) []byte {
	in := l.Inner()
	if bytes.IndexByte(in, '\\') < 0 {
		return in
	}
	return chat.AppendUnquoted(nil, l)
}

// sameText says that two literals have the same value.
func sameText(a, b chat.Literal) bool {
	return bytes.Equal(a, b) || bytes.Equal(unescaped(a), unescaped(b))
}

// clone copies a literal that must outlive the bytes it is a view of.
func clone(l chat.Literal) chat.Literal { return bytes.Clone(l) }

// orEmpty is the literal, or that of the empty string if it is absent.
func orEmpty(l chat.Literal) chat.Literal {
	if l == nil {
		return chat.Literal(`""`)
	}
	return l
}

// digest returns n hexadecimal digits that depend on all of text.
func digest(n int, text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:n]
}

// plain says that a name or an id has no characters but those the format takes.
func plain(in []byte) bool {
	for _, c := range in {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return len(in) > 0
}

// fitting returns text as a name or an id that the format takes: of plain
// characters, and at most limit of them. It depends on the text alone, so that
// all places that mention it agree, and different texts stay different.
func fitting(l chat.Literal, limit int) chat.Literal {
	if in := l.Inner(); len(in) <= limit && plain(in) {
		return l
	}
	const digits = 8
	text := unescaped(l)
	if len(text) <= limit && plain(text) {
		return chat.Quote(string(text))
	}
	var b strings.Builder
	for _, c := range text[:min(len(text), limit-digits-1)] {
		if !plain([]byte{c}) {
			c = '_'
		}
		b.WriteByte(c)
	}
	b.WriteByte('_')
	b.WriteString(digest(digits, text))
	return chat.Quote(b.String())
}

// Limits of names. The format names none for ids; this one is ours.
const (
	maxToolName = 128
	maxCallID   = 256
)

// callID returns the id under which a call and its result are sent.
func callID(l chat.Literal) chat.Literal { return fitting(l, maxCallID) }

// toolName returns the name under which a tool is sent.
func toolName(l chat.Literal) chat.Literal { return fitting(l, maxToolName) }

// interfaces that must be satisfied
var _ format.Chat = Messages{}
