package probe

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// adapt changes the question after a complaint of the upstream about one of its
// parameters. It is false if there is none, or if it has been met already: each
// parameter is changed once.
func (a *ask) adapt(f *failure) bool {
	if a.operation != format.OperationChat {
		return false
	}
	about := a.complaint(f)
	if about == "" || a.adapted[about] {
		return false
	}
	if a.adapted == nil {
		a.adapted = make(map[string]bool)
	}
	a.adapted[about] = true
	switch about {
	case "stream_options":
		a.target.NoStreamOptions = true
	case "stream":
		a.stream = false
	case "temperature":
		a.warm = true // none was sent, so one is wanted
	default:
		a.changeLimit(f)
	}
	return true
}

// complaint names the parameter that the upstream has found fault with; "" if it
// has found none, or with another. What the error says comes before the rest of the
// answer: some services name the parameter beside their sentence.
func (a *ask) complaint(f *failure) string {
	if about := a.complaintIn(f.status, f.param+" "+f.message); about != "" {
		return about
	}
	return a.complaintIn(f.status, string(a.answer.data))
}

// complaintIn names the parameter that a text finds fault with.
func (a *ask) complaintIn(status int, text string) string {
	text = strings.ToLower(text)
	named := func(name string) bool { return strings.Contains(text, name) }
	refused := status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
	switch {
	case refused && a.stream && !a.target.NoStreamOptions && named("stream_options"):
		return "stream_options"
	case refused && !a.warm && hasWord(text, "temperature"):
		return "temperature"
	case refused && !a.unlimited && slices.ContainsFunc(limitNames, named):
		return "limit"
	case a.stream && refusesStreams(status) && named("stream"):
		return "stream"
	default:
		return ""
	}
}

// limitNames are the names of the limit of the answer in the formats, in lower case.
var limitNames = []string{"max_tokens", "max_completion_tokens", "max_output_tokens", "maxoutputtokens", "max_new_tokens"}

// unknownWords are the words of services that do not know a parameter at all.
var unknownWords = []string{"unknown", "unsupported", "not supported", "unrecognized", "unrecognised", "unexpected", "not permitted", "not allowed", "extra", "instead"}

// changeLimit sends the limit of the answer under its other name if the service does
// not know the one it got, and leaves it out otherwise. Of the formats only OpenAI's
// Chat has two names for it.
func (a *ask) changeLimit(f *failure) {
	text := strings.ToLower(f.message)
	unknown := slices.ContainsFunc(unknownWords, func(word string) bool { return strings.Contains(text, word) })
	if a.format != format.OpenAIChat || !unknown {
		a.unlimited = true
		return
	}
	older := a.target.LegacyMaxTokens && !a.target.Can.Reasons
	a.target.LegacyMaxTokens = !older
	a.target.Can.Reasons = false // or else the older name is never sent
}

// refusesStreams says that a service that serves no streams may answer with this
// status.
func refusesStreams(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

// hasWord says that a word stands in a text, not as a part of another.
func hasWord(text, word string) bool {
	isLetter := func(c byte) bool { return c >= 'a' && c <= 'z' || c == '_' }
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		if (start == 0 || !isLetter(text[start-1])) && (end == len(text) || !isLetter(text[end])) {
			return true
		}
		from = end
	}
}
