package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// NewStreamWatcher implements format.StreamCodec.
func (Messages) NewStreamWatcher() format.StreamWatcher { return &streamWatcher{} }

// streamWatcher follows a stream that is passed through.
type streamWatcher struct {
	tape    tape.Tape
	counts  counts
	err     *chat.Error
	stopped bool // a stop_reason has come
	ended   bool // nothing that matters comes any more
	// ordinary is an event that brought one more piece of a text. Most of a
	// stream differs from it in that text only.
	ordinary format.Template
}

// Watch implements format.StreamWatcher.
func (w *streamWatcher) Watch(ev sse.Event) (format.Mark, error) {
	if w.ended || len(ev.Data) == 0 {
		return format.MarkNothing, nil
	}
	if string(ev.Name) == "content_block_delta" && w.ordinary.Matches(ev.Data) {
		return format.MarkContent, nil
	}
	if err := w.tape.Parse(ev.Data); err != nil {
		return format.MarkNothing, format.ErrNotJSON
	}
	m := eventOf(w.tape.Root(), ev)
	if bytes.Contains(ev.Data, []byte(`"usage"`)) {
		w.counts.take(m.message.Get("usage"))
		w.counts.take(m.usage)
	}
	switch m.kind {
	case kindDelta:
		if m.delta.Get("type").Is("signature_delta") {
			return format.MarkPreamble, nil
		}
		w.learn(ev, m.delta)
		return format.MarkContent, nil
	case kindBlockStart:
		return startMark(m.block.Get("type")), nil
	case kindMessageStart, kindBlockStop:
		return format.MarkPreamble, nil
	case kindMessageDelta:
		if m.delta.Get("stop_reason").Literal().Empty() {
			return format.MarkPreamble, nil
		}
		w.stopped = true
		return format.MarkComplete, nil
	case kindMessageStop:
		w.ended = true
		return format.MarkEnd, nil
	case kindError:
		w.ended, w.err = true, errorIn(m.root)
		return format.MarkError, nil
	default:
		return format.MarkNothing, nil
	}
}

// learn remembers an event that brought a piece of a text.
func (w *streamWatcher) learn(ev sse.Event, delta tape.Value) {
	for _, name := range []string{"text", "thinking"} {
		if text := delta.Get(name); string(ev.Name) == "content_block_delta" && !text.Literal().Empty() {
			w.ordinary.Learn(ev.Data, text.Start(), text.End())
			return
		}
	}
}

// startMark says what the start of a block means: a text or a thought is still
// empty, a call or a result of the server's is not.
func startMark(kind tape.Value) format.Mark {
	if kind.Is("text") || kind.Is("thinking") || kind.Is("redacted_thinking") {
		return format.MarkPreamble
	}
	return format.MarkContent
}

// Err implements format.StreamWatcher.
func (w *streamWatcher) Err() *chat.Error { return w.err }

// Usage implements format.StreamWatcher.
func (w *streamWatcher) Usage() chat.Usage { return w.counts.usage() }

// AppendError implements format.StreamWatcher.
func (w *streamWatcher) AppendError(dst []byte, e *chat.Error) []byte {
	return appendStreamError(dst, e)
}

// Close implements format.StreamWatcher.
func (w *streamWatcher) Close(dst []byte) ([]byte, error) {
	switch {
	case w.err != nil || !w.ended && !w.stopped:
		return dst, format.ErrTruncated
	case w.ended:
		return dst, nil
	default:
		w.ended = true
		return append(dst, messageStop...), nil
	}
}

// messageStop is the last event of a stream.
const messageStop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
