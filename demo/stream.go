package demo

import (
	"net/http"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// stream is the answer as a stream of events.
func stream(r *http.Request, codec format.Chat, x *chat.Exchange, a answer) *http.Response {
	response := respond(r, http.StatusOK, "text/event-stream", nil)
	response.Header.Set("Cache-Control", "no-cache")
	response.ContentLength = -1
	response.Body = newBody(r.Context(), steps(codec.NewStreamEncoder(x), a))
	return response
}

// cutAfter is the number of deltas before error-cut breaks off.
const cutAfter = 3

// steps encodes the answer's events and says when each is due.
func steps(encoder format.StreamEncoder, a answer) []step {
	var out []step
	deltas := 0
	for _, ev := range events(a.response) {
		if a.fault != nil && (deltas == a.faultAfter && ev.Kind == chat.EventDelta || ev.Kind == chat.EventBlockStop) {
			return append(out, *a.fault)
		}
		var wait time.Duration
		if ev.Kind == chat.EventDelta {
			wait = a.pace
			if deltas == 0 {
				wait = a.delay
			}
			deltas++
		}
		if data := encoder.Encode(nil, &ev); len(data) > 0 || wait != 0 {
			out = append(out, step{wait: wait, data: data})
		}
	}
	return out
}

// events are the events of a stream of the answer. Texts come word by word, the
// arguments of a tool in two halves.
func events(r *chat.Response) []chat.Event {
	out := []chat.Event{{Kind: chat.EventStart, ID: r.ID, Model: r.Model}}
	for i, block := range r.Blocks {
		out = append(out, chat.Event{Kind: chat.EventBlockStart, Index: i, Block: block.Kind, ID: block.ID, Name: block.Name})
		delta, pieces := chat.DeltaText, words(block.Text.String())
		if block.Kind == chat.ToolUse {
			delta, pieces = chat.DeltaArguments, halves(string(block.Arguments.Object))
		}
		for _, piece := range pieces {
			out = append(out, chat.Event{Kind: chat.EventDelta, Index: i, Delta: delta, Text: chat.Quote(piece)})
		}
		out = append(out, chat.Event{Kind: chat.EventBlockStop, Index: i})
	}
	return append(out,
		chat.Event{Kind: chat.EventUsage, Usage: &r.Usage},
		chat.Event{Kind: chat.EventFinish, Stop: r.Stop},
		chat.Event{Kind: chat.EventEnd},
	)
}
