package anthropic

import (
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// turnDecoder reads the messages of a request. Blocks are kept in few large
// pieces of memory, of which turns get their parts.
type turnDecoder struct {
	r *chat.Request
	// at is the number of the message being read, for errors.
	at int
	// count is the number of all blocks, at any place.
	count int
	// blocks holds the blocks of all turns; those of the open turn begin at from.
	blocks []chat.Block
	from   int
	// contents holds the content of tool results.
	contents []chat.Block
	// carried is the signature of the next call in the open turn; nil if it has
	// none.
	carried chat.Literal
	// added are the tools that system turns in the middle define.
	added []tape.Value
}

// message is one message as it stands in the document.
type message struct{ role, content tape.Value }

// members finds the members of a message that mean something.
func (d *turnDecoder) members(v tape.Value) (m message, err error) {
	for key, value := range v.Members {
		var at *tape.Value
		switch {
		case key.Is("role"):
			at = &m.role
		case key.Is("content"):
			at = &m.content
		default:
			if value.Present() {
				d.extraOnce("messages[]."+key.Text(), value)
			}
			continue
		}
		if at.Exists() {
			return m, chat.Repeated(d.path("." + key.Text()))
		}
		*at = value
	}
	return m, nil
}

// messages reads the conversation.
func (d *requestDecoder) messages(field string, v tape.Value) error {
	switch {
	case v.Kind() != tape.Array || v.Len() == 0:
		return chat.MustBe(field, "an array with at least one message")
	case v.Len() > maxMessages:
		return chat.Invalid(field, fmt.Sprintf("a request has at most %d messages", maxMessages))
	}
	d.r.Turns = d.r.MakeTurns(v.Len())
	blocks := 0
	for element := range v.Elements {
		blocks += max(element.Get("content").Len(), 1)
	}
	d.blocks = d.r.MakeBlocks(min(blocks, maxMessages))
	for element := range v.Elements {
		if err := d.message(element); err != nil {
			return err
		}
		d.at++
	}
	return nil
}

// message reads one message.
func (d *turnDecoder) message(v tape.Value) error {
	if v.Kind() != tape.Object {
		return d.mustBe("", "an object with a role and content")
	}
	m, err := d.members(v)
	if err != nil {
		return err
	}
	role := chat.User
	switch {
	case m.role.Is("user"):
	case m.role.Is("assistant"):
		role = chat.Assistant
	case m.role.Is("system"):
		// Claude Code sends these whatever the model.
		role = chat.System
	case m.role.Kind() == tape.String:
		return d.mustBe(".role", "user, assistant or system, not "+strconv.Quote(format.Bounded(m.role.Text(), 64)))
	default:
		return d.mustBe(".role", "user, assistant or system")
	}
	d.from = len(d.blocks)
	if err := d.content(m.content, role); err != nil {
		return err
	}
	d.addCarried()
	end := len(d.blocks)
	blocks := d.blocks[d.from:end:end]
	if role == chat.System && len(d.r.Turns) == 0 {
		d.r.System = append(d.r.System, blocks...)
		return nil
	}
	d.r.Turns = append(d.r.Turns, chat.Turn{Role: role, Blocks: blocks})
	return nil
}

// content reads a string or an array of blocks into the open turn.
func (d *turnDecoder) content(v tape.Value, role chat.Role) error {
	switch v.Kind() {
	case tape.String:
		d.next().Text = v.Literal()
		return nil
	case tape.Array:
	default:
		return d.mustBe(".content", "a string or an array of blocks")
	}
	at := place{message: d.at, inner: none}
	for element := range v.Elements {
		if err := d.block(at, element, role); err != nil {
			return err
		}
		at.number++
	}
	return nil
}

// instructions reads the system prompt. It stands before the instructions that
// come as the first messages.
func (d *requestDecoder) instructions(v tape.Value) error {
	leading := d.r.System
	d.r.System = nil
	switch v.Kind() {
	case tape.String:
		d.r.System = append(d.r.System, chat.Block{Kind: chat.Text, Text: v.Literal()})
	case tape.Array:
		d.blocks = make([]chat.Block, 0, min(v.Len(), 8)+len(leading))
		at := place{system: true}
		for element := range v.Elements {
			b := block{place: at}
			if err := d.read(&b, element); err != nil {
				return err
			}
			if !b.kind.Is("text") {
				return b.mustBe(".type", "text: instructions hold nothing else")
			}
			if err := d.text(&b, chat.System); err != nil {
				return err
			}
			at.number++
		}
		d.r.System = d.blocks
	default:
		return chat.MustBe("system", "a string or an array of text blocks")
	}
	d.r.System = append(d.r.System, leading...)
	return nil
}

// path names a place in the message being read.
func (d *turnDecoder) path(below string) string {
	return "messages[" + strconv.Itoa(d.at) + "]" + below
}

// mustBe is the error of a place in the message that has a wrong value.
func (d *turnDecoder) mustBe(below, what string) *chat.Error {
	return chat.MustBe(d.path(below), what)
}
