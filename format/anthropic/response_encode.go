package anthropic

import (
	"bytes"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// EncodeResponse implements format.ResponseCodec.
func (Messages) EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report) {
	var report chat.Report
	var has content
	dst = appendHead(dst, r.ID, x)
	dst = append(dst, `,"content":[`...)
	from := len(dst)
	for i := range r.Blocks {
		end := len(dst)
		if end > from {
			dst = append(dst, ',')
		}
		before := len(dst)
		dst = appendBlock(dst, &r.Blocks[i], x, &report)
		if len(dst) == before {
			dst = dst[:end]
			continue
		}
		has.tools = has.tools || r.Blocks[i].Kind == chat.ToolUse
		has.refusal = has.refusal || r.Blocks[i].Kind == chat.Refusal
	}
	dst = append(dst, `],`...)
	dst = appendStop(dst, &r.Stop, has)
	dst = append(dst, `,"usage":`...)
	dst = appendUsage(dst, &r.Usage)
	return append(dst, '}'), report
}

// appendHead begins an answer's object.
func appendHead(dst []byte, id chat.Literal, x *chat.Exchange) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendID(dst, id, x)
	dst = append(dst, `,"type":"message","role":"assistant","model":`...)
	return chat.AppendQuoted(dst, x.Model)
}

// appendID appends the id of an answer, made from the upstream's own. Clients such
// as Claude Code take answers of the same id for one message, and some servers
// number their answers in a small range or not at all: a short id is completed by
// the request's.
func appendID(dst []byte, id chat.Literal, x *chat.Exchange) []byte {
	const prefix, unique = "msg_", 20
	own := id.Inner()
	if bytes.HasPrefix(own, []byte(prefix)) {
		return append(dst, id...)
	}
	dst = append(dst, `"`+prefix...)
	dst = append(dst, own...)
	if len(own) < unique {
		if len(own) > 0 {
			dst = append(dst, '_')
		}
		dst = chat.AppendEscaped(dst, strings.TrimPrefix(x.RequestID, prefix))
	}
	return append(dst, '"')
}

// appendBlock appends a block of an answer; nothing if it is empty or has no
// place in the format.
func appendBlock(dst []byte, b *chat.Block, x *chat.Exchange, report *chat.Report) []byte {
	switch b.Kind {
	case chat.Text, chat.Refusal:
		if b.Text.Empty() && len(b.Citations) == 0 {
			return dst
		}
		dst = append(dst, `{"type":"text","text":`...)
		dst = append(dst, b.Text.OrEmpty()...)
		dst = appendCitations(dst, b.Citations, report)
	case chat.Thinking:
		signature := carried(b.Signature, b.Origin)
		if b.Text.Empty() && signature.Empty() {
			return dst
		}
		dst = appendThinking(dst, b.Text, signature)
	case chat.RedactedThinking:
		data := carried(b.Text, b.Origin)
		if data.Empty() {
			report.Drop("content.redacted_thinking")
			return dst
		}
		dst = append(dst, `{"type":"redacted_thinking","data":`...)
		dst = append(dst, data...)
	case chat.ToolUse:
		if signature := callSignature(b.Signature, b.Origin); signature != nil {
			dst = appendThinking(dst, nil, signature)
			dst = append(dst, "},"...)
		}
		dst = appendCall(dst, b.ID, b.Name, x)
		dst = append(dst, `,"input":`...)
		var whole bool
		if dst, whole = format.AppendObject(dst, b.Arguments); !whole {
			report.Approximate("tool_calls[].arguments")
		}
	case chat.Opaque:
		if b.Origin != origin {
			report.Drop("content." + b.Type)
			return dst
		}
		return append(dst, b.Raw...)
	default:
		report.Lose("content." + b.Kind.String())
		return dst
	}
	return append(dst, '}')
}

// carried is the signature, or the sealed data, that a client is shown: that of
// this format's provider as it is, and that of another's with its maker's name on
// it, so that it is sent back to no other. The key must be there; without a
// signature, or its maker, the value is empty.
func carried(signature chat.Literal, maker string) chat.Literal {
	switch {
	case signature.Empty(), maker == "":
		return chat.Literal(`""`)
	case maker == origin:
		return signature
	default:
		return chat.TagSignature(maker, signature)
	}
}

// callSignature is the signature of a call as a client is shown it, in a block of
// thinking in front of the call; nil if there is none that could come back.
func callSignature(signature chat.Literal, maker string) chat.Literal {
	if maker != signsCalls || signature.Empty() {
		return nil
	}
	return carried(signature, maker)
}

// appendThinking appends a block of thinking without its end.
func appendThinking(dst []byte, text, signature chat.Literal) []byte {
	dst = append(dst, `{"type":"thinking","thinking":`...)
	dst = append(dst, text.OrEmpty()...)
	dst = append(dst, `,"signature":`...)
	return append(dst, signature...)
}

// appendCall begins a call of a tool, under the client's own name of it. Its id
// is made to fit: the client may send it to Anthropic later on.
func appendCall(dst []byte, id, name chat.Literal, x *chat.Exchange) []byte {
	dst = append(dst, `{"type":"tool_use","id":`...)
	dst = append(dst, callID(id)...)
	dst = append(dst, `,"name":`...)
	return append(dst, x.Names.Original(name).OrEmpty()...)
}
