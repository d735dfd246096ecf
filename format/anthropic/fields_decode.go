package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// mustBe is the error of a field that has a wrong value.
func mustBe(field, what string) *chat.Error {
	return chat.Invalid(field, "the field "+field+" must be "+what)
}

// twice is the error of a field that is repeated.
func twice(field string) *chat.Error {
	return chat.Invalid(field, "the field "+field+" stands twice in the request")
}

// fields finds members of an object by their names. A member that is null stays
// Absent, one that is repeated is refused.
func fields(v tape.Value, path string, names []string, at ...*tape.Value) error {
	var seen uint64
	for key, value := range v.Members {
		for i, name := range names {
			if !key.Is(name) {
				continue
			}
			if seen&(1<<i) != 0 {
				return twice(path + "." + name)
			}
			seen |= 1 << i
			if present(value) {
				*at[i] = value
			}
		}
	}
	return nil
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

// later keeps a field that is read when all others have been.
func later(at func(*requestDecoder) *tape.Value) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, _ string, v tape.Value) error {
		*at(d) = v
		return nil
	}
}

// wholeNumber reads a number of tokens, which is 1 at least; some clients write
// it with a fraction of 0.
func wholeNumber(v tape.Value) (n chat.Number, ok bool) {
	if v.Kind() != tape.Number {
		return nil, false
	}
	n, ok = chat.Number(v.Raw()).Whole()
	if !ok || n[0] == '-' || n[0] == '0' {
		return nil, false
	}
	return n, true
}
