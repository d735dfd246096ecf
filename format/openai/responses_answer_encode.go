package openai

import (
	"bytes"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// EncodeResponse implements format.ResponseCodec.
func (Responses) EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report) {
	e := outputEncoder{x: x, ids: newItemIDs(r.ID, x)}
	output := e.output(make([]byte, 0, 512), r.Blocks)
	dst = appendResponse(dst, x, &answerState{
		id: r.ID, created: created(r, x), end: endOf(r.Stop.Reason, e.has), output: output, usage: &r.Usage,
	})
	return dst, e.report
}

// end is how an answer ended: the status, and the reason if it is not complete.
type end struct{ status, reason string }

// endOf is how an answer with a neutral stop ended.
func endOf(s chat.StopReason, has content) end {
	switch s {
	case chat.StopMaxTokens, chat.StopContextWindow:
		return end{"incomplete", "max_output_tokens"}
	case chat.StopContentFilter:
		return end{"incomplete", "content_filter"}
	case chat.StopRefusal:
		if !has.refusal {
			return end{"incomplete", "content_filter"}
		}
	}
	return end{"completed", ""}
}

// answerState is what a response object tells of an answer beside what it
// repeats of the request.
type answerState struct {
	id      chat.Literal
	created int64
	end     end
	err     *chat.Error
	output  []byte      // the items
	usage   *chat.Usage // nil if it is not known yet
}

// echoes are the members of a response object that repeat the request, with what
// stands there if the request did not say.
var echoes = [...]struct{ name, otherwise string }{
	{"instructions", "null"},
	{"max_output_tokens", "null"},
	{"max_tool_calls", "null"},
	{"parallel_tool_calls", "true"},
	{"prompt_cache_key", ""},
	{"prompt_cache_retention", ""},
	{"reasoning", `{"effort":null,"summary":null}`},
	{"safety_identifier", ""},
	{"service_tier", ""},
	{"store", ""},
	{"temperature", "1"},
	{"text", `{"format":{"type":"text"}}`},
	{"tool_choice", `"auto"`},
	{"tools", "[]"},
	{"top_logprobs", "0"},
	{"top_p", "1"},
	{"truncation", `"disabled"`},
	{"user", ""},
	{"metadata", "{}"},
}

// appendResponse appends a response object. It has no line breaks.
func appendResponse(dst []byte, x *chat.Exchange, s *answerState) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendPrefixed(dst, "resp_", s.id, x)
	dst = append(dst, `,"object":"response","created_at":`...)
	dst = strconv.AppendInt(dst, s.created, 10)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, s.end.status...)
	dst = append(dst, `","background":false,"error":`...)
	if s.err == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendResponseError(dst, s.err)
	}
	dst = append(dst, `,"incomplete_details":`...)
	if s.end.reason == "" {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, `{"reason":"`...)
		dst = append(dst, s.end.reason...)
		dst = append(dst, `"}`...)
	}
	dst = append(dst, `,"model":`...)
	dst = chat.AppendQuoted(dst, x.Model)
	dst = append(dst, `,"output":[`...)
	dst = append(dst, s.output...)
	dst = append(dst, `],"previous_response_id":null`...)
	for i := range echoes {
		dst = appendEcho(dst, x, echoes[i].name, echoes[i].otherwise)
	}
	dst = append(dst, `,"usage":`...)
	if s.usage == nil {
		return append(dst, "null}"...)
	}
	dst = appendResponsesUsage(dst, s.usage)
	return append(dst, '}')
}

// appendEcho appends a member that repeats the request.
func appendEcho(dst []byte, x *chat.Exchange, name, otherwise string) []byte {
	value := []byte(nil)
	if x.Request != nil && x.Request.Format == originResponses {
		for i := range x.Request.Echo {
			if f := &x.Request.Echo[i]; f.Name == name {
				value = f.Value
				break
			}
		}
	}
	if value == nil && otherwise == "" {
		return dst
	}
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	if value == nil {
		return append(dst, otherwise...)
	}
	return appendOneLine(dst, value)
}

// appendOneLine appends JSON without its line breaks, which can stand between
// tokens only: an event of a stream has them on one line.
func appendOneLine(dst, raw []byte) []byte {
	for {
		i := bytes.IndexAny(raw, "\r\n")
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		raw = raw[i+1:]
	}
}

// appendResponsesUsage appends a usage object. Counts that are not known are
// zeros.
func appendResponsesUsage(dst []byte, u *chat.Usage) []byte {
	prompt := u.Prompt()
	dst = appendCount(dst, `{"input_tokens":`, prompt)
	dst = appendCount(dst, `,"input_tokens_details":{"cached_tokens":`, u.CacheRead)
	dst = appendCount(dst, `,"cache_write_tokens":`, u.CacheWrite())
	dst = appendCount(dst, `},"output_tokens":`, u.Output)
	dst = appendCount(dst, `,"output_tokens_details":{"reasoning_tokens":`, u.Reasoning)
	dst = appendCount(dst, `},"total_tokens":`, prompt+u.Output)
	return append(dst, '}')
}

// appendResponseError appends the error of a response object, with a code that
// the format knows.
func appendResponseError(dst []byte, e *chat.Error) []byte {
	dst = append(dst, `{"code":"`...)
	dst = append(dst, responseErrorCode(e)...)
	dst = append(dst, `","message":`...)
	dst = chat.AppendQuoted(dst, format.Bounded(e.Message, format.MaxErrorMessage))
	return append(dst, '}')
}

// responseErrorCode is the code of an error in a response object. The format has
// a closed list of them.
func responseErrorCode(e *chat.Error) string {
	switch e.Kind {
	case chat.ErrRateLimit, chat.ErrQuota:
		return "rate_limit_exceeded"
	case chat.ErrInvalidRequest, chat.ErrContextTooLong, chat.ErrTooLarge, chat.ErrUnsupportedMedia:
		return "invalid_prompt"
	default:
		return "server_error"
	}
}
