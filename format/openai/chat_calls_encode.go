package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// appendCalls appends the tool calls of an answer. Clients that know functions
// only can be told one.
func appendCalls(dst []byte, r *chat.Response, x *chat.Exchange, report *chat.Report) []byte {
	number := 0
	for i := range r.Blocks {
		b := &r.Blocks[i]
		switch {
		case b.Kind != chat.ToolUse:
			continue
		case number > 0 && x.LegacyFunctions:
			report.Lose("tool_calls")
			return dst
		case x.LegacyFunctions:
			dst = append(dst, `,"function_call":`...)
			dst = appendFunction(dst, b, x)
			number++
			continue
		case number == 0:
			dst = append(dst, `,"tool_calls":[`...)
		default:
			dst = append(dst, ',')
		}
		dst = appendCall(dst, b, x, number)
		number++
	}
	if x.LegacyFunctions {
		return dst
	}
	return append(dst, ']')
}

// appendCall appends a tool call. What a tool that takes free text is called with
// becomes that text again.
func appendCall(dst []byte, b *chat.Block, x *chat.Exchange, number int) []byte {
	dst = append(dst, `{"id":`...)
	if b.ID.Empty() {
		dst = append(dst, madeID([]byte(x.RequestID), b.Name, number)...)
	} else {
		dst = append(dst, b.ID...)
	}
	if tool := calledTool(x, b.Name); tool.custom {
		dst = append(dst, `,"type":"custom","custom":{"name":`...)
		dst = append(dst, tool.name...)
		dst = append(dst, `,"input":`...)
		dst = appendInput(dst, b.Arguments)
		dst = append(dst, '}')
	} else {
		dst = append(dst, `,"type":"function","function":`...)
		dst = appendFunction(dst, b, x)
	}
	dst = appendCallSignature(dst, b.Signature, b.Origin)
	return append(dst, '}')
}

// appendFunction appends what is called, under the client's own name of it.
func appendFunction(dst []byte, b *chat.Block, x *chat.Exchange) []byte {
	dst = append(dst, `{"name":`...)
	dst = append(dst, x.Names.Original(b.Name).OrEmpty()...)
	dst = append(dst, `,"arguments":`...)
	switch {
	case len(b.Arguments.Object) > 0:
		dst = chat.AppendQuoted(dst, []byte(b.Arguments.Object))
	case b.Arguments.Text.Blank():
		dst = append(dst, `"{}"`...)
	default:
		dst = append(dst, b.Arguments.Text...)
	}
	return append(dst, '}')
}
