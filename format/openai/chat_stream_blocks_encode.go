package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// maxHeldInput is how much free text a tool can be called with, in bytes.
const maxHeldInput = 4 << 20

// block returns what is known of block i.
func (e *chatStreamEncoder) block(i int) *streamBlock {
	for len(e.blocks) <= i {
		e.blocks = append(e.blocks, streamBlock{})
	}
	return &e.blocks[i]
}

// blockStart appends the begin of a tool call. Text needs none.
func (e *chatStreamEncoder) blockStart(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	*b = streamBlock{kind: ev.Block, open: true, origin: ev.Origin, before: e.characters}
	switch ev.Block {
	case chat.Refusal:
		e.has.refusal = true
	case chat.ToolUse:
		return e.toolStart(dst, b, ev)
	}
	return dst
}

// delta appends a piece of a block.
func (e *chatStreamEncoder) delta(dst []byte, ev *chat.Event) []byte {
	switch ev.Delta {
	case chat.DeltaText:
		return e.text(dst, ev)
	case chat.DeltaThinking:
		return e.thinking(dst, ev)
	case chat.DeltaRefusal:
		e.has.refusal = true
		return e.piece(dst, `"refusal":`, ev)
	case chat.DeltaArguments:
		return e.arguments(dst, e.block(ev.Index), ev.Text)
	case chat.DeltaSignature:
		return e.signature(dst, e.block(ev.Index), ev)
	case chat.DeltaRedacted:
		b := e.block(ev.Index)
		b.hold(ev.Text)
		if ev.Origin != "" {
			b.origin = ev.Origin
		}
	case chat.DeltaCitation:
		e.cite(e.block(ev.Index), ev.Citation)
	}
	return dst
}

// text appends a piece of the text.
func (e *chatStreamEncoder) text(dst []byte, ev *chat.Event) []byte {
	e.characters += charactersOf(ev.Text.Inner())
	return e.piece(dst, `"content":`, ev)
}

// thinking appends a piece of the reasoning. It is held for makers that want it
// back as it was.
func (e *chatStreamEncoder) thinking(dst []byte, ev *chat.Event) []byte {
	if b := e.block(ev.Index); b.origin == originAnthropic || b.origin == origin {
		b.hold(ev.Text)
	}
	if e.hides {
		return dst
	}
	return e.piece(dst, `"reasoning_content":`, ev)
}

// piece appends a chunk with a piece of a text and the probabilities of its
// tokens.
func (e *chatStreamEncoder) piece(dst []byte, member string, ev *chat.Event) []byte {
	if ev.Text.Empty() && ev.Logprobs == nil {
		return dst
	}
	dst = e.begin(dst, member)
	dst = append(dst, ev.Text.OrEmpty()...)
	if ev.Logprobs == nil {
		return e.close(dst)
	}
	kind, other := `"content":`, `,"refusal":null}`
	if ev.Delta == chat.DeltaRefusal {
		kind, other = `"content":null,"refusal":`, `}`
	}
	dst = append(append(dst, `},"logprobs":{`...), kind...)
	dst = append(appendOneLine(dst, ev.Logprobs), other...)
	if e.x.IncludeUsage {
		return append(dst, endChoiceCounts...)
	}
	return append(dst, endChoice...)
}

// hold keeps a piece for the end of the block. What is too much is given up: it
// only helps clients to carry it.
func (b *streamBlock) hold(piece chat.Literal) {
	switch {
	case b.held == nil:
		b.held = append(b.held, '"')
	case len(b.held)+len(piece) > maxHeldInput:
		b.held = append(b.held[:0], '"')
		b.origin = ""
		return
	}
	b.held = append(b.held, piece.Inner()...)
}

// signature keeps the signature of thinking for the block's end, and appends that
// of a call.
func (e *chatStreamEncoder) signature(dst []byte, b *streamBlock, ev *chat.Event) []byte {
	switch {
	case ev.Text.Empty() || !b.open:
		return dst
	case b.kind == chat.ToolUse && (e.x.LegacyFunctions || ev.Origin == ""):
		return dst
	case b.kind == chat.ToolUse:
		dst = e.beginCall(dst, b)
		if !b.custom {
			dst = append(dst, `,"function":{"arguments":""}`...)
		}
		dst = appendCallSignature(dst, ev.Text, ev.Origin)
		dst = append(dst, "}]"...)
		return e.close(dst)
	}
	if b.signature == nil {
		b.signature = append(b.signature, '"')
	}
	b.signature = append(b.signature, ev.Text.Inner()...)
	b.origin = ev.Origin
	return dst
}

// cite keeps a page that the text cites for the block's end: only then it is known
// which text that is.
func (e *chatStreamEncoder) cite(b *streamBlock, c *chat.Citation) {
	if c == nil || c.URL.Empty() || !b.open || len(b.citations) == maxCitations {
		return
	}
	b.citations = append(b.citations, chat.Citation{URL: bytes.Clone(c.URL), Title: bytes.Clone(c.Title), Start: c.Start, End: c.End})
}

// blockStop appends what is told at the end of a block.
func (e *chatStreamEncoder) blockStop(dst []byte, i int) []byte {
	b := e.block(i)
	if !b.open {
		return dst
	}
	switch {
	case b.custom:
		dst = e.input(dst, b)
	case b.kind == chat.ToolUse && !b.filled:
		dst = e.arguments(dst, b, noArguments)
	case b.kind == chat.Thinking, b.kind == chat.RedactedThinking:
		e.detail(b)
	case len(b.citations) > 0:
		e.pages(b)
	}
	*b = streamBlock{kind: b.kind, tool: b.tool}
	return dst
}

// detail keeps the reasoning that the client is to carry for the stream's end.
func (e *chatStreamEncoder) detail(b *streamBlock) {
	whole := chat.Block{Kind: b.kind, Text: closed(b.held), Signature: closed(b.signature), Origin: b.origin}
	if !carried(&whole) || len(e.details)+len(b.held)+len(b.signature) > maxHeldInput {
		return
	}
	if e.detailed > 0 {
		e.details = append(e.details, ',')
	}
	e.details = appendDetail(e.details, &whole, e.detailed)
	e.detailed++
}

// pages keeps the pages that a text cites for the stream's end.
func (e *chatStreamEncoder) pages(b *streamBlock) {
	for i := range b.citations {
		if len(e.annotations) > maxHeldInput {
			return
		}
		if len(e.annotations) > 0 {
			e.annotations = append(e.annotations, ',')
		}
		e.annotations = appendPage(e.annotations, &b.citations[i], b.before, e.characters-b.before)
	}
}

// collected appends what was kept for the stream's end, each in one piece: some
// clients join pieces of lists, and others keep the last one.
func (e *chatStreamEncoder) collected(dst []byte) []byte {
	if len(e.details) > 0 {
		dst = e.begin(dst, `"reasoning_details":[`)
		dst = append(dst, e.details...)
		dst = e.close(append(dst, ']'))
	}
	if len(e.annotations) > 0 {
		dst = e.begin(dst, `"annotations":[`)
		dst = append(dst, e.annotations...)
		dst = e.close(append(dst, ']'))
	}
	return dst
}

// closed ends a literal without its end; nil stays nil.
func closed(open []byte) chat.Literal {
	if open == nil {
		return nil
	}
	return append(open, '"')
}
