// Package openai holds the codecs of OpenAI's wire formats. Their dialects at
// other vendors and at self-hosted servers are the same formats with small
// liberties, which the decoders take into account.
package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
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

// Interface guards.
var _ format.Chat = Chat{}
