package openai

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// EncodeResponse implements format.ResponseCodec.
func (Chat) EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report) {
	var report chat.Report
	dst = append(dst, `{"id":`...)
	dst = appendID(dst, r.ID, x)
	dst = append(dst, `,"object":"chat.completion","created":`...)
	dst = strconv.AppendInt(dst, created(r, x), 10)
	dst = append(dst, `,"model":`...)
	dst = chat.AppendQuoted(dst, x.Model)
	dst = append(dst, `,"choices":[{"index":0,"message":`...)
	dst, has := appendMessage(dst, r, x, &report)
	dst = appendLogprobs(append(dst, `,"logprobs":`...), r.Blocks)
	dst = append(dst, `,"finish_reason":"`...)
	dst = append(dst, finishReason(r.Stop.Reason, has, x.LegacyFunctions)...)
	dst = append(dst, `"}],"usage":`...)
	dst = appendUsage(dst, &r.Usage)
	return append(dst, '}'), report
}

// created is when the answer was made.
func created(r *chat.Response, x *chat.Exchange) int64 {
	if x.Created != 0 {
		return x.Created
	}
	return r.Created
}

// appendID appends the id of an answer, made from the upstream's own.
func appendID(dst []byte, id chat.Literal, x *chat.Exchange) []byte {
	return appendPrefixed(dst, "chatcmpl-", id, x)
}

// appendPrefixed appends the id of an answer with a prefix, made from the
// upstream's own.
func appendPrefixed(dst []byte, prefix string, id chat.Literal, x *chat.Exchange) []byte {
	switch {
	case id.Empty():
		return chat.AppendQuoted(dst, prefix+strings.TrimPrefix(x.RequestID, prefix))
	case bytes.HasPrefix(id.Inner(), []byte(prefix)):
		return append(dst, id...)
	}
	dst = append(dst, '"')
	dst = append(dst, prefix...)
	dst = append(dst, id.Inner()...)
	return append(dst, '"')
}

// appendMessage appends the message of an answer, and says what it holds.
func appendMessage(dst []byte, r *chat.Response, x *chat.Exchange, report *chat.Report) ([]byte, content) {
	has, shown := inventoryOf(r, report)
	dst = append(dst, `{"role":"assistant","content":`...)
	switch {
	case !shown.text && (has.tools || has.refusal):
		dst = append(dst, "null"...)
	default:
		dst = appendJoined(dst, r.Blocks, chat.Text)
	}
	if shown.thinking && !hidesReasoning(x) {
		dst = append(dst, `,"reasoning_content":`...)
		dst = appendJoined(dst, r.Blocks, chat.Thinking)
	}
	if shown.details {
		dst = appendDetails(dst, r.Blocks)
	}
	dst = append(dst, `,"refusal":`...)
	if has.refusal {
		dst = appendJoined(dst, r.Blocks, chat.Refusal)
	} else {
		dst = append(dst, "null"...)
	}
	dst = appendAnnotations(dst, r.Blocks, report)
	if has.tools {
		dst = appendCalls(dst, r, x, report)
	}
	return append(dst, '}'), has
}

// inventoryOf looks through an answer: what bears on its end, and what is shown of
// it. What cannot be shown is reported.
func inventoryOf(r *chat.Response, report *chat.Report) (has content, shown spoken) {
	for i := range r.Blocks {
		b := &r.Blocks[i]
		switch b.Kind {
		case chat.Text:
			shown.text = shown.text || !b.Text.Empty()
		case chat.Thinking:
			shown.thinking = shown.thinking || !b.Text.Empty()
		case chat.ToolUse:
			has.tools = true
		case chat.Refusal:
			has.refusal = has.refusal || !b.Text.Empty()
		case chat.RedactedThinking:
		case chat.Opaque:
			report.Drop("content." + b.Type)
		default:
			report.Lose("content." + b.Kind.String())
		}
		shown.details = shown.details || carried(b)
	}
	return has, shown
}

// hidesReasoning says that the client does not want to see how the model reasons.
func hidesReasoning(x *chat.Exchange) bool {
	return x.Request != nil && x.Request.Reasoning.Summary == "omitted"
}

// appendDetails appends the reasoning that the client is to carry.
func appendDetails(dst []byte, blocks []chat.Block) []byte {
	number, separator := 0, `,"reasoning_details":[`
	for i := range blocks {
		if b := &blocks[i]; carried(b) {
			dst = appendDetail(append(dst, separator...), b, number)
			number, separator = number+1, ","
		}
	}
	return append(dst, ']')
}

// appendLogprobs appends the probabilities of the answer's tokens; null if there
// are none.
func appendLogprobs(dst []byte, blocks []chat.Block) []byte {
	known := false
	for i := range blocks {
		known = known || blocks[i].Logprobs != nil
	}
	if !known {
		return append(dst, "null"...)
	}
	dst = appendTokens(append(dst, `{"content":`...), blocks, chat.Text)
	dst = appendTokens(append(dst, `,"refusal":`...), blocks, chat.Refusal)
	return append(dst, '}')
}

// appendTokens appends the probabilities of one kind of blocks as one array; null
// if there are none.
func appendTokens(dst []byte, blocks []chat.Block, kind chat.BlockKind) []byte {
	separator := byte('[')
	for i := range blocks {
		inner := elements(blocks[i].Logprobs)
		if blocks[i].Kind == kind && len(inner) > 0 {
			dst = appendOneLine(append(dst, separator), inner)
			separator = ','
		}
	}
	if separator == '[' {
		return append(dst, "null"...)
	}
	return append(dst, ']')
}

// appendJoined appends the texts of one kind as one string.
func appendJoined(dst []byte, blocks []chat.Block, kind chat.BlockKind) []byte {
	dst = append(dst, '"')
	for i := range blocks {
		if blocks[i].Kind == kind {
			dst = append(dst, blocks[i].Text.Inner()...)
		}
	}
	return append(dst, '"')
}
