package openai

import (
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// messageDecoder reads the messages of a request.
type messageDecoder struct {
	r *chat.Request
	// list is the field that holds the messages, for errors.
	list string
	// at is the number of the message being read, for errors.
	at int
	// turn holds the blocks of the open turn, contents those of a tool result.
	turn, contents blockMemory
	// results says that the open turn consists of tool results, so that another
	// one belongs to it.
	results bool
	// function is the latest call of a client that knows functions only.
	function struct{ id, name chat.Literal }
}

// message is one message as it stands in the document.
type message struct {
	role, content               tape.Value
	toolCalls, toolCallID       tape.Value
	functionCall, name          tape.Value
	refusal, reasoning, thought tape.Value
	details                     tape.Value
}

// messages reads the conversation.
func (d *messageDecoder) messages(field string, v tape.Value) error {
	switch {
	case v.Kind() != tape.Array || v.Len() == 0:
		return chat.MustBe(field, "an array with at least one message")
	case v.Len() > maxMessages:
		return chat.Invalid(field, fmt.Sprintf("a request has at most %d messages", maxMessages))
	}
	d.r.Turns = d.r.MakeTurns(v.Len())
	d.turn.request, d.contents.request = d.r, d.r
	d.turn.expect(v.Len() + v.Len()/2)
	for element := range v.Elements {
		if err := d.message(element); err != nil {
			return err
		}
		if d.turn.full() || d.contents.full() {
			return tooManyBlocks(field)
		}
		d.at++
	}
	return nil
}

// message reads one message.
func (d *messageDecoder) message(v tape.Value) error {
	if v.Kind() != tape.Object {
		return d.mustBe("", "an object with a role and content")
	}
	m, err := d.members(v)
	if err != nil {
		return err
	}
	results := d.results
	d.results = false
	switch role := m.role; {
	case role.Is("user"):
		d.open(chat.User)
		err = d.content(&d.turn, m.content, chat.User)
	case role.Is("assistant"):
		d.open(chat.Assistant)
		err = d.assistant(&m)
	case role.Is("tool"), role.Is("function"):
		if !results {
			d.open(chat.User)
		}
		d.results = true
		err = d.result(&m)
	case role.Is("system"), role.Is("developer"):
		if len(d.r.Turns) == 0 {
			return d.leading(m.content)
		}
		d.open(chat.System)
		err = d.content(&d.turn, m.content, chat.System)
	case role.Kind() == tape.String:
		return d.mustBe(".role", "system, developer, user, assistant or tool, not "+strconv.Quote(format.Bounded(role.Text(), 64)))
	default:
		return d.mustBe(".role", "system, developer, user, assistant or tool")
	}
	d.close()
	return err
}

// members finds the members of a message that mean something.
func (d *messageDecoder) members(v tape.Value) (m message, err error) {
	for key, value := range v.Members {
		var at *tape.Value
		switch string(key.Unescaped()) {
		case "role":
			at = &m.role
		case "content":
			at = &m.content
		case "tool_calls":
			at = &m.toolCalls
		case "tool_call_id":
			at = &m.toolCallID
		case "function_call":
			at = &m.functionCall
		case "name":
			at = &m.name
		case "refusal":
			at = &m.refusal
		case "reasoning_content":
			at = &m.reasoning
		case "reasoning":
			at = &m.thought
		case "reasoning_details":
			at = &m.details
		case "annotations": // of an answer that is sent back as it was
			continue
		default:
			if value.Present() && (value.Kind() < tape.Array || value.Len() > 0) {
				d.extraOnce("messages[]."+key.Text(), value)
			}
			continue
		}
		if at.Exists() {
			return m, chat.Invalid(d.path("."+key.Text()), "the field "+d.path("."+key.Text())+" stands twice in the message")
		}
		if value.Present() {
			*at = value
		}
	}
	if m.name.Exists() && !m.role.Is("function") && !m.role.Is("tool") {
		d.extraOnce("messages[].name", m.name)
	}
	return m, nil
}

// open begins a turn.
func (d *messageDecoder) open(role chat.Role) {
	d.r.Turns = append(d.r.Turns, chat.Turn{Role: role})
	d.turn.open()
}

// close gives the open turn the blocks that were added since it was opened.
func (d *messageDecoder) close() {
	d.r.Turns[len(d.r.Turns)-1].Blocks = d.turn.blocks()
}

// leading reads instructions that stand before the conversation.
func (d *messageDecoder) leading(v tape.Value) error {
	d.turn.open()
	err := d.content(&d.turn, v, chat.System)
	d.r.System = append(d.r.System, d.turn.blocks()...)
	return err
}

// content reads a string or an array of parts into dst.
func (d *messageDecoder) content(dst *blockMemory, v tape.Value, role chat.Role) error {
	switch v.Kind() {
	case tape.String:
		dst.add(chat.Text).Text = v.Literal()
		return nil
	case tape.Array:
	case tape.Absent:
		return d.mustBe(".content", "a string or an array of parts, it is missing")
	default:
		return d.mustBe(".content", "a string or an array of parts")
	}
	part := 0
	for element := range v.Elements {
		if err := d.part(dst.add(chat.Text), element, role, part); err != nil {
			return err
		}
		part++
	}
	return nil
}

// called reads what is called, and with which arguments.
func (d *messageDecoder) called(b *chat.Block, function tape.Value, path string) error {
	b.Name = function.Member("name").Literal()
	if b.Name.Empty() {
		return d.mustBe(path+".name", "a string with the tool's name")
	}
	switch arguments := function.Member("arguments"); arguments.Kind() {
	case tape.Absent:
	case tape.String:
		b.Arguments.Text = arguments.Literal()
	case tape.Object:
		b.Arguments.Object = arguments.Raw()
	default:
		return d.mustBe(path+".arguments", "a string that holds a JSON object")
	}
	return nil
}

// functionCall reads the call of a client that knows functions only. It has no
// id, so it gets one from its place.
func (d *messageDecoder) functionCall(v tape.Value) error {
	b := d.turn.add(chat.ToolUse)
	b.ID = chat.Quote("call_" + strconv.Itoa(d.at))
	if err := d.called(b, v, ".function_call"); err != nil {
		return err
	}
	d.function.id, d.function.name = b.ID, b.Name
	return nil
}

// result reads the result of a tool.
func (d *messageDecoder) result(m *message) error {
	b := d.turn.add(chat.ToolResult)
	b.ID, b.Name = m.toolCallID.Literal(), m.name.Literal()
	if m.role.Is("function") {
		if b.Name.Empty() {
			return d.mustBe(".name", "the name of the function whose result this is")
		}
		b.ID = d.function.id
		if string(b.Name) != string(d.function.name) {
			b.ID = chat.Quote("call_" + strconv.Itoa(d.at))
		}
	}
	if b.ID.Empty() {
		return d.mustBe(".tool_call_id", "a string: the id of the tool call that this is the result of")
	}
	if !m.content.Exists() {
		return nil
	}
	d.contents.open()
	err := d.content(&d.contents, m.content, chat.User)
	b.Content = d.contents.blocks()
	return err
}

// path names a place in the message being read.
func (d *messageDecoder) path(below string) string {
	return d.list + "[" + strconv.Itoa(d.at) + "]" + below
}

// mustBe is the error of a place in the message that has a wrong value.
func (d *messageDecoder) mustBe(below, what string) *chat.Error {
	return chat.MustBe(d.path(below), what)
}
