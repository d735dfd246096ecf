package openai

import (
	"bytes"
	"sync"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Limits of names.
const (
	maxToolName = 64
	maxCallID   = 40
)

// tools writes the tools and how they may be used.
func (e *requestEncoder) tools() {
	any := false
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if t.Type != "" && !e.speaks() {
			e.lost(chat.Loss{Path: "tools." + t.Type, Reason: chat.Unsupported, Meaning: true})
			continue
		}
		if any {
			e.b.Byte(',')
		} else {
			e.field("tools")
			e.b.Byte('[')
			any = true
		}
		e.tool(t)
	}
	if any {
		e.b.Byte(']')
		e.toolChoice()
		e.truth("parallel_tool_calls", e.r.ParallelTools)
		return
	}
	if e.r.ToolChoice.Mode != chat.ToolUnset && e.r.ToolChoice.Mode != chat.ToolNone {
		e.drop("tool_choice")
	}
	if e.r.ParallelTools != chat.Unset {
		e.drop("parallel_tool_calls")
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
	e.b.Str(`{"type":"function","function":{"name":`)
	sent := e.toolName(t.Name)
	e.b.Raw(sent)
	e.raw("description", t.Description)
	if t.Schema != nil {
		e.field("parameters")
		e.schema(t.Schema)
	}
	e.truth("strict", t.Strict)
	e.b.Str("}}")
	if !bytes.Equal(sent, t.Name) {
		e.to.Names.Add(sent.String(), t.Name)
		e.lost(chat.Loss{Path: "tools[].name", Reason: chat.Approximated})
	}
}

// toolName returns the name under which a tool is sent.
func (e *requestEncoder) toolName(l chat.Literal) chat.Literal { return sentName(l, maxToolName) }

// sentName returns the name of at most limit bytes under which a tool is sent.
// It depends on the name alone, so that definitions, calls and choices agree.
func sentName(l chat.Literal, limit int) chat.Literal {
	in := l.Inner()
	if len(in) > 0 && len(in) <= limit && plainName(in) {
		return l
	}
	const digits = 8
	kept := unescaped(l)
	sent := make([]byte, 0, limit)
	for _, c := range kept[:min(len(kept), limit-digits-1)] {
		if !plainName([]byte{c}) {
			c = '_'
		}
		sent = append(sent, c)
	}
	sent = append(sent, '_')
	return chat.Quote(string(append(sent, digest(digits, kept)...)))
}

// plainName says that a name has no characters but those the format takes.
func plainName(name []byte) bool {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// callID returns the id under which a call is sent.
func callID(l chat.Literal) chat.Literal { return sentID(l, maxCallID) }

// sentID returns the id of at most limit bytes under which a call is sent. It
// depends on the id alone, so that the call and its result agree.
func sentID(l chat.Literal, limit int) chat.Literal {
	in := l.Inner()
	if len(in) > 0 && len(in) <= limit && bytes.IndexByte(in, '\\') < 0 {
		return l
	}
	id := unescaped(l)
	if len(id) > 0 && len(id) <= limit {
		return l
	}
	return chat.Quote("call_" + digest(32, id))
}

// toolChoice writes which tools may or must be called. A choice of tools that
// are not sent is left out.
func (e *requestEncoder) toolChoice() {
	choice := &e.r.ToolChoice
	var word string
	switch choice.Mode {
	case chat.ToolAuto:
		word = "auto"
	case chat.ToolAny:
		word = "required"
	case chat.ToolNone:
		word = "none"
	case chat.ToolNamed:
		e.namedTool(choice.Names)
		return
	case chat.ToolAllowed:
		e.allowedTools(choice)
		return
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
		e.lost(chat.Loss{Path: "tool_choice", Reason: chat.Unsupported, Meaning: true})
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
			e.lost(chat.Loss{Path: "tool_choice", Reason: chat.Unsupported, Meaning: true})
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
		if sameText(t.Name, name) && (t.Type == "" || e.speaks()) {
			return t
		}
	}
	return nil
}

// toolReference names a tool.
func (e *requestEncoder) toolReference(t *chat.Tool) {
	kind := "function"
	if t.Type == "custom" {
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

// sameText says that two literals have the same value.
func sameText(a, b chat.Literal) bool {
	return bytes.Equal(a, b) || bytes.Equal(unescaped(a), unescaped(b))
}

var tapes = sync.Pool{New: func() any { return new(tape.Tape) }}

// schema writes the schema of a tool's arguments. OpenAI wants an object with
// properties at its root, and says so with a 400 if there is none.
func (e *requestEncoder) schema(schema chat.Raw) {
	if bytes.HasPrefix(schema, []byte(`{"type":"object"`)) && bytes.Contains(schema, []byte(`"properties"`)) {
		e.b.Raw(schema)
		return
	}
	t := tapes.Get().(*tape.Tape)
	defer tapes.Put(t)
	defer t.Reset()
	if err := t.Parse(schema); err != nil || t.Root().Kind() != tape.Object {
		e.b.Str(`{"type":"object","properties":{}}`)
		return
	}
	root := t.Root()
	inner := bytes.TrimSpace(schema)[1:]
	e.b.Byte('{')
	separator := ""
	if !root.Get("type").Exists() {
		e.b.Str(`"type":"object"`)
		separator = ","
	}
	if bare(root) {
		e.b.Str(separator)
		e.b.Str(`"properties":{}`)
		separator = ","
	}
	if root.Len() > 0 {
		e.b.Str(separator)
	}
	e.b.Raw(inner)
}

// bare says that nothing in a schema's root tells the properties.
func bare(root tape.Value) bool {
	for _, key := range []string{"properties", "$ref", "anyOf", "oneOf", "allOf"} {
		if root.Get(key).Exists() {
			return false
		}
	}
	return true
}
