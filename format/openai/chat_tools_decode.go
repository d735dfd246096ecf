package openai

import (
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// tools reads the tools.
func (d *requestDecoder) tools(field string, v tape.Value) error {
	d.hasTools = true
	if v.Kind() != tape.Array {
		return chat.MustBe(field, "an array")
	}
	if v.Len() > maxTools {
		return chat.Invalid(field, fmt.Sprintf("a request has at most %d tools", maxTools))
	}
	d.r.Tools = append(d.r.MakeTools(len(d.r.Tools)+v.Len()), d.r.Tools...)
	at := place{list: field}
	for element := range v.Elements {
		tool, err := d.tool(at, element)
		if err != nil {
			return err
		}
		d.r.Tools = append(d.r.Tools, tool)
		at.number++
	}
	return nil
}

// webSearch reads the field that lets the model search the web. In the neutral
// form that is a tool.
func (d *requestDecoder) webSearch(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	d.r.Tools = append(d.r.Tools, chat.Tool{Type: field, Raw: v.Raw(), Server: chat.ServerWebSearch})
	return nil
}

// place is an element of a list in the request, or something in it. It becomes
// text only for errors.
type place struct {
	list   string
	number int
	below  string
}

// mustBe is the error of a place that has a wrong value.
func (p place) mustBe(below, what string) *chat.Error {
	return chat.MustBe(p.list+"["+strconv.Itoa(p.number)+"]"+p.below+below, what)
}

// tool reads a tool of any type.
func (d *requestDecoder) tool(at place, v tape.Value) (chat.Tool, error) {
	if v.Kind() != tape.Object {
		return chat.Tool{}, at.mustBe("", "an object")
	}
	function := v.Member("function")
	switch kind := v.Member("type"); {
	case kind.Is("function"), !kind.Exists() && function.Exists():
		at.below = ".function"
		return decodeFunction(at, function)
	case kind.Is("custom"):
		at.below = ".custom"
		return d.customTool(at, v.Member("custom"))
	case kind.Kind() != tape.String:
		return chat.Tool{}, at.mustBe(".type", `"function" or another type of tool`)
	default:
		return chat.Tool{Type: format.Bounded(kind.Text(), 64), Raw: v.Raw()}, nil
	}
}

// customTool reads the definition of a tool that takes free text. Other formats
// get a function with one argument; a grammar is lost on them.
func (d *requestDecoder) customTool(at place, v tape.Value) (chat.Tool, error) {
	tool, err := decodeFunction(at, v)
	if err != nil {
		return tool, err
	}
	tool.Schema, tool.Strict, tool.Custom = anyText, chat.Unset, plainText
	text := v.Member("format")
	if text.Kind() != tape.Object {
		return tool, nil
	}
	tool.Custom = textFormat(text)
	if !text.Member("type").Is("text") {
		d.extraOnce(grammarField, text)
	}
	return tool, nil
}

// decodeFunction reads the definition of a function.
func decodeFunction(at place, v tape.Value) (tool chat.Tool, err error) {
	if v.Kind() != tape.Object {
		return tool, at.mustBe("", "an object with the function's name")
	}
	for key, value := range v.Members {
		if !value.Present() {
			continue
		}
		switch string(key.Unescaped()) {
		case "name":
			tool.Name = value.Literal()
		case "description":
			if value.Kind() != tape.String {
				return tool, at.mustBe(".description", "a string")
			}
			tool.Description = value.Literal()
		case "parameters":
			if value.Kind() != tape.Object {
				return tool, at.mustBe(".parameters", "a JSON Schema object")
			}
			tool.Schema = value.Raw()
		case "strict":
			if value.Kind() != tape.True && value.Kind() != tape.False {
				return tool, at.mustBe(".strict", "true or false")
			}
			tool.Strict = chat.BoolOf(value.Bool())
		}
	}
	if tool.Name.Empty() {
		return tool, at.mustBe(".name", "a string with the function's name")
	}
	return tool, nil
}

// legacyFunctions reads the tools of clients that know functions only. A client
// that sends both means the tools.
func (d *requestDecoder) legacyFunctions() error {
	if !d.functions.Exists() || d.hasTools {
		return nil
	}
	if d.functions.Kind() != tape.Array {
		return chat.MustBe("functions", "an array")
	}
	if d.functions.Len() > maxTools {
		return chat.Invalid("functions", fmt.Sprintf("a request has at most %d functions", maxTools))
	}
	d.r.LegacyFunctions = true
	d.r.Tools = append(d.r.MakeTools(len(d.r.Tools)+d.functions.Len()), d.r.Tools...)
	at := place{list: "functions"}
	for element := range d.functions.Elements {
		tool, err := decodeFunction(at, element)
		if err != nil {
			return err
		}
		d.r.Tools = append(d.r.Tools, tool)
		at.number++
	}
	switch call := d.functionCall; {
	case !call.Exists():
	case call.Kind() == tape.Object:
		return d.namedTool("function_call.name", call.Member("name"))
	case call.Is("auto"), call.Is("none"):
		return d.toolChoice("function_call", call)
	default:
		return chat.MustBe("function_call", `"auto", "none" or an object with a name`)
	}
	return nil
}

// toolChoice reads whether tools may or must be called.
func (d *requestDecoder) toolChoice(field string, v tape.Value) error {
	choice := &d.r.ToolChoice
	if v.Kind() == tape.String {
		switch {
		case v.Is("auto"):
			choice.Mode = chat.ToolAuto
		case v.Is("none"):
			choice.Mode = chat.ToolNone
		case v.Is("required"), v.Is("any"):
			choice.Mode = chat.ToolAny
		default:
			return chat.MustBe(field, `"auto", "none", "required" or an object`)
		}
		return nil
	}
	switch kind := v.Get("type"); {
	case kind.Is("function"):
		return d.namedTool("tool_choice.function.name", v.Member("function").Member("name"))
	case kind.Is("custom"):
		return d.namedTool("tool_choice.custom.name", v.Member("custom").Member("name"))
	case kind.Is("allowed_tools"):
		return d.allowedTools(v.Member("allowed_tools"))
	default:
		return chat.MustBe("tool_choice.type", "function, custom or allowed_tools")
	}
}

// namedTool demands the tool with a name.
func (d *requestDecoder) namedTool(path string, name tape.Value) error {
	if name.Literal().Empty() {
		return chat.MustBe(path, "the name of a tool")
	}
	d.r.ToolChoice = chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{name.Literal()}}
	return nil
}

// allowedTools permits some of the tools.
func (d *requestDecoder) allowedTools(v tape.Value) error {
	const at = "tool_choice.allowed_tools"
	return d.allow(at, v, func(tool tape.Value) (chat.Literal, error) {
		function := tool.Member("function")
		if !function.Exists() {
			function = tool.Member("custom")
		}
		name := function.Member("name").Literal()
		if name.Empty() {
			return nil, chat.MustBe(at+".tools", "an array of tools with names")
		}
		return name, nil
	})
}

// allow permits the tools in an object at a place, which may also demand one of
// them. A tool for which nameOf returns no name is passed over.
func (d *requestDecoder) allow(at string, v tape.Value, nameOf func(tool tape.Value) (chat.Literal, error)) error {
	choice := chat.ToolChoice{Mode: chat.ToolAllowed}
	switch mode := v.Member("mode"); {
	case mode.Is("required"):
		choice.Required = true
	case mode.Is("auto"), !mode.Exists():
	default:
		return chat.MustBe(at+".mode", "auto or required")
	}
	tools := v.Member("tools")
	if tools.Kind() != tape.Array || tools.Len() == 0 {
		return chat.MustBe(at+".tools", "an array of tools")
	}
	if tools.Len() > maxTools {
		return chat.Invalid(at+".tools", fmt.Sprintf("at most %d tools can be allowed", maxTools))
	}
	for tool := range tools.Elements {
		name, err := nameOf(tool)
		if err != nil {
			return err
		}
		if !name.Empty() {
			choice.Names = append(choice.Names, name)
		}
	}
	if choice.Names != nil {
		d.r.ToolChoice = choice
	}
	return nil
}
