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
	kind := v.Member("type")
	if kind.Kind() != tape.String {
		return d.mustBe(partPath(number)+".type", "the type of the part, such as text")
	}
	b.Cache = v.Member("prompt_cache_breakpoint").Raw()
	switch {
	case kind.Is("text"):
		b.Text = v.Member("text").Literal()
		if b.Text == nil {
			return d.mustBe(partPath(number)+".text", "a string")
		}
		return nil
	case kind.Is("refusal") && role == chat.Assistant:
		b.Kind, b.Text = chat.Refusal, v.Member("refusal").Literal()
		return nil
	case role == chat.Assistant:
		b.Kind, b.Type, b.Raw = chat.Opaque, kind.Text(), v.Raw()
		return nil
	case role == chat.System:
		return d.mustBe(partPath(number)+".type", "text: instructions hold nothing else")
	case kind.Is("image_url"):
		return d.image(b, v.Member("image_url"), number)
	case kind.Is("video_url"):
		b.Kind = chat.Video
		return d.address(b, v.Member("video_url"), number, ".video_url")
	case kind.Is("input_audio"):
		return d.audio(b, v.Member("input_audio"), number)
	case kind.Is("file"):
		return d.file(b, v.Member("file"), number)
	default:
		return d.mustBe(partPath(number)+".type", "text, image_url, input_audio or file, not "+strconv.Quote(format.Bounded(kind.Text(), 64)))
	}
}

// partPath names a part within a message.
func partPath(number int) string { return ".content[" + strconv.Itoa(number) + "]" }

// image reads an image_url.
func (d *messageDecoder) image(b *chat.Block, v tape.Value, number int) error {
	b.Kind, b.Detail = chat.Image, v.Member("detail").Literal()
	return d.address(b, v, number, ".image_url")
}

// address reads an object with a url, or the url alone, into b's source.
func (d *messageDecoder) address(b *chat.Block, v tape.Value, number int, below string) error {
	if v.Kind() == tape.Object {
		v, below = v.Member("url"), below+".url"
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
	data, ok := format.Base64Text(v.Member("data").Literal())
	if !ok {
		return d.mustBe(partPath(number)+".input_audio.data", notBase64)
	}
	kind := v.Member("format").Text()
	if kind == "" || !token(kind) {
		return d.mustBe(partPath(number)+".input_audio.format", "the format of the audio, such as wav or mp3")
	}
	b.Source = chat.Source{Kind: chat.SourceBase64, MediaType: "audio/" + kind, Data: data}
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
	b.Kind, b.Filename = chat.Document, v.Member("filename").Literal()
	if id := v.Member("file_id").Literal(); !id.Empty() {
		b.Source = chat.Source{Kind: chat.SourceFile, Data: id.Unescaped(), Origin: origin}
		return "", ""
	}
	data := v.Member("file_data").Literal()
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
		var ok bool
		if source.Data, ok = format.Base64Text(data); !ok {
			problem = notBase64
		}
		source.MediaType = format.MediaType(source.MediaType, source.Data)
	}
	b.Source = source
	return ".file_data", problem
}
