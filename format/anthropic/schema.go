package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// inputSchema writes the schema of a tool's input, which must be of an object.
func (e *requestEncoder) inputSchema(schema chat.Raw) {
	switch {
	case schema == nil:
		e.b.Str(`{"type":"object","properties":{}}`)
		return
	case bytes.HasPrefix(schema, []byte(`{"type":"object"`)):
		e.b.Raw(schema)
		return
	}
	t := tapes.Get().(*tape.Tape)
	defer tapes.Put(t)
	defer t.Reset()
	root := tape.Value{}
	if t.Parse(schema) == nil {
		root = t.Root()
	}
	switch {
	case root.Kind() != tape.Object || root.Len() == 0:
		e.b.Str(`{"type":"object","properties":{}}`)
	case present(root.Get("type")):
		e.b.Raw(schema)
	default:
		e.b.Str(`{"type":"object"`)
		for key, value := range root.Members {
			if !key.Is("type") {
				e.member(key, value)
			}
		}
		e.b.Byte('}')
	}
}

// member writes a member of an object as it was, behind a comma.
func (e *requestEncoder) member(key, value tape.Value) {
	e.b.Byte(',')
	e.b.Raw(key.Raw())
	e.b.Byte(':')
	e.b.Raw(value.Raw())
}

// outputSchema writes the schema of an answer. Anthropic demands of every object
// in it that nothing but its properties is allowed.
func (e *requestEncoder) outputSchema(schema chat.Raw) {
	t := tapes.Get().(*tape.Tape)
	defer tapes.Put(t)
	defer t.Reset()
	if err := t.Parse(schema); err != nil {
		e.b.Str("{}") // cannot be: the schema is part of a valid document
		return
	}
	e.closed(t.Root())
}

// closed writes a schema in which objects are closed.
func (e *requestEncoder) closed(v tape.Value) {
	if v.Kind() != tape.Object {
		e.b.Raw(v.Raw())
		return
	}
	object := isObject(v)
	separator := byte('{')
	for key, value := range v.Members {
		if object && key.Is("additionalProperties") {
			if value.Kind() != tape.False {
				e.lost(chat.Loss{Path: "response_format.json_schema.schema", Reason: chat.Approximated})
			}
			continue
		}
		e.b.Byte(separator)
		separator = ','
		e.b.Raw(key.Raw())
		e.b.Byte(':')
		switch string(name(key)) {
		case "properties", "$defs", "definitions":
			e.closedMembers(value)
		case "anyOf", "oneOf", "allOf", "prefixItems":
			e.closedElements(value)
		case "items", "not":
			e.closed(value)
		default:
			e.b.Raw(value.Raw())
		}
	}
	if object {
		e.b.Byte(separator)
		e.b.Str(`"additionalProperties":false}`)
		return
	}
	if separator == '{' {
		e.b.Byte('{')
	}
	e.b.Byte('}')
}

// isObject says that a schema is of an object.
func isObject(v tape.Value) bool {
	switch kind := v.Get("type"); kind.Kind() {
	case tape.String:
		return kind.Is("object")
	case tape.Array:
		for element := range kind.Elements {
			if element.Is("object") {
				return true
			}
		}
		return false
	default:
		return v.Get("properties").Exists()
	}
}

// closedMembers writes an object whose values are schemas.
func (e *requestEncoder) closedMembers(v tape.Value) {
	if v.Kind() != tape.Object {
		e.b.Raw(v.Raw())
		return
	}
	e.b.Byte('{')
	any := false
	for key, value := range v.Members {
		if any {
			e.b.Byte(',')
		}
		any = true
		e.b.Raw(key.Raw())
		e.b.Byte(':')
		e.closed(value)
	}
	e.b.Byte('}')
}

// closedElements writes an array whose elements are schemas.
func (e *requestEncoder) closedElements(v tape.Value) {
	if v.Kind() != tape.Array {
		e.b.Raw(v.Raw())
		return
	}
	e.b.Byte('[')
	any := false
	for element := range v.Elements {
		if any {
			e.b.Byte(',')
		}
		any = true
		e.closed(element)
	}
	e.b.Byte(']')
}
