package gemini

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// DecodeError implements format.ErrorCodec.
func (GenerateContent) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	var d details
	e := format.DecodeError(status, header, body, d.readError)
	e.Kind = errorKind(e, &d)
	return e
}

// errorIn reads an error that came with a success status: in an answer, or in a
// chunk of a stream. Its code is the status it would have had.
func errorIn(v tape.Value) *chat.Error {
	var d details
	e := format.ErrorIn(v, d.readError)
	e.Kind = errorKind(e, &d)
	return e
}

// details is what an error says beside its message.
type details struct {
	code   int    // an HTTP status
	reason string // of an ErrorInfo
	daily  bool   // a quota of a day is used up
}

// readError reads the words of an error. Streams without alt=sse send it in an
// array.
func (d *details) readError(e *chat.Error, v tape.Value) {
	v = format.ReadErrorMessage(e, v)
	e.Type = format.ErrorWord(v.Get("status"))
	switch code := v.Get("code"); code.Kind() {
	case tape.Number:
		if n, ok := code.Int(); ok && n >= 400 && n <= 599 {
			d.code = int(n)
		}
	case tape.String:
		e.Code = format.ErrorWord(code)
	}
	d.read(e, v.Get("details"))
}

// read reads the typed details of an error.
func (d *details) read(e *chat.Error, v tape.Value) {
	for detail := range v.Elements {
		_, kind, _ := strings.Cut(detail.Get("@type").Text(), "google.rpc.")
		switch kind {
		case "RetryInfo":
			if wait, err := time.ParseDuration(detail.Get("retryDelay").Text()); err == nil {
				e.RetryAfter = min(max(wait, 0), year)
			}
		case "ErrorInfo":
			d.reason = format.ErrorWord(detail.Get("reason"))
		case "QuotaFailure":
			for violation := range detail.Get("violations").Elements {
				d.daily = d.daily || strings.Contains(violation.Get("quotaId").Text(), "PerDay")
			}
		case "BadRequest":
			for violation := range detail.Get("fieldViolations").Elements {
				if e.Param == "" {
					e.Param = format.ErrorWord(violation.Get("field"))
				}
			}
		}
	}
}

const year = 365 * 24 * time.Hour

// statuses are the meanings of Google's status words.
var statuses = map[string]chat.ErrorKind{
	"INVALID_ARGUMENT":    chat.ErrInvalidRequest,
	"OUT_OF_RANGE":        chat.ErrInvalidRequest,
	"FAILED_PRECONDITION": chat.ErrInvalidRequest,
	"UNAUTHENTICATED":     chat.ErrAuthentication,
	"PERMISSION_DENIED":   chat.ErrPermission,
	"NOT_FOUND":           chat.ErrNotFound,
	"ABORTED":             chat.ErrConflict,
	"ALREADY_EXISTS":      chat.ErrConflict,
	"RESOURCE_EXHAUSTED":  chat.ErrRateLimit,
	"INTERNAL":            chat.ErrServer,
	"UNKNOWN":             chat.ErrServer,
	"DATA_LOSS":           chat.ErrServer,
	"UNAVAILABLE":         chat.ErrUnavailable,
	"DEADLINE_EXCEEDED":   chat.ErrTimeout,
}

// phrases are words of messages that say more than the status: Google has no
// codes for these.
var phrases = []struct {
	text string
	kind chat.ErrorKind
}{
	{"input token count", chat.ErrContextTooLong},
	{"exceeds the maximum number of tokens", chat.ErrContextTooLong},
	{"API key not valid", chat.ErrAuthentication},
	{"API key expired", chat.ErrAuthentication},
	{"User location is not supported", chat.ErrPermission},
	{"billing account", chat.ErrBilling},
	{"model is overloaded", chat.ErrOverloaded},
}

// errorKind finds the meaning of an error: in its details and its message where
// the status says too little, then in the HTTP status, then in Google's word.
func errorKind(e *chat.Error, d *details) chat.ErrorKind {
	switch d.reason {
	case "API_KEY_INVALID", "API_KEY_EXPIRED", "ACCESS_TOKEN_EXPIRED":
		return chat.ErrAuthentication
	case "BILLING_DISABLED":
		return chat.ErrBilling
	}
	status := e.Status
	if status == 0 {
		status = d.code
	}
	switch status {
	case 0, http.StatusBadRequest, http.StatusForbidden, http.StatusServiceUnavailable:
		for _, p := range phrases {
			if strings.Contains(e.Message, p.text) {
				return p.kind
			}
		}
	case http.StatusTooManyRequests:
		if d.daily {
			return chat.ErrQuota
		}
	}
	if kind, ok := chat.KindOfStatus(status); ok {
		return kind
	}
	if kind, ok := statuses[e.Type]; ok {
		return kind
	}
	if status >= 400 && status <= 499 {
		return chat.ErrInvalidRequest
	}
	return chat.ErrServer
}

// words are the HTTP status and Google's status of a kind of errors.
type words struct {
	code   int
	status string
}

// vocabulary tells each kind of errors in Google's words.
var vocabulary = [...]words{
	chat.ErrServer:           {500, "INTERNAL"},
	chat.ErrInvalidRequest:   {400, "INVALID_ARGUMENT"},
	chat.ErrContextTooLong:   {400, "INVALID_ARGUMENT"},
	chat.ErrAuthentication:   {401, "UNAUTHENTICATED"},
	chat.ErrBilling:          {402, "FAILED_PRECONDITION"},
	chat.ErrPermission:       {403, "PERMISSION_DENIED"},
	chat.ErrNotFound:         {404, "NOT_FOUND"},
	chat.ErrMethod:           {405, "UNIMPLEMENTED"},
	chat.ErrClientTimeout:    {408, "DEADLINE_EXCEEDED"},
	chat.ErrConflict:         {409, "ABORTED"},
	chat.ErrTooLarge:         {413, "INVALID_ARGUMENT"},
	chat.ErrUnsupportedMedia: {415, "INVALID_ARGUMENT"},
	chat.ErrRateLimit:        {429, "RESOURCE_EXHAUSTED"},
	chat.ErrQuota:            {429, "RESOURCE_EXHAUSTED"},
	chat.ErrBadUpstream:      {502, "UNAVAILABLE"},
	chat.ErrUnavailable:      {503, "UNAVAILABLE"},
	chat.ErrTimeout:          {504, "DEADLINE_EXCEEDED"},
	chat.ErrOverloaded:       {503, "UNAVAILABLE"},
}

// wordsOf returns the words of an error.
func wordsOf(e *chat.Error) words {
	if int(e.Kind) < len(vocabulary) {
		return vocabulary[e.Kind]
	}
	return vocabulary[chat.ErrServer]
}

// EncodeError implements format.ErrorCodec.
func (GenerateContent) EncodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	w := wordsOf(e)
	if e.Status >= 400 && e.Status <= 599 && e.Kind != chat.ErrOverloaded {
		w.code = e.Status
	}
	return w.code, appendError(dst, e, w)
}

// appendError appends the object of an error. How long to wait is told as
// Google's servers do, for clients that read it there.
func appendError(dst []byte, e *chat.Error, w words) []byte {
	dst = append(dst, `{"error":{"code":`...)
	dst = strconv.AppendInt(dst, int64(w.code), 10)
	dst = append(dst, `,"message":`...)
	dst = chat.AppendQuoted(dst, format.Bounded(e.Message, format.MaxErrorMessage))
	dst = append(dst, `,"status":"`...)
	dst = append(dst, w.status...)
	dst = append(dst, '"')
	if e.RetryAfter > 0 {
		dst = append(dst, `,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"`...)
		dst = strconv.AppendFloat(dst, e.RetryAfter.Seconds(), 'f', -1, 64)
		dst = append(dst, `s"}]`...)
	}
	return append(dst, "}}"...)
}

// appendStreamError appends the chunk that ends a broken stream. The status of
// the stream is long sent: a broken stream is a service that is not available.
func appendStreamError(dst []byte, e *chat.Error) []byte {
	w := wordsOf(e)
	if e.Kind == chat.ErrBadUpstream {
		w.code = http.StatusServiceUnavailable
	}
	dst = append(dst, "data: "...)
	dst = appendError(dst, e, w)
	return append(dst, "\n\n"...)
}
