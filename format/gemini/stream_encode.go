package gemini

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// heartbeat is an empty event: the Go SDK fails on any block that does not begin
// with "data:".
var heartbeat = []byte("\n\n")

// Heartbeat implements format.StreamCodec.
func (GenerateContent) Heartbeat() []byte { return heartbeat }

// maxHeld is how many bytes of arguments one stream may hold: a call is sent
// whole.
const maxHeld = 4 << 20

// NewStreamEncoder implements format.StreamCodec.
func (GenerateContent) NewStreamEncoder(x *chat.Exchange) format.StreamEncoder {
	return &streamEncoder{x: x, thoughts: showsThoughts(x)}
}

// streamEncoder turns neutral events into the client's stream. Every chunk is an
// answer of its own. Calls are held until their arguments are whole, and the
// finish until the counts of tokens have come: both stand in the last chunk.
type streamEncoder struct {
	x        *chat.Exchange
	thoughts bool
	started  bool
	tail     []byte // the end of every chunk
	blocks   []heldBlock
	held     int
	refusal  bool
	sources  grounding
	length   int // of the text so far, in bytes
	stop     chat.Stop
	usage    chat.Usage
	ended    bool
}

// heldBlock is what must be known of a block.
type heldBlock struct {
	kind     chat.BlockKind
	complete bool
	id, name chat.Literal
	// args are the arguments so far, and signature the proof of a call or a thought
	// that maker has given: escaped, without quotes.
	args, signature []byte
	maker           string
	// measure measures a text, which begins at byte base of the answer's.
	measure   ruler
	base      int
	citations []chat.Citation
}

// Encode implements format.StreamEncoder.
func (e *streamEncoder) Encode(dst []byte, ev *chat.Event) []byte {
	if e.ended {
		return dst
	}
	switch ev.Kind {
	case chat.EventHeartbeat:
		if e.started {
			dst = append(dst, heartbeat...)
		}
		return dst
	case chat.EventError:
		e.ended = true
		return appendStreamError(dst, ev.Err)
	case chat.EventUsage:
		if ev.Usage != nil {
			e.usage = *ev.Usage
		}
		return dst
	}
	e.start(ev)
	switch ev.Kind {
	case chat.EventBlockStart:
		e.blockStart(ev)
	case chat.EventDelta:
		return e.delta(dst, ev)
	case chat.EventBlockStop:
		return e.blockStop(dst, ev.Index)
	case chat.EventFinish:
		e.stop = chat.Stop{Reason: ev.Stop.Reason}
		return e.closeAll(dst)
	case chat.EventEnd:
		return e.end(dst)
	}
	return dst
}

// start makes the end of every chunk, once.
func (e *streamEncoder) start(ev *chat.Event) {
	if e.started {
		return
	}
	e.started = true
	var id chat.Literal
	if ev.Kind == chat.EventStart {
		id = ev.ID
	}
	e.tail = appendTail(nil, id, e.x)
	e.tail = append(e.tail, "\n\n"...)
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

// blockStart begins a block. Nothing is told by now.
func (e *streamEncoder) blockStart(ev *chat.Event) {
	b := e.block(ev.Index)
	if b == nil {
		return
	}
	b.kind = ev.Block
	if ev.Block == chat.ToolUse {
		b.id, b.name = bytes.Clone(ev.ID), bytes.Clone(ev.Name)
	}
	b.base = e.length
	e.refusal = e.refusal || ev.Block == chat.Refusal
}

// begin appends a chunk up to its parts.
func begin(dst []byte) []byte { return append(append(dst, "data: "...), beforeParts...) }

// close appends a chunk from behind its parts, with the probabilities of their
// tokens if there are any.
func (e *streamEncoder) close(dst []byte, logprobs chat.Raw) []byte {
	dst = append(dst, afterParts...)
	dst = appendLogprobs(dst, logprobs)
	dst = append(dst, `,"index":0}],`...)
	return append(dst, e.tail...)
}

// delta appends a piece of text or thought, or keeps one of a call.
func (e *streamEncoder) delta(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	if b == nil || b.complete {
		return dst
	}
	if ev.Delta == chat.DeltaCitation {
		if b.kind == chat.Text && ev.Citation != nil && len(b.citations) < maxCitations {
			b.citations = append(b.citations, keep(ev.Citation))
		}
		return dst
	}
	if ev.Text.Empty() {
		return dst
	}
	switch {
	case ev.Delta == chat.DeltaArguments && b.kind == chat.ToolUse:
		return e.hold(dst, &b.args, ev.Text)
	case ev.Delta == chat.DeltaSignature && e.signs(b.kind):
		b.maker = ev.Origin
		return e.hold(dst, &b.signature, ev.Text)
	case ev.Delta == chat.DeltaThinking && b.kind == chat.Thinking && e.thoughts:
		dst = append(begin(dst), `{"text":`...)
		dst = append(dst, ev.Text...)
		return e.close(append(dst, `,"thought":true}`...), nil)
	case (ev.Delta == chat.DeltaText || ev.Delta == chat.DeltaRefusal) && (b.kind == chat.Text || b.kind == chat.Refusal):
		dst = append(begin(dst), `{"text":`...)
		dst = append(dst, ev.Text...)
		dst = append(dst, '}')
		if b.kind == chat.Text {
			before := b.measure.bytes
			b.measure.add(ev.Text)
			e.length += b.measure.bytes - before
		}
		return e.close(dst, ev.Logprobs)
	}
	return dst
}

// signs says that a block of a kind is sent with its signature. A thought that is
// not shown has none, since it would prove nothing.
func (e *streamEncoder) signs(kind chat.BlockKind) bool {
	switch kind {
	case chat.Text, chat.Refusal, chat.ToolUse:
		return true
	default:
		return kind == chat.Thinking && e.thoughts
	}
}

// hold keeps a piece. Too many of them end the stream.
func (e *streamEncoder) hold(dst []byte, at *[]byte, l chat.Literal) []byte {
	in := l.Inner()
	if e.held += len(in); e.held > maxHeld {
		e.ended = true
		return appendStreamError(dst, chat.BadAnswer("the upstream's stream has a tool call that is too large to be held back"))
	}
	*at = append(*at, in...)
	return dst
}

// blockStop ends a block: a call is told now, and the signature of another one.
func (e *streamEncoder) blockStop(dst []byte, i int) []byte {
	b := e.block(i)
	if b == nil || b.complete {
		return dst
	}
	b.complete = true
	var signature chat.Literal
	if len(b.signature) > 0 {
		signature = shownSignature(chat.QuoteEscaped(b.signature), b.maker)
	}
	for n := range b.citations {
		e.sources.add(&b.citations[n], &b.measure, textAt{base: b.base})
	}
	switch {
	case b.kind == chat.ToolUse:
		dst = e.call(dst, b)
	case signature == nil:
		return dst
	case b.kind == chat.Thinking:
		dst = append(begin(dst), `{"text":"","thought":true`...)
	default:
		dst = append(begin(dst), `{"text":""`...)
	}
	if signature != nil {
		dst = append(dst, `,"thoughtSignature":`...)
		dst = append(dst, signature...)
	}
	e.held -= len(b.args) + len(b.signature)
	*b = heldBlock{kind: b.kind, complete: true}
	return e.close(append(dst, '}'), nil)
}

// call appends a call, without the end of its part.
func (e *streamEncoder) call(dst []byte, b *heldBlock) []byte {
	dst = appendCall(begin(dst), b.id, b.name, e.x)
	var a chat.Arguments
	if len(b.args) > 0 {
		a.Text = chat.QuoteEscaped(b.args)
	}
	dst, _ = appendArgs(dst, a)
	return append(dst, '}')
}

// closeAll ends all blocks: the content is complete.
func (e *streamEncoder) closeAll(dst []byte) []byte {
	for i := range e.blocks {
		dst = e.blockStop(dst, i)
	}
	return dst
}

// end appends the last chunk: why the model stopped, and the counts.
func (e *streamEncoder) end(dst []byte) []byte {
	dst = e.closeAll(dst)
	e.ended = true
	dst = append(begin(dst), emptyPart+afterParts...)
	dst = appendFinish(dst, &e.stop, e.refusal)
	dst = e.sources.append(dst)
	dst = append(dst, `,"index":0}],"usageMetadata":`...)
	dst = appendUsage(dst, &e.usage)
	dst = append(dst, ',')
	return append(dst, e.tail...)
}
