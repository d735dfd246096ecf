package chat

import "slices"

// Names remembers what an encoder of requests had to change about tools for its
// upstream, so that the client can be told the answer in its own terms: names of
// tools, and the tool that stands for a form of output. The zero value is empty.
// It belongs to one attempt and is not safe for concurrent use.
type Names struct {
	originals map[string]Literal

	// output is the name of the tool that stands for the answer's text; empty if
	// none does.
	output string
	// texts are the numbers of the open blocks of a stream that are calls of
	// output, and whether anything of their arguments has come.
	texts []outputText
	// called says that a stream has called another tool.
	called bool
}

// outputText is an open block of a stream that is told as a text.
type outputText struct {
	block  int
	filled bool
}

// Add remembers that the tool original was sent under the name sent. It may be
// called on nil, and then does nothing.
func (n *Names) Add(sent string, original Literal) {
	if n == nil {
		return
	}
	if n.originals == nil {
		n.originals = make(map[string]Literal)
	}
	n.originals[sent] = append(Literal(nil), original...)
}

// Original returns the client's own name of the tool that the upstream calls
// sent: sent itself if it was not changed. It may be called on nil.
func (n *Names) Original(sent Literal) Literal {
	if n == nil || len(n.originals) == 0 {
		return sent
	}
	if original, ok := n.originals[sent.String()]; ok {
		return original
	}
	return sent
}

// SetOutputTool remembers that the client asked for a form of output that its
// upstream can only be asked for as a tool: the arguments of the tool named sent
// are the answer's text. It says whether the answer can be turned back; it may
// be called on nil, and then cannot.
func (n *Names) SetOutputTool(sent string) bool {
	if n == nil {
		return false
	}
	n.output = sent
	return true
}

// Restore turns calls of the output tool in an answer back into text. Whoever
// decodes an upstream's answer calls it before the client's encoder sees the
// answer. It may be called on nil.
func (n *Names) Restore(r *Response) {
	if n == nil || n.output == "" {
		return
	}
	restored, called := false, false
	for i := range r.Blocks {
		b := &r.Blocks[i]
		switch {
		case b.Kind != ToolUse:
		case b.Name.Is(n.output):
			*b = Block{Kind: Text, Text: b.Arguments.literal()}
			restored = true
		default:
			called = true
		}
	}
	if restored && !called && r.Stop.Reason == StopToolUse {
		r.Stop.Reason = StopEnd
	}
}

// literal returns the arguments as a literal that holds an object.
func (a Arguments) literal() Literal {
	switch {
	case a.Object != nil:
		return Quote(string(a.Object))
	case a.Text.Empty():
		return Literal(`"{}"`)
	default:
		return a.Text
	}
}

// RestoreEvents turns calls of the output tool in a stream back into text. It is
// called with all events of a stream in order, as the upstream's decoder returns
// them, before the client's encoder sees them, and returns what takes their
// place: the same slice, unless an event had to be put in. It may be called on
// nil.
func (n *Names) RestoreEvents(events []Event) []Event {
	if n == nil || n.output == "" {
		return events
	}
	for i := 0; i < len(events); i++ {
		if n.restore(&events[i]) {
			continue
		}
		// The call ends and had no arguments.
		empty := Event{Kind: EventDelta, Delta: DeltaText, Index: events[i].Index, Text: Literal(`"{}"`)}
		events = slices.Insert(events, i, empty)
		i++
	}
	return events
}

// restore turns an event back. It returns false for the end of a text of which
// nothing has come.
func (n *Names) restore(ev *Event) bool {
	switch ev.Kind {
	case EventBlockStart:
		switch {
		case ev.Block != ToolUse:
		case ev.Name.Is(n.output):
			n.texts = append(n.texts, outputText{block: ev.Index})
			*ev = Event{Kind: EventBlockStart, Index: ev.Index, Block: Text}
		default:
			n.called = true
		}
	case EventDelta:
		if t := n.text(ev.Index); t >= 0 && ev.Delta == DeltaArguments {
			ev.Delta = DeltaText
			n.texts[t].filled = n.texts[t].filled || !ev.Text.Empty()
		}
	case EventBlockStop:
		if t := n.text(ev.Index); t >= 0 {
			filled := n.texts[t].filled
			n.texts = slices.Delete(n.texts, t, t+1)
			return filled
		}
	case EventFinish:
		if ev.Stop.Reason == StopToolUse && !n.called {
			ev.Stop.Reason = StopEnd
		}
	}
	return true
}

// text returns the place in texts of a block; -1 if it is none of them.
func (n *Names) text(block int) int {
	return slices.IndexFunc(n.texts, func(t outputText) bool { return t.block == block })
}
