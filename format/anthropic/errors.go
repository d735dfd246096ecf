package anthropic

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxDetails bounds what is kept of the details of an error, in bytes.
const maxDetails = 4 << 10

// DecodeError implements format.ErrorCodec.
func (Messages) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	e := format.DecodeError(status, header, body, readError)
	e.Kind = kindOf(e)
	return e
}

// errorIn reads an error that came with a success status: in an answer, or in an
// event of a stream.
func errorIn(v tape.Value) *chat.Error {
	e := format.ErrorIn(v, readError)
	e.Kind = kindOf(e)
	return e
}

// readError reads the words of an error.
func readError(e *chat.Error, v tape.Value) {
	v = format.ReadErrorMessage(e, v)
	if kind := v.Member("type"); !kind.Is("error") {
		e.Type = format.ErrorWord(kind)
	}
	e.Code = format.ErrorWord(v.Member("code"))
	e.Param = format.ErrorWord(v.Member("param"))
	if details := v.Member("details"); details.Exists() && len(details.Raw()) <= maxDetails {
		e.Details = bytes.Clone(details.Raw())
	}
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
	dst = chat.AppendQuoted(dst, format.Bounded(e.Message, format.MaxErrorMessage))
	if len(e.Details) > 0 {
		dst = append(dst, `,"details":`...)
		dst = chat.AppendLine(dst, e.Details)
	}
	return append(dst, '}')
}

// appendStreamError appends the event that ends a broken stream.
func appendStreamError(dst []byte, e *chat.Error) []byte {
	dst = append(dst, "event: error\ndata: "...)
	dst = appendError(dst, e)
	return append(dst, "}\n\n"...)
}
