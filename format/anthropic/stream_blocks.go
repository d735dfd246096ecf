package anthropic

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// heldBlock is what must be known of a block.
type heldBlock struct {
	kind      chat.BlockKind
	state     blockState
	complete  bool // nothing more comes
	number    int  // the client's number, once it is open
	id, name  chat.Literal
	arguments argumentScanner
	// What waits, escaped and without quotes. The signature of another format's
	// maker, and that of a call, waits for the end of its block.
	text, signature []byte
	maker           string   // of the signature or the sealed text, if not this format's
	citations       [][]byte // that wait, as the client gets them
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
	if b.kind == chat.ToolUse && len(b.signature) > 0 {
		dst = e.signCall(dst, b)
	}
	b.state, b.number, e.current = blockOpen, e.number, i
	e.number++
	dst = e.begins(dst, b.number)
	switch b.kind {
	case chat.ToolUse:
		dst = appendCall(dst, b.id, b.name, e.x)
		dst = append(dst, `,"input":{}`...)
	case chat.Thinking:
		dst = append(dst, `{"type":"thinking","thinking":"","signature":""`...)
	case chat.RedactedThinking:
		// It has no deltas.
		dst = append(dst, `{"type":"redacted_thinking","data":`...)
		dst = append(dst, carried(chat.QuoteEscaped(b.text), b.maker)...)
		e.release(&b.text)
	default:
		dst = append(dst, `{"type":"text","text":""`...)
	}
	return append(dst, "}}\n\n"...)
}

// signCall appends the block in front of a call that carries its signature.
func (e *streamEncoder) signCall(dst []byte, b *heldBlock) []byte {
	thought := heldBlock{kind: chat.Thinking, number: e.number}
	e.number++
	dst = e.begins(dst, thought.number)
	dst = append(dst, `{"type":"thinking","thinking":"","signature":""}}`+"\n\n"...)
	dst = e.piece(dst, &thought, chat.DeltaSignature, b.signature)
	e.release(&b.signature)
	return e.ends(dst, thought.number)
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
		dst = e.catchUp(dst, b)
		if !b.complete && !(b.done() && len(e.queue) > 0) {
			return dst
		}
	}
	return dst
}

// close appends the end of the current block.
func (e *streamEncoder) close(dst []byte) []byte {
	b := &e.blocks[e.current]
	if len(b.signature) > 0 {
		signature := chat.TagSignature(b.maker, chat.QuoteEscaped(b.signature))
		dst = e.piece(dst, b, chat.DeltaSignature, signature.Inner())
		e.release(&b.signature)
	}
	b.state, e.current = blockClosed, none
	return e.ends(dst, b.number)
}

// catchUp appends what waited for a block to be open.
func (e *streamEncoder) catchUp(dst []byte, b *heldBlock) []byte {
	if len(b.text) > 0 {
		dst = e.piece(dst, b, b.deltaKind(), b.text)
		e.release(&b.text)
	}
	for i := range b.citations {
		dst = e.begin(dst, b, chat.DeltaCitation)
		dst = append(dst, b.citations[i]...)
		dst = append(dst, "}}\n\n"...)
		e.release(&b.citations[i])
	}
	b.citations = nil
	if len(b.signature) > 0 && b.maker == origin {
		dst = e.piece(dst, b, chat.DeltaSignature, b.signature)
		e.release(&b.signature)
	}
	return dst
}

// begins appends the start of a block up to the block itself.
func (e *streamEncoder) begins(dst []byte, number int) []byte {
	dst = append(dst, "event: content_block_start\ndata: "+`{"type":"content_block_start","index":`...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	return append(dst, `,"content_block":`...)
}

// ends appends the end of a block.
func (e *streamEncoder) ends(dst []byte, number int) []byte {
	dst = append(dst, "event: content_block_stop\ndata: "+`{"type":"content_block_stop","index":`...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	return append(dst, "}\n\n"...)
}

// piece appends a delta with a piece that is escaped and has no quotes.
func (e *streamEncoder) piece(dst []byte, b *heldBlock, kind chat.DeltaKind, escaped []byte) []byte {
	dst = e.begin(dst, b, kind)
	dst = append(dst, '"')
	dst = append(dst, escaped...)
	return append(dst, "\"}}\n\n"...)
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
	case chat.DeltaCitation:
		return append(dst, `,"delta":{"type":"citations_delta","citation":`...)
	default:
		return append(dst, `,"delta":{"type":"text_delta","text":`...)
	}
}

// hold keeps a piece. Too many of them end the stream.
func (e *streamEncoder) hold(dst []byte, at *[]byte, piece []byte) []byte {
	if e.held += len(piece); e.held > maxHeld {
		e.ended = true
		return appendStreamError(dst, chat.BadAnswer("the upstream's stream interleaves more content than can be held back"))
	}
	*at = append(*at, piece...)
	return dst
}

// release forgets a piece that was kept and has been told.
func (e *streamEncoder) release(at *[]byte) {
	e.held -= len(*at)
	*at = nil
}
