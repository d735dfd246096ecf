package anthropic

import (
	"strconv"

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
	return &streamEncoder{x: x, current: none}
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
	current int   // the neutral number of the open block, none if there is none
	number  int   // of the client's next block
	queue   []int // the blocks that wait, in order of their appearance
	held    int   // how many bytes wait
	has     content
	stop    chat.Stop
	usage   chat.Usage
	ended   bool
}

// heldBlock is what must be known of a block.
type heldBlock struct {
	kind      chat.BlockKind
	state     blockState
	complete  bool // nothing more comes
	number    int  // the client's number, once it is open
	id, name  chat.Literal
	arguments argumentScanner
	// What waits, escaped and without quotes.
	text, signature []byte
}

// blockState is how far the client knows of a block.
type blockState uint8

const (
	// blockNew has nothing to be told yet.
	blockNew blockState = iota
	blockWaits
	blockOpen
	blockClosed
)

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
	switch ev.Kind {
	case chat.EventBlockStart:
		return e.blockStart(dst, ev)
	case chat.EventDelta:
		return e.delta(dst, ev)
	case chat.EventBlockStop:
		return e.blockStop(dst, ev.Index)
	case chat.EventFinish:
		e.stop = ev.Stop
		e.stop.Sequence = clone(ev.Stop.Sequence)
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
		b.id, b.name = ev.ID, ev.Name
		dst = e.reach(dst, ev.Index)
		if b.state == blockWaits {
			b.id, b.name = clone(ev.ID), clone(ev.Name)
		} else {
			b.id, b.name = nil, nil // views
		}
	}
	return dst
}

// reach opens block i if it is new, or else lets it wait.
func (e *streamEncoder) reach(dst []byte, i int) []byte {
	b := &e.blocks[i]
	if b.state != blockNew {
		return dst
	}
	if e.current != none && e.blocks[e.current].done() {
		dst = e.advance(dst)
	}
	if e.current != none {
		b.state = blockWaits
		e.queue = append(e.queue, i)
		return dst
	}
	return e.open(dst, i)
}

// done says that nothing more comes for a block, or nothing that matters.
func (b *heldBlock) done() bool {
	return b.complete || b.kind == chat.ToolUse && b.arguments.complete
}

// open appends the start of block i and makes it the current one.
func (e *streamEncoder) open(dst []byte, i int) []byte {
	b := &e.blocks[i]
	b.state, b.number, e.current = blockOpen, e.number, i
	e.number++
	dst = append(dst, "event: content_block_start\ndata: "+`{"type":"content_block_start","index":`...)
	dst = strconv.AppendInt(dst, int64(b.number), 10)
	dst = append(dst, `,"content_block":`...)
	switch b.kind {
	case chat.ToolUse:
		dst = appendCall(dst, b.id, b.name, e.x)
		dst = append(dst, `,"input":{}`...)
	case chat.Thinking:
		dst = append(dst, `{"type":"thinking","thinking":"","signature":""`...)
	case chat.RedactedThinking:
		// It has no deltas.
		dst = append(dst, `{"type":"redacted_thinking","data":"`...)
		dst = append(dst, b.text...)
		dst = append(dst, '"')
		e.release(&b.text)
	default:
		dst = append(dst, `{"type":"text","text":""`...)
	}
	return append(dst, "}}\n\n"...)
}

// advance closes the current block and goes on to those that wait. Each of them
// is told at once, and the first that is not complete is the current one now.
func (e *streamEncoder) advance(dst []byte) []byte {
	for e.current != none {
		dst = e.close(dst)
		if len(e.queue) == 0 {
			return dst
		}
		i := e.queue[0]
		e.queue = append(e.queue[:0], e.queue[1:]...)
		b := &e.blocks[i]
		dst = e.open(dst, i)
		if len(b.text) > 0 {
			dst = e.begin(dst, b, b.deltaKind())
			dst = append(dst, '"')
			dst = append(dst, b.text...)
			dst = append(dst, "\"}}\n\n"...)
			e.release(&b.text)
		}
		if len(b.signature) > 0 {
			dst = e.begin(dst, b, chat.DeltaSignature)
			dst = append(dst, '"')
			dst = append(dst, b.signature...)
			dst = append(dst, "\"}}\n\n"...)
			e.release(&b.signature)
		}
		if !b.complete && !(b.done() && len(e.queue) > 0) {
			return dst
		}
	}
	return dst
}

// close appends the end of the current block.
func (e *streamEncoder) close(dst []byte) []byte {
	b := &e.blocks[e.current]
	b.state, e.current = blockClosed, none
	dst = append(dst, "event: content_block_stop\ndata: "+`{"type":"content_block_stop","index":`...)
	dst = strconv.AppendInt(dst, int64(b.number), 10)
	return append(dst, "}\n\n"...)
}

// deltaKind is the kind of the deltas of a block.
func (b *heldBlock) deltaKind() chat.DeltaKind {
	switch b.kind {
	case chat.ToolUse:
		return chat.DeltaArguments
	case chat.Thinking:
		return chat.DeltaThinking
	default:
		return chat.DeltaText
	}
}

// begin appends a delta up to the value of its piece.
func (e *streamEncoder) begin(dst []byte, b *heldBlock, kind chat.DeltaKind) []byte {
	dst = append(dst, "event: content_block_delta\ndata: "+`{"type":"content_block_delta","index":`...)
	dst = strconv.AppendInt(dst, int64(b.number), 10)
	switch kind {
	case chat.DeltaArguments:
		return append(dst, `,"delta":{"type":"input_json_delta","partial_json":`...)
	case chat.DeltaThinking:
		return append(dst, `,"delta":{"type":"thinking_delta","thinking":`...)
	case chat.DeltaSignature:
		return append(dst, `,"delta":{"type":"signature_delta","signature":`...)
	default:
		return append(dst, `,"delta":{"type":"text_delta","text":`...)
	}
}

// belongs says that a delta is one that its block may have.
func (b *heldBlock) belongs(ev *chat.Event) bool {
	switch ev.Delta {
	case chat.DeltaText, chat.DeltaRefusal:
		return b.kind == chat.Text || b.kind == chat.Refusal
	case chat.DeltaThinking:
		return b.kind == chat.Thinking
	case chat.DeltaSignature:
		return b.kind == chat.Thinking && ev.Origin == origin
	case chat.DeltaRedacted:
		return b.kind == chat.RedactedThinking && ev.Origin == origin
	case chat.DeltaArguments:
		return b.kind == chat.ToolUse
	default:
		return false
	}
}

// delta appends a piece of a block, or keeps it until its block is open.
func (e *streamEncoder) delta(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	if b == nil || ev.Text.Empty() || !b.belongs(ev) || b.complete {
		return dst
	}
	switch b.kind {
	case chat.RedactedThinking:
		return e.hold(dst, &b.text, ev.Text)
	case chat.ToolUse:
		if !b.arguments.scan(ev.Text) {
			return dst // White space before or behind the arguments.
		}
	}
	dst = e.reach(dst, ev.Index)
	switch {
	case b.state == blockClosed:
		return dst
	case b.state == blockOpen:
		dst = e.begin(dst, b, ev.Delta)
		dst = append(dst, ev.Text...)
		return append(dst, "}}\n\n"...)
	case ev.Delta == chat.DeltaSignature:
		return e.hold(dst, &b.signature, ev.Text)
	default:
		return e.hold(dst, &b.text, ev.Text)
	}
}

// hold keeps a piece. Too many of them end the stream.
func (e *streamEncoder) hold(dst []byte, at *[]byte, l chat.Literal) []byte {
	in := l.Inner()
	if e.held += len(in); e.held > maxHeld {
		e.ended = true
		return appendStreamError(dst, chat.BadAnswer("the upstream's stream interleaves more content than can be held back"))
	}
	*at = append(*at, in...)
	return dst
}

// release forgets a piece that was kept and has been told.
func (e *streamEncoder) release(at *[]byte) {
	e.held -= len(*at)
	*at = nil
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
