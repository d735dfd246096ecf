package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// sends says that a tool is sent.
func (e *requestEncoder) sends(t *chat.Tool) bool {
	if isServer(t) && !e.own {
		return e.sendsServer(t)
	}
	return e.choice.allowed == nil || e.choice.allowed[string(t.Name.Unescaped())]
}

// tools writes the tools and how they may be used.
func (e *requestEncoder) tools() {
	separator := byte('[')
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if !e.sends(t) {
			if isServer(t) && !e.own {
				e.lose("tools." + serverType(t))
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
	switch {
	case separator == ',':
	case e.output.form == outputTool:
		e.field("tools")
		e.b.Byte('[')
		separator = ','
		e.outputTool()
	case e.hasTools:
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
	if isServer(t) {
		e.serverTool(t)
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
	switch {
	case t.Strict != chat.True:
	case e.to.Can.NoStructuredOutput:
		e.drop("tools[].strict") // Both are the same ability of a model.
	default:
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
	for i := range e.plan.Pieces {
		b := e.plan.Pieces[i].Block
		if b.Kind != chat.ToolUse || e.plan.Pieces[i].Form != chat.AsIs {
			continue
		}
		sent := toolName(b.Name).OrEmpty()
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
