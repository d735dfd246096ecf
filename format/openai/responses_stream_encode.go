package openai

import (
	"bytes"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Heartbeat implements format.StreamCodec.
func (Responses) Heartbeat() []byte { return heartbeat }

// NewStreamEncoder implements format.StreamCodec.
func (Responses) NewStreamEncoder(x *chat.Exchange) format.StreamEncoder {
	return &responsesStreamEncoder{x: x, message: none, reasoning: none, held: heldCall{block: none}}
}

// responsesStreamEncoder turns neutral events into those of a response. It keeps
// the finished items, which the last event tells again.
type responsesStreamEncoder struct {
	x       *chat.Exchange
	id      chat.Literal
	ids     itemIDs
	next    int64 // the next sequence_number
	started bool
	ended   bool

	blocks             []blockItem
	items              []outputItem
	message, reasoning int // the open item of that kind; none if there is none
	held               heldCall

	has   content
	usage chat.Usage
	stop  chat.StopReason
}

// blockItem is what must be known of a block.
type blockItem struct {
	kind chat.BlockKind
	item int // none as long as it has none
}

// outputItem is an item of the answer.
type outputItem struct {
	kind  chat.BlockKind // Text for a message, Thinking or ToolUse
	block int            // the block whose pieces are taken; none between parts of a message
	open  bool
	text  []byte // the summary or the arguments so far: escaped
	done  []byte // the finished parts of an open message; the finished item

	// Of a message.
	part  textPart // the open one
	parts int      // how many are finished

	// Of reasoning.
	sealed   []byte
	redacted bool
	origin   string

	// Of a call.
	called called
	id     chat.Literal
}

// Encode implements format.StreamEncoder.
func (e *responsesStreamEncoder) Encode(dst []byte, ev *chat.Event) []byte {
	if e.ended {
		return dst
	}
	switch ev.Kind {
	case chat.EventHeartbeat:
		return append(dst, heartbeat...)
	case chat.EventError:
		return e.fail(dst, ev.Err)
	case chat.EventUsage:
		if ev.Usage != nil {
			e.usage = *ev.Usage
		}
		return dst
	}
	dst = e.start(dst, ev)
	if e.held.block != none {
		var taken bool
		if dst, taken = e.hold(dst, ev); taken {
			return dst
		}
	}
	switch ev.Kind {
	case chat.EventBlockStart:
		return e.blockStart(dst, ev)
	case chat.EventDelta:
		return e.delta(dst, ev)
	case chat.EventBlockStop:
		return e.blockStop(dst, ev.Index)
	case chat.EventFinish:
		e.stop = ev.Stop.Reason
		return e.closeAll(dst)
	case chat.EventEnd:
		return e.end(dst)
	}
	return dst
}

// appendEventHead appends an event up to its sequence_number.
func appendEventHead(dst []byte, kind string, number int64) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, kind...)
	dst = append(dst, "\ndata: {\"type\":\""...)
	dst = append(dst, kind...)
	dst = append(dst, `","sequence_number":`...)
	return strconv.AppendInt(dst, number, 10)
}

// begin begins the next event.
func (e *responsesStreamEncoder) begin(dst []byte, kind string) []byte {
	dst = appendEventHead(dst, kind, e.next)
	e.next++
	return dst
}

// close ends an event.
func (e *responsesStreamEncoder) close(dst []byte) []byte { return append(dst, "}\n\n"...) }

// start appends the events that open every stream.
func (e *responsesStreamEncoder) start(dst []byte, ev *chat.Event) []byte {
	if e.started {
		return dst
	}
	e.started = true
	if ev.Kind == chat.EventStart {
		e.id = bytes.Clone(ev.ID)
	}
	e.ids = newItemIDs(e.id, e.x)
	dst = e.state(dst, "response.created", end{status: "in_progress"}, nil)
	return e.state(dst, "response.in_progress", end{status: "in_progress"}, nil)
}

// state appends an event with the whole response.
func (e *responsesStreamEncoder) state(dst []byte, kind string, how end, err *chat.Error) []byte {
	s := answerState{id: e.id, created: e.x.Created, end: how, err: err}
	if how.status != "in_progress" {
		s.output = e.output()
		if err == nil || e.usage.Known {
			s.usage = &e.usage
		}
	}
	dst = e.begin(dst, kind)
	dst = append(dst, `,"response":`...)
	dst = appendResponse(dst, e.x, &s)
	return e.close(dst)
}

// output is what the finished items are, one after the other.
func (e *responsesStreamEncoder) output() []byte {
	var out []byte
	for i := range e.items {
		if e.items[i].open {
			continue
		}
		if out != nil {
			out = append(out, ',')
		}
		out = append(out, e.items[i].done...)
	}
	return out
}

// end appends the last event.
func (e *responsesStreamEncoder) end(dst []byte) []byte {
	dst = e.closeAll(dst)
	e.ended = true
	how := endOf(e.stop, e.has)
	return e.state(dst, "response."+how.status, how, nil)
}

// fail appends the event that ends a broken stream.
func (e *responsesStreamEncoder) fail(dst []byte, err *chat.Error) []byte {
	e.ended = true
	if !e.started {
		return appendErrorEvent(dst, e.next, err)
	}
	return e.state(dst, "response.failed", end{status: "failed"}, err)
}

// appendErrorEvent appends the event that ends a stream which has not opened.
func appendErrorEvent(dst []byte, number int64, err *chat.Error) []byte {
	code := wordsOf(err).code
	if code == "" {
		code = responseErrorCode(err)
	}
	dst = appendEventHead(dst, "error", number)
	dst = append(dst, `,"code":`...)
	dst = chat.AppendQuoted(dst, code)
	dst = append(dst, `,"message":`...)
	dst = chat.AppendQuoted(dst, format.Bounded(err.Message, format.MaxErrorMessage))
	dst = append(dst, `,"param":`...)
	dst = appendNullable(dst, err.Param)
	return append(dst, "}\n\n"...)
}

// block returns what is known of block i.
func (e *responsesStreamEncoder) block(i int) *blockItem {
	for len(e.blocks) <= i {
		e.blocks = append(e.blocks, blockItem{item: none})
	}
	return &e.blocks[i]
}

// add adds an item for a block.
func (e *responsesStreamEncoder) add(block int, kind chat.BlockKind) *outputItem {
	e.block(block).item = len(e.items)
	e.items = append(e.items, outputItem{kind: kind, block: block, open: true})
	return &e.items[len(e.items)-1]
}

// added appends the event that tells of the latest item, up to the item.
func (e *responsesStreamEncoder) added(dst []byte) []byte {
	dst = e.begin(dst, "response.output_item.added")
	dst = appendCount(dst, `,"output_index":`, int64(len(e.items)-1))
	return append(dst, `,"item":`...)
}

// at appends the place that an event is about: an item.
func (e *responsesStreamEncoder) at(dst []byte, prefix string, item int) []byte {
	dst = append(dst, `,"item_id":"`...)
	dst = e.ids.append(dst, prefix, item)
	return appendCount(dst, `","output_index":`, int64(item))
}

// done appends the event that ends an item.
func (e *responsesStreamEncoder) done(dst []byte, number int) []byte {
	item := &e.items[number]
	item.open, item.text, item.part, item.sealed = false, nil, textPart{}, nil
	dst = e.begin(dst, "response.output_item.done")
	dst = appendCount(dst, `,"output_index":`, int64(number))
	dst = append(dst, `,"item":`...)
	return e.close(append(dst, item.done...))
}

// blockStart appends the begin of a tool call. Other items begin with their first
// piece.
func (e *responsesStreamEncoder) blockStart(dst []byte, ev *chat.Event) []byte {
	e.block(ev.Index).kind = ev.Block
	switch {
	case ev.Block != chat.ToolUse:
		return dst
	case ev.Origin == originGemini: // its signature goes first
		e.held = heldCall{block: ev.Index, id: bytes.Clone(ev.ID), name: bytes.Clone(ev.Name)}
		return dst
	default:
		return e.openCall(dst, ev.Index, ev.ID, ev.Name)
	}
}

// delta appends a piece of a block.
func (e *responsesStreamEncoder) delta(dst []byte, ev *chat.Event) []byte {
	if ev.Delta == chat.DeltaCitation {
		return e.cite(dst, ev)
	}
	if ev.Text.Empty() {
		return dst
	}
	switch ev.Delta {
	case chat.DeltaText:
		return e.text(dst, ev, chat.Text)
	case chat.DeltaRefusal:
		e.has.refusal = true
		return e.text(dst, ev, chat.Refusal)
	case chat.DeltaThinking:
		return e.thinking(dst, ev)
	case chat.DeltaSignature, chat.DeltaRedacted:
		return e.seal(dst, ev)
	case chat.DeltaArguments:
		return e.arguments(dst, ev.Index, ev.Text)
	default:
		return dst
	}
}

// blockStop ends what a block has open. The message goes on with the next text.
func (e *responsesStreamEncoder) blockStop(dst []byte, i int) []byte {
	b := e.block(i)
	switch {
	case b.kind == chat.ToolUse && b.item != none:
		return e.closeCall(dst, b.item)
	case e.reasoning != none && e.items[e.reasoning].block == i:
		return e.closeReasoning(dst)
	case e.message != none && e.items[e.message].block == i:
		return e.closePart(dst)
	}
	return dst
}

// closeAll ends all items, in their order.
func (e *responsesStreamEncoder) closeAll(dst []byte) []byte {
	for i := range e.items {
		switch {
		case !e.items[i].open:
		case i == e.message:
			dst = e.closeMessage(dst)
		case i == e.reasoning:
			dst = e.closeReasoning(dst)
		default:
			dst = e.closeCall(dst, i)
		}
	}
	return dst
}
