package gemini

import (
	"bytes"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/schema"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// tools writes the tools: the functions in one object, each server tool in one
// of its own.
func (e *requestEncoder) tools() {
	separator := byte('[')
	next := func() {
		if separator == '[' {
			e.field("tools")
		}
		e.b.Byte(separator)
		separator = ','
	}
	functions := false
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		switch {
		case t.Type != "":
			continue
		case functions:
			e.b.Byte(',')
		default:
			functions = true
			next()
			e.b.Str(`{"functionDeclarations":[`)
		}
		e.function(t)
	}
	if functions {
		e.b.Str(`]}`)
	}
	var sent chat.ServerToolSet
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		name := serverNames[t.Server]
		switch {
		case t.Type == "":
		case e.own && isWord(t.Type):
			next()
			e.b.Str(`{"` + t.Type + `":`)
			e.b.Raw(t.Raw)
			e.b.Byte('}')
		case functions || !e.to.ServerTools.Has(t.Server):
			// Gemini 2.5 refuses both at once. Later models want the server's calls back
			// with the next request, which clients of other formats do not keep.
			e.lose("tools." + t.Type)
		case !sent.Has(t.Server):
			sent.Add(t.Server)
			next()
			e.b.Str(`{"` + name + `":{}}`)
			e.approximate("tools." + t.Type)
		}
	}
	if separator == ',' {
		e.b.Byte(']')
	}
	if e.r.ParallelTools == chat.False {
		e.drop("parallel_tool_calls")
	}
}

// serverNames are the names of the server tools that other formats have too.
var serverNames = map[chat.ServerTool]string{
	chat.ServerWebSearch: "googleSearch", chat.ServerCodeExecution: "codeExecution", chat.ServerURLFetch: "urlContext",
}

// function writes the declaration of a function.
func (e *requestEncoder) function(t *chat.Tool) {
	sent := toolName(t.Name)
	if !bytes.Equal(sent, t.Name) {
		e.to.Names.Add(sent.String(), t.Name)
		e.approximate("tools[].name")
	}
	e.b.Str(`{"name":`)
	e.b.Raw(sent)
	if !t.Description.Empty() {
		e.field("description")
		e.b.Raw(t.Description)
	}
	if t.Cache != nil {
		e.drop("cache_control")
	}
	if t.Strict == chat.True {
		e.drop("tools[].strict")
	}
	e.parameters(t.Schema)
	e.b.Byte('}')
}

// parameters writes the schema of a function's arguments, unless it says that
// there are none.
func (e *requestEncoder) parameters(raw chat.Raw) {
	if raw == nil {
		return
	}
	t := tape.Take()
	defer t.Release()
	if t.Parse(raw) != nil || t.Root().Kind() != tape.Object {
		e.drop("tools[].parameters")
		return
	}
	root := t.Root()
	if root.Len() == 0 || root.Get("type").Is("object") && root.Get("properties").Kind() == tape.Object &&
		root.Get("properties").Len() == 0 && !bytes.Contains(raw, []byte(`$ref`)) && !root.Get("anyOf").Exists() {
		return
	}
	switch {
	case e.to.OwnSchemas:
		e.field("parameters")
		e.ownSchema(raw, "tools")
	case root.Get("type").Exists():
		e.field("parametersJsonSchema")
		e.b.Raw(raw)
	default:
		e.field("parametersJsonSchema")
		e.b.Str(`{"type":"object",`)
		e.b.Raw(bytes.TrimLeft(raw[1:], " \t\r\n"))
	}
}

// toolConfig writes which functions may or must be called.
func (e *requestEncoder) toolConfig() {
	begun := false
	begin := func(name string) {
		if !begun {
			e.field("toolConfig")
			e.b.Str(`{"` + name + `":`)
			begun = true
			return
		}
		e.field(name)
	}
	if mode, names := e.choice(); mode != "" {
		begin("functionCallingConfig")
		e.b.Str(`{"mode":"` + mode + `"`)
		for i, n := range names {
			if i == 0 {
				e.b.Str(`,"allowedFunctionNames":[`)
			} else {
				e.b.Byte(',')
			}
			e.b.Raw(toolName(n))
		}
		if len(names) > 0 {
			e.b.Byte(']')
		}
		e.b.Byte('}')
	}
	for _, f := range e.r.Extra {
		if name, ok := strings.CutPrefix(f.Name, "toolConfig."); ok && e.own && isWord(name) {
			begin(name)
			e.b.Raw(f.Value)
		}
	}
	if begun {
		e.b.Byte('}')
	}
}

// choice returns the mode of calling functions, empty for none, and the names of
// the only functions that may be called.
func (e *requestEncoder) choice() (mode string, names []chat.Literal) {
	c := &e.r.ToolChoice
	if c.Mode == chat.ToolUnset {
		return "", nil
	}
	known := make(map[string]bool)
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; t.Type == "" {
			known[string(t.Name.Unescaped())] = true
		}
	}
	forced := c.Mode == chat.ToolAny || c.Mode == chat.ToolNamed || c.Mode == chat.ToolAllowed
	if len(known) == 0 {
		if forced {
			e.lose("tool_choice")
		}
		return "", nil
	}
	for _, n := range c.Names {
		if known[string(n.Unescaped())] {
			names = append(names, n)
		}
	}
	if len(names) < len(c.Names) {
		e.lose("tool_choice")
	}
	switch c.Mode {
	case chat.ToolAuto:
		return "AUTO", nil
	case chat.ToolAny:
		return "ANY", nil
	case chat.ToolNone:
		return "NONE", nil
	case chat.ToolNamed:
		if len(names) == 0 {
			return "", nil
		}
		return "ANY", names[:1]
	case chat.ToolAllowed:
		switch {
		case len(names) == 0 && c.Required:
			return "", nil
		case len(names) == 0:
			return "NONE", nil
		case c.Required:
			return "ANY", names
		default:
			return "VALIDATED", names
		}
	default:
		return "", nil
	}
}

// ownSchema writes a JSON Schema as one of Gemini's.
func (e *requestEncoder) ownSchema(raw chat.Raw, param string) {
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(raw); err != nil {
		e.refuse(param, "a JSON Schema is not valid JSON")
		return
	}
	var report chat.Report
	var err error
	e.b.Append(func(dst []byte) []byte {
		dst, report, err = schema.AppendGemini(dst, t.Root(), &e.schemas)
		return dst
	})
	for _, l := range report {
		e.lost(l)
	}
	if err != nil {
		e.refuse(param, "a JSON Schema cannot be sent to this model: "+err.Error())
	}
}
