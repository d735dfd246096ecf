package anthropic

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// source is the members of a source, whatever its type.
type source struct {
	kind, mediaType, data, url, fileID, content tape.Value
}

// readSource reads where the bytes of an image or a document are.
func (b *block) readSource() (s source, err error) {
	if b.source.Kind() != tape.Object {
		return s, b.mustBe(".source", "an object with a type")
	}
	err = fields(b.source, b.path(".source"),
		[]string{"type", "media_type", "data", "url", "file_id", "content"},
		&s.kind, &s.mediaType, &s.data, &s.url, &s.fileID, &s.content)
	return s, err
}

// image reads an image.
func (d *turnDecoder) image(b *block) error {
	s, err := b.readSource()
	if err != nil {
		return err
	}
	out, ok, err := b.anySource(&s)
	switch {
	case err != nil:
		return err
	case !ok:
		return b.mustBe(".source.type", "base64, url or file")
	}
	d.add(chat.Image, b).Source = out
	return nil
}

// document reads a document.
func (d *turnDecoder) document(b *block) error {
	s, err := b.readSource()
	if err != nil {
		return err
	}
	out, ok, err := b.anySource(&s)
	switch {
	case ok || err != nil:
	case s.kind.Is("text"):
		if s.data.Kind() != tape.String {
			return b.mustBe(".source.data", "a string")
		}
		out = chat.Source{Kind: chat.SourceText, MediaType: "text/plain", Data: s.data.Literal().Unescaped()}
	case s.kind.Is("content"):
		out, err = b.contentSource(&s)
	default:
		return b.mustBe(".source.type", "base64, text, url, content or file")
	}
	if err != nil {
		return err
	}
	if b.context.Exists() {
		d.extraOnce("messages[].context", b.context)
	}
	if b.citations.Member("enabled").Bool() {
		d.extraOnce("messages[].citations", b.citations)
	}
	document := d.add(chat.Document, b)
	document.Source, document.Title = out, b.title.Literal()
	return nil
}

// anySource reads a source that images and documents may have; ok is false if it
// is another one.
func (b *block) anySource(s *source) (out chat.Source, ok bool, err error) {
	switch {
	case s.kind.Is("base64"):
		data, ok := format.Base64Text(s.data.Literal())
		if !ok {
			return out, true, b.mustBe(".source.data", "base64 text")
		}
		mediaType := strings.ToLower(s.mediaType.Text())
		return chat.Source{Kind: chat.SourceBase64, MediaType: format.MediaType(mediaType, data), Data: data}, true, nil
	case s.kind.Is("url"):
		if s.url.Literal().Empty() {
			return out, true, b.mustBe(".source.url", "a URL")
		}
		return chat.Source{Kind: chat.SourceURL, Data: s.url.Literal().Unescaped()}, true, nil
	case s.kind.Is("file"):
		if s.fileID.Literal().Empty() {
			return out, true, b.mustBe(".source.file_id", "a string")
		}
		return chat.Source{Kind: chat.SourceFile, Data: s.fileID.Literal().Unescaped(), Origin: origin}, true, nil
	default:
		return out, false, nil
	}
}

// contentSource reads a document that is made of texts.
func (b *block) contentSource(s *source) (chat.Source, error) {
	out := chat.Source{Kind: chat.SourceText, MediaType: "text/plain"}
	if text := s.content.Literal(); text != nil {
		out.Data = text.Unescaped()
		return out, nil
	}
	if s.content.Kind() != tape.Array {
		return out, b.mustBe(".source.content", "a string or an array of text blocks")
	}
	for element := range s.content.Elements {
		text := element.Member("text").Literal()
		if !element.Member("type").Is("text") || text == nil {
			return out, b.mustBe(".source.content", "an array of text blocks: other blocks cannot be sent to this model, whose upstream speaks another format")
		}
		if out.Data != nil {
			out.Data = append(out.Data, "\n\n"...)
		}
		out.Data = chat.AppendUnquoted(out.Data, text)
	}
	return out, nil
}
