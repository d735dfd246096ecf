package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// showsThoughts says that the client asked for the thoughts: the format shows
// them to nobody else.
func showsThoughts(x *chat.Exchange) bool {
	if x.Request == nil {
		return false
	}
	summary := x.Request.Reasoning.Summary
	return summary != "" && summary != "omitted"
}

// EncodeResponse implements format.ResponseCodec.
func (GenerateContent) EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report) {
	var report chat.Report
	thoughts, refusal := showsThoughts(x), false
	var sources grounding
	var logprobs chat.Raw
	part := 0
	dst = append(dst, beforeParts...)
	from := len(dst)
	for i := range r.Blocks {
		b := &r.Blocks[i]
		end := len(dst)
		if end > from {
			dst = append(dst, ',')
		}
		before := len(dst)
		dst = appendPart(dst, b, x, thoughts, &report)
		if len(dst) == before {
			dst = dst[:end]
			continue
		}
		refusal = refusal || b.Kind == chat.Refusal
		sources.text(b, part)
		part++
		if b.Logprobs != nil {
			logprobs = b.Logprobs
		}
	}
	if len(dst) == from {
		dst = append(dst, emptyPart...)
	}
	dst = append(dst, afterParts...)
	dst = appendFinish(dst, &r.Stop, refusal)
	dst = sources.append(dst)
	dst = appendLogprobs(dst, logprobs)
	dst = append(dst, `,"index":0}],"usageMetadata":`...)
	dst = appendUsage(dst, &r.Usage)
	dst = append(dst, ',')
	return appendTail(dst, r.ID, x), report
}

// What stands around the parts of an answer and of a chunk. There are clients
// that expect at least one part.
const (
	beforeParts = `{"candidates":[{"content":{"parts":[`
	emptyPart   = `{"text":""}`
	afterParts  = `],"role":"model"}`
)

// appendFinish appends why the answer ended.
func appendFinish(dst []byte, s *chat.Stop, refusal bool) []byte {
	dst = append(dst, `,"finishReason":"`...)
	dst = append(dst, finishReason(s.Reason, refusal)...)
	return append(dst, '"')
}

// appendTail appends the last members of an answer or a chunk.
func appendTail(dst []byte, id chat.Literal, x *chat.Exchange) []byte {
	dst = append(dst, `"modelVersion":`...)
	dst = chat.AppendQuoted(dst, x.Model)
	dst = append(dst, `,"responseId":`...)
	if id.Empty() {
		dst = chat.AppendQuoted(dst, x.RequestID)
	} else {
		dst = append(dst, id...)
	}
	return append(dst, '}')
}

// appendPart appends a block of an answer; nothing if it is empty or has no
// place in the format.
func appendPart(dst []byte, b *chat.Block, x *chat.Exchange, thoughts bool, report *chat.Report) []byte {
	signature := shownSignature(b.Signature, b.Origin)
	switch b.Kind {
	case chat.Text, chat.Refusal:
		if b.Text.Empty() && signature == nil {
			return dst
		}
		dst = append(dst, `{"text":`...)
		dst = append(dst, b.Text.OrEmpty()...)
	case chat.Thinking:
		if !thoughts || b.Text.Empty() && signature == nil {
			return dst
		}
		dst = append(dst, `{"text":`...)
		dst = append(dst, b.Text.OrEmpty()...)
		dst = append(dst, `,"thought":true`...)
	case chat.ToolUse:
		dst = appendCall(dst, b.ID, b.Name, x)
		var whole bool
		if dst, whole = appendArgs(dst, b.Arguments); !whole {
			report.Approximate("tool_calls[].arguments")
		}
		dst = append(dst, '}')
	case chat.RedactedThinking:
		report.Drop("content.redacted_thinking")
		return dst
	case chat.Opaque:
		if b.Origin != origin {
			report.Drop("content." + b.Type)
			return dst
		}
		return chat.AppendLine(dst, b.Raw)
	default:
		report.Lose("content." + b.Kind.String())
		return dst
	}
	if signature != nil {
		dst = append(dst, `,"thoughtSignature":`...)
		dst = append(dst, signature...)
	}
	return append(dst, '}')
}

// appendCall begins a call of a function, under the client's own name of it, up
// to the value of its arguments.
func appendCall(dst []byte, id, name chat.Literal, x *chat.Exchange) []byte {
	dst = append(dst, `{"functionCall":{`...)
	if !id.Empty() {
		dst = append(dst, `"id":`...)
		dst = append(dst, id...)
		dst = append(dst, ',')
	}
	dst = append(dst, `"name":`...)
	dst = append(dst, x.Names.Original(name).OrEmpty()...)
	return append(dst, `,"args":`...)
}
