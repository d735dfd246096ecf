package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxModelName bounds the names clients may ask for, in bytes.
const maxModelName = 256

// read takes the whole body, up to limit bytes, and indexes it.
func (d *document) read(w http.ResponseWriter, r *http.Request, limit int64) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &chat.Error{Kind: chat.ErrUnsupportedMedia, Message: "compressed request bodies are not accepted; send the body without Content-Encoding"}
	}
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	body := r.Body
	if r.ContentLength < 0 {
		body = http.MaxBytesReader(w, body, limit)
	}
	if err := d.fill(body, r.ContentLength); err != nil {
		return bodyFailure(r.Context(), err, limit)
	}
	if len(d.data) == 0 {
		return chat.Invalid("", "the request has no body; send a JSON object")
	}
	if err := d.index.Parse(d.data); err != nil {
		return chat.Invalid("", "the request body cannot be read: "+err.Error())
	}
	return nil
}

// tooLarge is the error for a body above the limit.
func tooLarge(limit int64) *chat.Error {
	return &chat.Error{Kind: chat.ErrTooLarge, Message: "the request body is larger than the limit of " + humanize.IBytes(uint64(limit))}
}

// bodyFailure makes an error for the client of a failed read of its body.
func bodyFailure(ctx context.Context, err error, limit int64) *chat.Error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
		return &chat.Error{Kind: chat.ErrClientTimeout, Message: "the request body did not arrive in time"}
	}
	return chat.Invalid("", "the request body could not be read to its end")
}

// envelope is what routing needs of a request: read in one walk over the
// members of the body's object.
type envelope struct {
	model  string
	stream bool
	// modelAt is where the model's name stands in the body.
	modelAt tape.Value
	// forbidden says that there are members that no client may send on: see
	// neverForwarded.
	forbidden bool
}

// neverForwarded are fields with which other gateways let clients choose
// addresses and credentials; an upstream that is such a gateway must not see
// them.
var neverForwarded = map[string]bool{
	"api_base": true, "base_url": true, "api_key": true, "extra_headers": true,
	"api_version": true, "custom_llm_provider": true,
}

// readEnvelope reads the envelope and refuses what no upstream could answer.
func readEnvelope(root tape.Value) (envelope, error) {
	var env envelope
	if root.Kind() != tape.Object {
		return env, chat.Invalid("", "the request body must be a JSON object")
	}
	var stream, messages, tools tape.Value
	for key, value := range root.Members {
		var seen *tape.Value
		switch {
		case key.Is("model"):
			seen = &env.modelAt
		case key.Is("stream"):
			seen = &stream
		case key.Is("messages"):
			seen = &messages
		case key.Is("tools"):
			seen = &tools
		case isForbidden(key):
			env.forbidden = true
		}
		if seen != nil {
			if seen.Exists() {
				return env, chat.Invalid(key.Text(), fmt.Sprintf("the field %q stands twice in the request", key.Text()))
			}
			*seen = value
		}
	}
	if err := env.setModel(); err != nil {
		return env, err
	}
	return env, env.check(stream, messages, tools)
}

// setModel reads the model's name.
func (env *envelope) setModel() error {
	switch env.modelAt.Kind() {
	case tape.String:
		env.model = env.modelAt.Text()
	case tape.Absent, tape.Null:
	default:
		return chat.Invalid("model", `the field "model" must be a string`)
	}
	if env.model == "" {
		return chat.Invalid("model", `the request names no model; set the field "model"`)
	}
	if !validModelName(env.model) {
		return chat.Invalid("model", "a model name has at most 256 bytes and no control characters")
	}
	return nil
}

// check refuses what can never be valid, whatever the upstream.
func (env *envelope) check(stream, messages, tools tape.Value) error {
	switch stream.Kind() {
	case tape.True:
		env.stream = true
	case tape.Absent, tape.Null, tape.False:
	default:
		return chat.Invalid("stream", `the field "stream" must be true or false`)
	}
	if messages.Kind() != tape.Array || messages.Len() == 0 {
		return chat.Invalid("messages", `the field "messages" must be an array with at least one message`)
	}
	if messages.Len() > 4096 {
		return chat.Invalid("messages", "a request has at most 4096 messages")
	}
	if k := tools.Kind(); k != tape.Absent && k != tape.Null && k != tape.Array {
		return chat.Invalid("tools", `the field "tools" must be an array`)
	}
	if tools.Len() > 1024 {
		return chat.Invalid("tools", "a request has at most 1024 tools")
	}
	return nil
}

// validModelName says that a name may be looked up.
func validModelName(name string) bool {
	return len(name) <= maxModelName && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
}

// isForbidden says that a member with this key is never sent on.
func isForbidden(key tape.Value) bool {
	raw := chat.Literal(key.Raw())
	if bytes.IndexByte(raw, '\\') >= 0 {
		return neverForwarded[raw.String()]
	}
	return neverForwarded[string(raw.Inner())]
}

// splice writes the body for an upstream of the same format: the client's bytes
// with another model name, and without the forbidden members.
func (d *document) splice(b *format.Body, env *envelope, model string) {
	if env.forbidden {
		d.rejoin(b, env, model)
		return
	}
	if model == env.model {
		b.View(d.data)
		return
	}
	b.View(d.data[:env.modelAt.Start()])
	b.Quote(model)
	b.View(d.data[env.modelAt.End():])
}

// rejoin writes the members that may be sent on, each as it was.
func (d *document) rejoin(b *format.Body, env *envelope, model string) {
	separator := byte('{')
	for key, value := range d.index.Root().Members {
		if isForbidden(key) {
			continue
		}
		b.Byte(separator)
		separator = ','
		if value != env.modelAt {
			b.View(d.data[key.Start():value.End()])
			continue
		}
		b.View(d.data[key.Start():value.Start()])
		b.Quote(model)
	}
	b.Byte('}')
}
