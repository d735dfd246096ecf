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

// canonical is the name of a member in camel case. Google's servers take all
// names in snake case too, and some clients write them so.
func canonical(key tape.Value) []byte {
	in := key.Literal().Unescaped()
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

// toolNames are the rules of names of tools.
var toolNames = format.NameRules{
	Max:    64,
	Takes:  func(c byte) bool { return format.PlainCharacter(c) || c == '.' || c == ':' },
	Starts: func(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' },
}

// toolName returns the name under which a tool is sent.
func toolName(l chat.Literal) chat.Literal { return toolNames.Fit(l) }

// interfaces that must be satisfied
var _ format.Chat = GenerateContent{}
