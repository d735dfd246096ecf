package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// webSearchField is the field that lets the model search the web. It is not among
// the tools.
const webSearchField = "web_search_options"

// tools writes the tools and how they may be used.
func (e *requestEncoder) tools() {
	any := e.toolList(func(t *chat.Tool) bool {
		return t.Server != chat.ServerWebSearch && (t.Type == "" || e.speaks())
	}, e.tool)
	e.serverTools()
	if !any {
		e.withoutTools()
		return
	}
	e.toolChoice()
	e.truth("parallel_tool_calls", e.r.ParallelTools)
}

// toolList writes the tools that are sent, and says whether there are any.
func (e *requestEncoder) toolList(sends func(t *chat.Tool) bool, write func(t *chat.Tool)) (any bool) {
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if !sends(t) {
			continue
		}
		if any {
			e.b.Byte(',')
		} else {
			e.field("tools")
			e.b.Byte('[')
			any = true
		}
		write(t)
	}
	if any {
		e.b.Byte(']')
	}
	return any
}

// withoutTools reports how tools may be used where none is sent.
func (e *requestEncoder) withoutTools() {
	if e.r.ToolChoice.Mode != chat.ToolUnset && e.r.ToolChoice.Mode != chat.ToolNone {
		e.drop("tool_choice")
	}
	if e.r.ParallelTools != chat.Unset {
		e.drop("parallel_tool_calls")
	}
}

// serverTools writes the one tool that providers run themselves and that this
// format knows, and reports the others.
func (e *requestEncoder) serverTools() {
	searches := false
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		switch {
		case t.Type == "", t.Server != chat.ServerWebSearch && e.speaks():
		case t.Server != chat.ServerWebSearch, !e.speaks() && !e.to.ServerTools.Has(t.Server):
			e.lose("tools." + t.Type)
		case searches: // one is enough
		case e.speaks():
			searches = true
			e.raw(webSearchField, t.Raw)
		default:
			searches = true
			e.raw(webSearchField, []byte("{}"))
		}
	}
}

// speaks says that the client's own format is this one, so that what has no
// neutral meaning may be sent as it was.
func (e *requestEncoder) speaks() bool { return e.r.Format == origin }

// tool writes the definition of a tool.
func (e *requestEncoder) tool(t *chat.Tool) {
	if t.Type != "" {
		e.b.Raw(t.Raw)
		return
	}
	if t.Cache != nil {
		e.drop("cache_control")
	}
	sent := e.toolName(t.Name)
	if e.sendsCustom(t) {
		e.custom(t, sent)
	} else {
		e.b.Str(`{"type":"function","function":{"name":`)
		e.b.Raw(sent)
		e.raw("description", t.Description)
		if t.Schema != nil {
			e.field("parameters")
			e.schema(t.Schema)
		}
		e.truth("strict", t.Strict)
		e.b.Str("}}")
	}
	if !bytes.Equal(sent, t.Name) {
		e.to.Names.Add(sent.String(), t.Name)
		e.approximate("tools[].name")
	}
}

// custom writes the definition of a tool that takes free text.
func (e *requestEncoder) custom(t *chat.Tool, sent chat.Literal) {
	e.customs = true
	e.b.Str(`{"type":"custom","custom":{"name":`)
	e.b.Raw(sent)
	e.raw("description", t.Description)
	if !bytes.Equal(t.Custom, plainText) {
		e.field("format")
		e.b.Append(func(dst []byte) []byte { return appendTextFormat(dst, t.Custom) })
	}
	e.b.Str("}}")
}

// sendsCustom says that a tool is sent as one that takes free text. Of the
// upstreams that a client of another format cannot have had in mind, only OpenAI's
// own reasoning models are known to take such tools.
func (e *requestEncoder) sendsCustom(t *chat.Tool) bool {
	return t.Custom != nil && (e.speaks() || e.to.Can.Reasons && e.to.Can.DeveloperRole)
}

// sentCustom says that a called tool is sent as one that takes free text.
// Definitions come behind the calls, so it looks at what the client sent.
func (e *requestEncoder) sentCustom(name chat.Literal) bool {
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; t.Custom != nil && t.Name.Equal(name) {
			return e.sendsCustom(t)
		}
	}
	return false
}

// toolName returns the name under which a tool is sent.
func (e *requestEncoder) toolName(l chat.Literal) chat.Literal { return chatToolNames.Fit(l) }

// toolChoice writes which tools may or must be called. A choice of tools that
// are not sent is left out.
func (e *requestEncoder) toolChoice() {
	switch choice := &e.r.ToolChoice; choice.Mode {
	case chat.ToolNamed:
		e.namedTool(choice.Names)
	case chat.ToolAllowed:
		e.allowedTools(choice)
	default:
		e.toolMode(choice.Mode)
	}
}

// toolMode writes a choice that names no tool.
func (e *requestEncoder) toolMode(mode chat.ToolMode) {
	word := ""
	switch mode {
	case chat.ToolAuto:
		word = "auto"
	case chat.ToolAny:
		word = "required"
	case chat.ToolNone:
		word = "none"
	default:
		return
	}
	e.field("tool_choice")
	e.b.Quote(word)
}

// namedTool demands a tool.
func (e *requestEncoder) namedTool(names []chat.Literal) {
	if len(names) == 0 {
		return
	}
	tool := e.sent(names[0])
	if tool == nil {
		e.lose("tool_choice")
		return
	}
	e.field("tool_choice")
	e.toolReference(tool)
}

// allowedTools permits some of the tools.
func (e *requestEncoder) allowedTools(choice *chat.ToolChoice) {
	any := false
	for _, n := range choice.Names {
		tool := e.sent(n)
		if tool == nil {
			e.lose("tool_choice")
			continue
		}
		if any {
			e.b.Byte(',')
		} else {
			any = true
			e.field("tool_choice")
			e.b.Str(`{"type":"allowed_tools","allowed_tools":{"mode":`)
			if choice.Required {
				e.b.Str(`"required"`)
			} else {
				e.b.Str(`"auto"`)
			}
			e.b.Str(`,"tools":[`)
		}
		e.toolReference(tool)
	}
	if any {
		e.b.Str("]}}")
	}
}

// sent returns the tool with a name, nil if it is not sent.
func (e *requestEncoder) sent(name chat.Literal) *chat.Tool {
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if t.Name != nil && t.Name.Equal(name) && (t.Type == "" || e.speaks()) {
			return t
		}
	}
	return nil
}

// toolReference names a tool.
func (e *requestEncoder) toolReference(t *chat.Tool) {
	kind := "function"
	if e.sendsCustom(t) {
		kind = "custom"
	}
	e.b.Str(`{"type":"`)
	e.b.Str(kind)
	e.b.Str(`","`)
	e.b.Str(kind)
	e.b.Str(`":{"name":`)
	e.b.Raw(e.toolName(t.Name))
	e.b.Str("}}")
}
