package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// What one stream may make the gateway hold.
const (
	maxStreamTools = 1024
	maxHeldText    = 256 << 10
)

// streamTool is a tool call whose pieces are arriving.
type streamTool struct {
	index    int64
	id, name chat.Literal
	custom   bool   // takes free text
	block    int    // none as long as the name is unknown
	held     []byte // arguments that came before the name: a literal without its end
	// signature came before the name; maker is the format that made it.
	signature chat.Literal
	maker     string
}

// callPiece is a piece of a tool call as it stands in a delta.
type callPiece struct {
	index     tape.Value
	id        chat.Literal
	function  tape.Value // what is called
	custom    bool       // with free text
	signature chat.Literal
	maker     string // of the signature
}

// pieceOf reads a piece of a tool call.
func pieceOf(v tape.Value) (p callPiece) {
	for key, value := range v.Members {
		switch string(key.Unescaped()) {
		case "index":
			p.index = value
		case "id":
			p.id = value.Literal()
		case "function":
			if value.Present() {
				p.function = value
			}
		case "custom":
			if value.Present() {
				p.function, p.custom = value, true
			}
		case "extra_content":
			p.signature, p.maker = callSignature(v)
		}
	}
	return p
}

// arguments is a piece of the arguments. Free text becomes a property of an
// object, which begin and finishBlocks open and close.
func (p *callPiece) arguments() chat.Literal {
	if p.custom {
		if input := p.function.Get("input").Literal(); !input.Empty() {
			return chat.AppendQuoted(nil, input.Inner())
		}
		return nil
	}
	arguments := p.function.Get("arguments")
	if arguments.Kind() == tape.Object {
		return chat.Quote(string(arguments.Raw()))
	}
	return arguments.Literal()
}

// What stands around the free text that a tool is called with.
var (
	openInput  = chat.Quote(`{"input":"`)
	closeInput = chat.Quote(`"}`)
)

// call appends what a piece of a tool call amounts to.
func (d *chatStreamDecoder) call(dst []chat.Event, p callPiece) ([]chat.Event, error) {
	t := d.tool(p.index, p.id)
	if t == nil {
		return dst, chat.BadAnswer("the upstream's stream has too many tool calls")
	}
	if t.id == nil && !p.id.Empty() {
		t.id = bytes.Clone(p.id)
	}
	dst = d.signed(dst, t, &p)
	if name := p.function.Get("name").Literal(); t.name == nil && !name.Empty() {
		t.name, t.custom = bytes.Clone(name), p.custom
	}
	if t.block == none && t.name != nil {
		dst = d.begin(dst, t)
	}
	switch arguments := p.arguments(); {
	case arguments.Empty():
		return dst, nil
	case t.block != none:
		return append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaArguments, Text: arguments}), nil
	case len(t.held)+len(arguments) > maxHeldText:
		return dst, chat.BadAnswer("the upstream's stream sends a tool call's arguments before its name")
	default:
		if t.held == nil {
			t.held = append(t.held, '"')
		}
		t.held = append(t.held, arguments.Inner()...)
		return dst, nil
	}
}

// signed takes the signature of a call, which is told before its arguments if it
// came in time.
func (d *chatStreamDecoder) signed(dst []chat.Event, t *streamTool, p *callPiece) []chat.Event {
	switch {
	case p.signature.Empty():
		return dst
	case t.block == none:
		t.signature, t.maker = bytes.Clone(p.signature), p.maker
		return dst
	default:
		return append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaSignature, Text: p.signature, Origin: p.maker})
	}
}

// tool returns the call that a piece belongs to; nil if there are too many.
// Servers may leave out the index, or give the same one to all calls.
func (d *chatStreamDecoder) tool(index tape.Value, id chat.Literal) *streamTool {
	number, numbered := index.Int()
	number = max(number, 0)
	for i := len(d.tools) - 1; i >= 0; i-- {
		t := &d.tools[i]
		sameID := id.Empty() || t.id == nil || t.id.Equal(id)
		switch {
		case numbered && t.index != number:
		case numbered && sameID:
			return t
		case numbered:
			return d.addTool(number)
		case id.Empty() || t.id != nil && t.id.Equal(id):
			return t
		}
	}
	if !numbered {
		number = none // matches no index
	}
	return d.addTool(number)
}

// addTool begins to collect another call.
func (d *chatStreamDecoder) addTool(index int64) *streamTool {
	if len(d.tools) == maxStreamTools {
		return nil
	}
	d.tools = append(d.tools, streamTool{index: index, block: none})
	return &d.tools[len(d.tools)-1]
}

// begin opens the block of a call whose name is known. If the id is not known by
// now, none will come.
func (d *chatStreamDecoder) begin(dst []chat.Event, t *streamTool) []chat.Event {
	dst = d.close(dst)
	if t.id == nil {
		t.id = madeID(d.id, t.name, len(d.tools))
	}
	t.block = d.blocks
	d.blocks++
	d.has.tools = true
	dst = append(dst, chat.Event{Kind: chat.EventBlockStart, Index: t.block, Block: chat.ToolUse, ID: t.id, Name: t.name, Origin: t.maker})
	if t.signature != nil {
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaSignature, Text: t.signature, Origin: t.maker})
	}
	if t.custom {
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaArguments, Text: openInput})
	}
	if t.held != nil {
		dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaArguments, Text: append(t.held, '"')})
		t.held = nil
	}
	return dst
}

// finishBlocks closes all blocks.
func (d *chatStreamDecoder) finishBlocks(dst []chat.Event) ([]chat.Event, error) {
	dst = d.close(dst)
	for i := range d.tools {
		t := &d.tools[i]
		switch {
		case t.block != none:
			if t.custom {
				dst = append(dst, chat.Event{Kind: chat.EventDelta, Index: t.block, Delta: chat.DeltaArguments, Text: closeInput})
			}
			dst = append(dst, chat.Event{Kind: chat.EventBlockStop, Index: t.block})
		case t.id != nil || t.held != nil:
			return dst, chat.BadAnswer("the upstream's stream has a tool call without a name")
		}
	}
	return dst, nil
}
