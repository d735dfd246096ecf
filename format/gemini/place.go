package gemini

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// place is where in a request something stands. It is written down for errors
// only.
type place struct {
	field string // of the request
	// number is that of an element of the field, and part that of a part in it; none
	// for the field, or the element, itself.
	number, part int
	below        string // the way from there on
}

// at is the place of a field, or of what stands at a fixed way below it.
func at(field string) place { return place{field: field, number: none, part: none} }

// String writes the place as the client would.
func (p place) String() string {
	s := p.field
	if p.number != none {
		s += "[" + strconv.Itoa(p.number) + "]"
	}
	if p.part != none {
		s += ".parts[" + strconv.Itoa(p.part) + "]"
	}
	return s + p.below
}

// mustBe is the error of a wrong value at a way from the place on.
func (p place) mustBe(below, what string) *chat.Error {
	return chat.MustBe(p.String()+below, what)
}

// members calls f for the members of an object that are not null, by their names
// in camel case. A name that is repeated is refused.
func (p place) members(v tape.Value, f func(word []byte, v tape.Value) error) error {
	if v.Kind() != tape.Object {
		return p.mustBe("", "an object")
	}
	if v.Len() > maxExtra {
		return p.mustBe("", fmt.Sprintf("an object of at most %d members", maxExtra))
	}
	var few [8][]byte
	seen := few[:0]
	for key, value := range v.Members {
		word := canonical(key)
		for _, known := range seen {
			if bytes.Equal(known, word) {
				return chat.Repeated(format.Bounded(p.member(word), 96))
			}
		}
		seen = append(seen, word)
		if !value.Present() {
			continue
		}
		if err := f(word, value); err != nil {
			return err
		}
	}
	return nil
}

// member writes the place of a member of the object at the place.
func (p place) member(word []byte) string {
	if object := p.String(); object != "" {
		return object + "." + string(word)
	}
	return string(word)
}
