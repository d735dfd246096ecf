// Package openai holds the codecs of OpenAI's wire formats. Their dialects at
// other vendors and at self-hosted servers are the same formats with small
// liberties, which the decoders take into account.
package openai

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func init() {
	format.RegisterChat(format.OpenAIChat, Chat{})
	format.RegisterChat(format.OpenAIResponses, Responses{})
}

// Chat is the codec of the Chat Completions format. The zero value is ready for
// use, also concurrently.
type Chat struct{}

// origin is how the neutral form names the Chat format.
const origin = string(format.OpenAIChat)

// sameFamily says that a request, a signature or a file id is of one of OpenAI's
// formats.
func sameFamily(format string) bool {
	return len(format) > len("openai_") && format[:len("openai_")] == "openai_"
}

// present says that a value stands there and is not null: null means absent in
// all of OpenAI's formats.
func present(v tape.Value) bool { return v.Kind() > tape.Null }

// member returns a member of an object, Absent if it is null.
func member(v tape.Value, key string) tape.Value {
	if found := v.Get(key); present(found) {
		return found
	}
	return tape.Value{}
}

// name is the unescaped name of a member.
func name(key tape.Value) []byte {
	in := key.Literal().Inner()
	if bytes.IndexByte(in, '\\') < 0 {
		return in
	}
	return chat.AppendUnquoted(nil, key.Literal())
}

// unescaped is the value of a literal: a view if it has no escapes.
func unescaped(l chat.Literal) []byte {
	in := l.Inner()
	if bytes.IndexByte(in, '\\') < 0 {
		return in
	}
	return chat.AppendUnquoted(nil, l)
}

// clone copies a literal that must outlive the bytes it is a view of.
func clone(l chat.Literal) chat.Literal { return append(chat.Literal(nil), l...) }

// digest returns n hexadecimal digits that depend on all the parts.
func digest(n int, parts ...[]byte) string {
	h := sha256.New()
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:n]
}

// Interface guards.
var _ format.Chat = Chat{}
