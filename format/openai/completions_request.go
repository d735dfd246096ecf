package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// DecodeRequest implements format.RequestCodec. What a conversation cannot
// express is refused: only a service of the same format can do it, and there a
// request is passed through and not decoded.
func (Completions) DecodeRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := completionsDecoder{requestDecoder: requestDecoder{messageDecoder: messageDecoder{
		r:    &chat.Request{Format: originCompletions},
		list: "prompt",
	}}}
	if err := d.request(doc); err != nil {
		return nil, err
	}
	return d.r, nil
}

// completionsDecoder reads one request.
type completionsDecoder struct {
	requestDecoder
	own uint8 // the fields of the format's own that were read, as bits
}

// sharedFields are the fields that mean the same as in the Chat format.
var sharedFields = map[string]bool{
	"model": true, "stream": true, "stream_options": true, "max_tokens": true, "temperature": true,
	"top_p": true, "top_k": true, "n": true, "stop": true, "presence_penalty": true,
	"frequency_penalty": true, "seed": true, "logit_bias": true, "user": true,
}

// completionsFields are the fields of the format's own.
var completionsFields = map[string]struct {
	bit  uint8
	read func(d *completionsDecoder, v tape.Value) error
}{
	"prompt": {1, (*completionsDecoder).prompt},
	"suffix": {2, unless("suffix", "text behind the completion", func(v tape.Value) bool {
		return v.Kind() == tape.String && v.Literal().Empty()
	})},
	"echo": {4, unless("echo", "a completion that repeats the prompt", func(v tape.Value) bool { return v.Kind() == tape.False })},
	"best_of": {8, unless("best_of", "the best of several completions", func(v tape.Value) bool {
		n, ok := v.Int()
		return ok && n == 1
	})},
	"logprobs": {16, unless("logprobs", "the probabilities of a completion's tokens", func(v tape.Value) bool { return v.Kind() == tape.False })},
}

// unless refuses a field unless its value says nothing.
func unless(field, what string, saysNothing func(tape.Value) bool) func(*completionsDecoder, tape.Value) error {
	return func(_ *completionsDecoder, v tape.Value) error {
		if saysNothing(v) {
			return nil
		}
		return chat.Invalid(field, "this model cannot give "+what+"; leave out the field "+field)
	}
}

// request reads all fields.
func (d *completionsDecoder) request(doc tape.Value) error {
	for key, value := range doc.Members {
		if err := d.field(string(name(key)), key, value); err != nil {
			return err
		}
	}
	if d.r.Turns == nil {
		return chat.Invalid("prompt", "the request has no prompt; set the field prompt")
	}
	return d.settle()
}

// field reads a field of the request.
func (d *completionsDecoder) field(field string, key, v tape.Value) error {
	own, isOwn := completionsFields[field]
	again := isOwn && d.own&own.bit != 0
	d.own |= own.bit
	if sharedFields[field] {
		bit := uint64(1) << requestFields[field].number
		again = d.seen&bit != 0
		d.seen |= bit
	}
	switch {
	case again:
		return chat.Invalid(field, "the field "+field+" stands twice in the request")
	case !present(v):
		return nil
	case isOwn:
		return own.read(d, v)
	case sharedFields[field]:
		return requestFields[field].read(&d.requestDecoder, field, v)
	default:
		d.extra(format.Bounded(key.Text(), maxExtraName), v)
		return nil
	}
}

// prompt reads the prompt: a string, or a list of one.
func (d *completionsDecoder) prompt(v tape.Value) error {
	if v.Kind() == tape.Array {
		switch {
		case isTokens(v), v.Len() == 1 && isTokens(only(v)):
			return chat.Invalid("prompt", "this model takes a prompt as text, not as token numbers; send a string in the field prompt")
		case v.Len() > 1:
			return chat.Invalid("prompt", "this model takes one prompt in a request; send a string in the field prompt")
		case v.Len() == 1:
			v = only(v)
		}
	}
	if v.Kind() != tape.String || v.Literal().Empty() {
		return mustBe("prompt", "a string that is not empty")
	}
	d.r.Turns = []chat.Turn{{Role: chat.User, Blocks: []chat.Block{{Kind: chat.Text, Text: v.Literal()}}}}
	return nil
}

// only is the first element of an array.
func only(v tape.Value) tape.Value {
	for element := range v.Elements {
		return element
	}
	return tape.Value{}
}
