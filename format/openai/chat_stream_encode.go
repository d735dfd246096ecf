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
	return &chatStreamEncoder{x: x, hides: hidesReasoning(x)}
}

// chatStreamEncoder turns neutral events into chunks.
type chatStreamEncoder struct {
	x *chat.Exchange
	// head is what every chunk begins with, up to the elements of its choices.
	head   []byte
	blocks []streamBlock
	tools  int // how many calls have begun
	// details and annotations are the elements of lists that are told at the end;
	// detailed is the number of details.
	details, annotations []byte
	detailed             int
	characters           int // of the message's text
	has                  content
	usage                chat.Usage
	hides                bool // the client does not want to see how the model reasons
	finished             bool
	ended                bool
}

// streamBlock is what must be known of a block.
type streamBlock struct {
	kind   chat.BlockKind
	open   bool
	tool   int  // its number among the tools
	filled bool // arguments have been sent
	custom bool // is a call of a tool that takes free text

	// held is what is told at the end: sealed data, the thinking that a signature
	// is about, the free text that a tool is called with. It is a literal without
	// its end.
	held      []byte
	signature []byte // of thinking: a literal without its end
	origin    string // of the signature, or of the sealed data
	// before is where the text begins in the message, in characters.
	before    int
	citations []chat.Citation
}

// What stands behind the delta of a chunk, without and with counts of tokens.
const (
	endDelta        = `},"logprobs":null` + endChoice
	endDeltaCounts  = `},"logprobs":null` + endChoiceCounts
	endChoice       = `,"finish_reason":null}]}` + "\n\n"
	endChoiceCounts = `,"finish_reason":null}],"usage":null}` + "\n\n"
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

// finish appends the one chunk with a finish_reason.
func (e *chatStreamEncoder) finish(dst []byte, reason chat.StopReason) []byte {
	if e.finished {
		return dst
	}
	for i := range e.blocks {
		dst = e.blockStop(dst, i)
	}
	if e.ended {
		return dst
	}
	dst = e.collected(dst)
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
	if dst = e.finish(dst, chat.StopUnset); e.ended {
		return dst
	}
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
