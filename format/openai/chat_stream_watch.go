package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// NewStreamWatcher implements format.StreamCodec.
func (Chat) NewStreamWatcher() format.StreamWatcher { return &chatStreamWatcher{} }

// chatStreamWatcher follows a stream of chunks.
type chatStreamWatcher struct {
	tape   tape.Tape
	counts counts
	err    *chat.Error
	// seen and finished are the choices, as bits: a client may have asked for
	// several, and the answer is complete when all have finished.
	seen, finished uint64
	ended          bool
	// ordinary is an event that brought one more piece of a text. Most of a
	// stream differs from it in that text only.
	ordinary format.Template
}

// Watch implements format.StreamWatcher.
func (w *chatStreamWatcher) Watch(ev sse.Event) (format.Mark, error) {
	data := bytes.TrimSpace(ev.Data)
	switch {
	case w.ended || len(data) == 0:
		return format.MarkNothing, nil
	case ev.Name == nil && w.ordinary.Matches(data):
		return format.MarkContent, nil
	case isDone(data) && !w.complete():
		return format.MarkNothing, format.ErrTruncated
	case isDone(data):
		w.ended = true
		return format.MarkEnd, nil
	}
	if err := w.tape.Parse(data); err != nil {
		return format.MarkNothing, format.ErrNotJSON
	}
	c := chunkOf(w.tape.Root())
	if c.failed(ev) {
		return w.fail(errorIn(c.root)), nil
	}
	if bytes.Contains(data, []byte(`"usage"`)) {
		w.counts.read(c.usage)
	}
	if c.choices.Kind() != tape.Array {
		return format.MarkNothing, nil
	}
	mark := format.MarkPreamble
	for choice := range c.choices.Elements {
		switch reason := choice.Get("finish_reason").Literal(); {
		case reason.Is("error"):
			return w.fail(choiceError(c.root, choice)), nil
		case !reason.Empty():
			w.finished |= bit(choice)
		}
		w.seen |= bit(choice)
		w.counts.read(choice.Get("usage")) // Moonshot
		if hasContent(choice.Get("delta")) {
			mark = format.MarkContent
		}
	}
	if w.complete() {
		return format.MarkComplete, nil
	}
	w.learn(data, &c, mark)
	return mark, nil
}

// learn remembers an event that brought a piece of a text and nothing else that
// matters.
func (w *chatStreamWatcher) learn(data []byte, c *chunk, mark format.Mark) {
	if mark != format.MarkContent || c.usage.Kind() == tape.Object || c.choices.Len() != 1 {
		return
	}
	for choice := range c.choices.Elements {
		delta := choice.Get("delta")
		for _, name := range textFields {
			if text := delta.Get(name); !text.Literal().Empty() && choice.Get("finish_reason").Kind() <= tape.Null {
				w.ordinary.Learn(data, text.Start(), text.End())
				return
			}
		}
	}
}

// textFields are the members of a delta that hold a piece of a text.
var textFields = []string{"content", "reasoning_content", "reasoning"}

// fail ends the stream with the upstream's own error.
func (w *chatStreamWatcher) fail(e *chat.Error) format.Mark {
	w.err, w.ended = e, true
	return format.MarkError
}

// complete says that every choice has finished.
func (w *chatStreamWatcher) complete() bool {
	return w.seen != 0 && w.seen == w.finished
}

// bit is the place of a choice among the bits.
func bit(choice tape.Value) uint64 {
	index, _ := choice.Get("index").Int()
	return 1 << uint64(min(max(index, 0), 63))
}

// hasContent says that a delta carries something that a user would see, or a
// call.
func hasContent(delta tape.Value) bool {
	for key, value := range delta.Members {
		switch string(key.Unescaped()) {
		case "content", "reasoning_content", "reasoning", "refusal",
			"reasoning_details", "tool_calls", "function_call", "audio", "images":
			if value.Len() > 0 || !value.Literal().Empty() {
				return true
			}
		}
	}
	return false
}

// Err implements format.StreamWatcher.
func (w *chatStreamWatcher) Err() *chat.Error { return w.err }

// Usage implements format.StreamWatcher.
func (w *chatStreamWatcher) Usage() chat.Usage { return w.counts.usage() }

// AppendError implements format.StreamWatcher.
func (w *chatStreamWatcher) AppendError(dst []byte, e *chat.Error) []byte {
	return appendStreamError(dst, e)
}

// Close implements format.StreamWatcher.
func (w *chatStreamWatcher) Close(dst []byte) ([]byte, error) {
	switch {
	case w.err != nil || !w.complete():
		return dst, format.ErrTruncated
	case w.ended:
		return dst, nil
	default:
		w.ended = true
		return append(dst, done...), nil
	}
}
