package openai

import (
	"bytes"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Heartbeat implements format.StreamCodec.
func (Completions) Heartbeat() []byte { return heartbeat }

// NewStreamWatcher implements format.StreamCodec.
func (Completions) NewStreamWatcher() format.StreamWatcher { return &completionsStreamWatcher{} }

// completionsStreamWatcher follows a stream of chunks, which are those of the
// Chat format but for the place of the text.
type completionsStreamWatcher struct{ chatStreamWatcher }

// Watch implements format.StreamWatcher.
func (w *completionsStreamWatcher) Watch(ev sse.Event) (format.Mark, error) {
	mark, err := w.chatStreamWatcher.Watch(ev)
	if err != nil || mark != format.MarkPreamble {
		return mark, err
	}
	c := chunkOf(w.tape.Root())
	for choice := range c.choices.Elements {
		text := choice.Get("text")
		if text.Literal().Empty() {
			continue
		}
		if c.usage.Kind() != tape.Object && c.choices.Len() == 1 && choice.Get("finish_reason").Kind() <= tape.Null {
			w.ordinary.Learn(bytes.TrimSpace(ev.Data), text.Start(), text.End())
		}
		mark = format.MarkContent
	}
	return mark, nil
}

// NewStreamDecoder implements format.StreamCodec.
func (Completions) NewStreamDecoder() format.StreamDecoder {
	return &completionsStreamDecoder{chatStreamDecoder{open: none}}
}

// completionsStreamDecoder turns chunks into neutral events.
type completionsStreamDecoder struct{ chatStreamDecoder }

// Decode implements format.StreamDecoder.
func (d *completionsStreamDecoder) Decode(dst []chat.Event, ev sse.Event) ([]chat.Event, error) {
	var c chunk
	dst, ok, err := d.read(dst, ev, &c)
	if !ok {
		return dst, err
	}
	return d.chunk(dst, &c), nil
}

// chunk appends what a chunk amounts to. After the finish only counts matter.
func (d *completionsStreamDecoder) chunk(dst []chat.Event, c *chunk) []chat.Event {
	choice := first(c.choices)
	dst = d.start(dst, c, c.choices.Len() > 0)
	if !d.finished {
		dst = d.text(dst, chat.Text, choice.Get("text").Literal())
		if reason := choice.Get("finish_reason").Literal(); !reason.Empty() {
			if reason.Is("error") {
				return d.fail(dst, choiceError(c.root, choice))
			}
			dst = d.close(dst)
			d.setStop(reason, choice.Get("stop_reason"))
		}
	}
	if c.usage.Kind() == tape.Object {
		dst = d.count(dst, c.usage)
	}
	return d.finish(dst)
}

// NewStreamEncoder implements format.StreamCodec.
func (Completions) NewStreamEncoder(x *chat.Exchange) format.StreamEncoder {
	return &completionsStreamEncoder{x: x}
}

// completionsStreamEncoder turns neutral events into chunks.
type completionsStreamEncoder struct {
	x *chat.Exchange
	// head is what every chunk begins with, up to the elements of its choices.
	head     []byte
	usage    chat.Usage
	finished bool
	ended    bool
}

// Encode implements format.StreamEncoder.
func (e *completionsStreamEncoder) Encode(dst []byte, ev *chat.Event) []byte {
	if e.ended {
		return dst
	}
	switch ev.Kind {
	case chat.EventHeartbeat:
		return append(dst, heartbeat...)
	case chat.EventError:
		e.ended = true
		return appendStreamError(dst, ev.Err)
	case chat.EventUsage:
		if ev.Usage != nil {
			e.usage = *ev.Usage
		}
	case chat.EventStart:
		e.start(ev.ID)
	case chat.EventDelta:
		return e.delta(dst, ev)
	case chat.EventFinish:
		return e.finish(dst, ev.Stop.Reason)
	case chat.EventEnd:
		return e.end(dst)
	}
	return dst
}

// start makes what every chunk begins with.
func (e *completionsStreamEncoder) start(id chat.Literal) {
	if e.head != nil {
		return
	}
	head := append([]byte(nil), `data: {"id":`...)
	head = appendPrefixed(head, "cmpl-", id, e.x)
	head = append(head, completionsObject...)
	head = strconv.AppendInt(head, e.x.Created, 10)
	head = append(head, `,"model":`...)
	head = chat.AppendQuoted(head, e.x.Model)
	e.head = append(head, `,"choices":[`...)
}

// delta appends a piece of the text. A refusal is the text, and thoughts have no
// place in the format.
func (e *completionsStreamEncoder) delta(dst []byte, ev *chat.Event) []byte {
	if ev.Text.Empty() || e.finished || ev.Delta != chat.DeltaText && ev.Delta != chat.DeltaRefusal {
		return dst
	}
	e.start(nil)
	dst = append(dst, e.head...)
	dst = append(dst, `{"text":`...)
	dst = append(dst, ev.Text...)
	dst = append(dst, `,"index":0,"logprobs":null,"finish_reason":null}]`...)
	return e.close(dst)
}

// close ends a chunk behind its choices.
func (e *completionsStreamEncoder) close(dst []byte) []byte {
	if e.x.IncludeUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

// finish appends the one chunk with a finish_reason.
func (e *completionsStreamEncoder) finish(dst []byte, reason chat.StopReason) []byte {
	if e.finished {
		return dst
	}
	e.finished = true
	e.start(nil)
	dst = append(dst, e.head...)
	dst = append(dst, `{"text":"","index":0,"logprobs":null,"finish_reason":"`...)
	dst = append(dst, finishReason(reason, content{}, false)...)
	dst = append(dst, `"}]`...)
	return e.close(dst)
}

// end appends the counts of tokens, if the client wants them, and the end mark.
func (e *completionsStreamEncoder) end(dst []byte) []byte {
	dst = e.finish(dst, chat.StopUnset)
	e.ended = true
	if e.x.IncludeUsage {
		dst = append(dst, e.head...)
		dst = append(dst, `],"usage":`...)
		dst = appendUsage(dst, &e.usage)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, done...)
}
