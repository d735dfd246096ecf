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
func (p place) mustBe(member, what string) *chat.Error { return chat.MustBe(p.path(member), what) }

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
		at := b.at(key.Unescaped())
		if at == nil || !value.Present() {
			continue
		}
		if at.Exists() {
			return chat.Repeated(b.path("." + key.Text()))
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
		return d.text(&b, role)
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
func (d *turnDecoder) text(b *block, role chat.Role) error {
	if b.text.Kind() != tape.String {
		return b.mustBe(".text", "a string")
	}
	out := d.add(chat.Text, b)
	out.Text = b.text.Literal()
	switch {
	case b.citations.Len() == 0:
	case role == chat.Assistant:
		out.Citations = citationsOf(b.citations)
	default:
		d.extraOnce("messages[].citations", b.citations)
	}
	return nil
}

// systemBlock reads a block of instructions in the middle. Claude Code changes
// the tools there: a definition joins the tools, and all else can be left out,
// since all tools are sent anyway.
func (d *turnDecoder) systemBlock(b *block) error {
	switch {
	case b.kind.Is("tool_addition"):
		if b.tool.Member("type").Is("tool_definition") {
			d.added = append(d.added, b.tool.Member("definition"))
		}
	case b.kind.Is("tool_removal"):
	default:
		return b.mustBe(".type", "text: instructions hold nothing else")
	}
	d.opaque(b)
	return nil
}
