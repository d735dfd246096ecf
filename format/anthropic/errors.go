package anthropic

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Bounds of what is kept of an error, in bytes.
const (
	maxMessage = 1 << 10
	maxDetails = 4 << 10
)

// DecodeError implements format.ErrorCodec.
func (Messages) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	e := &chat.Error{}
	t := tapes.Get().(*tape.Tape)
	defer tapes.Put(t)
	defer t.Reset()
	if err := t.Parse(body); err == nil {
		readError(e, t.Root())
	} else if text := bytes.TrimSpace(body); len(text) > 0 && text[0] != '<' {
		e.Message = format.Bounded(string(text[:min(len(text), maxMessage)]), maxMessage)
	}
	if e.Message == "" {
		e.Message = strings.TrimSpace("the upstream answered with status " + strconv.Itoa(status) + " " + http.StatusText(status))
	}
	e.Status = status
	e.Kind = kindOf(e)
	e.RetryAfter = format.RetryAfter(status, header)
	return e
}

// errorIn reads an error that came with a success status: in an answer, or in an
// event of a stream.
func errorIn(v tape.Value) *chat.Error {
	e := &chat.Error{}
	readError(e, v)
	if e.Message == "" {
		e.Message = "the upstream reported an error and did not say which"
	}
	e.Kind = kindOf(e)
	return e
}

// readError reads the words of an error: of an object with an error in it, or of
// one that is the error, as proxies write it.
func readError(e *chat.Error, v tape.Value) {
	if v.Kind() == tape.Array {
		for element := range v.Elements {
			readError(e, element)
			return
		}
	}
	switch inner := member(v, "error"); inner.Kind() {
	case tape.Object:
		v = inner
	case tape.String:
		e.Message = format.Bounded(inner.Text(), maxMessage)
	}
	for _, name := range []string{"message", "detail", "msg"} {
		if e.Message == "" {
			e.Message = format.Bounded(sentence(member(v, name)), maxMessage)
		}
	}
	if kind := member(v, "type").Text(); kind != "error" {
		e.Type = format.Bounded(kind, 128)
	}
	e.Code = format.Bounded(member(v, "code").Text(), 128)
	e.Param = format.Bounded(member(v, "param").Text(), 128)
	if details := member(v, "details"); details.Exists() && len(details.Raw()) <= maxDetails {
		e.Details = bytes.Clone(details.Raw())
	}
}

// sentence is the text of a message: a string, or the first one in FastAPI's
// list of details.
func sentence(v tape.Value) string {
	switch v.Kind() {
	case tape.String:
		return v.Text()
	case tape.Array:
		for element := range v.Elements {
			return sentence(element)
		}
	case tape.Object:
		for _, name := range []string{"msg", "message"} {
			if text := member(v, name).Text(); text != "" {
				return text
			}
		}
	}
	return ""
}

// types are the types of errors that say more than the status.
var types = map[string]chat.ErrorKind{
	"authentication_error": chat.ErrAuthentication,
	"billing_error":        chat.ErrBilling,
	"permission_error":     chat.ErrPermission,
	"not_found_error":      chat.ErrNotFound,
	"conflict_error":       chat.ErrConflict,
	"request_too_large":    chat.ErrTooLarge,
	"rate_limit_error":     chat.ErrRateLimit,
	"timeout_error":        chat.ErrTimeout,
	"overloaded_error":     chat.ErrOverloaded,
	"insufficient_quota":   chat.ErrQuota,
}

// generalTypes are the types of errors that say less than the status.
var generalTypes = map[string]chat.ErrorKind{
	"invalid_request_error": chat.ErrInvalidRequest,
	"api_error":             chat.ErrServer,
}

// phrases are words of messages that say more than type and status: Anthropic
// has no codes for these, and reports all of them as invalid requests.
var phrases = []struct {
	text string
	kind chat.ErrorKind
}{
	{"prompt is too long", chat.ErrContextTooLong},
	{"exceed context limit", chat.ErrContextTooLong},
	{"maximum context length", chat.ErrContextTooLong},
	{"credit balance is too low", chat.ErrBilling},
	{"specified API usage limits", chat.ErrQuota},
}

// kindOf finds the meaning of an error: in its message, where the type says too
// little, then in its type, then in the status.
func kindOf(e *chat.Error) chat.ErrorKind {
	if e.Status == 0 || e.Status == http.StatusBadRequest || e.Status == http.StatusTooManyRequests || e.Status == http.StatusForbidden {
		for _, p := range phrases {
			if strings.Contains(e.Message, p.text) {
				return p.kind
			}
		}
	}
	if kind, ok := types[e.Code]; ok {
		return kind
	}
	if kind, ok := types[e.Type]; ok {
		return kind
	}
	if kind, ok := chat.KindOfStatus(e.Status); ok {
		return kind
	}
	if kind, ok := generalTypes[e.Type]; ok {
		return kind
	}
	if e.Status >= 400 && e.Status <= 499 {
		return chat.ErrInvalidRequest
	}
	return chat.ErrServer
}

// words are the status and the type of a kind of errors.
type words struct {
	status int
	kind   string
}

// vocabulary tells each kind of errors in Anthropic's words.
var vocabulary = [...]words{
	chat.ErrServer:           {500, "api_error"},
	chat.ErrInvalidRequest:   {400, "invalid_request_error"},
	chat.ErrContextTooLong:   {400, "invalid_request_error"},
	chat.ErrAuthentication:   {401, "authentication_error"},
	chat.ErrBilling:          {402, "billing_error"},
	chat.ErrPermission:       {403, "permission_error"},
	chat.ErrNotFound:         {404, "not_found_error"},
	chat.ErrMethod:           {405, "invalid_request_error"},
	chat.ErrClientTimeout:    {408, "timeout_error"},
	chat.ErrConflict:         {409, "conflict_error"},
	chat.ErrTooLarge:         {413, "request_too_large"},
	chat.ErrUnsupportedMedia: {415, "invalid_request_error"},
	chat.ErrRateLimit:        {429, "rate_limit_error"},
	chat.ErrQuota:            {429, "rate_limit_error"},
	chat.ErrBadUpstream:      {502, "api_error"},
	chat.ErrUnavailable:      {503, "overloaded_error"},
	chat.ErrTimeout:          {504, "timeout_error"},
	chat.ErrOverloaded:       {529, "overloaded_error"},
}

// wordsOf returns the words of an error.
func wordsOf(e *chat.Error) words {
	if int(e.Kind) < len(vocabulary) {
		return vocabulary[e.Kind]
	}
	return vocabulary[chat.ErrServer]
}

// EncodeError implements format.ErrorCodec.
func (Messages) EncodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	status = wordsOf(e).status
	if e.Status >= 400 && e.Status <= 599 {
		status = e.Status
	}
	dst = appendError(dst, e)
	if e.RequestID != "" {
		dst = append(dst, `,"request_id":`...)
		dst = chat.AppendQuoted(dst, e.RequestID)
	}
	return status, append(dst, '}')
}

// appendError appends the object of an error, without its end.
func appendError(dst []byte, e *chat.Error) []byte {
	dst = append(dst, `{"type":"error","error":{"type":"`...)
	dst = append(dst, wordsOf(e).kind...)
	dst = append(dst, `","message":`...)
	dst = chat.AppendQuoted(dst, format.Bounded(e.Message, maxMessage))
	if len(e.Details) > 0 {
		dst = append(dst, `,"details":`...)
		dst = appendLine(dst, e.Details)
	}
	return append(dst, '}')
}

// appendLine appends raw JSON on one line, as an event's data wants it. Line
// breaks stand between its tokens only.
func appendLine(dst, raw []byte) []byte {
	for _, c := range raw {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// appendStreamError appends the event that ends a broken stream.
func appendStreamError(dst []byte, e *chat.Error) []byte {
	dst = append(dst, "event: error\ndata: "...)
	dst = appendError(dst, e)
	return append(dst, "}\n\n"...)
}
