package chat

import "time"

// ErrorKind is the meaning of an error, independent of format.
type ErrorKind uint8

// The kinds of errors; each format has its own words and status for each.
const (
	// ErrServer is a failure of the gateway or the upstream itself (500).
	ErrServer ErrorKind = iota
	// ErrInvalidRequest is a request that cannot be served as it is (400).
	ErrInvalidRequest
	// ErrContextTooLong is a prompt larger than the model's window (400).
	ErrContextTooLong
	// ErrAuthentication is a missing or wrong credential (401).
	ErrAuthentication
	// ErrBilling means that no money is left (402).
	ErrBilling
	// ErrPermission is a credential that may not do this (403).
	ErrPermission
	// ErrNotFound is an unknown model or path (404).
	ErrNotFound
	// ErrMethod is a method the path does not know (405).
	ErrMethod
	// ErrClientTimeout is a client that did not send its request in time (408).
	ErrClientTimeout
	// ErrConflict is a state that forbids the request (409).
	ErrConflict
	// ErrTooLarge is a body over the limit (413).
	ErrTooLarge
	// ErrUnsupportedMedia is an encoding of the body that is not taken (415).
	ErrUnsupportedMedia
	// ErrRateLimit means: too many requests now, later is fine (429).
	ErrRateLimit
	// ErrQuota means: the account's quota is used up (429).
	ErrQuota
	// ErrBadUpstream is an answer of the upstream that cannot be used (502).
	ErrBadUpstream
	// ErrUnavailable means that no source can serve now (503).
	ErrUnavailable
	// ErrTimeout is an upstream that did not answer in time (504).
	ErrTimeout
	// ErrOverloaded is an upstream that is too busy (529 at Anthropic, else 503).
	ErrOverloaded
)

// statusKinds are the usual meanings of statuses.
var statusKinds = map[int]ErrorKind{
	400: ErrInvalidRequest,
	401: ErrAuthentication,
	402: ErrBilling,
	403: ErrPermission,
	404: ErrNotFound,
	405: ErrMethod,
	408: ErrClientTimeout,
	409: ErrConflict,
	413: ErrTooLarge,
	415: ErrUnsupportedMedia,
	429: ErrRateLimit,
	500: ErrServer,
	502: ErrBadUpstream,
	503: ErrUnavailable,
	504: ErrTimeout,
	529: ErrOverloaded,
}

// KindOfStatus returns the usual meaning of an HTTP status; ok is false if it has
// none of its own.
func KindOfStatus(status int) (kind ErrorKind, ok bool) {
	kind, ok = statusKinds[status]
	return kind, ok
}

// Error is an error in neutral form. It is what decoders of requests return for
// a bad request, and what decoders of answers make of an upstream's error.
type Error struct {
	Kind ErrorKind
	// Status is the HTTP status it came with; 0 means the usual one of Kind.
	Status int
	// Message is one sentence a person can act on.
	Message string
	// Code and Type are the words of the format it came in; empty means the
	// usual ones of Kind.
	Code, Type string
	// Param names the field of the request that is at fault.
	Param string
	// Details is the raw "details" member of an Anthropic error.
	Details Raw
	// RetryAfter is how long the client should wait; 0 if unsaid.
	RetryAfter time.Duration
	// RequestID is the gateway's id of the request, for formats that show it.
	RequestID string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Invalid returns an [ErrInvalidRequest] about the field param, which may be
// empty.
func Invalid(param, message string) *Error {
	return &Error{Kind: ErrInvalidRequest, Param: param, Message: message}
}

// MustBe returns an [ErrInvalidRequest] about a field that has a wrong value: what
// says which values it may have, such as "a number".
func MustBe(field, what string) *Error {
	return Invalid(field, "the field "+field+" must be "+what)
}

// Repeated returns an [ErrInvalidRequest] about a field that stands twice in the
// request, so that it is not clear which one counts.
func Repeated(field string) *Error {
	return Invalid(field, "the field "+field+" stands twice in the request")
}

// BadAnswer returns an [ErrBadUpstream] for an answer that is not what the
// format promises.
func BadAnswer(message string) *Error {
	return &Error{Kind: ErrBadUpstream, Message: message}
}
