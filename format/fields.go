package format

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// FieldReader reads a field of a request, whose value is not null, for the decoder
// d.
type FieldReader[D any] func(d D, field string, v tape.Value) error

// Fields are the fields of a request with a neutral meaning, by name.
type Fields[D any] map[string]numberedField[D]

// numberedField is a field and its bit in the set of those that were read.
type numberedField[D any] struct {
	name string
	bit  uint64
	read FieldReader[D]
}

// FieldsOf makes Fields, 64 at most, of their readers.
func FieldsOf[D any](readers map[string]FieldReader[D]) Fields[D] {
	fields := make(Fields[D], len(readers))
	for name, read := range readers {
		fields[name] = numberedField[D]{name: name, bit: 1 << len(fields), read: read}
	}
	return fields
}

// Read reads the fields of doc in their order, and calls other for those that are
// none of Fields, also if they are null. A field that is repeated is refused: it is
// not clear which one counts.
func (f Fields[D]) Read(d D, doc tape.Value, other func(key, v tape.Value) error) error {
	var seen uint64
	for key, value := range doc.Members {
		field, known := f[string(key.Unescaped())]
		if !known {
			if err := other(key, value); err != nil {
				return err
			}
			continue
		}
		if seen&field.bit != 0 {
			return chat.Repeated(field.name)
		}
		seen |= field.bit
		if !value.Present() {
			continue
		}
		if err := field.read(d, field.name, value); err != nil {
			return err
		}
	}
	return nil
}

// NumberField reads a field that is a number.
func NumberField[D any](at func(D) *chat.Number) FieldReader[D] {
	return func(d D, field string, v tape.Value) error {
		if v.Kind() != tape.Number {
			return chat.MustBe(field, "a number")
		}
		*at(d) = chat.Number(v.Raw())
		return nil
	}
}

// TextField reads a field that is a string.
func TextField[D any](at func(D) *chat.Literal) FieldReader[D] {
	return func(d D, field string, v tape.Value) error {
		if v.Kind() != tape.String {
			return chat.MustBe(field, "a string")
		}
		*at(d) = v.Literal()
		return nil
	}
}

// TruthField reads a field that is true or false.
func TruthField[D any](set func(D, chat.Bool)) FieldReader[D] {
	return func(d D, field string, v tape.Value) error {
		if v.Kind() != tape.True && v.Kind() != tape.False {
			return chat.MustBe(field, "true or false")
		}
		set(d, chat.BoolOf(v.Bool()))
		return nil
	}
}

// ObjectField reads a field that is an object and stays as it is.
func ObjectField[D any](at func(D) *chat.Raw) FieldReader[D] {
	return func(d D, field string, v tape.Value) error {
		if v.Kind() != tape.Object {
			return chat.MustBe(field, "an object")
		}
		*at(d) = v.Raw()
		return nil
	}
}

// LaterField keeps a field that is read when all others have been.
func LaterField[D any](at func(D) *tape.Value) FieldReader[D] {
	return func(d D, _ string, v tape.Value) error {
		*at(d) = v
		return nil
	}
}
