package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// eventKind is the type of an event.
type eventKind uint8

const (
	kindUnknown eventKind = iota
	kindMessageStart
	kindBlockStart
	kindDelta
	kindBlockStop
	kindMessageDelta
	kindMessageStop
	kindPing
	kindError
)

// kindNamed returns the type of an event by its name.
func kindNamed(name []byte) eventKind {
	switch string(name) {
	case "content_block_delta":
		return kindDelta
	case "content_block_start":
		return kindBlockStart
	case "content_block_stop":
		return kindBlockStop
	case "message_start":
		return kindMessageStart
	case "message_delta":
		return kindMessageDelta
	case "message_stop":
		return kindMessageStop
	case "ping":
		return kindPing
	case "error":
		return kindError
	default:
		return kindUnknown
	}
}

// members is one event's document.
type members struct {
	root                tape.Value
	kind                eventKind
	index, block, delta tape.Value
	message, usage      tape.Value
}

// eventOf finds what matters in an event. What its data says counts more than
// its name.
func eventOf(root tape.Value, ev sse.Event) (m members) {
	m.root = root
	var kind, failure tape.Value
	for key, value := range root.Members {
		switch string(key.Unescaped()) {
		case "type":
			kind = value
		case "index":
			m.index = value
		case "content_block":
			m.block = value
		case "delta":
			m.delta = value
		case "message":
			m.message = value
		case "usage":
			m.usage = value
		case "error":
			failure = value
		}
	}
	switch {
	case format.IsFailure(failure):
		m.kind = kindError
	case kind.Kind() == tape.String:
		m.kind = kindNamed(kind.Literal().Unescaped())
	default:
		m.kind = kindNamed(ev.Name)
	}
	return m
}
