package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Format is the wire format in which a request came, as the gateway names it.
type Format string

// The formats.
const (
	Chat      Format = "openai_chat"
	Responses Format = "openai_responses"
	Messages  Format = "anthropic_messages"
	Gemini    Format = "gemini"
)

// Format is the format that the request's path stands for.
func (r *Request) Format() Format {
	path, _, _ := strings.Cut(r.Path, "?")
	switch {
	case strings.HasSuffix(path, "/messages"):
		return Messages
	case strings.HasSuffix(path, "/responses"):
		return Responses
	case strings.Contains(path, ":generateContent"), strings.Contains(path, ":streamGenerateContent"):
		return Gemini
	default:
		return Chat
	}
}

// event is one event of a stream.
type event struct {
	raw     string
	content bool
}

// quote returns a JSON string.
func quote(s string) string {
	out, _ := json.Marshal(s) // strings can always be marshalled
	return string(out)
}

// object returns a JSON object of names and raw values in their order. A member
// with an empty value is left out.
func object(pairs ...string) string {
	var members []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			members = append(members, quote(pairs[i])+":"+pairs[i+1])
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// array returns a JSON array of raw values.
func array(elements ...string) string { return "[" + strings.Join(elements, ",") + "]" }

// number returns a JSON number, or nothing for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// words splits a text behind each space.
func words(text string) []string { return strings.SplitAfter(text, " ") }

// document is the plain answer.
func document(r *Request, a asked, s Step) string {
	switch r.Format() {
	case Messages:
		return messagesDocument(a, s)
	case Responses:
		return responsesDocument(a, s)
	case Gemini:
		return geminiDocument(a, s)
	default:
		return chatDocument(a, s)
	}
}

// events are the events of the stream.
func events(r *Request, a asked, s Step) []event {
	var all []event
	switch r.Format() {
	case Messages:
		all = messagesEvents(a, s)
	case Responses:
		all = responsesEvents(a, s)
	case Gemini:
		all = geminiEvents(a, s)
	default:
		all = chatEvents(a, s)
	}
	if s.unmarked {
		return all[:len(all)-1]
	}
	return all
}

// geminiStatus are the words of the Gemini format for statuses.
var geminiStatus = map[int]string{
	400: "INVALID_ARGUMENT",
	401: "UNAUTHENTICATED",
	403: "PERMISSION_DENIED",
	404: "NOT_FOUND",
	409: "ABORTED",
	429: "RESOURCE_EXHAUSTED",
	500: "INTERNAL",
	503: "UNAVAILABLE",
	504: "DEADLINE_EXCEEDED",
}

// errorBody is an error in the shape of the format.
func errorBody(r *Request, status int, code, message string) string {
	switch r.Format() {
	case Messages:
		return object("type", `"error"`, "error", object("type", quote(code), "message", quote(message)))
	case Gemini:
		if status < http.StatusBadRequest {
			status = http.StatusInternalServerError
		}
		word, ok := geminiStatus[status]
		if !ok {
			word = "UNKNOWN"
		}
		return object("error", object("code", fmt.Sprint(status), "message", quote(message), "status", quote(word)))
	default:
		return object("error", object("message", quote(message), "type", quote(code), "param", "null", "code", quote(code)))
	}
}

// errorEvent is an error in a stream of the format.
func errorEvent(r *Request, begun bool) string {
	const message = "scripted error"
	switch r.Format() {
	case Messages:
		return "event: error\ndata: " + errorBody(r, 0, "overloaded_error", message) + "\n\n"
	case Responses:
		return responsesError(begun, message)
	case Gemini:
		return "data: " + errorBody(r, http.StatusServiceUnavailable, "", message) + "\n\n"
	default:
		return "data: " + errorBody(r, 0, "server_error", message) + "\n\n"
	}
}
