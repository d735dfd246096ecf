package gemini

import (
	"bytes"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// documentText is a document of plain text with its title as a first line.
func documentText(b *chat.Block) chat.Literal {
	title := b.Title
	if title.Empty() {
		title = b.Filename
	}
	out := chat.Literal(`"`)
	if !title.Empty() {
		out = append(append(out, title.Inner()...), `\n`...)
	}
	return append(chat.AppendEscaped(out, b.Source.Data), '"')
}

// medium writes an image, a document, sound or a film, without the end of its
// part.
func (e *requestEncoder) medium(b *chat.Block) {
	s := &b.Source
	if b.Detail != nil && !b.Detail.Is("auto") {
		e.drop("detail")
	}
	switch s.Kind {
	case chat.SourceText:
		e.b.Str(`{"text":`)
		e.b.Raw(documentText(b))
	case chat.SourceBase64:
		e.b.Str(`{"inlineData":{"mimeType":`)
		e.b.Quote(mimeOf(b))
		e.b.Str(`,"data":"`)
		e.b.Raw(s.Data)
		e.b.Str(`"}`)
	case chat.SourceFile:
		if s.Origin != origin {
			e.unsendable("a file of another provider")
			return
		}
		e.fileURI(s)
	case chat.SourceURL:
		if !e.own && !isGoogles(s.Data) && !isYouTube(s.Data) {
			e.refuse("messages", "this model takes no "+b.Kind.String()+" by URL: its upstream speaks the Gemini format, which knows only the gs:// URIs of Cloud Storage, files of the Files API and films at YouTube; send the content itself as base64 data instead")
			return
		}
		e.fileURI(s)
	default:
		e.unsendable("content of type " + b.Kind.String() + " without a source")
	}
}

// fileURI writes where bytes are that stand elsewhere.
func (e *requestEncoder) fileURI(s *chat.Source) {
	e.b.Str(`{"fileData":{"fileUri":`)
	e.quoted(s.Data)
	mime := s.MediaType
	if mime == "" {
		mime = mimeOfName(s.Data)
	}
	if mime != "" {
		e.field("mimeType")
		e.b.Quote(mime)
	}
	e.b.Byte('}')
}

// mimeOf is the media type of bytes in a request: Gemini wants one.
func mimeOf(b *chat.Block) string {
	if mime := format.MediaType(strings.ToLower(b.Source.MediaType), b.Source.Data); mime != "" {
		return mime
	}
	if mime := mimeOfName(bytes.Trim(b.Filename, `"`)); mime != "" {
		return mime
	}
	switch b.Kind {
	case chat.Image:
		return "image/png"
	case chat.Audio:
		return "audio/wav"
	case chat.Video:
		return "video/mp4"
	default:
		return "application/pdf"
	}
}
