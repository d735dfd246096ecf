package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// NewStreamWatcher implements format.StreamCodec.
func (GenerateContent) NewStreamWatcher() format.StreamWatcher { return &streamWatcher{} }

// streamWatcher follows a stream that is passed through.
type streamWatcher struct {
	tape   tape.Tape
	counts counts
	err    *chat.Error
	// seen and finished are the candidates, as bits: a client may have asked for
	// several, and the answer is complete when all have finished.
	seen, finished uint64
}

// Watch implements format.StreamWatcher. The format has no end mark, so that no
// event is ever the last one.
func (w *streamWatcher) Watch(ev sse.Event) (format.Mark, error) {
	if w.err != nil || len(ev.Data) == 0 || isDone(ev.Data) {
		return format.MarkNothing, nil
	}
	if err := w.tape.Parse(ev.Data); err != nil {
		return format.MarkNothing, format.ErrNotJSON
	}
	root := w.tape.Root()
	a := membersOf(root)
	if w.err = failureOf(root, &a); w.err != nil {
		return format.MarkError, nil
	}
	mark := format.MarkNothing
	if w.counts.take(a.usage) || a.feedback.Exists() {
		mark = format.MarkPreamble
	}
	if blockReason(a.feedback).Exists() {
		w.seen |= 1
		w.finished |= 1
	}
	for candidate := range a.candidates.Elements {
		mark = max(mark, format.MarkPreamble)
		n, _ := candidate.Get("index").Int()
		bit := uint64(1) << (uint64(n) & 63)
		w.seen |= bit
		if isReason(reasonOf(candidate)) {
			w.finished |= bit
		}
		if hasContent(candidate.Get("content").Get("parts")) {
			mark = format.MarkContent
		}
	}
	if mark != format.MarkNothing && w.complete() {
		mark = format.MarkComplete
	}
	return mark, nil
}

// complete says that every candidate has finished.
func (w *streamWatcher) complete() bool { return w.seen != 0 && w.seen == w.finished }

// hasContent says that parts hold something a user would see, or a call.
func hasContent(parts tape.Value) bool {
	for element := range list(parts).each {
		var p part
		p.readMembers(element)
		if p.call.Exists() || p.inline.Exists() || p.file.Exists() || p.other.Exists() || !p.text.Literal().Empty() {
			return true
		}
	}
	return false
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
	if w.err != nil || !w.complete() {
		return dst, format.ErrTruncated
	}
	return dst, nil
}
