// Package gemini holds the codec of Google's Gemini format: generateContent and
// streamGenerateContent.
//
// The model and whether a stream is wanted stand in the path of a request, not
// in its body: who decodes a request sets Model and Stream, and who sends one
// makes the path. A request whose source speaks this format too never comes
// here: its bytes are passed through.
package gemini

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
	format.RegisterChat(format.Gemini, GenerateContent{})
}

// GenerateContent is the codec of the Gemini format. The zero value is ready for
// use, also concurrently.
type GenerateContent struct{}

// origin is how the neutral form names the Gemini format.
const origin = string(format.Gemini)

// none is the number of nothing.
const none = -1

// tapes are for the small documents inside a request, such as the arguments of
// a tool call.
var tapes = sync.Pool{New: func() any { return new(tape.Tape) }}

// present says that a value stands there and is not null: null means absent.
func present(v tape.Value) bool { return v.Kind() > tape.Null }

// unescaped is the value of a literal: a view if it has no escapes.
func unescaped(l chat.Literal) []byte {
	in := l.Inner()
	if bytes.IndexByte(in, '\\') < 0 {
		return in
	}
	return chat.AppendUnquoted(nil, l)
}

// canonical is the name of a member in camel case. Google's servers take all
// names in snake case too, and some clients write them so.
func canonical(key tape.Value) []byte {
	in := unescaped(key.Literal())
	if bytes.IndexByte(in, '_') <= 0 {
		return in
	}
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		if in[i] == '_' && i+1 < len(in) && 'a' <= in[i+1] && in[i+1] <= 'z' {
			i++
			out = append(out, in[i]-'a'+'A')
			continue
		}
		out = append(out, in[i])
	}
	return out
}

// list is an array, or a value that stands for a list of one: Google's servers
// and examples take both.
type list tape.Value

// each calls yield for the elements until it returns false. It is meant for
// range.
func (l list) each(yield func(tape.Value) bool) {
	v := tape.Value(l)
	if v.Kind() == tape.Object {
		yield(v)
		return
	}
	v.Elements(yield)
}

// length is the number of elements of a list.
func length(v tape.Value) int {
	if v.Kind() == tape.Object {
		return 1
	}
	return v.Len()
}

// sameText says that two literals have the same value.
func sameText(a, b chat.Literal) bool {
	return bytes.Equal(a, b) || bytes.Equal(unescaped(a), unescaped(b))
}

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

// maxToolName is how long the name of a tool may be.
const maxToolName = 64

// legalName says that text is a name that the format takes.
func legalName(text []byte) bool {
	for i, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case i > 0 && ('0' <= c && c <= '9' || c == '-' || c == '.' || c == ':'):
		default:
			return false
		}
	}
	return len(text) > 0 && len(text) <= maxToolName
}

// toolName returns the name under which a tool is sent. It depends on the name
// alone, so that all places that mention it agree, and different names stay
// different.
func toolName(l chat.Literal) chat.Literal {
	if legalName(l.Inner()) {
		return l
	}
	text := unescaped(l)
	if legalName(text) {
		return chat.Quote(string(text))
	}
	const digits = 8
	var b strings.Builder
	if len(text) == 0 || !legalName(text[:1]) {
		b.WriteByte('_')
	}
	for _, c := range text[:min(len(text), maxToolName-digits-2)] {
		if !legalName([]byte{'_', c}) {
			c = '_'
		}
		b.WriteByte(c)
	}
	b.WriteByte('_')
	b.WriteString(digest(digits, text))
	return chat.Quote(b.String())
}

// appendLine appends raw JSON on one line, as an event's data wants it. Line
// breaks stand between its tokens only.
func appendLine(dst, raw []byte) []byte {
	from := len(dst)
	dst = append(dst, raw...)
	for i, c := range dst[from:] {
		if c == '\n' || c == '\r' {
			dst[from+i] = ' '
		}
	}
	return dst
}

// interfaces that must be satisfied
var _ format.Chat = GenerateContent{}
