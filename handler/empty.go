package handler

import (
	"bytes"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// mindsEmpty says that an answer which says nothing counts as none.
func (a *attempt) mindsEmpty() bool {
	return a.x.endpoint.Operation == format.OperationChat && a.source.Serves.Model.RetryOnEmpty
}

// isEmpty says that an answer has nothing for the client: no text, no call, no
// refusal. Thoughts alone are nothing.
func isEmpty(r *chat.Response) bool {
	return !slices.ContainsFunc(r.Blocks, func(b chat.Block) bool {
		switch b.Kind {
		case chat.Thinking, chat.RedactedThinking:
			return false
		case chat.Text, chat.Refusal:
			return !b.Text.Empty()
		default:
			return true
		}
	})
}

// heldSays says that a complete stream, all of which is held, has something for
// the client. The mark of its last event may hide the content before it.
func (a *attempt) heldSays() bool {
	decoder := a.x.codec.NewStreamDecoder()
	events := sse.NewScanner(bytes.NewReader(a.held), 0)
	defer events.Release()
	for {
		ev, err := events.Next()
		if err != nil {
			return false
		}
		neutral, err := decoder.Decode(nil, ev)
		if err != nil || slices.ContainsFunc(neutral, says) {
			return true // what cannot be read is not called empty
		}
	}
}

// says is the counterpart of isEmpty for events.
func says(ev chat.Event) bool {
	switch ev.Kind {
	case chat.EventBlockStart:
		return ev.Block == chat.ToolUse
	case chat.EventDelta:
		return (ev.Delta == chat.DeltaText || ev.Delta == chat.DeltaRefusal) && !ev.Text.Empty()
	default:
		return false
	}
}

// emptyAnswer is the outcome of an answer that says nothing.
func (a *attempt) emptyAnswer() outcome {
	out := a.badAnswer(chat.BadAnswer("the upstream's answer says nothing"))
	out.class = routing.ClassBadAnswer
	out.err.Code = "empty_answer"
	return out
}
