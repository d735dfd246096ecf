package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// toolName returns the name under which a tool is sent.
func (e *responsesEncoder) toolName(l chat.Literal) chat.Literal {
	return responsesToolNames.Fit(l)
}

// tools writes the tools and how they may be used.
func (e *responsesEncoder) tools() {
	any := e.toolList(func(t *chat.Tool) bool {
		if e.sends(t) {
			return true
		}
		e.lose("tools." + serverToolName(t))
		return false
	}, e.tool)
	if !any {
		e.withoutTools()
		return
	}
	e.toolChoice()
	e.truth("parallel_tool_calls", e.r.ParallelTools)
}

// tool writes the definition of a tool. Absent strictness would mean strict
// here, so it is always told.
func (e *responsesEncoder) tool(t *chat.Tool) {
	if isServerTool(t) {
		e.serverTool(t)
		return
	}
	if t.Cache != nil {
		e.drop("cache_control")
	}
	sent := e.toolName(t.Name)
	e.b.Str(`{"type":"`)
	e.b.Str(e.toolType(t))
	e.b.Str(`","name":`)
	e.b.Raw(sent)
	e.raw("description", t.Description)
	if t.Custom != nil {
		e.raw("format", t.Custom)
	} else {
		e.field("parameters")
		if t.Schema == nil {
			e.b.Str(`{"type":"object","properties":{}}`)
		} else {
			e.schema(t.Schema)
		}
		if t.Strict == chat.True {
			e.b.Str(`,"strict":true`)
		} else {
			e.b.Str(`,"strict":false`)
		}
	}
	e.b.Byte('}')
	if !bytes.Equal(sent, t.Name) {
		e.to.Names.Add(sent.String(), t.Name)
		e.approximate("tools[].name")
	}
}

// isServerTool says that the upstream runs a tool, not the client.
func isServerTool(t *chat.Tool) bool { return t.Type != "" || t.Server != chat.ServerOther }

// serverToolName is how a report calls a tool that the upstream runs.
func serverToolName(t *chat.Tool) string {
	switch {
	case t.Type != "":
		return t.Type
	case t.Server == chat.ServerWebSearch:
		return "web_search"
	default:
		return "unknown"
	}
}

// sends says that a tool is sent: one of those that the upstream runs only if the
// client knows them by this format, or the model's operator wants them.
func (e *responsesEncoder) sends(t *chat.Tool) bool {
	if !isServerTool(t) || e.speaks() && t.Raw != nil {
		return true
	}
	return e.to.ServerTools.Has(t.Server) && serverTools[t.Server] != ""
}

// serverTools are the tools of other formats that this one has, too.
var serverTools = map[chat.ServerTool]string{
	chat.ServerWebSearch:     `{"type":"web_search"}`,
	chat.ServerCodeExecution: `{"type":"code_interpreter","container":{"type":"auto"}}`,
}

// serverTool writes a tool that the upstream runs.
func (e *responsesEncoder) serverTool(t *chat.Tool) {
	if e.speaks() && t.Raw != nil {
		e.b.Raw(t.Raw)
		return
	}
	e.b.Str(serverTools[t.Server])
}

// toolType is the type of a tool that the client runs.
func (e *responsesEncoder) toolType(t *chat.Tool) string {
	if t.Custom != nil || t.Type == "custom" {
		return "custom"
	}
	return "function"
}

// find returns the tool with a name, nil if it is not sent.
func (e *responsesEncoder) find(name chat.Literal) *chat.Tool {
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if t.Name != nil && t.Name.Equal(name) && (!isServerTool(t) || e.speaks()) {
			return t
		}
	}
	return nil
}

// toolChoice writes which tools may or must be called. A choice of tools that
// are not sent is left out.
func (e *responsesEncoder) toolChoice() {
	switch choice := &e.r.ToolChoice; choice.Mode {
	case chat.ToolNamed, chat.ToolAllowed:
		e.chosenTools(choice)
	default:
		e.toolMode(choice.Mode)
	}
}

// chosenTools demands a tool, or permits some.
func (e *responsesEncoder) chosenTools(choice *chat.ToolChoice) {
	any := false
	for _, n := range choice.Names {
		t := e.find(n)
		if t == nil {
			e.lose("tool_choice")
			continue
		}
		switch {
		case any:
			e.b.Byte(',')
		case choice.Mode == chat.ToolNamed:
			e.field("tool_choice")
		case choice.Required:
			e.field("tool_choice")
			e.b.Str(`{"type":"allowed_tools","mode":"required","tools":[`)
		default:
			e.field("tool_choice")
			e.b.Str(`{"type":"allowed_tools","mode":"auto","tools":[`)
		}
		any = true
		e.b.Str(`{"type":"`)
		e.b.Str(e.toolType(t))
		e.b.Str(`","name":`)
		e.b.Raw(e.toolName(t.Name))
		e.b.Byte('}')
		if choice.Mode == chat.ToolNamed {
			return
		}
	}
	if any {
		e.b.Str("]}")
	}
}
