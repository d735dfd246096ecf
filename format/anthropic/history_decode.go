package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// signsCalls names the format whose signatures belong to calls of tools, which
// have no place for them here.
const signsCalls = string(format.Gemini)

// assistantBlock reads a block of an earlier answer. What the answer's own
// format alone knows, such as a search of the server's, can be left out of a
// history without loss of what the user said.
func (d *turnDecoder) assistantBlock(b *block) error {
	switch {
	case b.kind.Is("tool_use"):
		return d.call(b)
	case b.kind.Is("thinking"):
		d.thinking(b)
	case b.kind.Is("redacted_thinking"):
		d.redacted(b)
	case b.kind.Is("image"):
		return d.image(b)
	case b.kind.Is("document"):
		return d.document(b)
	default:
		d.opaque(b)
	}
	return nil
}

// thinking reads thinking. A signature that another format's provider made was
// given to the client with that format's name on it. Gemini's on nothing but
// itself is that of the call that follows it.
func (d *turnDecoder) thinking(b *block) {
	text, signature, maker := b.thinking.Literal(), b.signature.Literal(), origin
	if from, carried, ok := chat.UntagSignature(signature); ok {
		maker, signature = from, carried
	}
	if maker == signsCalls && text.Empty() {
		d.addCarried()
		d.carried = signature
		return
	}
	out := d.add(chat.Thinking, b)
	out.Text, out.Signature, out.Origin = text, signature, maker
}

// redacted reads sealed thinking.
func (d *turnDecoder) redacted(b *block) {
	out := d.add(chat.RedactedThinking, b)
	out.Text, out.Origin = b.data.Literal(), origin
	if from, carried, ok := chat.UntagSignature(out.Text); ok {
		out.Text, out.Origin = carried, from
	}
}

// addCarried adds the signature of a call that did not follow as what it stood
// as: thinking without a text.
func (d *turnDecoder) addCarried() {
	if d.carried == nil {
		return
	}
	out := d.next()
	out.Kind, out.Text, out.Signature, out.Origin = chat.Thinking, chat.Literal(`""`), d.carried, signsCalls
	d.carried = nil
}

// opaque keeps a block as it is.
func (d *turnDecoder) opaque(b *block) {
	out := d.add(chat.Opaque, b)
	out.Type, out.Raw, out.Origin = format.Bounded(b.kind.Text(), 64), b.raw.Raw(), origin
}

// call reads a call of a tool.
func (d *turnDecoder) call(b *block) error {
	switch {
	case b.id.Literal().Empty():
		return b.mustBe(".id", "a string that the tool's result names as tool_use_id")
	case b.name.Literal().Empty():
		return b.mustBe(".name", "a string with the tool's name")
	case b.input.Exists() && b.input.Kind() != tape.Object:
		return b.mustBe(".input", "an object")
	}
	out := d.add(chat.ToolUse, b)
	out.ID, out.Name = b.id.Literal(), b.name.Literal()
	out.Arguments.Object = b.input.Raw()
	if d.carried != nil {
		out.Signature, out.Origin = d.carried, signsCalls
		d.carried = nil
	}
	return nil
}

// result reads the result of a tool.
func (d *turnDecoder) result(b *block) error {
	if b.toolUseID.Literal().Empty() {
		return b.mustBe(".tool_use_id", "a string: the id of the tool call that this is the result of")
	}
	switch b.isError.Kind() {
	case tape.Absent, tape.True, tape.False:
	default:
		return b.mustBe(".is_error", "true or false")
	}
	out := d.add(chat.ToolResult, b)
	out.ID, out.IsError = b.toolUseID.Literal(), b.isError.Bool()
	if !b.content.Exists() {
		return nil
	}
	// The content is read like a turn's, but into its own memory.
	turn := d.blocks
	if d.contents == nil {
		d.contents = d.r.MakeBlocks(min(cap(turn)/2+1, 1024))
	}
	from := len(d.contents)
	d.blocks = d.contents
	err := d.resultContent(b)
	d.contents = d.blocks
	d.blocks = turn
	out.Content = d.contents[from:len(d.contents):len(d.contents)]
	return err
}

// resultContent reads what a result holds.
func (d *turnDecoder) resultContent(b *block) error {
	switch b.content.Kind() {
	case tape.String:
		d.next().Text = b.content.Literal()
		return nil
	case tape.Array:
	default:
		return b.mustBe(".content", "a string or an array of blocks")
	}
	at := b.place
	at.inner = 0
	for element := range b.content.Elements {
		if err := d.block(at, element, chat.User); err != nil {
			return err
		}
		at.inner++
	}
	return nil
}

// reference reads the name of a tool that a search for tools has found. All
// tools are sent anyway, so that naming it is enough.
func (d *turnDecoder) reference(b *block) error {
	if b.toolName.Literal().Empty() {
		return b.mustBe(".tool_name", "a string")
	}
	text := append(chat.Literal(`"Tool: `), b.toolName.Literal().Inner()...)
	d.add(chat.Text, b).Text = append(text, '"')
	return nil
}
