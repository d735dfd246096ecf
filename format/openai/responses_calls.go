package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// call appends a call of a tool.
func (e *outputEncoder) call(dst []byte, b *chat.Block) []byte {
	called := calledTool(e.x, b.Name)
	id := b.ID
	if id.Empty() {
		id = madeID([]byte(e.x.RequestID), b.Name, e.items)
	}
	dst = called.appendHead(dst, e.ids, e.items-1, id, "completed")
	switch {
	case called.custom:
		dst = appendInput(dst, b.Arguments)
	case len(b.Arguments.Object) > 0:
		dst = chat.AppendQuoted(dst, []byte(b.Arguments.Object))
	case b.Arguments.Text.Blank():
		dst = append(dst, noArguments...)
	default:
		dst = append(dst, b.Arguments.Text...)
	}
	return append(dst, '}')
}

// called is a tool as the client knows it.
type called struct {
	name, namespace chat.Literal
	custom          bool
}

// calledTool finds the tool that the upstream calls by a name.
func calledTool(x *chat.Exchange, sent chat.Literal) called {
	c := called{name: x.Names.Original(sent).OrEmpty()}
	if x.Request == nil {
		return c
	}
	for i := range x.Request.Tools {
		t := &x.Request.Tools[i]
		if !t.Name.Equal(c.name) || t.Name == nil {
			continue
		}
		c.custom = t.Custom != nil
		if t.Namespace != nil {
			const between = len("__")
			c.namespace = t.Namespace
			bare := t.Name.Inner()[len(t.Namespace.Inner())+between:]
			c.name = append(append(append(make(chat.Literal, 0, len(bare)+2), '"'), bare...), '"')
		}
		break
	}
	return c
}

// prefix is the prefix of the ids of the tool's calls.
func (c *called) prefix() string {
	if c.custom {
		return customPrefix
	}
	return callPrefix
}

// appendHead appends an item with a call up to its arguments.
func (c *called) appendHead(dst []byte, ids itemIDs, number int, id chat.Literal, status string) []byte {
	dst = append(dst, `{"id":"`...)
	dst = ids.append(dst, c.prefix(), number)
	if c.custom {
		dst = append(dst, `","type":"custom_tool_call","status":"`...)
	} else {
		dst = append(dst, `","type":"function_call","status":"`...)
	}
	dst = append(dst, status...)
	dst = append(dst, `","call_id":`...)
	dst = append(dst, id...)
	if c.namespace != nil {
		dst = append(dst, `,"namespace":`...)
		dst = append(dst, c.namespace...)
	}
	dst = append(dst, `,"name":`...)
	dst = append(dst, c.name...)
	if c.custom {
		return append(dst, `,"input":`...)
	}
	return append(dst, `,"arguments":`...)
}
