package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
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
	texts   int // how many blocks of text there are
	cited   int // how many citations there are
	tools   []streamTool
	has     content

	stop     chat.Stop
	finished bool // the finish_reason has come
	told     bool // EventFinish has been sent
	ended    bool // nothing comes any more
}

// Decode implements format.StreamDecoder.
func (d *chatStreamDecoder) Decode(dst []chat.Event, ev sse.Event) ([]chat.Event, error) {
	var c chunk
	dst, ok, err := d.read(dst, ev, &c)
	if !ok {
		return dst, err
	}
	if dst, err = d.chunk(dst, &c); err != nil {
		d.ended = true
	}
	return dst, err
}

// read reads an event into c. ok is false if it is no chunk to look at: then the
// event is dealt with.
func (d *chatStreamDecoder) read(dst []chat.Event, ev sse.Event, c *chunk) (out []chat.Event, ok bool, err error) {
	data := bytes.TrimSpace(ev.Data)
	switch {
	case d.ended || len(data) == 0:
		return dst, false, nil
	case isDone(data):
		dst, err = d.Finish(dst)
		return dst, false, err
	}
	if err := d.tape.Parse(data); err != nil {
		d.ended = true
		return dst, false, format.ErrNotJSON
	}
	*c = chunkOf(d.tape.Root())
	if c.failed(ev) {
		return d.fail(dst, errorIn(c.root)), false, nil
	}
	return dst, true, nil
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
		switch string(key.Unescaped()) {
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
	return format.IsFailure(c.failure) || string(ev.Name) == "error" && c.choices.Kind() != tape.Array
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
		if dst, err = d.delta(dst, choice.Member("delta"), choice.Get("logprobs")); err != nil {
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
	if format.IsFailure(choice.Get("error")) {
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
	d.id = bytes.Clone(id.Unescaped())
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
