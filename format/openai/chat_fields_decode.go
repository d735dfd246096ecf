package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// model reads the model's name.
func (d *requestDecoder) model(field string, v tape.Value) error {
	if v.Kind() != tape.String {
		return chat.MustBe(field, "a string")
	}
	d.r.Model = v.Text()
	return nil
}

// streamOptions reads include_usage.
func (d *requestDecoder) streamOptions(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	for key, value := range v.Members {
		switch {
		case !value.Present():
		case !key.Is("include_usage"):
			d.extraOnce("stream_options."+key.Text(), value)
		case value.Kind() != tape.True && value.Kind() != tape.False:
			return chat.MustBe("stream_options.include_usage", "true or false")
		default:
			d.r.IncludeUsage = value.Bool()
		}
	}
	return nil
}

// limit reads the largest number of tokens of the answer.
func (d *requestDecoder) limit(field string, v tape.Value) error {
	limit := chat.Number(v.Raw())
	if n, ok := limit.Int(); v.Kind() != tape.Number || !ok || n < 1 {
		return chat.MustBe(field, "a whole number of at least 1")
	}
	d.r.MaxTokens = limit
	return nil
}

// n reads the number of answers.
func (d *requestDecoder) n(field string, v tape.Value) error {
	if n, ok := v.Int(); !ok || n < 1 || n > 128 {
		return chat.MustBe(field, "a whole number from 1 to 128")
	}
	d.r.N = chat.Number(v.Raw())
	return nil
}

// stop reads the stop sequences, one or a list.
func (d *requestDecoder) stop(field string, v tape.Value) error {
	switch v.Kind() {
	case tape.String:
		d.r.Stop = []chat.Literal{v.Literal()}
		return nil
	case tape.Array:
	default:
		return chat.MustBe(field, "a string or an array of strings")
	}
	d.r.Stop = make([]chat.Literal, 0, min(v.Len(), 64))
	for element := range v.Elements {
		if element.Kind() != tape.String {
			return chat.MustBe(field, "a string or an array of strings")
		}
		d.r.Stop = append(d.r.Stop, element.Literal())
	}
	return nil
}

// modalities ignores the default: text.
func (d *requestDecoder) modalities(field string, v tape.Value) error {
	for element := range v.Elements {
		if v.Len() == 1 && element.Is("text") {
			return nil
		}
	}
	d.extra(field, v)
	return nil
}
