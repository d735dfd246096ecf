package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// itemIDs makes the ids of items: the same ones wherever an answer tells them.
type itemIDs struct{ base string }

// newItemIDs returns the ids of an answer's items.
func newItemIDs(answer chat.Literal, x *chat.Exchange) itemIDs {
	return itemIDs{base: format.Digest(32, []byte(x.RequestID), answer)}
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
			if signedCall(b) {
				dst = e.begin(dst)
				dst = appendReasoning(dst, e.ids, e.items-1, nil, false, b.Origin, b.Signature.Inner())
			}
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
			e.report.Lose("content." + b.Kind.String())
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
	return e.part(dst, b)
}

// part appends a part of a message with what is told about its text.
func (e *outputEncoder) part(dst []byte, b *chat.Block) []byte {
	p := textPart{kind: b.Kind, text: b.Text.Inner(), logprobs: elements(b.Logprobs)}
	for i := range b.Citations {
		if p.annotate(&b.Citations[i]) == nil {
			e.report.Drop("content.citations")
		}
	}
	return p.append(dst)
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

// textPart is a part of a message: Text or Refusal.
type textPart struct {
	kind        chat.BlockKind
	text        []byte // escaped and without quotes
	annotations []byte // one after the other, without brackets
	cited       int    // how many annotations there are
	logprobs    []byte // without brackets
}

// annotate adds a citation as an annotation. It returns the annotation; nil if the
// format cannot tell it.
func (p *textPart) annotate(c *chat.Citation) []byte {
	from := len(p.annotations)
	if p.cited > 0 {
		p.annotations = append(p.annotations, ',')
	}
	at := len(p.annotations)
	out, ok := appendAnnotation(p.annotations, c, p.text)
	if !ok {
		p.annotations = p.annotations[:from]
		return nil
	}
	p.annotations = out
	p.cited++
	return out[at:]
}

// reset empties the part and keeps its memory.
func (p *textPart) reset() {
	p.text, p.annotations, p.logprobs, p.cited = p.text[:0], p.annotations[:0], p.logprobs[:0], 0
}

// append appends the part.
func (p *textPart) append(dst []byte) []byte {
	if p.kind == chat.Refusal {
		dst = append(dst, `{"type":"refusal","refusal":"`...)
		dst = append(dst, p.text...)
		return append(dst, `"}`...)
	}
	dst = append(dst, `{"type":"output_text","text":"`...)
	dst = append(dst, p.text...)
	dst = append(dst, `","annotations":[`...)
	dst = append(dst, p.annotations...)
	dst = append(dst, `],"logprobs":[`...)
	dst = appendOneLine(dst, p.logprobs)
	return append(dst, "]}"...)
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
