package openai

import (
	"bytes"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// thought reads the reasoning of an earlier answer. One that holds nothing is
// skipped.
func (d *responsesDecoder) thought(v tape.Value) {
	if b, ok := thoughtIn(v); ok {
		unseal(&b)
		*d.turn.add(b.Kind) = b
	}
}

// thoughtIn reads an item with reasoning.
func thoughtIn(v tape.Value) (b chat.Block, ok bool) {
	text := joinedTexts(v.Member("summary"))
	if text.Empty() {
		text = joinedTexts(v.Member("content"))
	}
	sealed := v.Member("encrypted_content").Literal()
	if text.Empty() && sealed.Empty() {
		return b, false
	}
	return chat.Block{Kind: chat.Thinking, Text: text.OrEmpty(), Signature: sealed, Origin: originResponses}, true
}

// joinedTexts joins the texts of parts by blank lines: a view if there is one.
func joinedTexts(parts tape.Value) (joined chat.Literal) {
	const between = `\n\n`
	copied := false
	for part := range parts.Elements {
		text := part.Get("text").Literal()
		switch {
		case text.Empty():
		case joined == nil:
			joined = text
		default:
			if !copied {
				joined, copied = bytes.Clone(joined), true
			}
			joined = append(joined[:len(joined)-1], between...)
			joined = append(append(joined, text.Inner()...), '"')
		}
	}
	return joined
}

// redactedMark stands behind the name of the maker in the encrypted_content of
// reasoning that is sealed as a whole, which would otherwise look like reasoning
// without a text.
const redactedMark = "#redacted"

// appendSealed appends the encrypted_content for reasoning that a format made.
// data is escaped and without quotes. What another format made is tagged with its
// name, so that it is sent back to no other.
func appendSealed(dst []byte, redacted bool, maker string, data []byte) []byte {
	sealed := make(chat.Literal, 0, len(data)+2)
	sealed = append(append(append(sealed, '"'), data...), '"')
	if maker == originResponses {
		return append(dst, sealed...)
	}
	if redacted {
		maker += redactedMark
	}
	return append(dst, chat.TagSignature(maker, sealed)...)
}

// unseal gives reasoning of another format back its maker and its signature.
func unseal(b *chat.Block) {
	maker, signature, tagged := chat.UntagSignature(b.Signature)
	if !tagged {
		return
	}
	bare, redacted := strings.CutSuffix(maker, redactedMark)
	b.Origin, b.Signature = bare, signature
	if redacted {
		b.Kind, b.Text, b.Signature = chat.RedactedThinking, signature, nil
	}
}

// originGemini is how the neutral form names Gemini's format.
const originGemini = string(format.Gemini)

// carriesCall says that a block is nothing but the signature of the tool call
// behind it. Gemini signs calls, which have no place for that here, so such a
// signature travels as reasoning without a text in front of its call.
func carriesCall(b *chat.Block) bool {
	return b.Kind == chat.Thinking && b.Origin == originGemini && b.Text.Empty() && !b.Signature.Empty()
}

// signedCall says that a call has a signature that clients are to carry.
func signedCall(b *chat.Block) bool {
	return b.Kind == chat.ToolUse && b.Origin == originGemini && !b.Signature.Empty()
}
