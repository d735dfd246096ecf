package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// DecodeCountRequest implements format.Counter. A request to count tokens has
// contents only, or a whole request inside (https://ai.google.dev/api/tokens).
func (g GenerateContent) DecodeCountRequest(doc tape.Value) (*chat.Request, error) {
	inner := doc
	for key, value := range doc.Members {
		if string(canonical(key)) == "generateContentRequest" && value.Present() {
			inner = value
		}
	}
	return g.DecodeRequest(inner)
}

// EncodeCountRequest implements format.Counter. Instructions and tools count too,
// so the request stands inside, under the name of its model, which this form
// demands.
func (g GenerateContent) EncodeCountRequest(b *format.Body, r *chat.Request, to chat.Target) (chat.Report, error) {
	return format.PromptOf(g, r, to, func(doc tape.Value) {
		b.Str(`{"generateContentRequest":{"model":`)
		b.Quote(resource(to.Model))
		for key, value := range doc.Members {
			switch string(canonical(key)) {
			case "contents", "systemInstruction", "tools", "toolConfig":
				b.Byte(',')
				b.Raw(key.Raw())
				b.Byte(':')
				b.Raw(value.Raw())
			}
		}
		b.Str(`}}`)
	})
}

// DecodeCount implements format.Counter.
func (GenerateContent) DecodeCount(doc tape.Value) (int64, error) {
	if doc.Get("error").Kind() == tape.Object {
		return 0, errorIn(doc)
	}
	tokens, ok := doc.Get("totalTokens").Int()
	if !ok || tokens < 0 {
		return 0, chat.BadAnswer("the upstream's answer does not say how many tokens it has counted")
	}
	return tokens, nil
}

// EncodeCount implements format.Counter.
func (GenerateContent) EncodeCount(dst []byte, tokens int64) []byte {
	return append(appendCount(dst, `{"totalTokens":`, tokens), '}')
}

// interfaces that must be satisfied
var _ format.Counter = GenerateContent{}
