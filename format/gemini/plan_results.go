package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// planResults plans the results of the latest calls. For models that take images
// in the user's own words only, those in results stand behind all results, each of
// them named.
func (e *requestEncoder) planResults(turns []chat.Turn) {
	from := len(e.plan.Pieces)
	e.plan.AddResults(turns, e.lost)
	if e.to.Can.ResultParts {
		return
	}
	for i := from; i < len(e.plan.Pieces); i++ {
		if p := e.plan.Pieces[i]; p.IsResult() && p.Form == chat.AsIs {
			e.planAttachments(&p)
		}
	}
}

// planAttachments plans the images in a result.
func (e *requestEncoder) planAttachments(result *chat.Piece) {
	for i := range result.Block.Content {
		if b := &result.Block.Content[i]; isMedium(b) {
			text := "[content of the result of tool call " + result.ID.String() + "]"
			e.plan.Add(&chat.Block{Kind: chat.Text, Text: chat.Quote(text)}, chat.AsIs)
			e.plan.Add(b, chat.AsIs)
			e.approximate("tool_result.content." + b.Kind.String())
		}
	}
}

// isMedium says that a block holds something else than text, or a file.
func isMedium(b *chat.Block) bool {
	switch b.Kind {
	case chat.Image, chat.Audio, chat.Video, chat.Document:
		return b.Source.Kind != chat.SourceText
	default:
		return false
	}
}
