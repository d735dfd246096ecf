package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// responseEvent is one event's document.
type responseEvent struct {
	root                                          tape.Value
	kind                                          []byte
	response, item, part, annotation              tape.Value
	itemID                                        tape.Value
	outputIndex, contentIndex, summaryIndex       tape.Value
	delta, text, refusal, arguments, input, error tape.Value
	logprobs                                      tape.Value
	number                                        tape.Value
}

// eventIn finds what matters in a document.
func eventIn(root tape.Value, ev sse.Event) (e responseEvent) {
	e.root, e.kind = root, ev.Name
	for key, value := range root.Members {
		switch string(key.Unescaped()) {
		case "type":
			if kind := value.Literal(); !kind.Empty() {
				e.kind = kind.Inner()
			}
		case "sequence_number":
			e.number = value
		case "response":
			e.response = value
		case "item":
			e.item = value
		case "item_id":
			e.itemID = value
		case "part":
			e.part = value
		case "annotation":
			e.annotation = value
		case "output_index":
			e.outputIndex = value
		case "content_index":
			e.contentIndex = value
		case "summary_index":
			e.summaryIndex = value
		case "delta":
			e.delta = value
		case "text":
			e.text = value
		case "logprobs":
			e.logprobs = value
		case "refusal":
			e.refusal = value
		case "arguments":
			e.arguments = value
		case "input":
			e.input = value
		case "error":
			e.error = value
		}
	}
	return e
}

// aboutItem says that the event is about an item of the output, or a part of one.
func (e *responseEvent) aboutItem() bool {
	return e.outputIndex.Exists() || e.itemID.Exists() || e.item.Exists() || e.delta.Exists() || e.text.Exists()
}

// failed is the error that the event tells; nil if it tells none.
func (e *responseEvent) failed() *chat.Error {
	switch string(e.kind) {
	case "response.failed", "response.cancelled":
		return failureIn(e.response)
	case "error":
		return failureIn(e.root)
	}
	if e.response.Kind() != tape.Object && format.IsFailure(e.error) {
		return failureIn(e.root)
	}
	return nil
}
