package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// openPart opens a part of a message for a block, unless it is open, and the
// message too. Neighbouring texts are parts of one message.
func (e *responsesStreamEncoder) openPart(dst []byte, block int, kind chat.BlockKind) ([]byte, *outputItem) {
	if e.message == none {
		dst = e.closeReasoning(dst)
		e.add(block, chat.Text).block = none
		e.message = len(e.items) - 1
		dst = e.added(dst)
		dst = appendMessageHead(dst, e.ids, e.message, "in_progress")
		dst = e.close(append(dst, "]}"...))
	}
	item := &e.items[e.message]
	if item.block == block && item.part.kind == kind {
		return dst, item
	}
	dst = e.closePart(dst)
	e.block(block).item = e.message
	item.block = block
	item.part.reset()
	item.part.kind = kind
	dst = e.begin(dst, "response.content_part.added")
	dst = e.atPart(dst, item)
	dst = append(dst, `,"part":`...)
	return e.close(item.part.append(dst)), item
}

// atPart appends the place that an event is about: a part of the open message.
func (e *responsesStreamEncoder) atPart(dst []byte, item *outputItem) []byte {
	dst = e.at(dst, messagePrefix, e.message)
	return appendCount(dst, `,"content_index":`, int64(item.parts))
}

// text appends a piece of a message.
func (e *responsesStreamEncoder) text(dst []byte, ev *chat.Event, kind chat.BlockKind) []byte {
	dst, item := e.openPart(dst, ev.Index, kind)
	item.part.text = append(item.part.text, ev.Text.Inner()...)
	if kind == chat.Refusal {
		dst = e.begin(dst, "response.refusal.delta")
		dst = e.atPart(dst, item)
		dst = append(dst, `,"delta":`...)
		return e.close(append(dst, ev.Text...))
	}
	dst = e.begin(dst, "response.output_text.delta")
	dst = e.atPart(dst, item)
	dst = append(dst, `,"delta":`...)
	dst = append(dst, ev.Text...)
	dst = append(dst, `,"logprobs":[`...)
	if more := elements(ev.Logprobs); more != nil {
		dst = appendOneLine(dst, more)
		if len(item.part.logprobs) > 0 {
			item.part.logprobs = append(item.part.logprobs, ',')
		}
		item.part.logprobs = append(item.part.logprobs, more...)
	}
	return e.close(append(dst, ']'))
}

// cite appends a citation of a text. One of a text that is done comes too late.
func (e *responsesStreamEncoder) cite(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	open := e.message != none && e.items[e.message].block == ev.Index
	if ev.Citation == nil || b.kind != chat.Text || !open && b.item != none || !canAnnotate(ev.Citation) {
		return dst
	}
	dst, item := e.openPart(dst, ev.Index, chat.Text)
	annotation := item.part.annotate(ev.Citation)
	dst = e.begin(dst, "response.output_text.annotation.added")
	dst = e.atPart(dst, item)
	dst = appendCount(dst, `,"annotation_index":`, int64(item.part.cited-1))
	dst = append(dst, `,"annotation":`...)
	return e.close(append(dst, annotation...))
}

// closePart ends the open part of the open message.
func (e *responsesStreamEncoder) closePart(dst []byte) []byte {
	if e.message == none || e.items[e.message].block == none {
		return dst
	}
	item := &e.items[e.message]
	if item.part.kind == chat.Refusal {
		dst = e.begin(dst, "response.refusal.done")
		dst = e.atPart(dst, item)
		dst = append(dst, `,"refusal":"`...)
		dst = append(dst, item.part.text...)
		dst = e.close(append(dst, '"'))
	} else {
		dst = e.begin(dst, "response.output_text.done")
		dst = e.atPart(dst, item)
		dst = append(dst, `,"text":"`...)
		dst = append(dst, item.part.text...)
		dst = append(dst, `","logprobs":[`...)
		dst = appendOneLine(dst, item.part.logprobs)
		dst = e.close(append(dst, ']'))
	}
	dst = e.begin(dst, "response.content_part.done")
	dst = e.atPart(dst, item)
	dst = append(dst, `,"part":`...)
	from := len(dst)
	dst = item.part.append(dst)
	if item.parts == 0 {
		item.done = appendMessageHead(item.done, e.ids, e.message, "completed")
	} else {
		item.done = append(item.done, ',')
	}
	item.done = append(item.done, dst[from:]...)
	dst = e.close(dst)
	item.parts++
	item.block = none
	return dst
}

// closeMessage ends the open message.
func (e *responsesStreamEncoder) closeMessage(dst []byte) []byte {
	if e.message == none {
		return dst
	}
	dst = e.closePart(dst)
	number := e.message
	e.message = none
	item := &e.items[number]
	item.done = append(item.done, "]}"...)
	return e.done(dst, number)
}
