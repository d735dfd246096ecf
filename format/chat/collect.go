package chat

import "bytes"

// Collector folds the events of a stream into one answer: for a client that
// asked for no stream, of an upstream that sent one. The zero value is ready.
type Collector struct {
	response Response
	blocks   []collected
	err      *Error
	ended    bool
}

// collected is a block whose pieces are still arriving.
type collected struct {
	block Block
	text  []byte // escaped, without quotes
	sign  []byte
}

// Add takes the next event. It copies what it keeps.
func (c *Collector) Add(ev *Event) {
	switch ev.Kind {
	case EventStart:
		c.response.ID = bytes.Clone(ev.ID)
		c.response.Model = bytes.Clone(ev.Model)
	case EventBlockStart:
		c.block(ev.Index).block = Block{Kind: ev.Block, ID: bytes.Clone(ev.ID), Name: bytes.Clone(ev.Name), Origin: ev.Origin}
	case EventDelta:
		c.block(ev.Index).add(ev)
	case EventUsage:
		c.response.Usage = *ev.Usage
	case EventFinish:
		c.response.Stop = ev.Stop
		c.response.Stop.Sequence = bytes.Clone(ev.Stop.Sequence)
	case EventError:
		c.err = ev.Err
	case EventEnd:
		c.ended = true
	}
}

// add takes a piece of the block.
func (b *collected) add(ev *Event) {
	switch ev.Delta {
	case DeltaSignature:
		b.sign = append(b.sign, ev.Text.Inner()...)
		b.block.Origin = ev.Origin
	case DeltaCitation:
		b.block.Citations = append(b.block.Citations, ev.Citation.clone())
	default:
		b.text = append(b.text, ev.Text.Inner()...)
		b.block.Logprobs = joinArrays(b.block.Logprobs, ev.Logprobs)
	}
}

// clone copies the citation's views.
func (c *Citation) clone() Citation {
	out := *c
	out.URL, out.Title, out.Quote, out.Raw = bytes.Clone(c.URL), bytes.Clone(c.Title), bytes.Clone(c.Quote), bytes.Clone(c.Raw)
	return out
}

// joinArrays appends the elements of the raw array more to those of all.
func joinArrays(all, more Raw) Raw {
	inner := bytes.TrimSpace(more)
	if len(inner) < 2 || inner[0] != '[' {
		return all
	}
	if inner = bytes.TrimSpace(inner[1 : len(inner)-1]); len(inner) == 0 {
		return all
	}
	if len(all) == 0 {
		all = append(all, '[')
	} else {
		all = append(all[:len(all)-1], ',')
	}
	return append(append(all, inner...), ']')
}

// block returns block i, and makes it and those before it if they are new.
func (c *Collector) block(i int) *collected {
	for len(c.blocks) <= i {
		c.blocks = append(c.blocks, collected{})
	}
	return &c.blocks[i]
}

// Response returns the whole answer, or the error that ended the stream. It is
// called once, after the last event.
func (c *Collector) Response() (*Response, error) {
	if c.err != nil {
		return nil, c.err
	}
	if !c.ended {
		return nil, BadAnswer("the upstream's stream ended before the answer was complete")
	}
	for i := range c.blocks {
		b := &c.blocks[i]
		literal := QuoteEscaped(b.text)
		if b.block.Kind == ToolUse {
			b.block.Arguments = Arguments{Text: literal}
		} else {
			b.block.Text = literal
		}
		if b.sign != nil {
			b.block.Signature = QuoteEscaped(b.sign)
		}
		c.response.Blocks = append(c.response.Blocks, b.block)
	}
	return &c.response, nil
}

// Replay calls yield for the events that a stream of the answer would have had:
// for a client that asked for a stream, of an upstream that sent none. It is
// meant for range.
func (r *Response) Replay(yield func(ev *Event) bool) {
	if !yield(&Event{Kind: EventStart, ID: r.ID, Model: r.Model}) {
		return
	}
	for i := range r.Blocks {
		for _, ev := range replayBlock(i, &r.Blocks[i]) {
			if !yield(&ev) {
				return
			}
		}
	}
	if r.Usage.Known && !yield(&Event{Kind: EventUsage, Usage: &r.Usage}) {
		return
	}
	if yield(&Event{Kind: EventFinish, Stop: r.Stop}) {
		yield(&Event{Kind: EventEnd})
	}
}

// replayBlock returns the events of block b, which has number i.
func replayBlock(i int, b *Block) []Event {
	events := []Event{{Kind: EventBlockStart, Index: i, Block: b.Kind, ID: b.ID, Name: b.Name, Origin: b.Origin}}
	signature := Event{Kind: EventDelta, Delta: DeltaSignature, Index: i, Text: b.Signature, Origin: b.Origin}
	if b.Signature != nil && b.Kind == ToolUse {
		events = append(events, signature)
	}
	delta := Event{Kind: EventDelta, Index: i, Text: b.Text}
	switch b.Kind {
	case Thinking:
		delta.Delta = DeltaThinking
	case RedactedThinking:
		delta.Delta, delta.Origin = DeltaRedacted, b.Origin
	case Refusal:
		delta.Delta = DeltaRefusal
	case ToolUse:
		delta.Delta, delta.Text = DeltaArguments, b.Arguments.Text
		if b.Arguments.Object != nil {
			delta.Text = Quote(string(b.Arguments.Object))
		}
	default:
		delta.Delta = DeltaText
	}
	if !delta.Text.Empty() {
		delta.Logprobs = b.Logprobs
		events = append(events, delta)
	}
	for j := range b.Citations {
		events = append(events, Event{Kind: EventDelta, Delta: DeltaCitation, Index: i, Citation: &b.Citations[j]})
	}
	if b.Signature != nil && b.Kind != ToolUse {
		events = append(events, signature)
	}
	return append(events, Event{Kind: EventBlockStop, Index: i})
}
