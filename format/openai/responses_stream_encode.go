package openai

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Heartbeat implements format.StreamCodec.
func (Responses) Heartbeat() []byte { return heartbeat }

// NewStreamEncoder implements format.StreamCodec.
func (Responses) NewStreamEncoder(x *chat.Exchange) format.StreamEncoder {
	return &responsesStreamEncoder{x: x, message: none, reasoning: none}
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
	text  []byte // of the open part, the summary or the arguments: escaped
	done  []byte // the finished parts of an open message; the finished item

	// Of a message.
	part  chat.BlockKind // of the open part
	parts int            // how many are finished

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
		e.id = clone(ev.ID)
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
	dst = chat.AppendQuoted(dst, format.Bounded(err.Message, maxMessage))
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

// blockStart appends the begin of a tool call. Other items begin with their first
// piece.
func (e *responsesStreamEncoder) blockStart(dst []byte, ev *chat.Event) []byte {
	e.block(ev.Index).kind = ev.Block
	if ev.Block != chat.ToolUse {
		return dst
	}
	dst = e.closeReasoning(e.closeMessage(dst))
	e.has.tools = true
	called := calledTool(e.x, ev.Name)
	called.name, called.namespace = clone(called.name), clone(called.namespace)
	id := clone(ev.ID)
	if id.Empty() {
		id = madeID([]byte(e.x.RequestID), ev.Name, len(e.items))
	}
	item := e.add(ev.Index, chat.ToolUse)
	item.called, item.id = called, id
	dst = e.added(dst)
	dst = called.appendHead(dst, e.ids, len(e.items)-1, id, "in_progress")
	return e.close(append(dst, `""}`...))
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

// delta appends a piece of a block.
func (e *responsesStreamEncoder) delta(dst []byte, ev *chat.Event) []byte {
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

// text appends a piece of a message.
func (e *responsesStreamEncoder) text(dst []byte, ev *chat.Event, kind chat.BlockKind) []byte {
	if e.message == none {
		dst = e.closeReasoning(dst)
		e.add(ev.Index, chat.Text).block = none
		e.message = len(e.items) - 1
		dst = e.added(dst)
		dst = appendMessageHead(dst, e.ids, e.message, "in_progress")
		dst = e.close(append(dst, "]}"...))
	}
	item := &e.items[e.message]
	if item.block != ev.Index || item.part != kind {
		dst = e.closePart(dst)
		item.block, item.part = ev.Index, kind
		dst = e.begin(dst, "response.content_part.added")
		dst = e.atPart(dst, item)
		dst = append(dst, `,"part":`...)
		dst = e.close(appendTextPart(dst, kind, nil))
	}
	item.text = append(item.text, ev.Text.Inner()...)
	if kind == chat.Refusal {
		dst = e.begin(dst, "response.refusal.delta")
		dst = e.atPart(dst, item)
		dst = append(dst, `,"delta":`...)
		return e.close(append(dst, ev.Text...))
	}
	dst = e.begin(dst, "response.output_text.delta")
	dst = e.atPart(dst, item)
	dst = append(dst, `,"delta":`...)
	dst = append(dst, ev.Text...)
	return e.close(append(dst, `,"logprobs":[]`...))
}

// atPart appends the place that an event is about: a part of the open message.
func (e *responsesStreamEncoder) atPart(dst []byte, item *outputItem) []byte {
	dst = e.at(dst, messagePrefix, e.message)
	return appendCount(dst, `,"content_index":`, int64(item.parts))
}

// closePart ends the open part of the open message.
func (e *responsesStreamEncoder) closePart(dst []byte) []byte {
	if e.message == none || e.items[e.message].block == none {
		return dst
	}
	item := &e.items[e.message]
	if item.part == chat.Refusal {
		dst = e.begin(dst, "response.refusal.done")
		dst = e.atPart(dst, item)
		dst = append(dst, `,"refusal":"`...)
		dst = append(dst, item.text...)
		dst = e.close(append(dst, '"'))
	} else {
		dst = e.begin(dst, "response.output_text.done")
		dst = e.atPart(dst, item)
		dst = append(dst, `,"text":"`...)
		dst = append(dst, item.text...)
		dst = e.close(append(dst, `","logprobs":[]`...))
	}
	dst = e.begin(dst, "response.content_part.done")
	dst = e.atPart(dst, item)
	dst = append(dst, `,"part":`...)
	from := len(dst)
	dst = appendTextPart(dst, item.part, item.text)
	if item.parts == 0 {
		item.done = appendMessageHead(item.done, e.ids, e.message, "completed")
	} else {
		item.done = append(item.done, ',')
	}
	item.done = append(item.done, dst[from:]...)
	dst = e.close(dst)
	item.parts++
	item.block, item.text = none, item.text[:0]
	return dst
}

// closeMessage ends the open message.
func (e *responsesStreamEncoder) closeMessage(dst []byte) []byte {
	if e.message == none {
		return dst
	}
	dst = e.closePart(dst)
	number := e.message
	e.message = none
	item := &e.items[number]
	item.done = append(item.done, "]}"...)
	return e.done(dst, number)
}

// done appends the event that ends an item.
func (e *responsesStreamEncoder) done(dst []byte, number int) []byte {
	item := &e.items[number]
	item.open, item.text, item.sealed = false, nil, nil
	dst = e.begin(dst, "response.output_item.done")
	dst = appendCount(dst, `,"output_index":`, int64(number))
	dst = append(dst, `,"item":`...)
	return e.close(append(dst, item.done...))
}

// thought opens an item with reasoning for a block, unless it is open.
func (e *responsesStreamEncoder) thought(dst []byte, block int) ([]byte, *outputItem) {
	if e.reasoning != none && e.items[e.reasoning].block == block {
		return dst, &e.items[e.reasoning]
	}
	dst = e.closeReasoning(e.closeMessage(dst))
	item := e.add(block, chat.Thinking)
	e.reasoning = len(e.items) - 1
	dst = e.added(dst)
	dst = appendReasoning(dst, e.ids, e.reasoning, nil, false, "", nil)
	return e.close(dst), item
}

// thinking appends a piece of reasoning.
func (e *responsesStreamEncoder) thinking(dst []byte, ev *chat.Event) []byte {
	dst, item := e.thought(dst, ev.Index)
	if len(item.text) == 0 {
		dst = e.begin(dst, "response.reasoning_summary_part.added")
		dst = e.atSummary(dst)
		dst = append(dst, `,"part":`...)
		dst = e.close(appendSummaryPart(dst, nil))
	}
	item.text = append(item.text, ev.Text.Inner()...)
	dst = e.begin(dst, "response.reasoning_summary_text.delta")
	dst = e.atSummary(dst)
	dst = append(dst, `,"delta":`...)
	return e.close(append(dst, ev.Text...))
}

// atSummary appends the place that an event is about: the summary of the open
// reasoning.
func (e *responsesStreamEncoder) atSummary(dst []byte) []byte {
	return append(e.at(dst, reasoningPrefix, e.reasoning), `,"summary_index":0`...)
}

// seal keeps the signature of reasoning, or reasoning that is sealed as a whole.
// One that comes when the item is done comes too late.
func (e *responsesStreamEncoder) seal(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	if b.kind != chat.Thinking && b.kind != chat.RedactedThinking || b.item != none && b.item != e.reasoning {
		return dst
	}
	dst, item := e.thought(dst, ev.Index)
	item.sealed = append(item.sealed, ev.Text.Inner()...)
	item.origin = ev.Origin
	item.redacted = ev.Delta == chat.DeltaRedacted
	return dst
}

// closeReasoning ends the open item with reasoning.
func (e *responsesStreamEncoder) closeReasoning(dst []byte) []byte {
	if e.reasoning == none {
		return dst
	}
	number := e.reasoning
	item := &e.items[number]
	if len(item.text) > 0 {
		dst = e.begin(dst, "response.reasoning_summary_text.done")
		dst = e.atSummary(dst)
		dst = append(dst, `,"text":"`...)
		dst = append(dst, item.text...)
		dst = e.close(append(dst, '"'))
		dst = e.begin(dst, "response.reasoning_summary_part.done")
		dst = e.atSummary(dst)
		dst = append(dst, `,"part":`...)
		dst = e.close(appendSummaryPart(dst, item.text))
	}
	e.reasoning = none
	item.done = appendReasoning(nil, e.ids, number, item.text, item.redacted, item.origin, item.sealed)
	return e.done(dst, number)
}

// arguments appends a piece of a call's arguments. Those of a tool that takes
// free text are told at once: the text is within them.
func (e *responsesStreamEncoder) arguments(dst []byte, block int, piece chat.Literal) []byte {
	b := e.block(block)
	if b.kind != chat.ToolUse || b.item == none || !e.items[b.item].open {
		return dst
	}
	item := &e.items[b.item]
	item.text = append(item.text, piece.Inner()...)
	if item.called.custom {
		return dst
	}
	dst = e.begin(dst, "response.function_call_arguments.delta")
	dst = e.at(dst, callPrefix, b.item)
	dst = append(dst, `,"delta":`...)
	return e.close(append(dst, piece...))
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

// closeCall ends a call.
func (e *responsesStreamEncoder) closeCall(dst []byte, number int) []byte {
	item := &e.items[number]
	if !item.open {
		return dst
	}
	if item.called.custom {
		dst = e.closeCustom(dst, number)
		return e.done(dst, number)
	}
	if len(item.text) == 0 {
		dst = e.arguments(dst, item.block, noArguments)
	}
	dst = e.begin(dst, "response.function_call_arguments.done")
	dst = e.at(dst, callPrefix, number)
	dst = append(dst, `,"name":`...)
	dst = append(dst, item.called.name...)
	dst = append(dst, `,"arguments":"`...)
	dst = append(dst, item.text...)
	dst = e.close(append(dst, '"'))
	item.done = item.called.appendHead(make([]byte, 0, len(item.text)+256), e.ids, number, item.id, "completed")
	item.done = append(item.done, '"')
	item.done = append(item.done, item.text...)
	item.done = append(item.done, `"}`...)
	return e.done(dst, number)
}

// closeCustom tells the text that a tool is called with.
func (e *responsesStreamEncoder) closeCustom(dst []byte, number int) []byte {
	item := &e.items[number]
	whole := append(append([]byte{'"'}, item.text...), '"')
	input := chat.Literal(appendInput(nil, chat.Arguments{Text: whole}))
	if !input.Empty() {
		dst = e.begin(dst, "response.custom_tool_call_input.delta")
		dst = e.at(dst, customPrefix, number)
		dst = append(dst, `,"delta":`...)
		dst = e.close(append(dst, input...))
	}
	dst = e.begin(dst, "response.custom_tool_call_input.done")
	dst = e.at(dst, customPrefix, number)
	dst = append(dst, `,"input":`...)
	dst = e.close(append(dst, input...))
	item.done = item.called.appendHead(nil, e.ids, number, item.id, "completed")
	item.done = append(append(item.done, input...), '}')
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
