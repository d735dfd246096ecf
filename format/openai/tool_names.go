package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// The rules of names of tools.
var (
	chatToolNames      = format.NameRules{Max: 64, Takes: format.PlainCharacter}
	responsesToolNames = format.NameRules{Max: 128, Takes: format.PlainCharacter}
)

// maxCallID is how long the id of a call may be, in bytes.
const maxCallID = 40

// callID returns the id under which a call is sent.
func callID(l chat.Literal) chat.Literal { return sentID(l, maxCallID) }

// sentID returns the id of at most limit bytes under which a call is sent. It
// depends on the id alone, so that the call and its result agree.
func sentID(l chat.Literal, limit int) chat.Literal {
	in := l.Inner()
	if len(in) > 0 && len(in) <= limit && bytes.IndexByte(in, '\\') < 0 {
		return l
	}
	id := l.Unescaped()
	if len(id) > 0 && len(id) <= limit {
		return l
	}
	return chat.Quote("call_" + format.Digest(32, id))
}
