package gemini

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// NewStreamDecoder implements format.StreamCodec.
func (GenerateContent) NewStreamDecoder() format.StreamDecoder {
	return &streamDecoder{current: none}
}

// streamDecoder turns an upstream's chunks into neutral events. The format has
// no blocks: pieces of text and of thought that follow each other are one block,
// and a call comes whole. It has no end mark either: a stream is complete when a
// finishReason has come and the body has ended.
type streamDecoder struct {
	tape   tape.Tape
	counts counts
	usage  chat.Usage

	started  bool
	id       []byte // of the answer, as a literal
	current  int    // the open block of text or thought, none if there is none
	kind     chat.BlockKind
	number   int // of the next block
	tools    bool
	finished bool
	ended    bool
}

// Decode implements format.StreamDecoder.
func (d *streamDecoder) Decode(dst []chat.Event, ev sse.Event) ([]chat.Event, error) {
	if d.ended || len(ev.Data) == 0 || isDone(ev.Data) {
		return dst, nil
	}
	if err := d.tape.Parse(ev.Data); err != nil {
		d.ended = true
		return dst, format.ErrNotJSON
	}
	root := d.tape.Root()
	a := membersOf(root)
	if failure := failureOf(root, &a); failure != nil {
		d.ended = true
		return append(dst, chat.Event{Kind: chat.EventError, Err: failure}), nil
	}
	dst = d.start(dst, &a)
	if !d.finished {
		for element := range list(a.parts).each {
			var err error
			if dst, err = d.part(dst, element); err != nil {
				d.ended = true
				return dst, err
			}
		}
	}
	if d.counts.take(a.usage) {
		d.usage = d.counts.usage()
		dst = append(dst, chat.Event{Kind: chat.EventUsage, Usage: &d.usage})
	}
	if d.finished {
		return dst, nil
	}
	if isReason(a.reason) {
		return d.finish(dst, stopOf(a.reason, d.tools)), nil
	}
	if reason := blockReason(a.feedback); reason.Exists() {
		return d.finish(dst, blockedStop(reason)), nil
	}
	return dst, nil
}

// Finish implements format.StreamDecoder.
func (d *streamDecoder) Finish(dst []chat.Event) ([]chat.Event, error) {
	if d.ended {
		return dst, nil
	}
	d.ended = true
	if !d.finished {
		return dst, format.ErrTruncated
	}
	return append(dst, chat.Event{Kind: chat.EventEnd}), nil
}

// isDone says that data is the end mark of OpenAI's streams, which some proxies
// send here too.
func isDone(data []byte) bool { return string(bytes.TrimSpace(data)) == "[DONE]" }

// failureOf returns the error that an event tells; nil if it tells none.
func failureOf(root tape.Value, a *answer) *chat.Error {
	if root.Kind() == tape.Array {
		for element := range root.Elements {
			if isFailure(element.Get("error")) {
				return errorIn(element)
			}
			break
		}
	}
	if isFailure(a.failure) {
		return errorIn(root)
	}
	return nil
}

// start appends the start, once. A chunk that is of another format makes none.
func (d *streamDecoder) start(dst []chat.Event, a *answer) []chat.Event {
	if d.started || !a.candidates.Exists() && !a.feedback.Exists() && !a.usage.Exists() && !a.id.Exists() {
		return dst
	}
	d.started = true
	d.id = append(d.id[:0], a.id.Literal()...)
	return append(dst, chat.Event{Kind: chat.EventStart, ID: a.id.Literal(), Model: a.model.Literal()})
}

// part appends what a part amounts to. What other formats do not know is left
// out.
func (d *streamDecoder) part(dst []chat.Event, v tape.Value) ([]chat.Event, error) {
	var p part
	p.readMembers(v)
	signature := p.signature.Literal()
	text := p.text.Literal()
	switch {
	case p.call.Exists():
		return d.call(dst, p.call, signature)
	case p.inline.Exists(), p.file.Exists(), p.other.Exists():
		return dst, nil
	case text.Empty() && signature.Empty():
		return dst, nil
	}
	kind, delta := chat.Text, chat.DeltaText
	if p.thought {
		kind, delta = chat.Thinking, chat.DeltaThinking
	}
	var err error
	if dst, err = d.open(dst, kind); err != nil {
		return dst, err
	}
	if !text.Empty() {
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: d.current, Delta: delta, Text: text})
	}
	return sign(dst, d.current, signature), nil
}

// sign appends the signature of a block, if there is one.
func sign(dst []chat.Event, block int, signature chat.Literal) []chat.Event {
	if signature.Empty() {
		return dst
	}
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: block, Delta: chat.DeltaSignature, Text: signature, Origin: origin})
}

// open makes a block of text or thought the open one.
func (d *streamDecoder) open(dst []chat.Event, kind chat.BlockKind) ([]chat.Event, error) {
	if d.current != none && d.kind == kind {
		return dst, nil
	}
	dst = d.close(dst)
	if d.number == maxAnswerBlocks {
		return dst, tooManyBlocks()
	}
	d.current, d.kind = d.number, kind
	d.number++
	ev := chat.Event{Kind: chat.EventBlockStart, Index: d.current, Block: kind}
	if kind == chat.Thinking {
		ev.Origin = origin
	}
	return append(dst, ev), nil
}

// close appends the end of the open block.
func (d *streamDecoder) close(dst []chat.Event) []chat.Event {
	if d.current == none {
		return dst
	}
	i := d.current
	d.current = none
	return append(dst, chat.Event{Kind: chat.EventBlockStop, Index: i})
}

// call appends a whole call of a function.
func (d *streamDecoder) call(dst []chat.Event, v tape.Value, signature chat.Literal) ([]chat.Event, error) {
	id, name, args := v.Get("id").Literal(), v.Get("name").Literal(), v.Get("args")
	switch {
	case v.Get("partialArgs").Exists(), v.Get("willContinue").Bool():
		// Never asked for: a request must want it (streamFunctionCallArguments).
		return dst, chat.BadAnswer("the upstream's stream sends a function call in pieces, which nobody asked for")
	case name.Empty():
		return dst, namelessCall()
	case d.number == maxAnswerBlocks:
		return dst, tooManyBlocks()
	}
	dst = d.close(dst)
	if id.Empty() {
		id = madeID(d.id, d.number)
	}
	i := d.number
	d.number++
	d.tools = true
	dst = append(dst, chat.Event{Kind: chat.EventBlockStart, Index: i, Block: chat.ToolUse, ID: id, Name: name})
	if args.Kind() == tape.Object {
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaArguments, Text: chat.AppendQuoted(nil, args.Raw())})
	}
	dst = sign(dst, i, signature)
	return append(dst, chat.Event{Kind: chat.EventBlockStop, Index: i}), nil
}

// finish appends why the model stopped, behind the end of the open block. The
// first reason counts; some servers repeat it.
func (d *streamDecoder) finish(dst []chat.Event, stop chat.Stop) []chat.Event {
	d.finished = true
	dst = d.close(dst)
	return append(dst, chat.Event{Kind: chat.EventFinish, Stop: stop})
}
