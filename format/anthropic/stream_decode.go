package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// NewStreamDecoder implements format.StreamCodec.
func (Messages) NewStreamDecoder() format.StreamDecoder { return &streamDecoder{} }

// streamDecoder turns an upstream's events into neutral ones. The two are much
// alike, but for blocks that only this format knows: those are left out, so that
// the neutral numbers stay dense.
type streamDecoder struct {
	tape   tape.Tape
	counts counts
	usage  chat.Usage

	started  bool
	id       []byte        // of the answer, as a literal
	blocks   []streamBlock // those that have begun, in order
	number   int           // of the next neutral block
	tools    bool          // a tool was called
	finished bool          // the stop_reason has come
	ended    bool          // nothing comes any more
}

// streamBlock is what must be known of a block.
type streamBlock struct {
	index  int64 // the upstream's number
	number int   // the neutral number; none for a block that is left out
	kind   chat.BlockKind
	// input is the input of a call that came with its start, as some servers
	// send it. It counts if no delta follows.
	input []byte
	open  bool
}

// Decode implements format.StreamDecoder.
func (d *streamDecoder) Decode(dst []chat.Event, ev sse.Event) ([]chat.Event, error) {
	if d.ended || len(ev.Data) == 0 {
		return dst, nil
	}
	if err := d.tape.Parse(ev.Data); err != nil {
		d.ended = true
		return dst, format.ErrNotJSON
	}
	m := eventOf(d.tape.Root(), ev)
	switch m.kind {
	case kindDelta:
		return d.delta(dst, &m)
	case kindBlockStart:
		return d.blockStart(dst, &m)
	case kindBlockStop:
		if b := d.block(&m); b != nil {
			dst = d.close(dst, b)
		}
	case kindMessageStart:
		dst = d.messageStart(dst, m.message)
	case kindMessageDelta:
		dst = d.messageDelta(dst, &m)
	case kindMessageStop:
		return append(d.finish(dst, nil, nil), d.end()), nil
	case kindError:
		d.ended = true
		return append(dst, chat.Event{Kind: chat.EventError, Err: errorIn(m.root)}), nil
	}
	return dst, nil
}

// Finish implements format.StreamDecoder.
func (d *streamDecoder) Finish(dst []chat.Event) ([]chat.Event, error) {
	switch {
	case d.ended:
		return dst, nil
	case !d.finished:
		d.ended = true
		return dst, format.ErrTruncated
	default:
		return append(dst, d.end()), nil
	}
}

// end is the last event.
func (d *streamDecoder) end() chat.Event {
	d.ended = true
	return chat.Event{Kind: chat.EventEnd}
}

// messageStart appends the start. The counts of the prompt come with it.
func (d *streamDecoder) messageStart(dst []chat.Event, v tape.Value) []chat.Event {
	id := v.Get("id").Literal()
	d.id = append(d.id[:0], id...)
	dst = d.start(dst, id, v.Get("model").Literal())
	return d.count(dst, v.Get("usage"))
}

// start appends the start, once.
func (d *streamDecoder) start(dst []chat.Event, id, model chat.Literal) []chat.Event {
	if d.started {
		return dst
	}
	d.started = true
	return append(dst, chat.Event{Kind: chat.EventStart, ID: id, Model: model})
}

// count takes the counts of tokens.
func (d *streamDecoder) count(dst []chat.Event, v tape.Value) []chat.Event {
	if !d.counts.take(v) {
		return dst
	}
	d.usage = d.counts.usage()
	return append(dst, chat.Event{Kind: chat.EventUsage, Usage: &d.usage})
}

// block returns the open block that an event is about; nil if there is none.
func (d *streamDecoder) block(m *members) *streamBlock {
	index, _ := m.index.Int()
	for i := len(d.blocks) - 1; i >= 0; i-- {
		if d.blocks[i].index == index {
			if d.blocks[i].open {
				return &d.blocks[i]
			}
			return nil
		}
	}
	return nil
}

// blockStart appends the start of a block, and what is in it already.
func (d *streamDecoder) blockStart(dst []chat.Event, m *members) ([]chat.Event, error) {
	if d.finished {
		return dst, nil
	}
	if len(d.blocks) == maxAnswerBlocks {
		d.ended = true
		return dst, tooManyBlocks()
	}
	index, _ := m.index.Int()
	switch kind := m.block.Get("type"); {
	case kind.Is("text"):
		dst, b := d.open(dst, index, chat.Text)
		dst = b.piece(dst, chat.DeltaText, m.block.Get("text").Literal())
		for citation := range m.block.Get("citations").Elements {
			dst = b.cite(dst, citation)
		}
		return dst, nil
	case kind.Is("thinking"):
		dst, b := d.open(dst, index, chat.Thinking)
		dst = b.piece(dst, chat.DeltaThinking, m.block.Get("thinking").Literal())
		return b.piece(dst, chat.DeltaSignature, m.block.Get("signature").Literal()), nil
	case kind.Is("redacted_thinking"):
		dst, b := d.open(dst, index, chat.RedactedThinking)
		return b.piece(dst, chat.DeltaRedacted, m.block.Get("data").Literal()), nil
	case kind.Is("tool_use"):
		return d.call(dst, index, m.block)
	default:
		d.blocks = append(d.blocks, streamBlock{index: index, number: none, kind: chat.Opaque, open: true})
		return dst, nil
	}
}

// open appends the start of a block.
func (d *streamDecoder) open(dst []chat.Event, index int64, kind chat.BlockKind) ([]chat.Event, *streamBlock) {
	dst = d.start(dst, nil, nil)
	d.blocks = append(d.blocks, streamBlock{index: index, number: d.number, kind: kind, open: true})
	d.number++
	b := &d.blocks[len(d.blocks)-1]
	ev := chat.Event{Kind: chat.EventBlockStart, Index: b.number, Block: kind}
	if kind == chat.Thinking || kind == chat.RedactedThinking {
		ev.Origin = origin
	}
	return append(dst, ev), b
}

// call appends the start of a tool call.
func (d *streamDecoder) call(dst []chat.Event, index int64, v tape.Value) ([]chat.Event, error) {
	id, name := v.Get("id").Literal(), v.Get("name").Literal()
	if name.Empty() {
		d.ended = true
		return dst, chat.BadAnswer("the upstream's stream calls a tool without a name")
	}
	if id.Empty() {
		id = madeID(d.id, d.number)
	}
	d.tools = true
	dst, b := d.open(dst, index, chat.ToolUse)
	start := &dst[len(dst)-1]
	start.ID, start.Name = id, name
	if input := v.Get("input"); input.Kind() == tape.Object && input.Len() > 0 {
		b.input = bytes.Clone(input.Raw())
	}
	return dst, nil
}

// piece appends a piece of a block, unless it is empty.
func (b *streamBlock) piece(dst []chat.Event, kind chat.DeltaKind, l chat.Literal) []chat.Event {
	if l.Empty() || b.number == none {
		return dst
	}
	ev := chat.Event{Kind: chat.EventDelta, Index: b.number, Delta: kind, Text: l}
	if kind == chat.DeltaSignature || kind == chat.DeltaRedacted {
		ev.Origin = origin
	}
	return append(dst, ev)
}

// cite appends a citation. It stands for the text of its block so far.
func (b *streamBlock) cite(dst []chat.Event, v tape.Value) []chat.Event {
	if v.Kind() != tape.Object || b.number == none {
		return dst
	}
	c := citationOf(v)
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: b.number, Delta: chat.DeltaCitation, Citation: &c})
}

// delta appends a piece of a block. Pieces that the kind of the block does not
// have, and kinds of pieces that other formats do not know, are left out.
func (d *streamDecoder) delta(dst []chat.Event, m *members) ([]chat.Event, error) {
	if d.finished {
		return dst, nil
	}
	var kind, text, thinking, signature, partial, citation tape.Value
	for key, value := range m.delta.Members {
		switch string(key.Unescaped()) {
		case "type":
			kind = value
		case "text":
			text = value
		case "thinking":
			thinking = value
		case "signature":
			signature = value
		case "partial_json":
			partial = value
		case "citation":
			citation = value
		}
	}
	b := d.block(m)
	switch {
	case b != nil:
	case len(d.blocks) == maxAnswerBlocks:
		d.ended = true
		return dst, tooManyBlocks()
	case kind.Is("text_delta"), kind.Is("thinking_delta"):
		// A server that sends no starts.
		index, _ := m.index.Int()
		of := chat.Text
		if kind.Is("thinking_delta") {
			of = chat.Thinking
		}
		dst, b = d.open(dst, index, of)
	case kind.Is("input_json_delta"):
		d.ended = true
		return dst, chat.BadAnswer("the upstream's stream sends the arguments of a tool call that has not begun")
	default:
		return dst, nil
	}
	switch {
	case b.kind == chat.Text && kind.Is("text_delta"):
		return b.piece(dst, chat.DeltaText, text.Literal()), nil
	case b.kind == chat.Text && kind.Is("citations_delta"):
		return b.cite(dst, citation), nil
	case b.kind == chat.ToolUse && kind.Is("input_json_delta"):
		if !partial.Literal().Empty() {
			b.input = nil
		}
		return b.piece(dst, chat.DeltaArguments, partial.Literal()), nil
	case b.kind == chat.Thinking && kind.Is("thinking_delta"):
		return b.piece(dst, chat.DeltaThinking, thinking.Literal()), nil
	case b.kind == chat.Thinking && kind.Is("signature_delta"):
		return b.piece(dst, chat.DeltaSignature, signature.Literal()), nil
	default:
		return dst, nil
	}
}

// close appends the end of a block.
func (d *streamDecoder) close(dst []chat.Event, b *streamBlock) []chat.Event {
	b.open = false
	if b.number == none {
		return dst
	}
	if b.input != nil {
		dst = b.piece(dst, chat.DeltaArguments, chat.Quote(string(b.input)))
		b.input = nil
	}
	return append(dst, chat.Event{Kind: chat.EventBlockStop, Index: b.number})
}

// messageDelta appends the counts of tokens, and the finish if there is one.
func (d *streamDecoder) messageDelta(dst []chat.Event, m *members) []chat.Event {
	dst = d.count(dst, m.usage)
	if reason := m.delta.Get("stop_reason").Literal(); !reason.Empty() {
		dst = d.finish(dst, reason, m.delta.Get("stop_sequence").Literal())
	}
	return dst
}

// finish appends why the model stopped, once, behind the ends of all blocks.
func (d *streamDecoder) finish(dst []chat.Event, reason, sequence chat.Literal) []chat.Event {
	if d.finished {
		return dst
	}
	d.finished = true
	dst = d.start(dst, nil, nil)
	for i := range d.blocks {
		if d.blocks[i].open {
			dst = d.close(dst, &d.blocks[i])
		}
	}
	return append(dst, chat.Event{Kind: chat.EventFinish, Stop: stopOf(reason, sequence, d.tools)})
}
