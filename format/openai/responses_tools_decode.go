package openai

import (
	"fmt"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// tools reads the tools.
func (d *responsesDecoder) tools(field string, v tape.Value) error {
	if err := d.addTools(field, v); err != nil {
		return err
	}
	d.echo(field, echoedTools(v))
	return nil
}

// echoedTools returns the tools as an answer repeats them: as they are, but for
// functions without parameters or strictness, which answers always tell.
func echoedTools(tools tape.Value) chat.Raw {
	short := false
	for tool := range tools.Elements {
		short = short || !saysAll(tool)
	}
	if !short {
		return tools.Raw()
	}
	out := make(chat.Raw, 0, len(tools.Raw())+64)
	separator := byte('[')
	for tool := range tools.Elements {
		out = append(append(out, separator), tool.Raw()...)
		separator = ','
		if saysAll(tool) {
			continue
		}
		out = out[:len(out)-1] // A function has a type, so a comma is right.
		parameters := tool.Get("parameters")
		if !parameters.Exists() {
			out = append(out, `,"parameters":null`...)
		}
		switch {
		case tool.Get("strict").Exists():
		case fitsStrict(parameters):
			out = append(out, `,"strict":true`...)
		default:
			out = append(out, `,"strict":false`...)
		}
		out = append(out, '}')
	}
	return append(out, ']')
}

// saysAll says that a tool is told as answers tell it.
func saysAll(tool tape.Value) bool {
	return !tool.Member("type").Is("function") || tool.Get("parameters").Exists() && tool.Get("strict").Exists()
}

// addTools adds the tools of a list to those that are known: of the request, or
// of an item that brings more. Those of a namespace become tools of their own.
func (d *responsesDecoder) addTools(field string, v tape.Value) error {
	if v.Kind() != tape.Array {
		return chat.MustBe(field, "an array")
	}
	d.r.Tools = append(d.r.MakeTools(len(d.r.Tools)+min(v.Len(), maxTools)), d.r.Tools...)
	number := 0
	for element := range v.Elements {
		at := place{field, number, ""}
		number++
		if element.Kind() != tape.Object {
			return at.mustBe("", "an object")
		}
		if !element.Member("type").Is("namespace") {
			if err := d.tool(at, element, nil); err != nil {
				return err
			}
			continue
		}
		namespace := element.Member("name").Literal()
		if namespace.Empty() {
			return at.mustBe(".name", "a string with the name of the namespace")
		}
		at.below = ".tools[]"
		for inner := range element.Member("tools").Elements {
			if err := d.tool(at, inner, namespace); err != nil {
				return err
			}
		}
	}
	return nil
}

// anyText describes the argument of a tool that takes any text, for formats that
// know functions only.
var anyText = chat.Raw(`{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`)

// plainText is the text that a tool takes if its definition does not say.
var plainText = chat.Raw(`{"type":"text"}`)

// tool reads a tool of any type.
func (d *responsesDecoder) tool(at place, v tape.Value, namespace chat.Literal) error {
	if len(d.r.Tools) == maxTools {
		return chat.Invalid(at.list, fmt.Sprintf("a request has at most %d tools", maxTools))
	}
	var tool chat.Tool
	switch kind := v.Member("type"); {
	case v.Kind() != tape.Object:
		return at.mustBe("", "an object")
	case kind.Is("function"), kind.Is("custom"):
		var err error
		if tool, err = decodeFunction(at, v); err != nil {
			return err
		}
		if kind.Is("custom") {
			d.custom(&tool, v.Member("format"))
		} else if tool.Strict == chat.Unset && fitsStrict(v.Member("parameters")) {
			tool.Strict = chat.True
		}
	case kind.Kind() != tape.String:
		return at.mustBe(".type", `"function" or another type of tool`)
	default:
		word := format.Bounded(kind.Text(), 64)
		tool = chat.Tool{Name: v.Member("name").Literal(), Type: word, Raw: v.Raw(), Server: serverTool(word)}
	}
	if namespace != nil && !tool.Name.Empty() {
		tool.Namespace, tool.Name = namespace, inNamespace(namespace, tool.Name)
	}
	d.r.Tools = append(d.r.Tools, tool)
	return nil
}

// serverTool is the tool with a type among those that several formats have. The
// types of web searches end in a date or in "preview" at times.
func serverTool(kind string) chat.ServerTool {
	switch {
	case strings.HasPrefix(kind, "web_search"):
		return chat.ServerWebSearch
	case kind == "code_interpreter":
		return chat.ServerCodeExecution
	default:
		return chat.ServerOther
	}
}

// custom reads which text a tool takes. A grammar is lost on other formats.
func (d *responsesDecoder) custom(tool *chat.Tool, format tape.Value) {
	tool.Schema, tool.Strict, tool.Custom = anyText, chat.Unset, plainText
	if format.Kind() != tape.Object {
		return
	}
	tool.Custom = format.Raw()
	if !format.Member("type").Is("text") {
		d.extraOnce("tools[].format", format)
	}
}

// inNamespace is the name of a tool outside of its namespace.
func inNamespace(namespace, name chat.Literal) chat.Literal {
	const between = "__"
	joined := make(chat.Literal, 0, len(namespace)+len(between)+len(name))
	joined = append(joined, '"')
	joined = append(joined, namespace.Inner()...)
	joined = append(joined, between...)
	joined = append(joined, name.Inner()...)
	return append(joined, '"')
}

// nameIn is the name of a called, chosen or allowed tool.
func nameIn(v tape.Value) chat.Literal {
	name, namespace := v.Member("name").Literal(), v.Member("namespace").Literal()
	if name.Empty() || namespace.Empty() {
		return name
	}
	return inNamespace(namespace, name)
}

// toolChoice reads whether tools may or must be called.
func (d *responsesDecoder) toolChoice(field string, v tape.Value) error {
	if v.Kind() == tape.String {
		return d.requestDecoder.toolChoice(field, v)
	}
	switch kind := v.Member("type"); {
	case kind.Is("function"), kind.Is("custom"):
		name := nameIn(v)
		if name.Empty() {
			return chat.MustBe("tool_choice.name", "the name of a tool")
		}
		d.r.ToolChoice = chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{name}}
		return nil
	case kind.Is("allowed_tools"):
		return d.allowedTools(v)
	case kind.Kind() == tape.String:
		// One of the tools that the upstream itself runs.
		d.extra(field, v)
		return nil
	default:
		return chat.MustBe("tool_choice.type", "function, custom, allowed_tools or another type of tool")
	}
}

// allowedTools permits some of the tools. Those without a name have no neutral
// meaning.
func (d *responsesDecoder) allowedTools(v tape.Value) error {
	return d.allow("tool_choice", v, func(tool tape.Value) (chat.Literal, error) {
		name := nameIn(tool)
		if name.Empty() {
			d.extraOnce("tool_choice.tools", v.Member("tools"))
		}
		return name, nil
	})
}
