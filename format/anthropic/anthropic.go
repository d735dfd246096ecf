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
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

func init() {
	format.RegisterChat(format.AnthropicMessages, Messages{})
}

// Messages is the codec of the Messages format. The zero value is ready for use,
// also concurrently.
type Messages struct{}

// origin is how the neutral form names the Messages format.
const origin = string(format.AnthropicMessages)

// The rules of names and ids. The format has no limit for ids; this one is ours.
var (
	toolNames = format.NameRules{Max: 128, Takes: format.PlainCharacter}
	callIDs   = format.NameRules{Max: 256, Takes: format.PlainCharacter}
)

// callID returns the id under which a call and its result are sent.
func callID(l chat.Literal) chat.Literal { return callIDs.Fit(l) }

// toolName returns the name under which a tool is sent.
func toolName(l chat.Literal) chat.Literal { return toolNames.Fit(l) }

// interfaces that must be satisfied
var _ format.Chat = Messages{}
