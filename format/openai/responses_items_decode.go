package openai

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxItems bounds the items of a request: what is one message in other formats
// is several of them.
const maxItems = 4 * maxMessages

// series says which further items belong to the open turn.
type series uint8

const (
	noSeries      series = iota
	answerSeries         // reasoning, messages and calls of the model
	resultsSeries        // results of tools
)

// input reads the conversation.
func (d *responsesDecoder) input(field string, v tape.Value) error {
	switch {
	case v.Kind() == tape.String:
		d.r.Turns = []chat.Turn{{Role: chat.User, Blocks: []chat.Block{{Kind: chat.Text, Text: v.Literal()}}}}
		return nil
	case v.Kind() != tape.Array || v.Len() == 0:
		return mustBe(field, "a string or an array with at least one item")
	case v.Len() > maxItems:
		return chat.Invalid(field, fmt.Sprintf("a request has at most %d items", maxItems))
	}
	d.r.Turns = make([]chat.Turn, 0, v.Len()/2+1)
	d.turn.expect(v.Len() + v.Len()/4)
	for element := range v.Elements {
		if err := d.item(element); err != nil {
			return err
		}
		if d.turn.full() || d.contents.full() {
			return tooManyBlocks(field)
		}
		d.at++
	}
	return nil
}

// item reads one item.
func (d *responsesDecoder) item(v tape.Value) error {
	if v.Kind() != tape.Object {
		return d.mustBe("", "an object: a message, a call of a tool, or its result")
	}
	kind := member(v, "type")
	switch {
	case kind.Is("message"), !kind.Exists() && member(v, "role").Exists():
		return d.message(v)
	case kind.Is("function_call"), kind.Is("custom_tool_call"):
		d.extend(answerSeries, chat.Assistant)
		defer d.close()
		return d.called(v, kind.Is("custom_tool_call"))
	case kind.Is("function_call_output"), kind.Is("custom_tool_call_output"):
		d.extend(resultsSeries, chat.User)
		defer d.close()
		return d.result(v)
	case kind.Is("reasoning"):
		d.extend(answerSeries, chat.Assistant)
		defer d.close()
		d.thought(v)
		return nil
	case kind.Is("item_reference"):
		return chat.Invalid(d.path(""), "the field "+d.path("")+" refers to a stored item, which works only with a model whose upstream speaks "+
			"OpenAI's Responses format; send the item itself")
	case kind.Kind() != tape.String:
		return d.mustBe(".type", "the type of the item, such as message")
	}
	if ownStep(kind.Text()) {
		d.extend(answerSeries, chat.Assistant)
	} else {
		d.extend(noSeries, chat.User)
	}
	b := d.turn.add(chat.Opaque)
	b.Type, b.Raw, b.Origin = format.Bounded(kind.Text(), 64), v.Raw(), originResponses
	d.close()
	return nil
}

// ownStep says that items of a type are steps that an earlier answer went by
// itself: to leave them out loses nothing that the user said.
func ownStep(kind string) bool {
	switch kind {
	case "mcp_list_tools", "mcp_approval_request", "compaction", "compaction_summary", "program", "program_output", "tool_search_output":
		return true
	default:
		return strings.HasSuffix(kind, "_call")
	}
}

// extend goes on with the open turn if the item belongs to it, and begins
// another one if not.
func (d *responsesDecoder) extend(belongs series, role chat.Role) {
	if belongs == noSeries || belongs != d.series {
		d.open(role)
	}
	d.series = belongs
}

// message reads a message.
func (d *responsesDecoder) message(v tape.Value) error {
	role, content := member(v, "role"), member(v, "content")
	d.part = ".content"
	if phase := member(v, "phase"); phase.Exists() {
		d.extraOnce("input[].phase", phase)
	}
	switch {
	case role.Is("user"):
		d.extend(noSeries, chat.User)
		defer d.close()
		return d.content(&d.turn, content, chat.User)
	case role.Is("assistant"):
		d.extend(answerSeries, chat.Assistant)
		defer d.close()
		return d.content(&d.turn, content, chat.Assistant)
	case (role.Is("system") || role.Is("developer")) && len(d.r.Turns) == 0:
		d.turn.open()
		err := d.content(&d.turn, content, chat.System)
		d.r.System = append(d.r.System, d.turn.blocks()...)
		return err
	case role.Is("system"), role.Is("developer"):
		d.extend(noSeries, chat.System)
		defer d.close()
		return d.content(&d.turn, content, chat.System)
	case role.Kind() == tape.String:
		return d.mustBe(".role", "user, assistant, system or developer, not "+strconv.Quote(format.Bounded(role.Text(), 64)))
	default:
		return d.mustBe(".role", "user, assistant, system or developer")
	}
}

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
	kind := member(v, "type")
	if kind.Kind() != tape.String {
		return ".type", "the type of the part, such as input_text"
	}
	b.Cache = member(v, "prompt_cache_breakpoint").Raw()
	switch {
	case kind.Is("input_text"), kind.Is("output_text"), kind.Is("text"):
		if b.Text = member(v, "text").Literal(); b.Text == nil {
			return ".text", "a string"
		}
		return "", ""
	case kind.Is("refusal") && role == chat.Assistant:
		b.Kind, b.Text = chat.Refusal, orEmpty(member(v, "refusal").Literal())
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
	b.Kind, b.Detail = chat.Image, member(v, "detail").Literal()
	if id := member(v, "file_id").Literal(); !id.Empty() {
		b.Source = chat.Source{Kind: chat.SourceFile, Data: unescaped(id), Origin: originResponses}
		return "", ""
	}
	address := member(v, "image_url").Literal()
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
	address := member(v, "file_url").Literal()
	if address.Empty() {
		return fileIn(b, v, originResponses)
	}
	b.Kind, b.Filename = chat.Document, member(v, "filename").Literal()
	b.Source, problem = sourceOf(address)
	return ".file_url", problem
}

// called reads a call of a tool.
func (d *responsesDecoder) called(v tape.Value, custom bool) error {
	b := d.turn.add(chat.ToolUse)
	if b.ID = member(v, "call_id").Literal(); b.ID.Empty() {
		return d.mustBe(".call_id", "a string that the tool's result names as call_id")
	}
	if err := d.requestDecoder.called(b, v, ""); err != nil {
		return err
	}
	b.Name = nameIn(v)
	if custom {
		b.Arguments = chat.Arguments{Object: customInput(member(v, "input"))}
	}
	return nil
}

// result reads the result of a tool.
func (d *responsesDecoder) result(v tape.Value) error {
	b := d.turn.add(chat.ToolResult)
	if b.ID = member(v, "call_id").Literal(); b.ID.Empty() {
		return d.mustBe(".call_id", "a string: the call_id of the call that this is the result of")
	}
	output := member(v, "output")
	if !output.Exists() {
		return nil
	}
	d.part = ".output"
	d.contents.open()
	err := d.content(&d.contents, output, chat.User)
	b.Content = d.contents.blocks()
	return err
}

// thought reads the reasoning of an earlier answer. One that holds nothing is
// skipped.
func (d *responsesDecoder) thought(v tape.Value) {
	if b, ok := thoughtIn(v); ok {
		unseal(&b)
		*d.turn.add(b.Kind) = b
	}
}

// thoughtIn reads an item with reasoning.
func thoughtIn(v tape.Value) (b chat.Block, ok bool) {
	text := joinedTexts(member(v, "summary"))
	if text.Empty() {
		text = joinedTexts(member(v, "content"))
	}
	sealed := member(v, "encrypted_content").Literal()
	if text.Empty() && sealed.Empty() {
		return b, false
	}
	return chat.Block{Kind: chat.Thinking, Text: orEmpty(text), Signature: sealed, Origin: originResponses}, true
}

// joinedTexts joins the texts of parts by blank lines: a view if there is one.
func joinedTexts(parts tape.Value) (joined chat.Literal) {
	const between = `\n\n`
	copied := false
	for part := range parts.Elements {
		text := part.Get("text").Literal()
		switch {
		case text.Empty():
		case joined == nil:
			joined = text
		default:
			if !copied {
				joined, copied = clone(joined), true
			}
			joined = append(joined[:len(joined)-1], between...)
			joined = append(append(joined, text.Inner()...), '"')
		}
	}
	return joined
}

// The encrypted_content that clients get for the reasoning of other formats
// begins with one of these tags and the name of the format, so that the maker
// gets it back.
const (
	sealedThinking = "caddy-ai-gateway:thinking:"
	sealedRedacted = "caddy-ai-gateway:redacted:"
)

// appendSealed appends the encrypted_content for reasoning that a format made.
// data is escaped and without quotes.
func appendSealed(dst []byte, redacted bool, origin string, data []byte) []byte {
	dst = append(dst, '"')
	if origin != originResponses {
		tag := sealedThinking
		if redacted {
			tag = sealedRedacted
		}
		dst = append(dst, tag...)
		dst = chat.AppendEscaped(dst, origin)
		dst = append(dst, ':')
	}
	dst = append(dst, data...)
	return append(dst, '"')
}

// unseal gives reasoning of another format back its own signature.
func unseal(b *chat.Block) {
	in := b.Signature.Inner()
	rest, thinking := bytes.CutPrefix(in, []byte(sealedThinking))
	redacted := false
	if !thinking {
		rest, redacted = bytes.CutPrefix(in, []byte(sealedRedacted))
	}
	maker, data, found := bytes.Cut(rest, []byte(":"))
	if !thinking && !redacted || !found {
		return
	}
	b.Origin = string(maker)
	literal := make(chat.Literal, 0, len(data)+2)
	literal = append(append(append(literal, '"'), data...), '"')
	if redacted {
		b.Kind, b.Text, b.Signature = chat.RedactedThinking, literal, nil
		return
	}
	b.Signature = literal
}
