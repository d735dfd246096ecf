package openai

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// heartbeat is a comment, which clients skip.
var heartbeat = []byte(": ping\n\n")

// Heartbeat implements format.StreamCodec.
func (Chat) Heartbeat() []byte { return heartbeat }

// NewStreamEncoder implements format.StreamCodec.
func (Chat) NewStreamEncoder(x *chat.Exchange) format.StreamEncoder {
	return &chatStreamEncoder{x: x}
}

// chatStreamEncoder turns neutral events into chunks.
type chatStreamEncoder struct {
	x *chat.Exchange
	// head is what every chunk begins with, up to the elements of its choices.
	head     []byte
	blocks   []streamBlock
	tools    int // how many calls have begun
	has      content
	usage    chat.Usage
	finished bool
	ended    bool
}

// streamBlock is what must be known of a block.
type streamBlock struct {
	isTool bool // and has not ended
	tool   int  // its number among the tools
	filled bool // arguments have been sent
}

// What stands behind the delta of a chunk, without and with counts of tokens.
const (
	endDelta       = `},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	endDeltaCounts = `},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"
)

// Encode implements format.StreamEncoder.
func (e *chatStreamEncoder) Encode(dst []byte, ev *chat.Event) []byte {
	if e.ended {
		return dst
	}
	switch ev.Kind {
	case chat.EventHeartbeat:
		return append(dst, heartbeat...)
	case chat.EventError:
		e.ended = true
		return appendStreamError(dst, ev.Err)
	case chat.EventUsage:
		if ev.Usage != nil {
			e.usage = *ev.Usage
		}
		return dst
	}
	dst = e.start(dst, ev)
	switch ev.Kind {
	case chat.EventBlockStart:
		return e.blockStart(dst, ev)
	case chat.EventDelta:
		return e.delta(dst, ev)
	case chat.EventBlockStop:
		return e.blockStop(dst, ev.Index)
	case chat.EventFinish:
		return e.finish(dst, ev.Stop.Reason)
	case chat.EventEnd:
		return e.end(dst)
	}
	return dst
}

// start appends the chunk with the role, once and before all others.
func (e *chatStreamEncoder) start(dst []byte, ev *chat.Event) []byte {
	if e.head != nil {
		return dst
	}
	var id chat.Literal
	if ev.Kind == chat.EventStart {
		id = ev.ID
	}
	head := append([]byte(nil), `data: {"id":`...)
	head = appendID(head, id, e.x)
	head = append(head, `,"object":"chat.completion.chunk","created":`...)
	head = strconv.AppendInt(head, e.x.Created, 10)
	head = append(head, `,"model":`...)
	head = chat.AppendQuoted(head, e.x.Model)
	e.head = append(head, `,"choices":[`...)
	dst = e.begin(dst, `"role":"assistant","content":""`)
	return e.close(dst)
}

// begin appends a chunk up to the first members of its delta.
func (e *chatStreamEncoder) begin(dst []byte, delta string) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, `{"index":0,"delta":{`...)
	return append(dst, delta...)
}

// close ends a chunk that was begun.
func (e *chatStreamEncoder) close(dst []byte) []byte {
	if e.x.IncludeUsage {
		return append(dst, endDeltaCounts...)
	}
	return append(dst, endDelta...)
}

// block returns what is known of block i.
func (e *chatStreamEncoder) block(i int) *streamBlock {
	for len(e.blocks) <= i {
		e.blocks = append(e.blocks, streamBlock{})
	}
	return &e.blocks[i]
}

// blockStart appends the begin of a tool call. Text needs none.
func (e *chatStreamEncoder) blockStart(dst []byte, ev *chat.Event) []byte {
	b := e.block(ev.Index)
	switch {
	case ev.Block == chat.Refusal:
		e.has.refusal = true
		return dst
	case ev.Block != chat.ToolUse:
		return dst
	}
	e.has.tools = true
	b.isTool, b.tool = true, e.tools
	e.tools++
	if e.hidden(b) {
		return dst
	}
	name := orEmpty(e.x.Names.Original(ev.Name))
	if e.x.LegacyFunctions {
		dst = e.begin(dst, `"function_call":{"name":`)
		dst = append(dst, name...)
		dst = append(dst, `,"arguments":""}`...)
		return e.close(dst)
	}
	dst = e.begin(dst, `"tool_calls":[{"index":`)
	dst = strconv.AppendInt(dst, int64(b.tool), 10)
	dst = append(dst, `,"id":`...)
	if ev.ID.Empty() {
		dst = append(dst, madeID([]byte(e.x.RequestID), ev.Name, b.tool)...)
	} else {
		dst = append(dst, ev.ID...)
	}
	dst = append(dst, `,"type":"function","function":{"name":`...)
	dst = append(dst, name...)
	dst = append(dst, `,"arguments":""}}]`...)
	return e.close(dst)
}

// hidden says that a call cannot be told: clients that know functions only can
// be told one.
func (e *chatStreamEncoder) hidden(b *streamBlock) bool {
	return e.x.LegacyFunctions && b.tool > 0
}

// delta appends a piece of a block.
func (e *chatStreamEncoder) delta(dst []byte, ev *chat.Event) []byte {
	if ev.Text.Empty() {
		return dst
	}
	var member string
	switch ev.Delta {
	case chat.DeltaText:
		member = `"content":`
	case chat.DeltaThinking:
		member = `"reasoning_content":`
	case chat.DeltaRefusal:
		e.has.refusal = true
		member = `"refusal":`
	case chat.DeltaArguments:
		return e.arguments(dst, e.block(ev.Index), ev.Text)
	default:
		return dst
	}
	dst = e.begin(dst, member)
	dst = append(dst, ev.Text...)
	return e.close(dst)
}

// arguments appends a piece of a call's arguments.
func (e *chatStreamEncoder) arguments(dst []byte, b *streamBlock, piece chat.Literal) []byte {
	if !b.isTool || e.hidden(b) {
		return dst
	}
	b.filled = true
	if e.x.LegacyFunctions {
		dst = e.begin(dst, `"function_call":{"arguments":`)
		dst = append(dst, piece...)
		dst = append(dst, '}')
		return e.close(dst)
	}
	dst = e.begin(dst, `"tool_calls":[{"index":`)
	dst = strconv.AppendInt(dst, int64(b.tool), 10)
	dst = append(dst, `,"function":{"arguments":`...)
	dst = append(dst, piece...)
	dst = append(dst, `}}]`...)
	return e.close(dst)
}

// noArguments is an object without members.
var noArguments = chat.Literal(`"{}"`)

// blockStop gives a call without arguments an empty object.
func (e *chatStreamEncoder) blockStop(dst []byte, i int) []byte {
	b := e.block(i)
	if b.isTool && !b.filled {
		dst = e.arguments(dst, b, noArguments)
	}
	b.isTool = false
	return dst
}

// finish appends the one chunk with a finish_reason.
func (e *chatStreamEncoder) finish(dst []byte, reason chat.StopReason) []byte {
	if e.finished {
		return dst
	}
	for i := range e.blocks {
		dst = e.blockStop(dst, i)
	}
	e.finished = true
	dst = append(dst, e.head...)
	dst = append(dst, `{"index":0,"delta":{},"logprobs":null,"finish_reason":"`...)
	dst = append(dst, finishReason(reason, e.has, e.x.LegacyFunctions)...)
	dst = append(dst, `"}]`...)
	if e.x.IncludeUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

// end appends the counts of tokens, if the client wants them, and the end mark.
func (e *chatStreamEncoder) end(dst []byte) []byte {
	dst = e.finish(dst, chat.StopUnset)
	e.ended = true
	if e.x.IncludeUsage {
		dst = append(dst, e.head...)
		dst = append(dst, `],"usage":`...)
		dst = appendUsage(dst, &e.usage)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, done...)
}

// done is the end mark.
const done = "data: [DONE]\n\n"
