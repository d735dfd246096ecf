package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// itemParts writes the parts of an item's content.
type itemParts struct {
	e   *responsesEncoder
	any bool
}

// begin begins a part, up to the first member behind its type.
func (p *itemParts) begin(kind string) {
	if p.any {
		p.e.b.Byte(',')
	} else {
		p.e.b.Byte('[')
		p.any = true
	}
	p.e.b.Str(`{"type":"`)
	p.e.b.Str(kind)
	p.e.b.Byte('"')
}

// end ends the content; one without parts is an empty string.
func (p *itemParts) end() {
	if p.any {
		p.e.b.Byte(']')
		return
	}
	p.e.b.Str(`""`)
}

// add writes a block as a part.
func (p *itemParts) add(b *chat.Block) {
	e := p.e
	switch {
	case b.Kind == chat.Text && b.Text.Empty():
		e.noCache(b)
	case textual(b):
		p.begin("input_text")
		e.b.Str(`,"text":"`)
		e.innerText(b)
		e.b.Byte('"')
		e.mark(ownMarks(b))
		e.b.Byte('}')
	case b.Kind == chat.Image:
		p.image(b)
	case b.Kind == chat.Document:
		p.document(b)
	default:
		e.unknown(b)
	}
}

// image writes an image.
func (p *itemParts) image(b *chat.Block) {
	e := p.e
	switch {
	case b.Source.Kind == chat.SourceURL, b.Source.Kind == chat.SourceBase64:
		p.begin("input_image")
		e.field("image_url")
		e.address(&b.Source, "image/png")
	case b.Source.Kind == chat.SourceFile && sameFamily(b.Source.Origin):
		p.begin("input_image")
		e.fileID(b)
	default:
		e.refuse("an image that is a file of another provider")
		return
	}
	if sameFamily(e.r.Format) && b.Detail != nil {
		e.raw("detail", b.Detail)
	} else {
		e.raw("detail", []byte(`"auto"`))
		if b.Detail != nil {
			e.drop("detail")
		}
	}
	e.mark(ownMarks(b))
	e.b.Byte('}')
}

// fileID writes the id of a file of the same provider.
func (e *responsesEncoder) fileID(b *chat.Block) {
	e.field("file_id")
	e.b.Append(func(dst []byte) []byte { return chat.AppendQuoted(dst, b.Source.Data) })
}

// document writes a document that is not plain text.
func (p *itemParts) document(b *chat.Block) {
	e := p.e
	switch {
	case b.Source.Kind == chat.SourceBase64:
		p.begin("input_file")
		e.field("filename")
		e.filename(b)
		e.field("file_data")
		e.address(&b.Source, "application/pdf")
	case b.Source.Kind == chat.SourceURL:
		p.begin("input_file")
		e.field("file_url")
		e.address(&b.Source, "application/pdf")
	case b.Source.Kind == chat.SourceFile && sameFamily(b.Source.Origin):
		p.begin("input_file")
		e.fileID(b)
	case b.Source.Kind == chat.SourceFile:
		e.refuse("a document that is a file of another provider")
		return
	default:
		e.unknown(b)
		return
	}
	e.mark(ownMarks(b))
	e.b.Byte('}')
}
