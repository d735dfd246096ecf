package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// streamItem is an item of the upstream's output. Its number is its place in
// responsesStreamDecoder.items.
//
// Items are known by their output_index, since their ids change between events at
// some servers. Other servers give the same index to several items: then the id
// decides.
type streamItem struct {
	index int64
	id    []byte // escaped; empty if none was told
	done  bool
}

// tooManyParts is the error for a stream with more items or parts than one may
// have.
func tooManyParts() error { return chat.BadAnswer("the upstream's stream has too many parts") }

// addItem adds an item.
func (d *responsesStreamDecoder) addItem(index int64, id []byte) (number int, err error) {
	if len(d.items) == maxStreamParts {
		return 0, tooManyParts()
	}
	d.items = append(d.items, streamItem{index: index, id: bytes.Clone(id)})
	return len(d.items) - 1, nil
}

// findItem returns the latest item with an index, or the one with that index and
// id if there is one; none if there is neither. same says that the id is that of
// the item.
func (d *responsesStreamDecoder) findItem(index int64, id []byte) (number int, same bool) {
	latest := none
	for i := len(d.items) - 1; i >= 0; i-- {
		switch item := &d.items[i]; {
		case item.index != index:
		case bytes.Equal(item.id, id):
			return i, true
		case latest == none:
			latest = i
		}
	}
	return latest, false
}

// itemAdded returns the number of the item that an event adds.
func (d *responsesStreamDecoder) itemAdded(e *responseEvent) (number int, err error) {
	index, _ := e.outputIndex.Int()
	id := e.item.Member("id").Literal().Inner()
	if number, same := d.findItem(index, id); same && len(id) > 0 {
		return number, nil
	}
	return d.addItem(index, id)
}

// itemOf returns the number of the item that an event is about. One that was not
// added is.
func (d *responsesStreamDecoder) itemOf(e *responseEvent) (number int, err error) {
	index, _ := e.outputIndex.Int()
	id := e.itemID.Literal().Inner()
	if e.item.Exists() {
		id = e.item.Member("id").Literal().Inner()
	}
	number, same := d.findItem(index, id)
	// An item is done once: what is done now is another one.
	if number == none || !same && e.item.Exists() && d.items[number].done {
		return d.addItem(index, id)
	}
	return number, nil
}

// itemDone appends what of an item no piece has brought, and its end.
func (d *responsesStreamDecoder) itemDone(dst []chat.Event, item int, v tape.Value) ([]chat.Event, error) {
	d.items[item].done = true
	var err error
	switch kind := v.Member("type"); {
	case kind.Is("message"):
		var number int64
		for part := range v.Member("content").Elements {
			if dst, err = d.contentPart(dst, item, number, part); err != nil {
				return dst, err
			}
			number++
		}
	case kind.Is("reasoning"):
		dst, err = d.reasoningDone(dst, item, v)
	case kind.Is("function_call"), kind.Is("custom_tool_call"):
		dst, err = d.callDone(dst, item, v)
	}
	if err != nil {
		return dst, err
	}
	for i := range d.parts {
		if d.parts[i].item == item {
			dst = d.closePart(dst, &d.parts[i])
		}
	}
	return dst, nil
}

// callAdded appends the begin of a call. Other items begin with their first
// piece.
func (d *responsesStreamDecoder) callAdded(dst []chat.Event, item int, v tape.Value) ([]chat.Event, error) {
	kind := v.Member("type")
	custom := kind.Is("custom_tool_call")
	if !custom && !kind.Is("function_call") || d.find(item, 0) != nil {
		return dst, nil
	}
	toolName := nameIn(v)
	if toolName.Empty() {
		return dst, nil // it comes with the whole item
	}
	id := v.Member("call_id").Literal()
	if id.Empty() {
		id = madeID(d.id, toolName, d.blocks)
	}
	dst, p, err := d.open(dst, item, 0, chat.Event{Block: chat.ToolUse, ID: id, Name: toolName})
	if err != nil {
		return dst, err
	}
	p.custom = custom
	return dst, nil
}

// callDone appends what of a call no piece has brought.
func (d *responsesStreamDecoder) callDone(dst []chat.Event, item int, v tape.Value) ([]chat.Event, error) {
	dst, err := d.callAdded(dst, item, v)
	if err != nil {
		return dst, err
	}
	p := d.find(item, 0)
	switch {
	case p == nil:
		return dst, chat.BadAnswer("the upstream's stream has a tool call without a name")
	case p.custom:
		return d.callRest(dst, item, v.Member("input").Literal()), nil
	default:
		return d.callRest(dst, item, v.Member("arguments").Literal()), nil
	}
}

// The arguments that stand for the free text of a call, around that text.
var (
	customBegin = chat.Quote(`{"input":"`)
	customEnd   = chat.Quote(`"}`)
)

// callPiece appends a piece of a call's arguments. A call whose name is not known
// yet is told when it is.
func (d *responsesStreamDecoder) callPiece(dst []chat.Event, item int, l chat.Literal) []chat.Event {
	p := d.find(item, 0)
	if p == nil || p.kind != chat.ToolUse || p.closed || l.Empty() {
		return dst
	}
	first := p.sent == 0
	p.sent += d.size(l)
	if !p.custom {
		return d.emit(dst, p, l)
	}
	if first {
		dst = d.emit(dst, p, customBegin)
	}
	// The text stands in a string within the arguments, so it is escaped twice.
	from := len(d.escaped)
	d.escaped = chat.AppendQuoted(d.escaped, l.Inner())
	return d.emit(dst, p, d.escaped[from:])
}

// callRest appends what of a call's arguments no piece has brought.
func (d *responsesStreamDecoder) callRest(dst []chat.Event, item int, whole chat.Literal) []chat.Event {
	p := d.find(item, 0)
	if p == nil {
		return dst
	}
	return d.callPiece(dst, item, d.missing(p, whole))
}
