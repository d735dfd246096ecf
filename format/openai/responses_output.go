package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// itemIDs makes the ids of items: the same ones wherever an answer tells them.
type itemIDs struct{ base string }

// newItemIDs returns the ids of an answer's items.
func newItemIDs(answer chat.Literal, x *chat.Exchange) itemIDs {
	return itemIDs{base: digest(32, []byte(x.RequestID), answer)}
}

// append appends the id of an item with a number, without quotes.
func (d itemIDs) append(dst []byte, prefix string, number int) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, prefix...)
	dst = append(dst, d.base...)
	return append(dst, digits[number>>12&15], digits[number>>8&15], digits[number>>4&15], digits[number&15])
}

// Prefixes of the ids of items.
const (
	messagePrefix   = "msg_"
	callPrefix      = "fc_"
	customPrefix    = "ctc_"
	reasoningPrefix = "rs_"
)

// outputEncoder writes the items of a complete answer.
type outputEncoder struct {
	x      *chat.Exchange
	ids    itemIDs
	items  int
	open   bool // a message is
	has    content
	report chat.Report
}

// output appends the items.
func (e *outputEncoder) output(dst []byte, blocks []chat.Block) []byte {
	for i := range blocks {
		b := &blocks[i]
		if b.Kind == chat.Text || b.Kind == chat.Refusal {
			dst = e.said(dst, b)
			continue
		}
		dst = e.closeMessage(dst)
		switch b.Kind {
		case chat.ToolUse:
			e.has.tools = true
			dst = e.begin(dst)
			dst = e.call(dst, b)
		case chat.Thinking, chat.RedactedThinking:
			if b.Text.Empty() && b.Signature.Empty() {
				continue
			}
			dst = e.begin(dst)
			dst = e.thought(dst, b)
		case chat.Opaque:
			if b.Origin != originResponses {
				e.report.Drop("content." + b.Type)
				continue
			}
			dst = e.begin(dst)
			dst = append(dst, b.Raw...)
		default:
			e.report.Lose("content." + kindName(b.Kind))
		}
	}
	return e.closeMessage(dst)
}

// begin begins another item.
func (e *outputEncoder) begin(dst []byte) []byte {
	if e.items > 0 {
		dst = append(dst, ',')
	}
	e.items++
	return dst
}

// said appends a part of a message.
func (e *outputEncoder) said(dst []byte, b *chat.Block) []byte {
	if b.Text.Empty() {
		return dst
	}
	e.has.refusal = e.has.refusal || b.Kind == chat.Refusal
	if e.open {
		dst = append(dst, ',')
	} else {
		e.open = true
		dst = e.begin(dst)
		dst = appendMessageHead(dst, e.ids, e.items-1, "completed")
	}
	return appendTextPart(dst, b.Kind, b.Text.Inner())
}

// closeMessage ends the message.
func (e *outputEncoder) closeMessage(dst []byte) []byte {
	if !e.open {
		return dst
	}
	e.open = false
	return append(dst, "]}"...)
}

// appendMessageHead appends a message up to the parts of its content.
func appendMessageHead(dst []byte, ids itemIDs, number int, status string) []byte {
	dst = append(dst, `{"id":"`...)
	dst = ids.append(dst, messagePrefix, number)
	dst = append(dst, `","type":"message","status":"`...)
	dst = append(dst, status...)
	return append(dst, `","role":"assistant","content":[`...)
}

// appendTextPart appends a part of a message. text is escaped and without quotes.
func appendTextPart(dst []byte, kind chat.BlockKind, text []byte) []byte {
	if kind == chat.Refusal {
		dst = append(dst, `{"type":"refusal","refusal":"`...)
		dst = append(dst, text...)
		return append(dst, `"}`...)
	}
	dst = append(dst, `{"type":"output_text","text":"`...)
	dst = append(dst, text...)
	return append(dst, `","annotations":[],"logprobs":[]}`...)
}

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
	c := called{name: orEmpty(x.Names.Original(sent))}
	if x.Request == nil {
		return c
	}
	for i := range x.Request.Tools {
		t := &x.Request.Tools[i]
		if !sameText(t.Name, c.name) || t.Name == nil {
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

// thought appends an item with reasoning.
func (e *outputEncoder) thought(dst []byte, b *chat.Block) []byte {
	if b.Kind == chat.RedactedThinking {
		return appendReasoning(dst, e.ids, e.items-1, nil, true, b.Origin, b.Text.Inner())
	}
	return appendReasoning(dst, e.ids, e.items-1, b.Text.Inner(), false, b.Origin, b.Signature.Inner())
}

// appendReasoning appends an item with reasoning. The text and the sealed data
// are escaped and without quotes.
func appendReasoning(dst []byte, ids itemIDs, number int, text []byte, redacted bool, origin string, sealed []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = ids.append(dst, reasoningPrefix, number)
	dst = append(dst, `","type":"reasoning","summary":[`...)
	if len(text) > 0 {
		dst = appendSummaryPart(dst, text)
	}
	dst = append(dst, ']')
	if len(sealed) > 0 {
		dst = append(dst, `,"encrypted_content":`...)
		dst = appendSealed(dst, redacted, origin, sealed)
	}
	return append(dst, '}')
}

// appendSummaryPart appends a part of a summary.
func appendSummaryPart(dst, text []byte) []byte {
	dst = append(dst, `{"type":"summary_text","text":"`...)
	dst = append(dst, text...)
	return append(dst, `"}`...)
}
