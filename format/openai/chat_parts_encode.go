package openai

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// parts writes the parts of a user message's content.
type parts struct {
	e   *requestEncoder
	any bool
}

// begin begins a part.
func (p *parts) begin() {
	if p.any {
		p.e.b.Byte(',')
	} else {
		p.e.b.Byte('[')
		p.any = true
	}
}

// end ends the content; one without parts is an empty string.
func (p *parts) end() {
	if p.any {
		p.e.b.Byte(']')
		return
	}
	p.e.b.Str(`""`)
}

// close ends a part, with the block's cache mark if it has one that is sent.
func (p *parts) close(b *chat.Block) {
	if b.Cache != nil {
		p.e.mark(1)
	}
	p.e.b.Byte('}')
}

// add writes a block as a part.
func (p *parts) add(b *chat.Block) {
	switch {
	case b.Kind == chat.Text && b.Text.Empty():
	case textual(b):
		p.begin()
		p.e.b.Str(`{"type":"text","text":"`)
		p.e.innerText(b)
		p.e.b.Byte('"')
		p.close(b)
	case b.Kind == chat.Image:
		p.image(b)
	case b.Kind == chat.Document:
		p.document(b)
	case b.Kind == chat.Audio:
		p.audio(b)
	default:
		p.e.unknown(b)
	}
}

// orphan writes the result of a call that is not in the conversation.
func (p *parts) orphan(result *chat.Block) {
	p.e.approximate("tool_result (without a call)")
	p.begin()
	p.e.b.Str(`{"type":"text","text":"[result of tool `)
	p.e.b.Raw(result.ID.Inner())
	p.e.b.Str(`] `)
	p.e.resultText(result)
	p.e.b.Str(`"}`)
	for i := range result.Content {
		if b := &result.Content[i]; !textual(b) {
			p.add(b)
		}
	}
}

// image writes an image.
func (p *parts) image(b *chat.Block) {
	e := p.e
	switch b.Source.Kind {
	case chat.SourceURL, chat.SourceBase64:
	default:
		e.refuse("an image that is a file of another provider")
		return
	}
	p.begin()
	e.b.Str(`{"type":"image_url","image_url":{"url":`)
	e.address(&b.Source, "image/png")
	if sameFamily(e.r.Format) {
		e.raw("detail", b.Detail)
	} else if b.Detail != nil {
		e.drop("detail")
	}
	e.b.Byte('}')
	p.close(b)
}

// address writes the URL of a source, a data URI if it is one.
func (e *requestEncoder) address(s *chat.Source, mediaType string) {
	if s.Kind == chat.SourceURL {
		e.b.Append(func(dst []byte) []byte { return chat.AppendQuoted(dst, s.Data) })
		return
	}
	if token(s.MediaType) {
		mediaType = s.MediaType
	}
	e.b.Str(`"data:`)
	e.b.Str(mediaType)
	e.b.Str(";base64,")
	e.b.Raw(s.Data)
	e.b.Byte('"')
}

// document writes a document that is not plain text.
func (p *parts) document(b *chat.Block) {
	e := p.e
	switch {
	case b.Source.Kind == chat.SourceBase64:
		p.begin()
		e.b.Str(`{"type":"file","file":{"filename":`)
		e.filename(b)
		e.field("file_data")
		e.address(&b.Source, "application/pdf")
		e.b.Byte('}')
		p.close(b)
	case b.Source.Kind == chat.SourceFile && sameFamily(b.Source.Origin):
		p.begin()
		e.b.Str(`{"type":"file","file":{"file_id":`)
		e.b.Append(func(dst []byte) []byte { return chat.AppendQuoted(dst, b.Source.Data) })
		e.b.Byte('}')
		p.close(b)
	case b.Source.Kind == chat.SourceFile:
		e.refuse("a document that is a file of another provider")
	case b.Source.Kind == chat.SourceURL:
		e.refuse("a document by its URL")
	default:
		e.unknown(b)
	}
}

// filename writes the name of a document, which the format demands.
func (e *requestEncoder) filename(b *chat.Block) {
	switch {
	case !b.Filename.Empty():
		e.b.Raw(b.Filename)
	case b.Title.Empty():
		e.b.Str(`"document.pdf"`)
	case strings.HasSuffix(string(b.Title.Inner()), ".pdf"):
		e.b.Raw(b.Title)
	default:
		e.b.Byte('"')
		e.b.Raw(b.Title.Inner())
		e.b.Str(`.pdf"`)
	}
}

// audio writes audio.
func (p *parts) audio(b *chat.Block) {
	e := p.e
	if b.Source.Kind != chat.SourceBase64 {
		e.refuse("audio by its URL or as a file of another provider")
		return
	}
	format := strings.TrimPrefix(b.Source.MediaType, "audio/")
	switch format {
	case "mpeg":
		format = "mp3"
	case "x-wav", "wave", "vnd.wave":
		format = "wav"
	}
	p.begin()
	e.b.Str(`{"type":"input_audio","input_audio":{"data":"`)
	e.b.Raw(b.Source.Data)
	e.b.Str(`","format":`)
	e.b.Quote(format)
	e.b.Byte('}')
	p.close(b)
}

// textual says that a block is sent as text.
func textual(b *chat.Block) bool {
	return b.Kind == chat.Text || b.Kind == chat.Document && textDocument(&b.Source)
}

// textDocument says that a document is plain text, which the format has no
// document type for.
func textDocument(s *chat.Source) bool {
	return s.Kind == chat.SourceText || s.Kind == chat.SourceBase64 && strings.HasPrefix(s.MediaType, "text/")
}

// innerText writes a textual block, escaped and without quotes. A document's
// title becomes its first line.
func (e *requestEncoder) innerText(b *chat.Block) {
	if b.Kind == chat.Text {
		e.b.Raw(b.Text.Inner())
		return
	}
	title := b.Title
	if title.Empty() {
		title = b.Filename
	}
	if !title.Empty() {
		e.b.Raw(title.Inner())
		e.b.Str(`\n`)
	}
	text := b.Source.Data
	if b.Source.Kind == chat.SourceBase64 {
		text, _ = format.DecodeBase64(text) // what can be read of it
	}
	e.b.Append(func(dst []byte) []byte { return chat.AppendEscaped(dst, text) })
}
