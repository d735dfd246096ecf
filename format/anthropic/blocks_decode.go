package anthropic

import (
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// place is where a block stands. Its path is made for errors only.
type place struct {
	message, number int
	inner           int // its number in a tool's result; none outside of one
	system          bool
}

// none is the number of no block.
const none = -1

// path names a member of the block.
func (p place) path(member string) string {
	if p.system {
		return "system[" + strconv.Itoa(p.number) + "]" + member
	}
	path := "messages[" + strconv.Itoa(p.message) + "].content[" + strconv.Itoa(p.number) + "]"
	if p.inner != none {
		path += ".content[" + strconv.Itoa(p.inner) + "]"
	}
	return path + member
}

// mustBe is the error of a member that has a wrong value.
func (p place) mustBe(member, what string) *chat.Error { return mustBe(p.path(member), what) }

// block is the members of a block, whatever its type.
type block struct {
	place
	raw                         tape.Value
	kind, text, cache           tape.Value
	source, title, context      tape.Value
	citations                   tape.Value
	id, name, input             tape.Value
	toolUseID, content, isError tape.Value
	thinking, signature, data   tape.Value
	toolName, tool              tape.Value
}

// at returns where the member named key is kept; nil if it means nothing.
func (b *block) at(key []byte) *tape.Value {
	switch string(key) {
	case "type":
		return &b.kind
	case "text":
		return &b.text
	case "cache_control":
		return &b.cache
	case "source":
		return &b.source
	case "title":
		return &b.title
	case "context":
		return &b.context
	case "citations":
		return &b.citations
	case "id":
		return &b.id
	case "name":
		return &b.name
	case "input":
		return &b.input
	case "tool_use_id":
		return &b.toolUseID
	case "content":
		return &b.content
	case "is_error":
		return &b.isError
	case "thinking":
		return &b.thinking
	case "signature":
		return &b.signature
	case "data":
		return &b.data
	case "tool_name":
		return &b.toolName
	case "tool":
		return &b.tool
	default:
		return nil
	}
}

// read finds the members of a block. One that is null stays Absent.
func (b *block) read(v tape.Value) error {
	if v.Kind() != tape.Object {
		return b.mustBe("", "an object with a type")
	}
	b.raw = v
	for key, value := range v.Members {
		at := b.at(name(key))
		if at == nil || !present(value) {
			continue
		}
		if at.Exists() {
			return twice(b.path("." + key.Text()))
		}
		*at = value
	}
	if b.kind.Kind() != tape.String {
		return b.mustBe(".type", "the type of the block, such as text")
	}
	return nil
}

// read finds the members of one block more.
func (d *turnDecoder) read(b *block, v tape.Value) error {
	if d.count++; d.count > maxBlocks {
		return chat.Invalid("messages", fmt.Sprintf("a request has at most %d blocks of content", maxBlocks))
	}
	return b.read(v)
}

// block reads a block into the open turn.
func (d *turnDecoder) block(at place, v tape.Value, role chat.Role) error {
	b := block{place: at}
	if err := d.read(&b, v); err != nil {
		return err
	}
	switch {
	case b.kind.Is("text"):
		return d.text(&b)
	case role == chat.Assistant:
		return d.assistantBlock(&b)
	case role == chat.System:
		return d.systemBlock(&b)
	case b.kind.Is("image"):
		return d.image(&b)
	case b.kind.Is("document"):
		return d.document(&b)
	case b.kind.Is("tool_result") && at.inner == none:
		return d.result(&b)
	case b.kind.Is("tool_reference") && at.inner != none:
		return d.reference(&b)
	default:
		return b.foreign()
	}
}

// foreign refuses a block that other formats have no word for: to leave it out
// would change what the user said.
func (b *block) foreign() error {
	kind := format.Bounded(b.kind.Text(), 64)
	return chat.Invalid(b.path(".type"), "content of type "+strconv.Quote(kind)+" in "+b.path("")+
		" cannot be sent to this model, whose upstream speaks another format; leave it out or use another model")
}

// add adds a block to the open turn.
func (d *turnDecoder) add(kind chat.BlockKind, b *block) *chat.Block {
	out := d.next()
	out.Kind, out.Cache = kind, b.cache.Raw()
	return out
}

// next adds an empty block to the open turn. Blocks are large, and the memory
// behind d.blocks was never used: it need not be written.
func (d *turnDecoder) next() *chat.Block {
	if n := len(d.blocks); n < cap(d.blocks) {
		d.blocks = d.blocks[:n+1]
	} else {
		d.blocks = append(d.blocks, chat.Block{})
	}
	return &d.blocks[len(d.blocks)-1]
}

// text reads a text.
func (d *turnDecoder) text(b *block) error {
	if b.text.Kind() != tape.String {
		return b.mustBe(".text", "a string")
	}
	d.add(chat.Text, b).Text = b.text.Literal()
	if b.citations.Len() > 0 {
		d.extraOnce("messages[].citations", b.citations)
	}
	return nil
}

// assistantBlock reads a block of an earlier answer. What the answer's own
// format alone knows, such as a search of the server's, can be left out of a
// history without loss of what the user said.
func (d *turnDecoder) assistantBlock(b *block) error {
	switch {
	case b.kind.Is("tool_use"):
		return d.call(b)
	case b.kind.Is("thinking"):
		out := d.add(chat.Thinking, b)
		out.Text, out.Signature, out.Origin = b.thinking.Literal(), b.signature.Literal(), origin
	case b.kind.Is("redacted_thinking"):
		out := d.add(chat.RedactedThinking, b)
		out.Text, out.Origin = b.data.Literal(), origin
	case b.kind.Is("image"):
		return d.image(b)
	case b.kind.Is("document"):
		return d.document(b)
	default:
		d.opaque(b)
	}
	return nil
}

// opaque keeps a block as it is.
func (d *turnDecoder) opaque(b *block) {
	out := d.add(chat.Opaque, b)
	out.Type, out.Raw, out.Origin = format.Bounded(b.kind.Text(), 64), b.raw.Raw(), origin
}

// systemBlock reads a block of instructions in the middle. Claude Code changes
// the tools there: a definition joins the tools, and all else can be left out,
// since all tools are sent anyway.
func (d *turnDecoder) systemBlock(b *block) error {
	switch {
	case b.kind.Is("tool_addition"):
		if member(b.tool, "type").Is("tool_definition") {
			d.added = append(d.added, member(b.tool, "definition"))
		}
	case b.kind.Is("tool_removal"):
	default:
		return b.mustBe(".type", "text: instructions hold nothing else")
	}
	d.opaque(b)
	return nil
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
		d.contents = make([]chat.Block, 0, min(cap(turn)/2+1, 1024))
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
