package gemini

import (
	"fmt"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// tools reads the tools. One object holds any number of functions, and server
// tools by their names: those keep the name as their Type and its value as Raw.
func (d *requestDecoder) tools(v tape.Value) error {
	if length(v) > maxTools {
		return tooManyTools()
	}
	if v.Kind() < tape.Array {
		return chat.MustBe("tools", "an array")
	}
	d.makeTools(v)
	for element := range list(v).each {
		err := at("tools[]").members(element, func(word []byte, v tape.Value) error {
			if string(word) == "functionDeclarations" {
				return d.functions(v)
			}
			return d.addTool(chat.Tool{Type: format.Bounded(string(word), 64), Raw: v.Raw(), Server: serverTools[string(word)]})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// makeTools makes room for the tools.
func (d *requestDecoder) makeTools(v tape.Value) {
	n := 0
	for element := range list(v).each {
		n += max(element.Get("functionDeclarations").Len(), 1)
	}
	d.r.Tools = d.r.MakeTools(min(n, maxTools))
}

// serverTools are the tools of the server that other formats have too, by name.
var serverTools = map[string]chat.ServerTool{
	"googleSearch":          chat.ServerWebSearch,
	"googleSearchRetrieval": chat.ServerWebSearch,
	"codeExecution":         chat.ServerCodeExecution,
	"urlContext":            chat.ServerURLFetch,
}

// tooManyTools is the error of a request with more tools than anybody offers.
func tooManyTools() *chat.Error {
	return chat.Invalid("tools", fmt.Sprintf("a request has at most %d tools", maxTools))
}

// addTool takes one more tool.
func (d *requestDecoder) addTool(t chat.Tool) error {
	if len(d.r.Tools) == maxTools {
		return tooManyTools()
	}
	d.r.Tools = append(d.r.Tools, t)
	return nil
}

// functions reads declarations of functions.
func (d *requestDecoder) functions(v tape.Value) error {
	if v.Kind() < tape.Array {
		return chat.MustBe("tools[].functionDeclarations", "an array")
	}
	for element := range list(v).each {
		if err := d.function(element); err != nil {
			return err
		}
	}
	return nil
}

// function reads the declaration of a function.
func (d *requestDecoder) function(declaration tape.Value) error {
	p := place{field: "tools[].functionDeclarations", number: len(d.r.Tools), part: none}
	var t chat.Tool
	var own tape.Value
	err := p.members(declaration, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "name":
			t.Name = v.Literal()
		case "description":
			if v.Kind() != tape.String {
				return p.mustBe(".description", "a string")
			}
			t.Description = v.Literal()
		case "parametersJsonSchema":
			if v.Kind() != tape.Object {
				return p.mustBe(".parametersJsonSchema", "an object: a JSON Schema")
			}
			t.Schema = v.Raw()
		case "parameters":
			own = v
		default:
			d.unknown("tools[].", declaration, word, v)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case t.Name.Empty():
		return p.mustBe(".name", "a string with the function's name")
	}
	if t.Schema == nil && own.Exists() {
		if t.Schema, err = standard(p.String()+".parameters", own); err != nil {
			return err
		}
	}
	return d.addTool(t)
}

// toolConfig reads which functions may or must be called.
func (d *requestDecoder) toolConfig(config tape.Value) error {
	return at("toolConfig").members(config, func(word []byte, v tape.Value) error {
		if string(word) == "functionCallingConfig" {
			return d.calling(v)
		}
		d.unknown("toolConfig.", config, word, v)
		return nil
	})
}

// calling reads the mode of calling functions, and which ones.
func (d *requestDecoder) calling(config tape.Value) error {
	const path = "toolConfig.functionCallingConfig"
	var mode, allowed tape.Value
	var names []chat.Literal
	err := at(path).members(config, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "mode":
			mode = v
		case "allowedFunctionNames":
			allowed = v
		default:
			d.unknown(path+".", config, word, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if allowed.Exists() && allowed.Kind() != tape.Array || allowed.Len() > maxTools {
		return chat.MustBe(path+".allowedFunctionNames", "an array of names")
	}
	for element := range allowed.Elements {
		if element.Literal().Empty() {
			return chat.MustBe(path+".allowedFunctionNames", "an array of names")
		}
		names = append(names, element.Literal())
	}
	c := &d.r.ToolChoice
	switch word := strings.ToUpper(mode.Text()); {
	case word == "NONE":
		c.Mode = chat.ToolNone
	case word == "ANY" && len(names) == 0:
		c.Mode = chat.ToolAny
	case word == "ANY" && len(names) == 1:
		c.Mode, c.Names = chat.ToolNamed, names
	case word == "ANY":
		c.Mode, c.Names, c.Required = chat.ToolAllowed, names, true
	case word == "VALIDATED" && len(names) > 0, word == "AUTO" && len(names) > 0:
		c.Mode, c.Names = chat.ToolAllowed, names
	case word == "AUTO":
		c.Mode = chat.ToolAuto
	case word == "VALIDATED":
		c.Mode = chat.ToolAuto
		d.extra(path+".mode", mode)
	case word == "MODE_UNSPECIFIED", !mode.Exists():
	default:
		return chat.MustBe(path+".mode", "AUTO, ANY, NONE or VALIDATED")
	}
	return nil
}
