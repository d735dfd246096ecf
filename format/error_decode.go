package format

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// MaxErrorMessage and MaxErrorWord bound what is kept of an upstream's error, and
// what clients are told of one: its message, and words such as its type, in bytes.
const (
	MaxErrorMessage = 1 << 10
	MaxErrorWord    = 128
)

// DecodeError reads an answer with an error status, whatever its shape: read takes
// the words out of a JSON document, which the other parameters complete. The kind
// is left to the caller, for the words mean something to their format only.
func DecodeError(status int, header http.Header, body []byte, read func(e *chat.Error, doc tape.Value)) *chat.Error {
	e := &chat.Error{}
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(body); err == nil {
		read(e, t.Root())
	} else if text := bytes.TrimSpace(body); len(text) > 0 && text[0] != '<' {
		e.Message = Bounded(string(text[:min(len(text), MaxErrorMessage)]), MaxErrorMessage)
	}
	if e.Message == "" {
		e.Message = strings.TrimSpace("the upstream answered with status " + strconv.Itoa(status) + " " + http.StatusText(status))
	}
	e.Status = status
	if wait := RetryAfter(status, header); wait > 0 {
		e.RetryAfter = wait
	}
	return e
}

// ErrorIn reads an error that came with a success status: in an answer, or in an
// event of a stream. The kind is left to the caller as with [DecodeError].
func ErrorIn(doc tape.Value, read func(e *chat.Error, doc tape.Value)) *chat.Error {
	e := &chat.Error{}
	read(e, doc)
	if e.Message == "" {
		e.Message = "the upstream reported an error and did not say which"
	}
	return e
}

// ReadErrorMessage reads the message of an error, and returns the object with its
// other words: of an object with an error in it, of one that is the error, as
// proxies write it, or of the first of those in an array.
func ReadErrorMessage(e *chat.Error, v tape.Value) tape.Value {
	for v.Kind() == tape.Array && v.Len() > 0 {
		v = first(v)
	}
	switch inner := v.Member("error"); inner.Kind() {
	case tape.Object:
		v = inner
	case tape.String:
		e.Message = Bounded(inner.Text(), MaxErrorMessage)
	}
	for _, name := range [...]string{"message", "detail", "msg"} {
		if e.Message == "" {
			e.Message = Bounded(sentence(v.Member(name)), MaxErrorMessage)
		}
	}
	return v
}

// first is the first element of an array.
func first(v tape.Value) (element tape.Value) {
	for element = range v.Elements {
		break
	}
	return element
}

// sentence is the text of a message: a string, or the first one in FastAPI's
// list of details.
func sentence(v tape.Value) string {
	switch v.Kind() {
	case tape.String:
		return v.Text()
	case tape.Array:
		return sentence(first(v))
	case tape.Object:
		for _, name := range [...]string{"msg", "message"} {
			if text := v.Member(name).Text(); text != "" {
				return text
			}
		}
	}
	return ""
}

// ErrorWord returns a word of an error, such as its type, as it is kept.
func ErrorWord(v tape.Value) string { return Bounded(v.Text(), MaxErrorWord) }

// IsFailure says that the member "error" of an answer tells an error: some servers
// send an empty one with every answer.
func IsFailure(v tape.Value) bool {
	switch v.Kind() {
	case tape.Object:
		return v.Len() > 0
	case tape.String:
		return !v.Is("")
	default:
		return false
	}
}
