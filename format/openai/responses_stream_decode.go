package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxStreamParts bounds the parts of one streamed answer.
const maxStreamParts = 4096

// NewStreamDecoder implements format.StreamCodec.
func (Responses) NewStreamDecoder() format.StreamDecoder { return &responsesStreamDecoder{} }

// responsesStreamDecoder turns the events of a response into neutral ones. Parts
// are known by the numbers of the item and of the part in it: the ids of items
// change between events at some servers.
type responsesStreamDecoder struct {
	tape   tape.Tape
	counts counts
	usage  chat.Usage

	started bool
	ended   bool
	id      []byte // of the answer
	blocks  int    // how many there are
	parts   []streamPart
	has     content
	scratch []byte
}

// streamPart is a part of an item whose pieces are arriving.
type streamPart struct {
	item, number int64 // number is 0 for items without parts
	kind         chat.BlockKind
	block        int
	closed       bool
	custom       bool // a call with free text
	section      int64
	sent         int // bytes of the text, or of the section, unescaped
}

// Decode implements format.StreamDecoder.
func (d *responsesStreamDecoder) Decode(dst []chat.Event, ev sse.Event) ([]chat.Event, error) {
	data := bytes.TrimSpace(ev.Data)
	switch {
	case d.ended || len(data) == 0:
		return dst, nil
	case isDone(data):
		return d.Finish(dst)
	}
	if err := d.tape.Parse(data); err != nil {
		d.ended = true
		return dst, format.ErrNotJSON
	}
	e := eventIn(d.tape.Root(), ev)
	dst, err := d.event(dst, &e)
	if err != nil {
		d.ended = true
	}
	return dst, err
}

// Finish implements format.StreamDecoder.
func (d *responsesStreamDecoder) Finish(dst []chat.Event) ([]chat.Event, error) {
	if d.ended {
		return dst, nil
	}
	d.ended = true
	return dst, format.ErrTruncated
}

// responseEvent is one event's document.
type responseEvent struct {
	root                                          tape.Value
	kind                                          []byte
	response, item, part                          tape.Value
	outputIndex, contentIndex, summaryIndex       tape.Value
	delta, text, refusal, arguments, input, error tape.Value
	number                                        tape.Value
}

// eventIn finds what matters in a document.
func eventIn(root tape.Value, ev sse.Event) (e responseEvent) {
	e.root, e.kind = root, ev.Name
	for key, value := range root.Members {
		switch string(name(key)) {
		case "type":
			if kind := value.Literal(); !kind.Empty() {
				e.kind = kind.Inner()
			}
		case "sequence_number":
			e.number = value
		case "response":
			e.response = value
		case "item":
			e.item = value
		case "part":
			e.part = value
		case "output_index":
			e.outputIndex = value
		case "content_index":
			e.contentIndex = value
		case "summary_index":
			e.summaryIndex = value
		case "delta":
			e.delta = value
		case "text":
			e.text = value
		case "refusal":
			e.refusal = value
		case "arguments":
			e.arguments = value
		case "input":
			e.input = value
		case "error":
			e.error = value
		}
	}
	return e
}

// failed is the error that the event tells; nil if it tells none.
func (e *responseEvent) failed() *chat.Error {
	switch string(e.kind) {
	case "response.failed", "response.cancelled":
		return failureIn(e.response)
	case "error":
		return failureIn(e.root)
	}
	if e.response.Kind() != tape.Object && isFailure(e.error) {
		return failureIn(e.root)
	}
	return nil
}

// event appends what an event amounts to. Unknown ones amount to nothing.
func (d *responsesStreamDecoder) event(dst []chat.Event, e *responseEvent) ([]chat.Event, error) {
	if failure := e.failed(); failure != nil {
		d.ended = true
		return append(dst, chat.Event{Kind: chat.EventError, Err: failure}), nil
	}
	item, _ := e.outputIndex.Int()
	content, _ := e.contentIndex.Int()
	summary, _ := e.summaryIndex.Int()
	switch string(e.kind) {
	case "response.created", "response.in_progress", "response.queued":
		return d.start(dst, e.response), nil
	case "response.output_text.delta":
		return d.piece(dst, item, content, chat.Text, e.delta.Literal())
	case "response.output_text.done":
		return d.rest(dst, item, content, chat.Text, e.text.Literal())
	case "response.refusal.delta":
		return d.piece(dst, item, content, chat.Refusal, e.delta.Literal())
	case "response.refusal.done":
		return d.rest(dst, item, content, chat.Refusal, e.refusal.Literal())
	case "response.content_part.done":
		return d.contentPart(dst, item, content, e.part)
	case "response.reasoning_summary_text.delta":
		return d.thought(dst, item, summary, e.delta.Literal(), false)
	case "response.reasoning_summary_text.done":
		return d.thought(dst, item, summary, e.text.Literal(), true)
	case "response.reasoning_text.delta":
		return d.thought(dst, item, content, e.delta.Literal(), false)
	case "response.reasoning_text.done":
		return d.thought(dst, item, content, e.text.Literal(), true)
	case "response.output_item.added":
		return d.itemAdded(dst, item, e.item)
	case "response.output_item.done":
		return d.itemDone(dst, item, e.item)
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		return d.callPiece(dst, item, e.delta.Literal()), nil
	case "response.function_call_arguments.done":
		return d.callRest(dst, item, e.arguments.Literal()), nil
	case "response.custom_tool_call_input.done":
		return d.callRest(dst, item, e.input.Literal()), nil
	case "response.completed", "response.incomplete":
		return d.terminal(dst, e)
	}
	return dst, nil
}

// start appends the start, once.
func (d *responsesStreamDecoder) start(dst []chat.Event, v tape.Value) []chat.Event {
	if d.started {
		return dst
	}
	d.started = true
	id := member(v, "id").Literal()
	d.id = bytes.Clone(unescaped(id))
	return append(dst, chat.Event{Kind: chat.EventStart, ID: id, Model: member(v, "model").Literal()})
}

// find returns a part; nil if it has not begun.
func (d *responsesStreamDecoder) find(item, number int64) *streamPart {
	for i := len(d.parts) - 1; i >= 0; i-- {
		if p := &d.parts[i]; p.item == item && p.number == number {
			return p
		}
	}
	return nil
}

// open appends the begin of a part.
func (d *responsesStreamDecoder) open(dst []chat.Event, item, number int64, start chat.Event) ([]chat.Event, *streamPart, error) {
	if len(d.parts) == maxStreamParts {
		return dst, nil, chat.BadAnswer("the upstream's stream has too many parts")
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

// piece appends a piece of a message.
func (d *responsesStreamDecoder) piece(dst []chat.Event, item, number int64, kind chat.BlockKind, l chat.Literal) ([]chat.Event, error) {
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
	return d.emit(dst, p, l), nil
}

// rest appends what of a message's part no piece has brought.
func (d *responsesStreamDecoder) rest(dst []chat.Event, item, number int64, kind chat.BlockKind, whole chat.Literal) ([]chat.Event, error) {
	p := d.find(item, number)
	if p == nil {
		return d.piece(dst, item, number, kind, whole)
	}
	if p.kind != kind {
		return dst, nil
	}
	return d.piece(dst, item, number, kind, d.missing(p, whole))
}

// contentPart appends the end of a message's part.
func (d *responsesStreamDecoder) contentPart(dst []chat.Event, item, number int64, v tape.Value) ([]chat.Event, error) {
	kind, text := chat.Text, v.Get("text").Literal()
	switch part := v.Get("type"); {
	case part.Is("refusal"):
		kind, text = chat.Refusal, v.Get("refusal").Literal()
	case !part.Is("output_text"):
		return dst, nil // reasoning, at some servers
	}
	dst, err := d.rest(dst, item, number, kind, text)
	if p := d.find(item, number); p != nil && p.kind == kind {
		dst = d.closePart(dst, p)
	}
	return dst, err
}

// betweenSections stands between the sections of a summary.
var betweenSections = chat.Literal(`"\n\n"`)

// thought appends a piece of reasoning, or what of a section no piece has
// brought.
func (d *responsesStreamDecoder) thought(dst []chat.Event, item, section int64, l chat.Literal, whole bool) ([]chat.Event, error) {
	if l.Empty() {
		return dst, nil
	}
	p := d.find(item, 0)
	if p == nil {
		var err error
		if dst, p, err = d.open(dst, item, 0, chat.Event{Block: chat.Thinking, Origin: originResponses}); err != nil {
			return dst, err
		}
		p.section = section
	}
	if p.closed || p.kind != chat.Thinking || section < p.section {
		return dst, nil
	}
	if section > p.section {
		dst = d.emit(dst, p, betweenSections)
		p.section, p.sent = section, 0
	}
	if whole {
		if l = d.missing(p, l); l.Empty() {
			return dst, nil
		}
	}
	p.sent += d.size(l)
	return d.emit(dst, p, l), nil
}

// itemAdded appends the begin of a call. Other items begin with their first
// piece.
func (d *responsesStreamDecoder) itemAdded(dst []chat.Event, item int64, v tape.Value) ([]chat.Event, error) {
	kind := member(v, "type")
	custom := kind.Is("custom_tool_call")
	if !custom && !kind.Is("function_call") || d.find(item, 0) != nil {
		return dst, nil
	}
	toolName := nameIn(v)
	if toolName.Empty() {
		return dst, nil // it comes with the whole item
	}
	id := member(v, "call_id").Literal()
	if id.Empty() {
		id = madeID(d.id, toolName, d.blocks)
	}
	dst, p, err := d.open(dst, item, 0, chat.Event{Block: chat.ToolUse, ID: id, Name: toolName})
	if err != nil {
		return dst, err
	}
	p.custom = custom
	return dst, nil
}

// The arguments that stand for the free text of a call, around that text.
var (
	customBegin = chat.Quote(`{"input":"`)
	customEnd   = chat.Quote(`"}`)
)

// callPiece appends a piece of a call's arguments. A call whose name is not known
// yet is told when it is.
func (d *responsesStreamDecoder) callPiece(dst []chat.Event, item int64, l chat.Literal) []chat.Event {
	p := d.find(item, 0)
	if p == nil || p.kind != chat.ToolUse || p.closed || l.Empty() {
		return dst
	}
	first := p.sent == 0
	p.sent += d.size(l)
	if !p.custom {
		return d.emit(dst, p, l)
	}
	if first {
		dst = d.emit(dst, p, customBegin)
	}
	// The text stands in a string within the arguments, so it is escaped twice.
	return d.emit(dst, p, chat.AppendQuoted(nil, l.Inner()))
}

// callRest appends what of a call's arguments no piece has brought.
func (d *responsesStreamDecoder) callRest(dst []chat.Event, item int64, whole chat.Literal) []chat.Event {
	p := d.find(item, 0)
	if p == nil {
		return dst
	}
	return d.callPiece(dst, item, d.missing(p, whole))
}

// itemDone appends what of an item no piece has brought, and its end.
func (d *responsesStreamDecoder) itemDone(dst []chat.Event, item int64, v tape.Value) ([]chat.Event, error) {
	var err error
	switch kind := member(v, "type"); {
	case kind.Is("message"):
		var number int64
		for part := range member(v, "content").Elements {
			if dst, err = d.contentPart(dst, item, number, part); err != nil {
				return dst, err
			}
			number++
		}
	case kind.Is("reasoning"):
		if dst, err = d.reasoningDone(dst, item, v); err != nil {
			return dst, err
		}
	case kind.Is("function_call"), kind.Is("custom_tool_call"):
		if dst, err = d.itemAdded(dst, item, v); err != nil {
			return dst, err
		}
		if d.find(item, 0) == nil {
			return dst, chat.BadAnswer("the upstream's stream has a tool call without a name")
		}
		text := member(v, "arguments")
		if kind.Is("custom_tool_call") {
			text = member(v, "input")
		}
		dst = d.callRest(dst, item, text.Literal())
	}
	for i := range d.parts {
		if d.parts[i].item == item {
			dst = d.closePart(dst, &d.parts[i])
		}
	}
	return dst, nil
}

// reasoningDone appends what of reasoning no piece has brought, and its sealed
// form.
func (d *responsesStreamDecoder) reasoningDone(dst []chat.Event, item int64, v tape.Value) ([]chat.Event, error) {
	sections := member(v, "summary")
	if sections.Len() == 0 {
		sections = member(v, "content")
	}
	var number int64
	var err error
	for section := range sections.Elements {
		if dst, err = d.thought(dst, item, number, section.Get("text").Literal(), true); err != nil {
			return dst, err
		}
		number++
	}
	sealed := member(v, "encrypted_content").Literal()
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

// terminal appends the end of the answer. Servers that stream nothing but the end
// tell the whole answer with it.
func (d *responsesStreamDecoder) terminal(dst []chat.Event, e *responseEvent) ([]chat.Event, error) {
	dst = d.start(dst, e.response)
	r := responseIn(e.response)
	var err error
	if d.blocks == 0 {
		var number int64
		for item := range r.output.Elements {
			if dst, err = d.itemDone(dst, number, item); err != nil {
				return dst, err
			}
			number++
		}
	}
	for i := range d.parts {
		dst = d.closePart(dst, &d.parts[i])
	}
	if d.counts.readResponses(r.usage) {
		d.usage = d.counts.usage()
		dst = append(dst, chat.Event{Kind: chat.EventUsage, Usage: &d.usage})
	}
	stop := r.stop(string(e.kind) == "response.incomplete", d.has)
	d.ended = true
	return append(dst, chat.Event{Kind: chat.EventFinish, Stop: stop}, chat.Event{Kind: chat.EventEnd}), nil
}
