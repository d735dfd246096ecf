package openai

import (
	"net/http"

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
		switch string(key.Unescaped()) {
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
	case format.IsFailure(r.failure), r.status.Is("failed"), r.status.Is("cancelled"):
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
		switch string(key.Unescaped()) {
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
		switch reason := r.details.Member("reason"); {
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
	d := answerDecoder{r: r, id: r.ID.Unescaped()}
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
	switch kind := v.Member("type"); {
	case kind.Is("message"):
		for part := range v.Member("content").Elements {
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
	if refusal := v.Member("refusal").Literal(); !refusal.Empty() {
		d.text(chat.Refusal, refusal)
		d.has.refusal = true
		return
	}
	l := v.Member("text").Literal()
	if l.Empty() {
		return
	}
	b := d.add(chat.Text)
	b.Text, b.Logprobs = l, logprobsIn(v.Get("logprobs"))
	for annotation := range v.Member("annotations").Elements {
		if len(b.Citations) == maxCitations {
			break
		}
		b.Citations = append(b.Citations, citationIn(annotation))
	}
}

// itemCall reads a call of a tool.
func (d *answerDecoder) itemCall(v tape.Value, custom bool) error {
	b := d.add(chat.ToolUse)
	b.ID = v.Member("call_id").Literal()
	if err := d.called(b, v); err != nil {
		return err
	}
	b.Name = nameIn(v)
	if custom {
		b.Arguments = chat.Arguments{Object: customInput(v.Member("input"))}
	}
	return nil
}
