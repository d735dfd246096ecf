package openai

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// content reads a string or an array of parts into dst.
func (d *responsesDecoder) content(dst *blockMemory, v tape.Value, role chat.Role) error {
	switch v.Kind() {
	case tape.String:
		dst.add(chat.Text).Text = v.Literal()
		return nil
	case tape.Array:
	default:
		return d.mustBe(d.part, "a string or an array of parts")
	}
	number := 0
	for element := range v.Elements {
		b := dst.add(chat.Text)
		if below, problem := d.read(b, element, role); problem != "" {
			return d.mustBe(d.part+"["+strconv.Itoa(number)+"]"+below, problem)
		}
		number++
	}
	return nil
}

// read reads a part into b. A problem is told as the member at fault and what it
// must be instead.
func (d *responsesDecoder) read(b *chat.Block, v tape.Value, role chat.Role) (below, problem string) {
	kind := v.Member("type")
	if kind.Kind() != tape.String {
		return ".type", "the type of the part, such as input_text"
	}
	b.Cache = v.Member("prompt_cache_breakpoint").Raw()
	switch {
	case kind.Is("input_text"), kind.Is("output_text"), kind.Is("text"):
		if b.Text = v.Member("text").Literal(); b.Text == nil {
			return ".text", "a string"
		}
		return "", ""
	case kind.Is("refusal") && role == chat.Assistant:
		b.Kind, b.Text = chat.Refusal, v.Member("refusal").Literal().OrEmpty()
		return "", ""
	case role == chat.Assistant:
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, format.Bounded(kind.Text(), 64), v.Raw(), originResponses
		return "", ""
	case role == chat.System:
		return ".type", "input_text: instructions hold nothing else"
	case kind.Is("input_image"):
		return d.image(b, v)
	case kind.Is("input_file"):
		return d.file(b, v)
	default:
		return ".type", "input_text, input_image or input_file, not " + strconv.Quote(format.Bounded(kind.Text(), 64))
	}
}

// image reads an input_image.
func (d *responsesDecoder) image(b *chat.Block, v tape.Value) (below, problem string) {
	b.Kind, b.Detail = chat.Image, v.Member("detail").Literal()
	if id := v.Member("file_id").Literal(); !id.Empty() {
		b.Source = chat.Source{Kind: chat.SourceFile, Data: id.Unescaped(), Origin: originResponses}
		return "", ""
	}
	address := v.Member("image_url").Literal()
	if address.Empty() {
		return ".image_url", "a URL or a data URI"
	}
	if b.Source, problem = sourceOf(address); problem == "" && b.Source.Kind == chat.SourceText {
		problem = "a URL or a data URI with base64 data"
	}
	return ".image_url", problem
}

// file reads an input_file.
func (d *responsesDecoder) file(b *chat.Block, v tape.Value) (below, problem string) {
	address := v.Member("file_url").Literal()
	if address.Empty() {
		return fileIn(b, v, originResponses)
	}
	b.Kind, b.Filename = chat.Document, v.Member("filename").Literal()
	b.Source, problem = sourceOf(address)
	return ".file_url", problem
}
