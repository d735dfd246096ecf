package openai

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// DecodeError implements format.ErrorCodec.
func (Responses) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	return decodeError(status, header, body)
}

// EncodeError implements format.ErrorCodec.
func (Responses) EncodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	return encodeError(dst, e)
}

// InspectResponse implements format.ResponseCodec. An answer that is still being
// made is one, too: clients that asked for it in the background wait for it.
func (Responses) InspectResponse(doc tape.Value) (chat.Usage, error) {
	var c counts
	if _, err := responseOf(doc, &c); err != nil {
		return chat.Usage{}, err
	}
	return c.usage(), nil
}

// response is a response object, in an answer or in an event.
type response struct{ id, model, created, status, output, details, usage, failure tape.Value }

// responseIn finds what matters in a response object.
func responseIn(v tape.Value) (r response) {
	for key, value := range v.Members {
		switch string(name(key)) {
		case "id":
			r.id = value
		case "model":
			r.model = value
		case "created_at":
			r.created = value
		case "status":
			r.status = value
		case "output":
			r.output = value
		case "incomplete_details":
			r.details = value
		case "usage":
			r.usage = value
		case "error":
			r.failure = value
		}
	}
	return r
}

// responseOf checks that doc is an answer.
func responseOf(doc tape.Value, c *counts) (response, error) {
	r := responseIn(doc)
	switch {
	case isFailure(r.failure), r.status.Is("failed"), r.status.Is("cancelled"):
		return r, failureIn(doc)
	case r.output.Kind() != tape.Array:
		return r, chat.BadAnswer("the upstream's answer is no response: it has no output")
	}
	c.readResponses(r.usage)
	return r, nil
}

// failureIn reads the error of an answer or of an event.
func failureIn(v tape.Value) *chat.Error {
	e := errorIn(v)
	if e.Type == "error" || e.Type == "response.failed" {
		e.Type = "" // the type of the event
	}
	return e
}

// readResponses takes the numbers that v has. It tells whether there were any.
func (c *counts) readResponses(v tape.Value) bool {
	before := *c
	for key, value := range v.Members {
		switch string(name(key)) {
		case "input_tokens":
			c.known = count(&c.prompt, value) || c.known
		case "output_tokens":
			c.known = count(&c.completion, value) || c.known
		case "total_tokens":
			count(&c.total, value)
		case "input_tokens_details":
			count(&c.cached, value.Get("cached_tokens"))
			count(&c.written, value.Get("cache_write_tokens"))
		case "output_tokens_details":
			count(&c.reasoning, value.Get("reasoning_tokens"))
		}
	}
	return *c != before
}

// stop is why the model stopped. What the answer holds counts, too.
func (r *response) stop(incomplete bool, has content) chat.Stop {
	s := chat.Stop{Reason: chat.StopEnd}
	if incomplete {
		switch reason := member(r.details, "reason"); {
		case reason.Is("max_output_tokens"), reason.Is("max_tokens"):
			s.Reason = chat.StopMaxTokens
		case reason.Is("content_filter"):
			s.Reason = chat.StopContentFilter
		default:
			s.Reason, s.Native = chat.StopOther, format.Bounded(reason.Text(), 64)
		}
		return s
	}
	switch {
	case has.tools:
		s.Reason = chat.StopToolUse
	case has.refusal:
		s.Reason = chat.StopRefusal
	}
	return s
}

// DecodeResponse implements format.ResponseCodec.
func (Responses) DecodeResponse(doc tape.Value) (*chat.Response, error) {
	var c counts
	answer, err := responseOf(doc, &c)
	if err != nil {
		return nil, err
	}
	if answer.status.Is("queued") || answer.status.Is("in_progress") {
		return nil, chat.BadAnswer("the upstream's answer is not complete yet")
	}
	r := &chat.Response{ID: answer.id.Literal(), Model: answer.model.Literal()}
	r.Created, _ = answer.created.Int()
	d := answerDecoder{r: r, id: unescaped(r.ID)}
	r.Blocks = make([]chat.Block, 0, min(answer.output.Len(), 64))
	for item := range answer.output.Elements {
		if err := d.item(item); err != nil {
			return nil, err
		}
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	r.Stop = answer.stop(answer.status.Is("incomplete"), d.has)
	r.Usage = c.usage()
	return r, nil
}

// item reads an item of the output.
func (d *answerDecoder) item(v tape.Value) error {
	switch kind := member(v, "type"); {
	case kind.Is("message"):
		for part := range member(v, "content").Elements {
			d.part(part)
		}
	case kind.Is("function_call"):
		return d.itemCall(v, false)
	case kind.Is("custom_tool_call"):
		return d.itemCall(v, true)
	case kind.Is("reasoning"):
		if b, ok := thoughtIn(v); ok {
			d.r.Blocks = append(d.r.Blocks, b)
		}
	default:
		b := d.add(chat.Opaque)
		b.Type, b.Raw, b.Origin = format.Bounded(kind.Text(), 64), v.Raw(), originResponses
	}
	return nil
}

// part reads a part of a message.
func (d *answerDecoder) part(v tape.Value) {
	if refusal := member(v, "refusal").Literal(); !refusal.Empty() {
		d.text(chat.Refusal, refusal)
		d.has.refusal = true
		return
	}
	d.text(chat.Text, member(v, "text").Literal())
}

// itemCall reads a call of a tool.
func (d *answerDecoder) itemCall(v tape.Value, custom bool) error {
	b := d.add(chat.ToolUse)
	b.ID = member(v, "call_id").Literal()
	if err := d.called(b, v); err != nil {
		return err
	}
	b.Name = nameIn(v)
	if custom {
		b.Arguments = chat.Arguments{Object: customInput(member(v, "input"))}
	}
	return nil
}

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
	dst = chat.AppendQuoted(dst, format.Bounded(e.Message, maxMessage))
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
