package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// thought opens an item with reasoning for a block, unless it is open.
func (e *responsesStreamEncoder) thought(dst []byte, block int) ([]byte, *outputItem) {
	if e.reasoning != none && e.items[e.reasoning].block == block {
		return dst, &e.items[e.reasoning]
	}
	dst = e.closeReasoning(e.closeMessage(dst))
	item := e.add(block, chat.Thinking)
	e.reasoning = len(e.items) - 1
	dst = e.added(dst)
	dst = appendReasoning(dst, e.ids, e.reasoning, nil, false, "", nil)
	return e.close(dst), item
}

// thinking appends a piece of reasoning.
func (e *responsesStreamEncoder) thinking(dst []byte, ev *chat.Event) []byte {
	dst, item := e.thought(dst, ev.Index)
	if len(item.text) == 0 {
		dst = e.begin(dst, "response.reasoning_summary_part.added")
		dst = e.atSummary(dst)
		dst = append(dst, `,"part":`...)
		dst = e.close(appendSummaryPart(dst, nil))
	}
	item.text = append(item.text, ev.Text.Inner()...)
	dst = e.begin(dst, "response.reasoning_summary_text.delta")
	dst = e.atSummary(dst)
	dst = append(dst, `,"delta":`...)
	return e.close(append(dst, ev.Text...))
}

// atSummary appends the place that an event is about: the summary of the open
// reasoning.
func (e *responsesStreamEncoder) atSummary(dst []byte) []byte {
	return append(e.at(dst, reasoningPrefix, e.reasoning), `,"summary_index":0`...)
}

// seal keeps the signature of reasoning, or reasoning that is sealed as a whole.
// One that comes when the item is done comes too late.
func (e *responsesStreamEncoder) seal(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	if b.kind != chat.Thinking && b.kind != chat.RedactedThinking || b.item != none && b.item != e.reasoning {
		return dst
	}
	dst, item := e.thought(dst, ev.Index)
	item.sealed = append(item.sealed, ev.Text.Inner()...)
	item.origin = ev.Origin
	item.redacted = ev.Delta == chat.DeltaRedacted
	return dst
}

// closeReasoning ends the open item with reasoning.
func (e *responsesStreamEncoder) closeReasoning(dst []byte) []byte {
	if e.reasoning == none {
		return dst
	}
	number := e.reasoning
	item := &e.items[number]
	if len(item.text) > 0 {
		dst = e.begin(dst, "response.reasoning_summary_text.done")
		dst = e.atSummary(dst)
		dst = append(dst, `,"text":"`...)
		dst = append(dst, item.text...)
		dst = e.close(append(dst, '"'))
		dst = e.begin(dst, "response.reasoning_summary_part.done")
		dst = e.atSummary(dst)
		dst = append(dst, `,"part":`...)
		dst = e.close(appendSummaryPart(dst, item.text))
	}
	e.reasoning = none
	item.done = appendReasoning(nil, e.ids, number, item.text, item.redacted, item.origin, item.sealed)
	return e.done(dst, number)
}
