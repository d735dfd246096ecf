package anthropic

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// tools reads the tools.
func (d *requestDecoder) tools(field string, v tape.Value) error {
	if v.Kind() != tape.Array {
		return chat.MustBe(field, "an array")
	}
	if v.Len() > maxTools {
		return tooManyTools()
	}
	d.r.Tools = d.r.MakeTools(v.Len())
	for element := range v.Elements {
		if err := d.addTool(element, len(d.r.Tools)); err != nil {
			return err
		}
	}
	return nil
}

func tooManyTools() *chat.Error {
	return chat.Invalid("tools", fmt.Sprintf("a request has at most %d tools", maxTools))
}

// addTools adds the tools that were defined in the middle of the conversation,
// unless they are known.
func (d *requestDecoder) addTools() error {
	for _, v := range d.added {
		if v.Kind() != tape.Object || d.hasTool(v.Member("name").Literal()) {
			continue
		}
		if len(d.r.Tools) == maxTools {
			return tooManyTools()
		}
		if err := d.addTool(v, len(d.r.Tools)); err != nil {
			return err
		}
	}
	return nil
}

// hasTool says that a tool of this name is known.
func (d *requestDecoder) hasTool(name chat.Literal) bool {
	for i := range d.r.Tools {
		if d.r.Tools[i].Name.Equal(name) {
			return true
		}
	}
	return false
}

// toolFields are the members of a tool with a neutral meaning.
var toolFields = []string{"type", "name", "description", "input_schema", "strict", "cache_control"}

// addTool reads a tool of any type.
func (d *requestDecoder) addTool(v tape.Value, number int) error {
	if v.Kind() != tape.Object {
		return chat.MustBe("tools["+strconv.Itoa(number)+"]", "an object")
	}
	var kind, name, description, schema, strict, cache tape.Value
	if err := fields(v, "tools[]", toolFields, &kind, &name, &description, &schema, &strict, &cache); err != nil {
		return err
	}
	wrong := func(member, what string) error {
		return chat.MustBe("tools["+strconv.Itoa(number)+"]."+member, what)
	}
	switch {
	case kind.Exists() && kind.Kind() != tape.String:
		return wrong("type", "a string")
	case kind.Exists() && !kind.Is("custom"):
		d.r.Tools = append(d.r.Tools, chat.Tool{
			Name: name.Literal(), Cache: cache.Raw(), Type: kind.Text(), Raw: v.Raw(), Server: serverKind(kind.Text()),
		})
		return nil
	case name.Literal().Empty():
		return wrong("name", "a string with the tool's name")
	case description.Exists() && description.Kind() != tape.String:
		return wrong("description", "a string")
	case schema.Kind() != tape.Object:
		return wrong("input_schema", "an object: the JSON Schema of the tool's input")
	}
	tool := chat.Tool{Name: name.Literal(), Description: description.Literal(), Schema: schema.Raw(), Cache: cache.Raw()}
	switch strict.Kind() {
	case tape.Absent:
	case tape.True, tape.False:
		tool.Strict = chat.BoolOf(strict.Bool())
	default:
		return wrong("strict", "true or false")
	}
	d.r.Tools = append(d.r.Tools, tool)
	d.toolExtras(v)
	return nil
}

// toolExtras keeps what a tool says beside what has a neutral meaning.
func (d *requestDecoder) toolExtras(v tape.Value) {
	for key, value := range v.Members {
		if value.Present() && !slices.ContainsFunc(toolFields, key.Is) {
			d.extraOnce("tools[]."+key.Text(), value)
		}
	}
}

// toolChoice reads which tools may or must be called.
func (d *requestDecoder) toolChoice(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object with a type")
	}
	var kind, name, sequential tape.Value
	if err := fields(v, field, []string{"type", "name", "disable_parallel_tool_use"}, &kind, &name, &sequential); err != nil {
		return err
	}
	choice := &d.r.ToolChoice
	switch {
	case kind.Is("auto"):
		choice.Mode = chat.ToolAuto
	case kind.Is("any"):
		choice.Mode = chat.ToolAny
	case kind.Is("none"):
		choice.Mode = chat.ToolNone
	case kind.Is("tool"):
		if name.Literal().Empty() {
			return chat.MustBe("tool_choice.name", "a string with the tool's name")
		}
		choice.Mode, choice.Names = chat.ToolNamed, []chat.Literal{name.Literal()}
	default:
		return chat.MustBe("tool_choice.type", "auto, any, tool or none")
	}
	switch sequential.Kind() {
	case tape.Absent:
	case tape.True, tape.False:
		d.r.ParallelTools = chat.BoolOf(!sequential.Bool())
	default:
		return chat.MustBe("tool_choice.disable_parallel_tool_use", "true or false")
	}
	return nil
}
