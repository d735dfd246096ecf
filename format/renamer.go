package format

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Renamer is what a codec has besides if the model stands in the path of a
// request and its body may repeat it.
type Renamer interface {
	// Rename writes a request for a service that calls the model by another name.
	// Everything else stays as it is.
	Rename(b *Body, doc tape.Value, model string)
}

// ReplaceAll writes doc with text in the place of each of the values, which stand
// in it in that order and not in one another.
func ReplaceAll(b *Body, doc tape.Value, values []tape.Value, text chat.Literal) {
	raw, offset, from := doc.Raw(), doc.Start(), 0
	for _, v := range values {
		b.Raw(raw[from : v.Start()-offset])
		b.Raw(text)
		from = v.End() - offset
	}
	b.Raw(raw[from:])
}
