package gemini

import (
	"encoding/base64"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Signatures of other providers travel through a Gemini client in the
// thoughtSignature of their part: the text of chat.TagSignature in base64, since
// Google's SDKs take nothing else there.

// carriedPrefix is how the base64 text of a tagged signature begins.
const carriedPrefix = "YWlndzEu"

// shownSignature is what a client gets as the signature of a block: that of
// Google as it is, that of another provider in its carrier; nil for none.
func shownSignature(signature chat.Literal, maker string) chat.Literal {
	switch {
	case signature.Empty() || maker == "":
		return nil
	case maker == origin:
		return signature
	}
	text := chat.AppendUnquoted(nil, chat.TagSignature(maker, signature))
	l := make(chat.Literal, 0, base64.StdEncoding.EncodedLen(len(text))+2)
	l = append(l, '"')
	l = base64.StdEncoding.AppendEncode(l, text)
	return append(l, '"')
}

// readSignature returns the signature that a client sends back, and the format
// that made it. What is no carrier is Google's own.
func readSignature(sent chat.Literal) (maker string, signature chat.Literal) {
	in := sent.Inner()
	if len(in) < len(carriedPrefix) || string(in[:len(carriedPrefix)]) != carriedPrefix {
		return origin, sent
	}
	text, err := base64.StdEncoding.AppendDecode(nil, sent.Unescaped())
	if err != nil {
		return origin, sent
	}
	maker, signature, ok := chat.UntagSignature(chat.Quote(string(text)))
	if !ok {
		return origin, sent
	}
	return maker, signature
}
