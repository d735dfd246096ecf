package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// emptyArray is the error of a stream without a chunk.
func emptyArray() *chat.Error {
	return chat.BadAnswer("the upstream's answer is an empty array")
}

// fold makes one answer of the chunks of a stream that came as an array.
func fold(doc tape.Value) (*chat.Response, error) {
	if doc.Len() == 0 {
		return nil, emptyArray()
	}
	d := &streamDecoder{current: none}
	var collector chat.Collector
	var events []chat.Event
	for chunk := range doc.Elements {
		if _, err := readAnswer(chunk); err != nil {
			return nil, err
		}
		var err error
		if events, err = d.chunk(events[:0], chunk); err != nil {
			return nil, err
		}
		collect(&collector, events)
	}
	events, err := d.Finish(events[:0])
	if err != nil {
		return nil, err
	}
	collect(&collector, events)
	return collector.Response()
}

// collect hands events to a collector.
func collect(c *chat.Collector, events []chat.Event) {
	for i := range events {
		c.Add(&events[i])
	}
}
