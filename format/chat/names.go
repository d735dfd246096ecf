package chat

// Names remembers the tool names that an encoder of requests had to change for
// its upstream, so that the answer's encoder can give the client its own names
// back. The zero value is empty. It belongs to one attempt.
type Names struct {
	originals map[string]Literal
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
