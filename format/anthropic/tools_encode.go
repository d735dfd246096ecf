package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// choice is which tools are sent, and which of them may or must be called.
type choice struct {
	// allowed are the names of the only tools that are sent; nil for all.
	allowed map[string]bool
	any     bool // there is a tool to send
	mode    chat.ToolMode
	name    chat.Literal // of the tool that must be called
	forced  bool         // some tool must be called
}

// settleTools decides which tools are sent and how they may be used. Anthropic
// refuses a choice without tools, and a choice of one that is not sent.
func (e *requestEncoder) settleTools() {
	c, asked := &e.choice, &e.r.ToolChoice
	c.mode = asked.Mode
	if asked.Mode == chat.ToolAllowed {
		c.allowed = make(map[string]bool, len(asked.Names))
		for _, n := range asked.Names {
			c.allowed[n.String()] = true
		}
		e.report.Approximate("tool_choice")
	}
	for i := range e.r.Tools {
		c.any = c.any || e.sends(&e.r.Tools[i])
	}
	switch asked.Mode {
	case chat.ToolAllowed:
		c.mode = chat.ToolAuto
		if asked.Required {
			c.mode = chat.ToolAny
		}
	case chat.ToolNamed:
		c.name = e.namedTool(asked.Names)
		if c.name == nil {
			c.mode = chat.ToolUnset
			e.lose("tool_choice")
		}
	}
	if !c.any {
		if c.mode == chat.ToolAny {
			e.lose("tool_choice")
		}
		c.mode = chat.ToolUnset
		if e.hasTools {
			c.mode = chat.ToolNone
		}
	}
	c.forced = c.mode == chat.ToolAny || c.mode == chat.ToolNamed
}

// namedTool returns the name of the tool that must be called; nil if it is not
// sent.
func (e *requestEncoder) namedTool(names []chat.Literal) chat.Literal {
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; len(names) > 0 && sameText(t.Name, names[0]) && e.sends(t) {
			return t.Name
		}
	}
	return nil
}

// sends says that a tool is sent.
func (e *requestEncoder) sends(t *chat.Tool) bool {
	if t.Type != "" && !e.own {
		return false
	}
	return e.choice.allowed == nil || e.choice.allowed[string(unescaped(t.Name))]
}

// tools writes the tools and how they may be used.
func (e *requestEncoder) tools() {
	separator := byte('[')
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if !e.sends(t) {
			if t.Type != "" && !e.own {
				e.lose("tools." + t.Type)
			}
			continue
		}
		if separator == '[' {
			e.field("tools")
		}
		e.b.Byte(separator)
		separator = ','
		e.tool(t)
	}
	if separator == '[' && e.hasTools {
		e.historyTools()
		separator = ','
	}
	if separator == ',' {
		e.b.Byte(']')
	}
	e.toolChoice()
}

// tool writes the definition of a tool.
func (e *requestEncoder) tool(t *chat.Tool) {
	if t.Type != "" {
		e.b.Raw(t.Raw)
		return
	}
	sent := toolName(t.Name)
	if !bytes.Equal(sent, t.Name) {
		e.to.Names.Add(sent.String(), t.Name)
		e.lost(chat.Loss{Path: "tools[].name", Reason: chat.Approximated})
	}
	e.b.Str(`{"name":`)
	e.b.Raw(sent)
	if !t.Description.Empty() {
		e.raw("description", t.Description)
	}
	e.field("input_schema")
	e.inputSchema(t.Schema)
	if t.Strict == chat.True {
		e.field("strict")
		e.b.Str("true")
	}
	e.cache(t.Cache)
	e.b.Byte('}')
}

// historyTools writes the least definitions of the tools that were called
// before: Anthropic wants them although they cannot be called any more.
func (e *requestEncoder) historyTools() {
	e.field("tools")
	separator := byte('[')
	seen := map[string]bool{}
	for i := range e.pieces {
		b := e.pieces[i].block
		if b.Kind != chat.ToolUse || e.pieces[i].form != asIs {
			continue
		}
		sent := orEmpty(toolName(b.Name))
		if seen[string(sent)] {
			continue
		}
		seen[string(sent)] = true
		e.b.Byte(separator)
		separator = ','
		e.b.Str(`{"name":`)
		e.b.Raw(sent)
		e.b.Str(`,"input_schema":{"type":"object"}}`)
	}
}

// choiceTypes are the types of tool_choice.
var choiceTypes = map[chat.ToolMode]string{
	chat.ToolAuto: "auto", chat.ToolAny: "any", chat.ToolNone: "none", chat.ToolNamed: "tool",
}

// toolChoice writes which tools may or must be called, and whether several at
// once.
func (e *requestEncoder) toolChoice() {
	c := &e.choice
	sequential := e.r.ParallelTools == chat.False
	if !c.any {
		if sequential {
			e.drop("parallel_tool_calls")
		}
		sequential = false
	}
	mode := c.mode
	switch {
	case mode == chat.ToolUnset && !sequential:
		return
	case mode == chat.ToolUnset:
		mode = chat.ToolAuto
	case mode == chat.ToolNone:
		sequential = false // invalid there, and without meaning
	}
	e.field("tool_choice")
	e.b.Str(`{"type":"`)
	e.b.Str(choiceTypes[mode])
	e.b.Byte('"')
	if mode == chat.ToolNamed {
		e.raw("name", toolName(c.name))
	}
	if sequential {
		e.field("disable_parallel_tool_use")
		e.b.Str("true")
	}
	e.b.Byte('}')
}
