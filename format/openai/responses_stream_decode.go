package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxStreamParts bounds the parts of one streamed answer, and its items.
const maxStreamParts = 4096

// NewStreamDecoder implements format.StreamCodec.
func (Responses) NewStreamDecoder() format.StreamDecoder { return &responsesStreamDecoder{} }

// responsesStreamDecoder turns the events of a response into neutral ones.
type responsesStreamDecoder struct {
	tape   tape.Tape
	counts counts
	usage  chat.Usage

	started bool
	ended   bool
	id      []byte // of the answer
	blocks  int    // how many there are
	items   []streamItem
	parts   []streamPart
	has     content
	scratch []byte
	// escaped holds the pieces of free text that the events of one call of Decode
	// are views of.
	escaped []byte
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
	d.escaped = d.escaped[:0]
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

// event appends what an event amounts to. Unknown ones amount to nothing.
func (d *responsesStreamDecoder) event(dst []chat.Event, e *responseEvent) ([]chat.Event, error) {
	if failure := e.failed(); failure != nil {
		d.ended = true
		return append(dst, chat.Event{Kind: chat.EventError, Err: failure}), nil
	}
	switch string(e.kind) {
	case "response.created", "response.in_progress", "response.queued":
		return d.start(dst, e.response), nil
	case "response.completed", "response.incomplete":
		return d.terminal(dst, e)
	case "response.output_item.added":
		item, err := d.itemAdded(e)
		if err != nil {
			return dst, err
		}
		return d.callAdded(dst, item, e.item)
	}
	if e.aboutItem() {
		return d.itemEvent(dst, e)
	}
	return dst, nil
}

// itemEvent appends what an event about an item amounts to.
func (d *responsesStreamDecoder) itemEvent(dst []chat.Event, e *responseEvent) ([]chat.Event, error) {
	item, err := d.itemOf(e)
	if err != nil {
		return dst, err
	}
	number, _ := e.contentIndex.Int()
	switch string(e.kind) {
	case "response.output_text.delta":
		return d.piece(dst, item, number, chat.Text, e.delta.Literal(), logprobsIn(e.logprobs))
	case "response.output_text.done":
		return d.rest(dst, item, number, chat.Text, e.text.Literal(), logprobsIn(e.logprobs))
	case "response.output_text.annotation.added":
		return d.cite(dst, item, number, e.annotation)
	case "response.refusal.delta":
		return d.piece(dst, item, number, chat.Refusal, e.delta.Literal(), nil)
	case "response.refusal.done":
		return d.rest(dst, item, number, chat.Refusal, e.refusal.Literal(), nil)
	case "response.content_part.done":
		return d.contentPart(dst, item, number, e.part)
	case "response.reasoning_summary_text.delta":
		summary, _ := e.summaryIndex.Int()
		return d.thought(dst, item, section{summary, false}, e.delta.Literal(), false)
	case "response.reasoning_summary_text.done":
		summary, _ := e.summaryIndex.Int()
		return d.thought(dst, item, section{summary, false}, e.text.Literal(), true)
	case "response.reasoning_text.delta":
		return d.thought(dst, item, section{number, true}, e.delta.Literal(), false)
	case "response.reasoning_text.done":
		return d.thought(dst, item, section{number, true}, e.text.Literal(), true)
	case "response.output_item.done":
		return d.itemDone(dst, item, e.item)
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		return d.callPiece(dst, item, e.delta.Literal()), nil
	case "response.function_call_arguments.done":
		return d.callRest(dst, item, e.arguments.Literal()), nil
	case "response.custom_tool_call_input.done":
		return d.callRest(dst, item, e.input.Literal()), nil
	}
	return dst, nil
}

// start appends the start, once.
func (d *responsesStreamDecoder) start(dst []chat.Event, v tape.Value) []chat.Event {
	if d.started {
		return dst
	}
	d.started = true
	id := v.Member("id").Literal()
	d.id = bytes.Clone(id.Unescaped())
	return append(dst, chat.Event{Kind: chat.EventStart, ID: id, Model: v.Member("model").Literal()})
}

// terminal appends the end of the answer. Servers that stream nothing but the end
// tell the whole answer with it, others an item that they have left out.
func (d *responsesStreamDecoder) terminal(dst []chat.Event, e *responseEvent) ([]chat.Event, error) {
	dst = d.start(dst, e.response)
	r := responseIn(e.response)
	var err error
	if len(d.items) < r.output.Len() {
		var index int64
		for item := range r.output.Elements {
			if dst, err = d.leftOut(dst, index, item); err != nil {
				return dst, err
			}
			index++
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

// leftOut appends an item of the whole answer that no event was about.
func (d *responsesStreamDecoder) leftOut(dst []chat.Event, index int64, v tape.Value) ([]chat.Event, error) {
	id := v.Member("id").Literal().Inner()
	for i := range d.items {
		if known := &d.items[i]; known.index == index || len(id) > 0 && bytes.Equal(known.id, id) {
			return dst, nil
		}
	}
	item, err := d.addItem(index, id)
	if err != nil {
		return dst, err
	}
	return d.itemDone(dst, item, v)
}
