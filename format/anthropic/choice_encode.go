package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
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
	if c.forced && e.to.Can.ForcedTool == capability.ForcedRefused {
		e.demandCall()
	}
}

// demandCall demands a call in words, of a model that cannot be forced. Of a
// named tool's choice only that tool is left.
func (e *requestEncoder) demandCall() {
	c := &e.choice
	if c.mode == chat.ToolNamed {
		c.allowed = map[string]bool{c.name.String(): true}
		e.sentences = append(e.sentences, "In your next answer you must call the tool "+toolName(c.name).String()+".")
	} else {
		e.sentences = append(e.sentences, "In your next answer you must call at least one of the tools.")
	}
	c.mode, c.name, c.forced = chat.ToolAuto, nil, false
	e.lost(chat.Loss{Path: "tool_choice", Reason: chat.Approximated, Meaning: true})
}

// namedTool returns the name of the tool that must be called; nil if it is not
// sent.
func (e *requestEncoder) namedTool(names []chat.Literal) chat.Literal {
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; len(names) > 0 && !isServer(t) && t.Name.Equal(names[0]) && e.sends(t) {
			return t.Name
		}
	}
	return nil
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
	mode, named := c.mode, c.name
	if e.output.form == outputTool {
		mode, named = chat.ToolNamed, e.output.tool
	}
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
		e.raw("name", toolName(named))
	}
	if sequential {
		e.field("disable_parallel_tool_use")
		e.b.Str("true")
	}
	e.b.Byte('}')
}
