package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// What one stream may make the gateway hold.
const (
	maxStreamTools = 1024
	maxHeldText    = 256 << 10
)

// NewStreamDecoder implements format.StreamCodec.
func (Chat) NewStreamDecoder() format.StreamDecoder { return &chatStreamDecoder{open: none} }

// none is the number of no block.
const none = -1

// chatStreamDecoder turns chunks into neutral events.
type chatStreamDecoder struct {
	tape   tape.Tape
	counts counts
	usage  chat.Usage

	started bool
	id      []byte // of the answer
	blocks  int    // how many there are
	open    int    // the number of the open block that is no tool call
	kind    chat.BlockKind
	tools   []streamTool
	has     content

	stop     chat.Stop
	finished bool // the finish_reason has come
	told     bool // EventFinish has been sent
	ended    bool // nothing comes any more
}

// streamTool is a tool call whose pieces are arriving.
type streamTool struct {
	index    int64
	id, name chat.Literal
	block    int    // none as long as the name is unknown
	held     []byte // arguments that came before the name: a literal without its end
}

// Decode implements format.StreamDecoder.
func (d *chatStreamDecoder) Decode(dst []chat.Event, ev sse.Event) ([]chat.Event, error) {
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
	c := chunkOf(d.tape.Root())
	if c.failed(ev) {
		return d.fail(dst, errorIn(c.root)), nil
	}
	dst, err := d.chunk(dst, &c)
	if err != nil {
		d.ended = true
	}
	return dst, err
}

// Finish implements format.StreamDecoder.
func (d *chatStreamDecoder) Finish(dst []chat.Event) ([]chat.Event, error) {
	if d.ended {
		return dst, nil
	}
	d.ended = true
	if !d.finished {
		return dst, format.ErrTruncated
	}
	return append(dst, chat.Event{Kind: chat.EventEnd}), nil
}

// isDone says that data is the end mark.
func isDone(data []byte) bool { return string(data) == "[DONE]" }

// chunk is one event's document.
type chunk struct{ root, id, model, choices, usage, failure tape.Value }

// chunkOf finds what matters in a document.
func chunkOf(root tape.Value) (c chunk) {
	c.root = root
	for key, value := range root.Members {
		switch string(name(key)) {
		case "id":
			c.id = value
		case "model":
			c.model = value
		case "choices":
			c.choices = value
		case "usage":
			c.usage = value
		case "error":
			c.failure = value
		}
	}
	return c
}

// failed says that the event tells an error.
func (c *chunk) failed(ev sse.Event) bool {
	return isFailure(c.failure) || string(ev.Name) == "error" && c.choices.Kind() != tape.Array
}

// fail ends the stream with the upstream's own error.
func (d *chatStreamDecoder) fail(dst []chat.Event, e *chat.Error) []chat.Event {
	d.ended = true
	return append(dst, chat.Event{Kind: chat.EventError, Err: e})
}

// chunk appends what a chunk amounts to. After the finish only counts matter.
func (d *chatStreamDecoder) chunk(dst []chat.Event, c *chunk) ([]chat.Event, error) {
	choice := first(c.choices)
	dst = d.start(dst, c, c.choices.Len() > 0)
	if !d.finished {
		var err error
		if dst, err = d.delta(dst, member(choice, "delta")); err != nil {
			return dst, err
		}
		if reason := choice.Get("finish_reason").Literal(); !reason.Empty() {
			if reason.Is("error") {
				return d.fail(dst, choiceError(c.root, choice)), nil
			}
			if dst, err = d.finishBlocks(dst); err != nil {
				return dst, err
			}
			d.setStop(reason, choice.Get("stop_reason"))
		}
	}
	usage := c.usage
	if usage.Kind() != tape.Object {
		usage = choice.Get("usage") // Moonshot
	}
	if usage.Kind() == tape.Object {
		dst = d.count(dst, usage)
	}
	return d.finish(dst), nil
}

// choiceError is the error of a choice that finished with one.
func choiceError(root, choice tape.Value) *chat.Error {
	if isFailure(choice.Get("error")) {
		return errorIn(choice)
	}
	return errorIn(root)
}

// start appends the start at the first chunk that means something: Azure's first
// one has neither an id nor a choice.
func (d *chatStreamDecoder) start(dst []chat.Event, c *chunk, choice bool) []chat.Event {
	id := c.id.Literal()
	if d.started || id.Empty() && !choice {
		return dst
	}
	d.started = true
	d.id = bytes.Clone(unescaped(id))
	return append(dst, chat.Event{Kind: chat.EventStart, ID: id, Model: c.model.Literal()})
}

// count takes the counts of tokens, which may come with any chunk.
func (d *chatStreamDecoder) count(dst []chat.Event, v tape.Value) []chat.Event {
	if d.counts.read(v) {
		d.usage = d.counts.usage()
		dst = append(dst, chat.Event{Kind: chat.EventUsage, Usage: &d.usage})
	}
	return dst
}

// delta appends what a delta amounts to.
func (d *chatStreamDecoder) delta(dst []chat.Event, v tape.Value) ([]chat.Event, error) {
	var text, reasoning, thought, details, refusal, calls, function tape.Value
	for key, value := range v.Members {
		switch string(name(key)) {
		case "content":
			text = value
		case "reasoning_content":
			reasoning = value
		case "reasoning":
			thought = value
		case "reasoning_details":
			details = value
		case "refusal":
			refusal = value
		case "tool_calls":
			calls = value
		case "function_call":
			function = value
		}
	}
	switch {
	case !reasoning.Literal().Empty():
		dst = d.text(dst, chat.Thinking, reasoning.Literal())
	case !thought.Literal().Empty():
		dst = d.text(dst, chat.Thinking, thought.Literal())
	default:
		for detail := range details.Elements {
			dst = d.text(dst, chat.Thinking, reasoningDetail(detail))
		}
	}
	dst = d.text(dst, chat.Text, text.Literal())
	for part := range text.Elements {
		kind, l := partText(part)
		dst = d.text(dst, kind, l)
		for piece := range part.Get("thinking").Elements {
			dst = d.text(dst, chat.Thinking, piece.Get("text").Literal())
		}
	}
	dst = d.text(dst, chat.Refusal, refusal.Literal())
	var err error
	for call := range calls.Elements {
		if dst, err = d.call(dst, call.Get("index"), call.Get("id").Literal(), call.Get("function")); err != nil {
			return dst, err
		}
	}
	if function.Kind() == tape.Object {
		return d.call(dst, tape.Value{}, nil, function)
	}
	return dst, nil
}

// deltaKinds are the deltas of the blocks that are text.
var deltaKinds = [...]chat.DeltaKind{
	chat.Text:     chat.DeltaText,
	chat.Thinking: chat.DeltaThinking,
	chat.Refusal:  chat.DeltaRefusal,
}

// text appends a piece of text, in a new block if it is of another kind than
// what came before.
func (d *chatStreamDecoder) text(dst []chat.Event, kind chat.BlockKind, l chat.Literal) []chat.Event {
	if l.Empty() {
		return dst
	}
	if d.open == none || d.kind != kind {
		dst = d.close(dst)
		d.open, d.kind = d.blocks, kind
		d.blocks++
		d.has.refusal = d.has.refusal || kind == chat.Refusal
		dst = append(dst, chat.Event{Kind: chat.EventBlockStart, Index: d.open, Block: kind})
		if kind == chat.Thinking {
			dst[len(dst)-1].Origin = origin
		}
	}
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: d.open, Delta: deltaKinds[kind], Text: l})
}

// close closes the open block that is no tool call.
func (d *chatStreamDecoder) close(dst []chat.Event) []chat.Event {
	if d.open == none {
		return dst
	}
	dst = append(dst, chat.Event{Kind: chat.EventBlockStop, Index: d.open})
	d.open = none
	return dst
}

// call appends what a piece of a tool call amounts to.
func (d *chatStreamDecoder) call(dst []chat.Event, index tape.Value, id chat.Literal, function tape.Value) ([]chat.Event, error) {
	t := d.tool(index, id)
	if t == nil {
		return dst, chat.BadAnswer("the upstream's stream has too many tool calls")
	}
	if t.id == nil && !id.Empty() {
		t.id = clone(id)
	}
	if name := function.Get("name").Literal(); t.name == nil && !name.Empty() {
		t.name = clone(name)
	}
	if t.block == none && t.name != nil {
		dst = d.begin(dst, t)
	}
	arguments := function.Get("arguments").Literal()
	if object := function.Get("arguments"); object.Kind() == tape.Object {
		arguments = chat.Quote(string(object.Raw()))
	}
	switch {
	case arguments.Empty():
		return dst, nil
	case t.block != none:
		return append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaArguments, Text: arguments}), nil
	case len(t.held)+len(arguments) > maxHeldText:
		return dst, chat.BadAnswer("the upstream's stream sends a tool call's arguments before its name")
	case t.held == nil:
		t.held = append(t.held, '"')
	}
	t.held = append(t.held, arguments.Inner()...)
	return dst, nil
}

// tool returns the call that a piece belongs to; nil if there are too many.
// Servers may leave out the index, or give the same one to all calls.
func (d *chatStreamDecoder) tool(index tape.Value, id chat.Literal) *streamTool {
	number, numbered := index.Int()
	number = max(number, 0)
	for i := len(d.tools) - 1; i >= 0; i-- {
		t := &d.tools[i]
		sameID := id.Empty() || t.id == nil || sameText(t.id, id)
		switch {
		case numbered && t.index != number:
		case numbered && sameID:
			return t
		case numbered:
			return d.addTool(number)
		case id.Empty() || t.id != nil && sameText(t.id, id):
			return t
		}
	}
	if !numbered {
		number = none // matches no index
	}
	return d.addTool(number)
}

// addTool begins to collect another call.
func (d *chatStreamDecoder) addTool(index int64) *streamTool {
	if len(d.tools) == maxStreamTools {
		return nil
	}
	d.tools = append(d.tools, streamTool{index: index, block: none})
	return &d.tools[len(d.tools)-1]
}

// begin opens the block of a call whose name is known. If the id is not known by
// now, none will come.
func (d *chatStreamDecoder) begin(dst []chat.Event, t *streamTool) []chat.Event {
	dst = d.close(dst)
	if t.id == nil {
		t.id = madeID(d.id, t.name, len(d.tools))
	}
	t.block = d.blocks
	d.blocks++
	d.has.tools = true
	dst = append(dst, chat.Event{Kind: chat.EventBlockStart, Index: t.block, Block: chat.ToolUse, ID: t.id, Name: t.name})
	if t.held != nil {
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaArguments, Text: append(t.held, '"')})
		t.held = nil
	}
	return dst
}

// finishBlocks closes all blocks.
func (d *chatStreamDecoder) finishBlocks(dst []chat.Event) ([]chat.Event, error) {
	dst = d.close(dst)
	for i := range d.tools {
		t := &d.tools[i]
		switch {
		case t.block != none:
			dst = append(dst, chat.Event{Kind: chat.EventBlockStop, Index: t.block})
		case t.id != nil || t.held != nil:
			return dst, chat.BadAnswer("the upstream's stream has a tool call without a name")
		}
	}
	return dst, nil
}

// setStop remembers why the model stopped.
func (d *chatStreamDecoder) setStop(reason chat.Literal, sequence tape.Value) {
	d.finished = true
	d.stop = stopOf(reason, d.has)
	if d.stop.Reason == chat.StopEnd {
		metSequence(&d.stop, sequence)
	}
}

// finish appends the finish, once, at the end of its chunk.
func (d *chatStreamDecoder) finish(dst []chat.Event) []chat.Event {
	if d.told || !d.finished {
		return dst
	}
	d.told = true
	return append(dst, chat.Event{Kind: chat.EventFinish, Stop: d.stop})
}
