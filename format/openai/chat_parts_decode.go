package openai

import (
	"bytes"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// part reads a part of a message's content into b.
func (d *messageDecoder) part(b *chat.Block, v tape.Value, role chat.Role, number int) error {
	kind := member(v, "type")
	if kind.Kind() != tape.String {
		return d.mustBe(partPath(number)+".type", "the type of the part, such as text")
	}
	b.Cache = member(v, "prompt_cache_breakpoint").Raw()
	switch {
	case kind.Is("text"):
		b.Text = member(v, "text").Literal()
		if b.Text == nil {
			return d.mustBe(partPath(number)+".text", "a string")
		}
		return nil
	case kind.Is("refusal") && role == chat.Assistant:
		b.Kind, b.Text = chat.Refusal, member(v, "refusal").Literal()
		return nil
	case role == chat.Assistant:
		b.Kind, b.Type, b.Raw = chat.Opaque, kind.Text(), v.Raw()
		return nil
	case role == chat.System:
		return d.mustBe(partPath(number)+".type", "text: instructions hold nothing else")
	case kind.Is("image_url"):
		return d.image(b, member(v, "image_url"), number)
	case kind.Is("video_url"):
		b.Kind = chat.Video
		return d.address(b, member(v, "video_url"), number, ".video_url")
	case kind.Is("input_audio"):
		return d.audio(b, member(v, "input_audio"), number)
	case kind.Is("file"):
		return d.file(b, member(v, "file"), number)
	default:
		return d.mustBe(partPath(number)+".type", "text, image_url, input_audio or file, not "+strconv.Quote(format.Bounded(kind.Text(), 64)))
	}
}

// partPath names a part within a message.
func partPath(number int) string { return ".content[" + strconv.Itoa(number) + "]" }

// image reads an image_url.
func (d *messageDecoder) image(b *chat.Block, v tape.Value, number int) error {
	b.Kind, b.Detail = chat.Image, member(v, "detail").Literal()
	return d.address(b, v, number, ".image_url")
}

// address reads an object with a url, or the url alone, into b's source.
func (d *messageDecoder) address(b *chat.Block, v tape.Value, number int, below string) error {
	if v.Kind() == tape.Object {
		v, below = member(v, "url"), below+".url"
	}
	if v.Literal().Empty() {
		return d.mustBe(partPath(number)+below, "a URL or a data URI")
	}
	source, err := sourceOf(v.Literal())
	if err != "" {
		return d.mustBe(partPath(number)+below, err)
	}
	if source.Kind == chat.SourceText {
		return d.mustBe(partPath(number)+below, "a URL or a data URI with base64 data")
	}
	b.Source = source
	return nil
}

// audio reads an input_audio.
func (d *messageDecoder) audio(b *chat.Block, v tape.Value, number int) error {
	b.Kind = chat.Audio
	data, err := base64Text(member(v, "data").Literal())
	if err != "" {
		return d.mustBe(partPath(number)+".input_audio.data", err)
	}
	format := member(v, "format").Text()
	if format == "" || !token(format) {
		return d.mustBe(partPath(number)+".input_audio.format", "the format of the audio, such as wav or mp3")
	}
	b.Source = chat.Source{Kind: chat.SourceBase64, MediaType: "audio/" + format, Data: data}
	return nil
}

// file reads a file: its data or its id.
func (d *messageDecoder) file(b *chat.Block, v tape.Value, number int) error {
	if below, problem := fileIn(b, v, origin); problem != "" {
		return d.mustBe(partPath(number)+".file"+below, problem)
	}
	return nil
}

// fileIn reads an object with the data or the id of a file into b. A problem is
// told as the member at fault and what it must be instead.
func fileIn(b *chat.Block, v tape.Value, origin string) (below, problem string) {
	b.Kind, b.Filename = chat.Document, member(v, "filename").Literal()
	if id := member(v, "file_id").Literal(); !id.Empty() {
		b.Source = chat.Source{Kind: chat.SourceFile, Data: unescaped(id), Origin: origin}
		return "", ""
	}
	data := member(v, "file_data").Literal()
	if data.Empty() {
		return "", "an object with file_data or file_id"
	}
	source, problem := sourceOf(data)
	if problem == "" && source.Kind == chat.SourceURL {
		// Some clients send the bare base64 text.
		if bytes.IndexByte(data, ':') >= 0 {
			return ".file_data", "a data URI"
		}
		source = chat.Source{Kind: chat.SourceBase64, MediaType: "application/pdf"}
		source.Data, problem = base64Text(data)
		source.MediaType = sniff(source.MediaType, source.Data)
	}
	b.Source = source
	return ".file_data", problem
}
