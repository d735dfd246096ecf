package anthropic

import (
	"bytes"
	"encoding/base64"
	"strings"

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
		out = chat.Source{Kind: chat.SourceText, MediaType: "text/plain", Data: unescaped(s.data.Literal())}
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
	if member(b.citations, "enabled").Bool() {
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
		data, problem := base64Text(s.data.Literal())
		if problem != "" {
			return out, true, b.mustBe(".source.data", problem)
		}
		mediaType := strings.ToLower(s.mediaType.Text())
		return chat.Source{Kind: chat.SourceBase64, MediaType: sniff(mediaType, data), Data: data}, true, nil
	case s.kind.Is("url"):
		if s.url.Literal().Empty() {
			return out, true, b.mustBe(".source.url", "a URL")
		}
		return chat.Source{Kind: chat.SourceURL, Data: unescaped(s.url.Literal())}, true, nil
	case s.kind.Is("file"):
		if s.fileID.Literal().Empty() {
			return out, true, b.mustBe(".source.file_id", "a string")
		}
		return chat.Source{Kind: chat.SourceFile, Data: unescaped(s.fileID.Literal()), Origin: origin}, true, nil
	default:
		return out, false, nil
	}
}

// contentSource reads a document that is made of texts.
func (b *block) contentSource(s *source) (chat.Source, error) {
	out := chat.Source{Kind: chat.SourceText, MediaType: "text/plain"}
	if text := s.content.Literal(); text != nil {
		out.Data = unescaped(text)
		return out, nil
	}
	if s.content.Kind() != tape.Array {
		return out, b.mustBe(".source.content", "a string or an array of text blocks")
	}
	for element := range s.content.Elements {
		text := member(element, "text").Literal()
		if !member(element, "type").Is("text") || text == nil {
			return out, b.mustBe(".source.content", "an array of text blocks: other blocks cannot be sent to this model, whose upstream speaks another format")
		}
		if out.Data != nil {
			out.Data = append(out.Data, "\n\n"...)
		}
		out.Data = chat.AppendUnquoted(out.Data, text)
	}
	return out, nil
}

// base64Text returns the text between the quotes: a view, unless it holds
// escapes, as PHP writes a slash.
func base64Text(l chat.Literal) (data []byte, problem string) {
	data = l.Inner()
	if len(data) == 0 {
		return nil, "base64 text"
	}
	if bytes.IndexByte(data, '\\') < 0 {
		return data, ""
	}
	kept := chat.AppendUnquoted(make([]byte, 0, len(data)), l)
	n := 0
	for _, c := range kept {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("+/=-_", c) >= 0:
			kept[n] = c
			n++
		case c == '\r', c == '\n', c == ' ', c == '\t':
		default:
			return nil, "base64 text"
		}
	}
	return kept[:n], ""
}

// magic are the first characters of files in base64.
var magic = []struct{ prefix, mediaType string }{
	{"iVBORw0KGgo", "image/png"},
	{"/9j/", "image/jpeg"},
	{"R0lGOD", "image/gif"},
	{"UklGR", "image/webp"},
	{"JVBERi", "application/pdf"},
}

// sniff corrects the media type of an image or a PDF after its first bytes:
// clients often get it wrong, and Anthropic checks it.
func sniff(mediaType string, data []byte) string {
	if mediaType != "" && !strings.HasPrefix(mediaType, "image/") && mediaType != "application/pdf" {
		return mediaType
	}
	for _, m := range magic {
		if len(data) >= len(m.prefix) && string(data[:len(m.prefix)]) == m.prefix {
			return m.mediaType
		}
	}
	if mediaType == "image/jpg" {
		return "image/jpeg"
	}
	return mediaType
}

// decodeBase64 decodes base64 text in any of its spellings.
func decodeBase64(text []byte) ([]byte, error) {
	text = bytes.TrimRight(text, "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	out := make([]byte, encoding.DecodedLen(len(text)))
	n, err := encoding.Decode(out, text)
	return out[:n], err
}
