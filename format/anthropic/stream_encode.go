package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// heartbeat is an event that clients skip.
var heartbeat = []byte("event: ping\ndata: {\"type\":\"ping\"}\n\n")

// Heartbeat implements format.StreamCodec.
func (Messages) Heartbeat() []byte { return heartbeat }

// maxHeld is how many bytes of blocks that have to wait one stream may hold.
const maxHeld = 256 << 10

// NewStreamEncoder implements format.StreamCodec.
func (Messages) NewStreamEncoder(x *chat.Exchange) format.StreamEncoder {
	return &streamEncoder{x: x, current: none, pending: none}
}

// streamEncoder turns neutral events into the client's stream.
//
// Neutral blocks may overlap, those of the format must not: the helpers of its
// SDKs take a delta for one of the last block. One block is open at a time; what
// comes for others is held until that one is complete. Counts of tokens may come
// behind the finish, but the format tells both in one event: it waits for the
// end.
type streamEncoder struct {
	x       *chat.Exchange
	started bool
	blocks  []heldBlock
	current int // the neutral number of the open block, none if there is none
	// pending is the neutral number of a call that has begun and was not told yet;
	// none if there is none. Its signature, if it has one, comes next and must be
	// told in front of it.
	pending  int
	id, name []byte // of the pending call
	number   int    // of the client's next block
	queue    []int  // the blocks that wait, in order of their appearance
	held     int    // how many bytes wait
	has      content
	stop     chat.Stop
	usage    chat.Usage
	ended    bool
}

// Encode implements format.StreamEncoder.
func (e *streamEncoder) Encode(dst []byte, ev *chat.Event) []byte {
	if e.ended {
		return dst
	}
	switch ev.Kind {
	case chat.EventHeartbeat:
		if !e.started {
			return dst
		}
		return append(dst, heartbeat...)
	case chat.EventError:
		e.ended = true
		return appendStreamError(dst, ev.Err)
	case chat.EventUsage:
		if ev.Usage != nil {
			e.usage = *ev.Usage
		}
		return dst
	}
	dst = e.start(dst, ev)
	if e.pending != none {
		dst = e.announce(dst, ev)
	}
	switch ev.Kind {
	case chat.EventBlockStart:
		return e.blockStart(dst, ev)
	case chat.EventDelta:
		return e.delta(dst, ev)
	case chat.EventBlockStop:
		return e.blockStop(dst, ev.Index)
	case chat.EventFinish:
		e.stop = ev.Stop
		e.stop.Sequence = bytes.Clone(ev.Stop.Sequence)
		return e.closeAll(dst)
	case chat.EventEnd:
		return e.end(dst)
	}
	return dst
}

// start appends the start, once and before all else. Its counts are zeros: the
// real ones come at the end, and there are clients that add the two up.
func (e *streamEncoder) start(dst []byte, ev *chat.Event) []byte {
	if e.started {
		return dst
	}
	e.started = true
	var id chat.Literal
	if ev.Kind == chat.EventStart {
		id = ev.ID
	}
	dst = append(dst, "event: message_start\ndata: "+`{"type":"message_start","message":`...)
	dst = appendHead(dst, id, e.x)
	dst = append(dst, `,"content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":`...)
	dst = appendUsage(dst, &chat.Usage{})
	return append(dst, "}}\n\n"...)
}

// block returns block i; nil for a number that no stream has.
func (e *streamEncoder) block(i int) *heldBlock {
	if i < 0 || i > maxAnswerBlocks {
		return nil
	}
	for len(e.blocks) <= i {
		e.blocks = append(e.blocks, heldBlock{kind: chat.Opaque})
	}
	return &e.blocks[i]
}

// blockStart begins a block. Only a call has something to be told by now.
func (e *streamEncoder) blockStart(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	if b == nil {
		return dst
	}
	b.kind = ev.Block
	switch ev.Block {
	case chat.Refusal:
		e.has.refusal = true
	case chat.ToolUse:
		e.has.tools = true
		e.pending = ev.Index
		e.id, e.name = append(e.id[:0], ev.ID...), append(e.name[:0], ev.Name...)
	}
	return dst
}

// announce tells the pending call, now that the event behind its start is there:
// its signature, or something else.
func (e *streamEncoder) announce(dst []byte, ev *chat.Event) []byte {
	i := e.pending
	b := &e.blocks[i]
	e.pending = none
	if ev.Kind == chat.EventDelta && ev.Delta == chat.DeltaSignature && ev.Index == i {
		b.signature = callSignature(ev.Text, ev.Origin).Inner()
		e.held += len(b.signature)
	}
	b.id, b.name = e.id, e.name
	dst = e.reach(dst, i)
	if b.state == blockWaits {
		b.id, b.name = bytes.Clone(b.id), bytes.Clone(b.name)
	} else {
		b.id, b.name = nil, nil
	}
	return dst
}

// belongs says that a delta is one that its block may have.
func (b *heldBlock) belongs(ev *chat.Event) bool {
	switch ev.Delta {
	case chat.DeltaText, chat.DeltaRefusal:
		return b.kind == chat.Text || b.kind == chat.Refusal
	case chat.DeltaThinking:
		return b.kind == chat.Thinking
	case chat.DeltaSignature:
		return b.kind == chat.Thinking && ev.Origin != ""
	case chat.DeltaRedacted:
		return b.kind == chat.RedactedThinking && ev.Origin != ""
	case chat.DeltaArguments:
		return b.kind == chat.ToolUse
	default:
		return false
	}
}

// delta appends a piece of a block, or keeps it until its block is open.
func (e *streamEncoder) delta(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	if b == nil || b.complete {
		return dst
	}
	if ev.Delta == chat.DeltaCitation {
		return e.cite(dst, ev, b)
	}
	if ev.Text.Empty() || !b.belongs(ev) {
		return dst
	}
	switch b.kind {
	case chat.RedactedThinking:
		b.maker = ev.Origin
		return e.hold(dst, &b.text, ev.Text.Inner())
	case chat.ToolUse:
		if !b.arguments.scan(ev.Text) {
			return dst // White space before or behind the arguments.
		}
	}
	dst = e.reach(dst, ev.Index)
	switch {
	case b.state == blockClosed:
		return dst
	case ev.Delta == chat.DeltaSignature && (b.state != blockOpen || ev.Origin != origin):
		b.maker = ev.Origin
		return e.hold(dst, &b.signature, ev.Text.Inner())
	case b.state == blockOpen:
		dst = e.begin(dst, b, ev.Delta)
		dst = append(dst, ev.Text...)
		return append(dst, "}}\n\n"...)
	default:
		return e.hold(dst, &b.text, ev.Text.Inner())
	}
}

// cite appends a citation of a text, or keeps it until its block is open.
func (e *streamEncoder) cite(dst []byte, ev *chat.Event, b *heldBlock) []byte {
	if b.kind != chat.Text || ev.Citation == nil || !citable(ev.Citation) {
		return dst
	}
	dst = e.reach(dst, ev.Index)
	switch b.state {
	case blockOpen:
		dst = e.begin(dst, b, chat.DeltaCitation)
		dst = appendCitation(dst, ev.Citation)
		return append(dst, "}}\n\n"...)
	case blockWaits:
		b.citations = append(b.citations, nil)
		return e.hold(dst, &b.citations[len(b.citations)-1], appendCitation(nil, ev.Citation))
	default:
		return dst
	}
}

// blockStop ends a block.
func (e *streamEncoder) blockStop(dst []byte, i int) []byte {
	b := e.block(i)
	if b == nil || b.complete {
		return dst
	}
	b.complete = true
	if b.kind == chat.RedactedThinking && len(b.text) > 0 {
		dst = e.reach(dst, i)
	}
	if e.current == i {
		dst = e.advance(dst)
	}
	return dst
}

// closeAll ends all blocks: the content is complete.
func (e *streamEncoder) closeAll(dst []byte) []byte {
	for i := range e.blocks {
		dst = e.blockStop(dst, i)
	}
	return dst
}

// end appends why the model stopped, the counts, and the end mark.
func (e *streamEncoder) end(dst []byte) []byte {
	dst = e.closeAll(dst)
	if e.ended {
		return dst
	}
	e.ended = true
	dst = append(dst, "event: message_delta\ndata: "+`{"type":"message_delta","delta":{`...)
	dst = appendStop(dst, &e.stop, e.has)
	dst = append(dst, `},"usage":`...)
	dst = appendUsage(dst, &e.usage)
	dst = append(dst, "}\n\n"...)
	return append(dst, messageStop...)
}
