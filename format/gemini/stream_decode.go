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
	// pieces is the call that comes in pieces; nil if none does.
	pieces *partialCall
	// measure measures the open text, which begins at byte base of the answer's.
	measure ruler
	base    int
	sources sources
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
	return d.chunk(dst, d.tape.Root())
}

// chunk appends the neutral events that a chunk amounts to.
func (d *streamDecoder) chunk(dst []chat.Event, root tape.Value) ([]chat.Event, error) {
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
		d.logprobs(dst, &a)
		d.sources.take(&a)
	}
	if d.counts.take(a.usage) {
		d.usage = d.counts.usage()
		dst = append(dst, chat.Event{Kind: chat.EventUsage, Usage: &d.usage})
	}
	if d.finished {
		return dst, nil
	}
	if isReason(a.reason) {
		return d.finish(dst, &a)
	}
	if reason := blockReason(a.feedback); reason.Exists() {
		return d.finish(dst, &a)
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
	for element := range root.Elements {
		if format.IsFailure(element.Get("error")) {
			return errorIn(element)
		}
		break
	}
	if format.IsFailure(a.failure) {
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
		if kind == chat.Text {
			d.measure.add(text)
		}
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
	if d.kind == chat.Text {
		dst = d.sources.cite(dst, i, &d.measure, d.base)
		d.base += d.measure.bytes
		d.measure = ruler{runs: d.measure.runs[:0]}
	}
	return append(dst, chat.Event{Kind: chat.EventBlockStop, Index: i})
}

// call appends a call of a function, or takes a piece of one.
func (d *streamDecoder) call(dst []chat.Event, v tape.Value, signature chat.Literal) ([]chat.Event, error) {
	id, name, args := v.Get("id").Literal(), v.Get("name").Literal(), v.Get("args")
	if isPartial(v) || name.Empty() && d.pieces != nil {
		return d.partial(dst, v, signature)
	}
	if name.Empty() {
		return dst, namelessCall()
	}
	dst, err := d.endPartial(dst)
	if err != nil {
		return dst, err
	}
	if args.Kind() != tape.Object {
		return d.wholeCall(dst, id, name, nil, signature)
	}
	return d.wholeCall(dst, id, name, args.Raw(), signature)
}

// wholeCall appends a call whose arguments are whole; nil if it has none.
func (d *streamDecoder) wholeCall(dst []chat.Event, id, name chat.Literal, args []byte, signature chat.Literal) ([]chat.Event, error) {
	if d.number == maxAnswerBlocks {
		return dst, tooManyBlocks()
	}
	dst = d.close(dst)
	if id.Empty() {
		id = madeID(d.id, d.number)
	}
	i := d.number
	d.number++
	d.tools = true
	start := chat.Event{Kind: chat.EventBlockStart, Index: i, Block: chat.ToolUse, ID: id, Name: name}
	if !signature.Empty() {
		start.Origin = origin // announces the signature
	}
	dst = append(dst, start)
	dst = sign(dst, i, signature)
	if args != nil {
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: i, Delta: chat.DeltaArguments, Text: chat.AppendQuoted(nil, args)})
	}
	return append(dst, chat.Event{Kind: chat.EventBlockStop, Index: i}), nil
}

// finish appends why the model stopped, behind the end of the open block. The
// first reason counts; some servers repeat it.
func (d *streamDecoder) finish(dst []chat.Event, a *answer) ([]chat.Event, error) {
	dst, err := d.endPartial(dst)
	if err != nil {
		d.ended = true
		return dst, err
	}
	d.finished = true
	dst = d.close(dst)
	stop := blockedStop(blockReason(a.feedback))
	if isReason(a.reason) {
		stop = stopOf(a.reason, a.message, d.tools)
	}
	return append(dst, chat.Event{Kind: chat.EventFinish, Stop: stop}), nil
}

// logprobs puts the probabilities of a chunk's tokens to the text that it has
// brought, the last of the events. They are left out if it has brought none.
func (d *streamDecoder) logprobs(dst []chat.Event, a *answer) {
	last := len(dst) - 1
	if !a.logprobs.Exists() || last < 0 || dst[last].Kind != chat.EventDelta || dst[last].Delta != chat.DeltaText {
		return
	}
	dst[last].Logprobs = neutralLogprobs(a.logprobs)
}
