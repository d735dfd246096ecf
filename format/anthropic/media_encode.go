package anthropic

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// imageTypes are the media types of images that the format takes.
var imageTypes = map[string]bool{"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true}

// medium writes an image or a document.
func (e *requestEncoder) medium(b *chat.Block) {
	s := &b.Source
	mediaType := s.MediaType
	if s.Kind == chat.SourceBase64 {
		mediaType = format.MediaType(strings.ToLower(mediaType), s.Data)
	}
	image := b.Kind == chat.Image || s.Kind == chat.SourceBase64 && imageTypes[mediaType]
	if b.Detail != nil && !b.Detail.Is("auto") {
		e.drop("detail")
	}
	switch {
	case s.Kind == chat.SourceFile && s.Origin != origin:
		e.refuse("messages", "a file of another provider")
	case s.Kind == chat.SourceBase64 && image && !imageTypes[mediaType]:
		e.refuse("messages", "an image of type "+orUnknown(mediaType)+" (only JPEG, PNG, GIF and WebP are known)")
	case image:
		e.b.Str(`{"type":"image","source":`)
		e.source(s, mediaType)
		e.endBlock(b)
	case s.Kind == chat.SourceBase64 && strings.HasPrefix(mediaType, "text/"):
		e.textDocument(b)
	case s.Kind == chat.SourceBase64 && mediaType != "application/pdf":
		e.refuse("messages", "a document of type "+orUnknown(mediaType)+" (only PDF and plain text are known)")
	default:
		e.document(b, s, mediaType)
	}
}

// orUnknown is a media type for an error.
func orUnknown(mediaType string) string {
	if mediaType == "" {
		return "unknown"
	}
	return format.Bounded(mediaType, 64)
}

// document writes a document.
func (e *requestEncoder) document(b *chat.Block, s *chat.Source, mediaType string) {
	e.b.Str(`{"type":"document","source":`)
	e.source(s, mediaType)
	title := b.Title
	if title.Empty() {
		title = b.Filename
	}
	if !title.Empty() {
		e.raw("title", title)
	}
	e.endBlock(b)
}

// textDocument writes a document of plain text that came as base64.
func (e *requestEncoder) textDocument(b *chat.Block) {
	text, err := format.DecodeBase64(b.Source.Data)
	if err != nil {
		e.refuse("messages", "a document whose base64 text is broken")
		return
	}
	e.document(b, &chat.Source{Kind: chat.SourceText, Data: text}, "")
}

// source writes where the bytes are.
func (e *requestEncoder) source(s *chat.Source, mediaType string) {
	switch s.Kind {
	case chat.SourceBase64:
		e.b.Str(`{"type":"base64","media_type":`)
		e.b.Quote(mediaType)
		e.b.Str(`,"data":"`)
		e.b.Raw(s.Data)
		e.b.Str(`"}`)
	case chat.SourceText:
		e.b.Str(`{"type":"text","media_type":"text/plain"`)
		e.quoted("data", s.Data)
		e.b.Byte('}')
	case chat.SourceFile:
		e.b.Str(`{"type":"file"`)
		e.quoted("file_id", s.Data)
		e.b.Byte('}')
	default:
		e.b.Str(`{"type":"url"`)
		e.quoted("url", s.Data)
		e.b.Byte('}')
	}
}
