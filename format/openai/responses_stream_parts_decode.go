package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// streamPart is a part of an item whose pieces are arriving.
type streamPart struct {
	item    int
	number  int64 // 0 for items without parts
	kind    chat.BlockKind
	block   int
	closed  bool
	custom  bool // a call with free text
	cited   int  // how many citations have been told
	section section
	sent    int // bytes of the text, or of the section, unescaped
}

// section is a part of an item with reasoning: of its summary, or of the reasoning
// itself (raw). Servers tell one of them or both; the first to come counts.
type section struct {
	number int64
	raw    bool
}

// find returns a part; nil if it has not begun.
func (d *responsesStreamDecoder) find(item int, number int64) *streamPart {
	for i := len(d.parts) - 1; i >= 0; i-- {
		if p := &d.parts[i]; p.item == item && p.number == number {
			return p
		}
	}
	return nil
}

// open appends the begin of a part.
func (d *responsesStreamDecoder) open(dst []chat.Event, item int, number int64, start chat.Event) ([]chat.Event, *streamPart, error) {
	if len(d.parts) == maxStreamParts {
		return dst, nil, tooManyParts()
	}
	dst = d.start(dst, tape.Value{})
	d.parts = append(d.parts, streamPart{item: item, number: number, kind: start.Block, block: d.blocks})
	start.Kind, start.Index = chat.EventBlockStart, d.blocks
	d.blocks++
	d.has.tools = d.has.tools || start.Block == chat.ToolUse
	d.has.refusal = d.has.refusal || start.Block == chat.Refusal
	return append(dst, start), &d.parts[len(d.parts)-1], nil
}

// closePart appends the end of a part.
func (d *responsesStreamDecoder) closePart(dst []chat.Event, p *streamPart) []chat.Event {
	if p == nil || p.closed {
		return dst
	}
	p.closed = true
	if p.custom {
		if p.sent == 0 {
			dst = d.emit(dst, p, customBegin)
		}
		dst = d.emit(dst, p, customEnd)
	}
	return append(dst, chat.Event{Kind: chat.EventBlockStop, Index: p.block})
}

// emit appends a piece of a part.
func (d *responsesStreamDecoder) emit(dst []chat.Event, p *streamPart, l chat.Literal) []chat.Event {
	delta := chat.DeltaArguments
	if p.kind != chat.ToolUse {
		delta = deltaKinds[p.kind]
	}
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: p.block, Delta: delta, Text: l})
}

// size is how long a literal's value is.
func (d *responsesStreamDecoder) size(l chat.Literal) int {
	in := l.Inner()
	if bytes.IndexByte(in, '\\') < 0 {
		return len(in)
	}
	d.scratch = chat.AppendUnquoted(d.scratch[:0], l)
	return len(d.scratch)
}

// missing is what of a whole text no piece has brought; nil if nothing is.
func (d *responsesStreamDecoder) missing(p *streamPart, whole chat.Literal) chat.Literal {
	size := d.size(whole)
	switch {
	case whole.Empty() || p.sent >= size:
		return nil
	case p.sent == 0:
		return whole
	}
	d.scratch = chat.AppendUnquoted(d.scratch[:0], whole)
	return chat.AppendQuoted[[]byte](nil, d.scratch[p.sent:])
}

// piece appends a piece of a message, with the probabilities of its tokens.
func (d *responsesStreamDecoder) piece(dst []chat.Event, item int, number int64, kind chat.BlockKind, l chat.Literal, logprobs chat.Raw) ([]chat.Event, error) {
	if l.Empty() {
		return dst, nil
	}
	p := d.find(item, number)
	if p == nil {
		var err error
		if dst, p, err = d.open(dst, item, number, chat.Event{Block: kind}); err != nil {
			return dst, err
		}
	}
	if p.closed || p.kind != kind {
		return dst, nil
	}
	p.sent += d.size(l)
	dst = d.emit(dst, p, l)
	dst[len(dst)-1].Logprobs = logprobs
	return dst, nil
}

// rest appends what of a message's part no piece has brought. The probabilities
// are those of the whole text, so they are told with the whole only.
func (d *responsesStreamDecoder) rest(dst []chat.Event, item int, number int64, kind chat.BlockKind, whole chat.Literal, logprobs chat.Raw) ([]chat.Event, error) {
	p := d.find(item, number)
	switch {
	case p == nil:
		return d.piece(dst, item, number, kind, whole, logprobs)
	case p.kind != kind:
		return dst, nil
	default:
		return d.piece(dst, item, number, kind, d.missing(p, whole), nil)
	}
}

// cite appends a citation of a message's text, if there is a text.
func (d *responsesStreamDecoder) cite(dst []chat.Event, item int, number int64, v tape.Value) ([]chat.Event, error) {
	p := d.find(item, number)
	if p == nil || p.closed || p.kind != chat.Text || p.cited == maxCitations || v.Kind() != tape.Object {
		return dst, nil
	}
	p.cited++
	c := citationIn(v)
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: p.block, Delta: chat.DeltaCitation, Citation: &c}), nil
}

// contentPart appends what of a message's part no event has brought, and its end.
func (d *responsesStreamDecoder) contentPart(dst []chat.Event, item int, number int64, v tape.Value) ([]chat.Event, error) {
	kind, text := chat.Text, v.Get("text").Literal()
	switch part := v.Get("type"); {
	case part.Is("refusal"):
		kind, text = chat.Refusal, v.Get("refusal").Literal()
	case !part.Is("output_text"):
		return dst, nil // reasoning, at some servers
	}
	dst, err := d.rest(dst, item, number, kind, text, logprobsIn(v.Get("logprobs")))
	if err != nil {
		return dst, err
	}
	p := d.find(item, number)
	if p == nil || p.kind != kind {
		return dst, nil
	}
	told := 0
	for annotation := range v.Get("annotations").Elements {
		if told++; told <= p.cited {
			continue
		}
		if dst, err = d.cite(dst, item, number, annotation); err != nil {
			return dst, err
		}
	}
	return d.closePart(dst, p), nil
}

// betweenSections stands between the sections of a summary.
var betweenSections = chat.Literal(`"\n\n"`)

// thought appends a piece of reasoning, or what of a section no piece has
// brought.
func (d *responsesStreamDecoder) thought(dst []chat.Event, item int, at section, l chat.Literal, whole bool) ([]chat.Event, error) {
	if l.Empty() {
		return dst, nil
	}
	p := d.find(item, 0)
	if p == nil {
		var err error
		if dst, p, err = d.open(dst, item, 0, chat.Event{Block: chat.Thinking, Origin: originResponses}); err != nil {
			return dst, err
		}
		p.section = at
	}
	if p.closed || p.kind != chat.Thinking || at.raw != p.section.raw || at.number < p.section.number {
		return dst, nil
	}
	if at.number > p.section.number {
		dst = d.emit(dst, p, betweenSections)
		p.section, p.sent = at, 0
	}
	if whole {
		if l = d.missing(p, l); l.Empty() {
			return dst, nil
		}
	}
	p.sent += d.size(l)
	return d.emit(dst, p, l), nil
}

// reasoningDone appends what of reasoning no piece has brought, and its sealed
// form.
func (d *responsesStreamDecoder) reasoningDone(dst []chat.Event, item int, v tape.Value) ([]chat.Event, error) {
	sections, at := v.Member("summary"), section{}
	if p := d.find(item, 0); sections.Len() == 0 || p != nil && p.section.raw {
		sections, at.raw = v.Member("content"), true
	}
	var err error
	for one := range sections.Elements {
		if dst, err = d.thought(dst, item, at, one.Get("text").Literal(), true); err != nil {
			return dst, err
		}
		at.number++
	}
	sealed := v.Member("encrypted_content").Literal()
	if sealed.Empty() {
		return dst, nil
	}
	p := d.find(item, 0)
	if p == nil {
		if dst, p, err = d.open(dst, item, 0, chat.Event{Block: chat.Thinking, Origin: originResponses}); err != nil {
			return dst, err
		}
	}
	if p.closed || p.kind != chat.Thinking {
		return dst, nil
	}
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: p.block, Delta: chat.DeltaSignature, Text: sealed, Origin: originResponses}), nil
}
