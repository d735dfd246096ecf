package probe

import (
	"strings"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

const (
	// maxDebug is how much of a body is shown, in bytes.
	maxDebug = 8 << 10
	// maxCapture is how much of an answer is kept for that, in bytes.
	maxCapture = 32 << 10
	// maxSecret is the length up to which a secret that is cut off at the end of what
	// is kept is hidden, in bytes.
	maxSecret = 4 << 10
)

// capture keeps the beginning of what is written to it.
type capture struct {
	data []byte
	cut  bool
}

// Write implements io.Writer.
func (c *capture) Write(p []byte) (int, error) {
	n := min(len(p), maxCapture-len(c.data))
	c.data = append(c.data, p[:n]...)
	c.cut = c.cut || n < len(p)
	return len(p), nil
}

// debug tells what was sent and what came.
func (a *ask) debug() *Debug {
	request := capture{}
	request.Write(a.body) // cannot fail
	return &Debug{
		RequestType:  "application/json",
		RequestBody:  a.shown(&request),
		ResponseType: format.Bounded(a.upstream.Scrub(a.answerType), format.MaxErrorWord),
		ResponseBody: a.shown(&a.answer),
	}
}

// shown is what was captured without secrets, also without the beginning of one
// that was cut off.
func (a *ask) shown(c *capture) string {
	text := a.upstream.Scrub(string(c.data))
	if c.cut {
		text = text[:max(0, len(text)-maxSecret)]
	}
	if len(text) > maxDebug {
		end := maxDebug
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
