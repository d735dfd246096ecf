package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// delta appends what a delta amounts to.
func (d *chatStreamDecoder) delta(dst []chat.Event, v, logprobs tape.Value) ([]chat.Event, error) {
	var text, reasoning, thought, details, refusal, annotations, calls, function tape.Value
	for key, value := range v.Members {
		switch string(key.Unescaped()) {
		case "content":
			text = value
		case "reasoning_content":
			reasoning = value
		case "reasoning":
			thought = value
		case "reasoning_details":
			details = value
		case "refusal":
			refusal = value
		case "annotations":
			annotations = value
		case "tool_calls":
			calls = value
		case "function_call":
			function = value
		}
	}
	dst, detailed := d.details(dst, details)
	switch {
	case detailed: // the same once more
	case !reasoning.Literal().Empty():
		dst = d.text(dst, chat.Thinking, reasoning.Literal())
	default:
		dst = d.text(dst, chat.Thinking, thought.Literal())
	}
	dst = d.text(dst, chat.Text, text.Literal())
	for part := range text.Elements {
		kind, l := partText(part)
		dst = d.text(dst, kind, l)
		for piece := range part.Get("thinking").Elements {
			dst = d.text(dst, chat.Thinking, piece.Get("text").Literal())
		}
	}
	if logprobs.Kind() == tape.Object {
		dst = d.probabilities(dst, chat.Text, logprobs.Get("content"))
	}
	dst = d.text(dst, chat.Refusal, refusal.Literal())
	if logprobs.Kind() == tape.Object {
		dst = d.probabilities(dst, chat.Refusal, logprobs.Get("refusal"))
	}
	dst = d.citations(dst, annotations)
	var err error
	for call := range calls.Elements {
		if dst, err = d.call(dst, pieceOf(call)); err != nil {
			return dst, err
		}
	}
	if function.Kind() == tape.Object {
		return d.call(dst, callPiece{function: function})
	}
	return dst, nil
}

// details appends the reasoning in a delta's reasoning_details, and says whether
// there is any.
func (d *chatStreamDecoder) details(dst []chat.Event, v tape.Value) (events []chat.Event, found bool) {
	for detail := range v.Elements {
		text, signature := ownDetail(detail)
		found = found || !text.Empty() || signature != nil
		dst = d.text(dst, chat.Thinking, text)
		if signature == nil {
			continue
		}
		// A signature ends its block; one alone is a block of its own.
		dst = d.begun(dst, chat.Thinking)
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: d.open, Delta: chat.DeltaSignature, Text: signature, Origin: origin})
		dst = d.close(dst)
	}
	return dst, found
}

// probabilities gives the latest piece of a text the probabilities of its tokens.
// A token may be a part of a character, so that no piece of text came with it.
func (d *chatStreamDecoder) probabilities(dst []chat.Event, kind chat.BlockKind, v tape.Value) []chat.Event {
	raw := logprobsIn(v)
	if raw == nil || d.open == none || d.kind != kind {
		return dst
	}
	if n := len(dst); n > 0 && dst[n-1].Kind == chat.EventDelta && dst[n-1].Delta == deltaKinds[kind] && dst[n-1].Logprobs == nil {
		dst[n-1].Logprobs = raw
		return dst
	}
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: d.open, Delta: deltaKinds[kind], Text: emptyText, Logprobs: raw})
}

// emptyText is the literal of the empty string.
var emptyText = chat.Literal(`""`)

// citations appends the pages that the text cites.
func (d *chatStreamDecoder) citations(dst []chat.Event, v tape.Value) []chat.Event {
	for annotation := range v.Elements {
		c, ok := pageIn(annotation, d.texts <= 1)
		if !ok || d.cited == maxCitations {
			continue
		}
		d.cited++
		dst = d.begun(dst, chat.Text)
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: d.open, Delta: chat.DeltaCitation, Citation: &c})
	}
	return dst
}

// deltaKinds are the deltas of the blocks that are text.
var deltaKinds = [...]chat.DeltaKind{
	chat.Text:     chat.DeltaText,
	chat.Thinking: chat.DeltaThinking,
	chat.Refusal:  chat.DeltaRefusal,
}

// text appends a piece of text, in a new block if it is of another kind than
// what came before.
func (d *chatStreamDecoder) text(dst []chat.Event, kind chat.BlockKind, l chat.Literal) []chat.Event {
	if l.Empty() {
		return dst
	}
	dst = d.begun(dst, kind)
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: d.open, Delta: deltaKinds[kind], Text: l})
}

// begun sees to it that a block of a kind is open.
func (d *chatStreamDecoder) begun(dst []chat.Event, kind chat.BlockKind) []chat.Event {
	if d.open != none && d.kind == kind {
		return dst
	}
	dst = d.close(dst)
	d.open, d.kind = d.blocks, kind
	d.blocks++
	d.has.refusal = d.has.refusal || kind == chat.Refusal
	d.texts += count01(kind == chat.Text)
	dst = append(dst, chat.Event{Kind: chat.EventBlockStart, Index: d.open, Block: kind})
	if kind == chat.Thinking {
		dst[len(dst)-1].Origin = origin
	}
	return dst
}

// close closes the open block that is no tool call.
func (d *chatStreamDecoder) close(dst []chat.Event) []chat.Event {
	if d.open == none {
		return dst
	}
	dst = append(dst, chat.Event{Kind: chat.EventBlockStop, Index: d.open})
	d.open = none
	return dst
}
