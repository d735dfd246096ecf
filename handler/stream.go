package handler

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// streamer turns the events of an upstream into the bytes of the client's
// stream.
type streamer interface {
	// event appends what the client is to get for ev. The error says that the
	// event broke the stream; MarkError that the upstream reported an error,
	// which reported then returns.
	event(dst []byte, ev sse.Event) ([]byte, format.Mark, error)
	// finish appends what is owed when the upstream's body has ended; an error
	// says that the answer was not complete.
	finish(dst []byte) ([]byte, format.Mark, error)
	// fail appends the error event that ends the client's stream.
	fail(dst []byte, e *chat.Error) []byte
	reported() *chat.Error
	usage() chat.Usage
}

// passthrough sends an upstream's events on as they are.
type passthrough struct {
	watcher format.StreamWatcher
	// hideUsage leaves out the token counts of a Chat stream, which the upstream
	// was asked for by the gateway and not by the client.
	hideUsage bool
}

func (p *passthrough) event(dst []byte, ev sse.Event) ([]byte, format.Mark, error) {
	mark, err := p.watcher.Watch(ev)
	if err != nil || mark == format.MarkError {
		return dst, mark, err
	}
	if p.hideUsage {
		dst = openai.StripUsage(dst, ev)
	} else {
		dst = append(dst, ev.Raw...)
	}
	if ev.Partial {
		dst = append(dst, "\n\n"...)
	}
	return dst, mark, nil
}

func (p *passthrough) finish(dst []byte) ([]byte, format.Mark, error) {
	dst, err := p.watcher.Close(dst)
	return dst, format.MarkEnd, err
}

func (p *passthrough) fail(dst []byte, e *chat.Error) []byte { return p.watcher.AppendError(dst, e) }
func (p *passthrough) reported() *chat.Error                 { return p.watcher.Err() }
func (p *passthrough) usage() chat.Usage                     { return p.watcher.Usage() }

// translated turns an upstream's events into those of another format.
type translated struct {
	decoder format.StreamDecoder
	encoder format.StreamEncoder
	names   *chat.Names // that the request's encoder had to change
	events  []chat.Event
	counted chat.Usage
	err     *chat.Error
}

func (t *translated) event(dst []byte, ev sse.Event) ([]byte, format.Mark, error) {
	events, err := t.decoder.Decode(t.events[:0], ev)
	t.events = t.names.RestoreEvents(events)
	dst, mark := t.encode(dst, t.events)
	return dst, mark, err
}

func (t *translated) finish(dst []byte) ([]byte, format.Mark, error) {
	events, err := t.decoder.Finish(t.events[:0])
	t.events = t.names.RestoreEvents(events)
	dst, mark := t.encode(dst, t.events)
	return dst, mark, err
}

// encode appends the client's bytes for neutral events, and says what the
// furthest of them means.
func (t *translated) encode(dst []byte, events []chat.Event) ([]byte, format.Mark) {
	mark := format.MarkNothing
	for i := range events {
		ev := &events[i]
		mark = max(mark, markOf(ev))
		switch ev.Kind {
		case chat.EventError:
			t.err = ev.Err
			return dst, format.MarkError
		case chat.EventUsage:
			t.counted = *ev.Usage
		}
		dst = t.encoder.Encode(dst, ev)
	}
	return dst, mark
}

func (t *translated) fail(dst []byte, e *chat.Error) []byte {
	return t.encoder.Encode(dst, &chat.Event{Kind: chat.EventError, Err: e})
}
func (t *translated) reported() *chat.Error { return t.err }
func (t *translated) usage() chat.Usage     { return t.counted }

// markOf says what a neutral event means for the relay.
func markOf(ev *chat.Event) format.Mark {
	switch ev.Kind {
	case chat.EventStart, chat.EventUsage:
		return format.MarkPreamble
	case chat.EventBlockStart:
		if ev.Block == chat.ToolUse {
			return format.MarkContent
		}
		return format.MarkPreamble
	case chat.EventDelta:
		if ev.Delta == chat.DeltaSignature {
			return format.MarkPreamble
		}
		return format.MarkContent
	case chat.EventFinish:
		return format.MarkComplete
	case chat.EventEnd:
		return format.MarkEnd
	case chat.EventError:
		return format.MarkError
	default:
		return format.MarkNothing
	}
}
