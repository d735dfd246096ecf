package openai

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// DecodeError implements format.ErrorCodec.
func (Chat) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	return decodeError(status, header, body)
}

// EncodeError implements format.ErrorCodec.
func (Chat) EncodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	return encodeError(dst, e)
}

// decodeError reads an answer with an error status, whatever its shape.
func decodeError(status int, header http.Header, body []byte) *chat.Error {
	e := format.DecodeError(status, header, body, readError)
	e.Kind = kindOf(status, e)
	return e
}

// errorIn reads an error that came with a success status: in an answer, or in an
// event of a stream.
func errorIn(v tape.Value) *chat.Error {
	e := format.ErrorIn(v, readError)
	e.Kind = kindOf(e.Status, e)
	return e
}

// readError reads the words of an error. Some servers tell the status as its code.
func readError(e *chat.Error, v tape.Value) {
	v = format.ReadErrorMessage(e, v)
	e.Type = format.ErrorWord(v.Member("type"))
	e.Param = format.ErrorWord(v.Member("param"))
	switch code := v.Member("code"); code.Kind() {
	case tape.String:
		e.Code = format.ErrorWord(code)
		e.Status = statusIn(e.Code)
	case tape.Number:
		e.Status = statusIn(string(code.Raw()))
	}
	if e.Status != 0 {
		e.Code = ""
	}
}

// statusIn is the error status that some servers send as the code; 0 if it is
// another code.
func statusIn(code string) int {
	if n, err := strconv.Atoi(code); err == nil && n >= 400 && n <= 599 {
		return n
	}
	return 0
}

// codes are the codes of errors that say more than the status.
var codes = map[string]chat.ErrorKind{
	"context_length_exceeded":          chat.ErrContextTooLong,
	"model_max_prompt_tokens_exceeded": chat.ErrContextTooLong,
	"insufficient_quota":               chat.ErrQuota,
	"quota_exceeded":                   chat.ErrQuota,
	"billing_hard_limit_reached":       chat.ErrQuota,
	"billing_not_active":               chat.ErrBilling,
	"insufficient_balance":             chat.ErrBilling,
	"insufficient_credits":             chat.ErrBilling,
	"invalid_api_key":                  chat.ErrAuthentication,
	"model_not_found":                  chat.ErrNotFound,
	"DeploymentNotFound":               chat.ErrNotFound,
	"rate_limit_exceeded":              chat.ErrRateLimit,
	"overloaded":                       chat.ErrOverloaded,
	"overloaded_error":                 chat.ErrOverloaded,
	"server_error":                     chat.ErrServer,
	"internal_server_error":            chat.ErrServer,
	"timeout":                          chat.ErrTimeout,
	"content_filter":                   chat.ErrInvalidRequest,
	"invalid_prompt":                   chat.ErrInvalidRequest,
	"content_policy_violation":         chat.ErrInvalidRequest,
}

// types are the types of errors that say more than the status.
var types = map[string]chat.ErrorKind{
	"insufficient_quota":           chat.ErrQuota,
	"billing_error":                chat.ErrBilling,
	"rate_limit_error":             chat.ErrRateLimit,
	"rate_limit_exceeded":          chat.ErrRateLimit,
	"authentication_error":         chat.ErrAuthentication,
	"permission_error":             chat.ErrPermission,
	"not_found_error":              chat.ErrNotFound,
	"overloaded_error":             chat.ErrOverloaded,
	"timeout_error":                chat.ErrTimeout,
	"engine_overloaded_error":      chat.ErrOverloaded,
	"exceeded_current_quota_error": chat.ErrQuota,
	"exceed_context_size_error":    chat.ErrContextTooLong, // llama.cpp
}

// generalTypes are the types of errors that say less than the status.
var generalTypes = map[string]chat.ErrorKind{
	"invalid_request_error": chat.ErrInvalidRequest,
	"BadRequestError":       chat.ErrInvalidRequest,
	"NotFoundError":         chat.ErrNotFound,
	"server_error":          chat.ErrServer,
	"api_error":             chat.ErrServer,
	"upstream_error":        chat.ErrServer,
}

// kindOf finds the meaning of an error: in its code, then in its type, then in
// the status.
func kindOf(status int, e *chat.Error) chat.ErrorKind {
	if kind, ok := codes[e.Code]; ok {
		return kind
	}
	if tooLong(status, e.Message) {
		return chat.ErrContextTooLong
	}
	if kind, ok := types[e.Type]; ok {
		return kind
	}
	if kind, ok := chat.KindOfStatus(status); ok {
		return kind
	}
	if kind, ok := generalTypes[e.Type]; ok {
		return kind
	}
	if status >= 400 && status <= 499 {
		return chat.ErrInvalidRequest
	}
	return chat.ErrServer
}

// tooLongWords are the words of servers that have no code for a prompt that is too
// long: vLLM and Mistral, TGI, llama.cpp, Anthropic behind a gateway.
var tooLongWords = []string{
	"maximum context length", "context window", "`inputs` tokens + `max_new_tokens`", "available context size", "prompt is too long",
}

// tooLong recognises such an error by its words.
func tooLong(status int, message string) bool {
	if status != 0 && status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge && status != http.StatusUnprocessableEntity {
		return false
	}
	for _, words := range tooLongWords {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

// words are the status, the type and the code of a kind of errors. An empty code
// is null.
type words struct {
	status     int
	kind, code string
}

// vocabulary tells each kind of errors in OpenAI's words.
var vocabulary = [...]words{
	chat.ErrServer:           {500, "server_error", ""},
	chat.ErrInvalidRequest:   {400, "invalid_request_error", ""},
	chat.ErrContextTooLong:   {400, "invalid_request_error", "context_length_exceeded"},
	chat.ErrAuthentication:   {401, "authentication_error", "invalid_api_key"},
	chat.ErrBilling:          {402, "insufficient_quota", "insufficient_quota"},
	chat.ErrPermission:       {403, "permission_error", ""},
	chat.ErrNotFound:         {404, "invalid_request_error", "model_not_found"},
	chat.ErrMethod:           {405, "invalid_request_error", "method_not_allowed"},
	chat.ErrClientTimeout:    {408, "invalid_request_error", "timeout"},
	chat.ErrConflict:         {409, "invalid_request_error", ""},
	chat.ErrTooLarge:         {413, "invalid_request_error", ""},
	chat.ErrUnsupportedMedia: {415, "invalid_request_error", ""},
	chat.ErrRateLimit:        {429, "rate_limit_error", "rate_limit_exceeded"},
	chat.ErrQuota:            {429, "insufficient_quota", "insufficient_quota"},
	chat.ErrBadUpstream:      {502, "server_error", ""},
	chat.ErrUnavailable:      {503, "server_error", ""},
	chat.ErrTimeout:          {504, "server_error", "timeout"},
	chat.ErrOverloaded:       {503, "server_error", ""},
}

// wordsOf returns the words of an error.
func wordsOf(e *chat.Error) words {
	w := vocabulary[chat.ErrServer]
	if int(e.Kind) < len(vocabulary) {
		w = vocabulary[e.Kind]
	}
	if e.Code != "" {
		w.code = e.Code
	}
	return w
}

// encodeError appends an error's body and returns its status.
func encodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	w := wordsOf(e)
	if e.Status >= 400 && e.Status <= 599 && e.Status != 529 {
		w.status = e.Status
	}
	return w.status, appendError(dst, e, w)
}

// appendError appends the object with the error.
func appendError(dst []byte, e *chat.Error, w words) []byte {
	dst = append(dst, `{"error":{"message":`...)
	dst = chat.AppendQuoted(dst, format.Bounded(e.Message, format.MaxErrorMessage))
	dst = append(dst, `,"type":`...)
	dst = chat.AppendQuoted(dst, w.kind)
	dst = append(dst, `,"param":`...)
	dst = appendNullable(dst, e.Param)
	dst = append(dst, `,"code":`...)
	dst = appendNullable(dst, w.code)
	return append(dst, "}}"...)
}

// appendNullable appends a string, or null if it is empty.
func appendNullable(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return chat.AppendQuoted(dst, s)
}

// appendStreamError appends the event that ends a broken stream.
func appendStreamError(dst []byte, e *chat.Error) []byte {
	w := wordsOf(e)
	switch e.Kind {
	case chat.ErrServer, chat.ErrBadUpstream, chat.ErrUnavailable, chat.ErrTimeout, chat.ErrOverloaded:
		w.kind = "upstream_error"
		if e.Code == "" {
			w.code = "stream_interrupted"
		}
	}
	dst = append(dst, "data: "...)
	dst = appendError(dst, e, w)
	return append(dst, "\n\n"...)
}
