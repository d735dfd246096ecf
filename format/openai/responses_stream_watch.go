package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// NewStreamWatcher implements format.StreamCodec.
func (Responses) NewStreamWatcher() format.StreamWatcher { return &responsesStreamWatcher{} }

// responsesStreamWatcher follows the stream of a response.
type responsesStreamWatcher struct {
	tape   tape.Tape
	counts counts
	err    *chat.Error
	next   int64 // the next sequence_number
	// What an error event has to repeat of the event that opened the stream.
	opened  bool
	id      chat.Literal
	model   string
	created int64

	complete bool
	ended    bool
}

// Watch implements format.StreamWatcher.
func (w *responsesStreamWatcher) Watch(ev sse.Event) (format.Mark, error) {
	data := bytes.TrimSpace(ev.Data)
	switch {
	case w.ended || len(data) == 0:
		return format.MarkNothing, nil
	case isDone(data):
		return format.MarkNothing, format.ErrTruncated
	}
	if err := w.tape.Parse(data); err != nil {
		return format.MarkNothing, format.ErrNotJSON
	}
	e := eventIn(w.tape.Root(), ev)
	if number, ok := e.number.Int(); ok {
		w.next = max(w.next, number+1)
	} else if len(e.kind) > 0 {
		w.next++
	}
	if w.err = e.failed(); w.err != nil {
		w.ended = true
		return format.MarkError, nil
	}
	return w.mark(&e), nil
}

// mark says what an event means for the relay.
func (w *responsesStreamWatcher) mark(e *responseEvent) format.Mark {
	kind, ours := bytes.CutPrefix(e.kind, []byte("response."))
	switch {
	case !ours:
		return format.MarkNothing
	case bytes.HasSuffix(kind, []byte(".delta")):
		if e.delta.Kind() == tape.String && e.delta.Literal().Empty() {
			return format.MarkPreamble
		}
		return format.MarkContent
	}
	switch string(kind) {
	case "created", "in_progress", "queued":
		w.open(e.response)
		return format.MarkPreamble
	case "completed", "incomplete":
		w.counts.readResponses(e.response.Member("usage"))
		w.complete, w.ended = true, true
		return format.MarkEnd
	case "output_item.added":
		if kind := e.item.Member("type"); kind.Is("message") || kind.Is("reasoning") {
			return format.MarkPreamble
		}
		return format.MarkContent
	case "output_text.done", "refusal.done", "reasoning_summary_text.done", "reasoning_text.done",
		"function_call_arguments.done", "custom_tool_call_input.done", "output_item.done", "image_generation_call.partial_image":
		return format.MarkContent
	default:
		return format.MarkPreamble
	}
}

// open remembers what the stream has told of the response.
func (w *responsesStreamWatcher) open(v tape.Value) {
	if w.opened || v.Kind() != tape.Object {
		return
	}
	r := responseIn(v)
	w.opened = true
	w.id, w.model = bytes.Clone(r.id.Literal()), r.model.Text()
	w.created, _ = r.created.Int()
}

// Err implements format.StreamWatcher.
func (w *responsesStreamWatcher) Err() *chat.Error { return w.err }

// Usage implements format.StreamWatcher.
func (w *responsesStreamWatcher) Usage() chat.Usage { return w.counts.usage() }

// AppendError implements format.StreamWatcher.
func (w *responsesStreamWatcher) AppendError(dst []byte, e *chat.Error) []byte {
	w.ended = true
	number := w.next
	w.next++
	if !w.opened {
		return appendErrorEvent(dst, number, e)
	}
	dst = appendEventHead(dst, "response.failed", number)
	dst = append(dst, `,"response":`...)
	dst = appendResponse(dst, &chat.Exchange{Model: w.model}, &answerState{
		id: w.id, created: w.created, end: end{status: "failed"}, err: e,
	})
	return append(dst, "}\n\n"...)
}

// Close implements format.StreamWatcher.
func (w *responsesStreamWatcher) Close(dst []byte) ([]byte, error) {
	if !w.complete {
		return dst, format.ErrTruncated
	}
	return dst, nil
}

// Interface guards.
var _ format.Chat = Responses{}
