package openai

import (
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
		return chat.MustBe(field, "a string or an array with at least one item")
	case v.Len() > maxItems:
		return chat.Invalid(field, fmt.Sprintf("a request has at most %d items", maxItems))
	}
	d.r.Turns = d.r.MakeTurns(v.Len()*2/3 + 1)
	d.turn.request, d.contents.request = d.r, d.r
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
	kind := v.Member("type")
	switch {
	case kind.Is("message"), !kind.Exists() && v.Member("role").Exists():
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
	case kind.Is("additional_tools"):
		return d.addTools(d.path(".tools"), v.Member("tools"))
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
	role, content := v.Member("role"), v.Member("content")
	d.part = ".content"
	if phase := v.Member("phase"); phase.Exists() {
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

// called reads a call of a tool.
func (d *responsesDecoder) called(v tape.Value, custom bool) error {
	b := d.openCall()
	if b.ID = v.Member("call_id").Literal(); b.ID.Empty() {
		return d.mustBe(".call_id", "a string that the tool's result names as call_id")
	}
	if err := d.requestDecoder.called(b, v, ""); err != nil {
		return err
	}
	b.Name = nameIn(v)
	if custom {
		b.Arguments = chat.Arguments{Object: customInput(v.Member("input"))}
	}
	return nil
}

// openCall begins a call. It takes the place of a signature that stands in front
// of it, which is its own.
func (d *responsesDecoder) openCall() *chat.Block {
	open := d.turn.blocks()
	if n := len(open); n > 0 && carriesCall(&open[n-1]) {
		b := &open[n-1]
		*b = chat.Block{Kind: chat.ToolUse, Signature: b.Signature, Origin: b.Origin}
		return b
	}
	return d.turn.add(chat.ToolUse)
}

// result reads the result of a tool.
func (d *responsesDecoder) result(v tape.Value) error {
	b := d.turn.add(chat.ToolResult)
	if b.ID = v.Member("call_id").Literal(); b.ID.Empty() {
		return d.mustBe(".call_id", "a string: the call_id of the call that this is the result of")
	}
	output := v.Member("output")
	if !output.Exists() {
		return nil
	}
	d.part = ".output"
	d.contents.open()
	err := d.content(&d.contents, output, chat.User)
	b.Content = d.contents.blocks()
	return err
}
