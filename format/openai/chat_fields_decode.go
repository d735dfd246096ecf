package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// model reads the model's name.
func (d *requestDecoder) model(field string, v tape.Value) error {
	if v.Kind() != tape.String {
		return mustBe(field, "a string")
	}
	d.r.Model = v.Text()
	return nil
}

// streamOptions reads include_usage.
func (d *requestDecoder) streamOptions(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return mustBe(field, "an object")
	}
	for key, value := range v.Members {
		switch {
		case !present(value):
		case !key.Is("include_usage"):
			d.extraOnce("stream_options."+key.Text(), value)
		case value.Kind() != tape.True && value.Kind() != tape.False:
			return mustBe("stream_options.include_usage", "true or false")
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
		return mustBe(field, "a whole number of at least 1")
	}
	d.r.MaxTokens = limit
	return nil
}

// n reads the number of answers.
func (d *requestDecoder) n(field string, v tape.Value) error {
	if n, ok := v.Int(); !ok || n < 1 || n > 128 {
		return mustBe(field, "a whole number from 1 to 128")
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
		return mustBe(field, "a string or an array of strings")
	}
	d.r.Stop = make([]chat.Literal, 0, min(v.Len(), 64))
	for element := range v.Elements {
		if element.Kind() != tape.String {
			return mustBe(field, "a string or an array of strings")
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

// mustBe is the error of a field that has a wrong value.
func mustBe(field, what string) *chat.Error {
	return chat.Invalid(field, "the field "+field+" must be "+what)
}

// truth reads a field that is true or false.
func truth(set func(*requestDecoder, chat.Bool)) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.True && v.Kind() != tape.False {
			return mustBe(field, "true or false")
		}
		set(d, chat.BoolOf(v.Bool()))
		return nil
	}
}

// number reads a field that is a number.
func number(at func(*requestDecoder) *chat.Number) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.Number {
			return mustBe(field, "a number")
		}
		*at(d) = chat.Number(v.Raw())
		return nil
	}
}

// text reads a field that is a string.
func text(at func(*requestDecoder) *chat.Literal) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.String {
			return mustBe(field, "a string")
		}
		*at(d) = v.Literal()
		return nil
	}
}

// object reads a field that is an object and stays as it is.
func object(at func(*requestDecoder) *chat.Raw) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.Object {
			return mustBe(field, "an object")
		}
		*at(d) = v.Raw()
		return nil
	}
}

// later keeps a field that yields to another one.
func later(at func(*requestDecoder) *tape.Value) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, _ string, v tape.Value) error {
		*at(d) = v
		return nil
	}
}
