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
}

// completionsFields are the fields with a neutral meaning, by name: the format's
// own, and those that mean the same as in the Chat format.
var completionsFields = format.FieldsOf(map[string]format.FieldReader[*completionsDecoder]{
	"prompt": (*completionsDecoder).prompt,
	"suffix": unless("text behind the completion", func(v tape.Value) bool {
		return v.Kind() == tape.String && v.Literal().Empty()
	}),
	"echo": unless("a completion that repeats the prompt", func(v tape.Value) bool { return v.Kind() == tape.False }),
	"best_of": unless("the best of several completions", func(v tape.Value) bool {
		n, ok := v.Int()
		return ok && n == 1
	}),
	"logprobs": unless("the probabilities of a completion's tokens", func(v tape.Value) bool { return v.Kind() == tape.False }),

	"model":             chats("model"),
	"stream":            chats("stream"),
	"stream_options":    chats("stream_options"),
	"max_tokens":        chats("max_tokens"),
	"temperature":       chats("temperature"),
	"top_p":             chats("top_p"),
	"top_k":             chats("top_k"),
	"n":                 chats("n"),
	"stop":              chats("stop"),
	"presence_penalty":  chats("presence_penalty"),
	"frequency_penalty": chats("frequency_penalty"),
	"seed":              chats("seed"),
	"logit_bias":        chats("logit_bias"),
	"user":              chats("user"),
})

// chats is the reader of a field of the Chat format.
func chats(name string) format.FieldReader[*completionsDecoder] {
	read := chatFields[name]
	return func(d *completionsDecoder, field string, v tape.Value) error {
		return read(&d.requestDecoder, field, v)
	}
}

// unless refuses a field unless its value says nothing.
func unless(what string, saysNothing func(tape.Value) bool) format.FieldReader[*completionsDecoder] {
	return func(_ *completionsDecoder, field string, v tape.Value) error {
		if saysNothing(v) {
			return nil
		}
		return chat.Invalid(field, "this model cannot give "+what+"; leave out the field "+field)
	}
}

// request reads all fields.
func (d *completionsDecoder) request(doc tape.Value) error {
	if err := completionsFields.Read(d, doc, d.unknown); err != nil {
		return err
	}
	if d.r.Turns == nil {
		return chat.Invalid("prompt", "the request has no prompt; set the field prompt")
	}
	return d.settle()
}

// prompt reads the prompt: a string, or a list of one.
func (d *completionsDecoder) prompt(_ string, v tape.Value) error {
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
		return chat.MustBe("prompt", "a string that is not empty")
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
