package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// The schema of an answer. Anthropic demands of every object in it that nothing
// but its properties is allowed, and refuses constraints that it does not enforce
// (Anthropic, guide on structured outputs, "JSON Schema limitations"): these are
// told to the model in the description, as Anthropic's own SDKs do.

// unenforced are the constraints that Anthropic refuses.
var unenforced = map[string]bool{
	"minimum": true, "maximum": true, "exclusiveMinimum": true, "exclusiveMaximum": true, "multipleOf": true,
	"minLength": true, "maxLength": true, "pattern": true,
	"minItems": true, "maxItems": true, "uniqueItems": true,
	"minProperties": true, "maxProperties": true, "not": true,
}

// formats are the formats of strings that Anthropic takes.
var formats = map[string]bool{
	"date-time": true, "time": true, "date": true, "duration": true, "email": true,
	"hostname": true, "uri": true, "ipv4": true, "ipv6": true, "uuid": true,
}

// refused says that Anthropic refuses a member of a schema.
func (e *requestEncoder) refused(key, value tape.Value) bool {
	if e.own {
		return false
	}
	switch member := string(key.Unescaped()); {
	case unenforced[member]:
		return true
	case member == "format":
		return value.Kind() == tape.String && !formats[value.Text()]
	default:
		return false
	}
}

// outputSchema writes the schema of an answer.
func (e *requestEncoder) outputSchema(schema chat.Raw) {
	t := tape.Take()
	defer t.Release()
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
	constraints := e.constraints(v)
	if len(constraints) > 0 {
		e.b.Str(`{"description":`)
		e.b.Append(func(dst []byte) []byte { return chat.AppendQuoted(dst, constraints) })
		separator = ','
	}
	for key, value := range v.Members {
		if e.refused(key, value) || len(constraints) > 0 && key.Is("description") {
			continue
		}
		if object && key.Is("additionalProperties") {
			if value.Kind() != tape.False {
				e.lost(chat.Loss{Path: "response_format.json_schema.schema", Reason: chat.Approximated})
			}
			continue
		}
		e.b.Byte(separator)
		separator = ','
		if key.Is("oneOf") && !e.own && !v.Get("anyOf").Exists() {
			e.b.Str(`"anyOf":`)
			e.closedElements(value)
			continue
		}
		e.b.Raw(key.Raw())
		e.b.Byte(':')
		switch string(key.Unescaped()) {
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

// constraints are the description of a schema and, behind it, the constraints in
// it that Anthropic refuses; nil if there are none.
func (e *requestEncoder) constraints(v tape.Value) []byte {
	var list []byte
	for key, value := range v.Members {
		if !e.refused(key, value) || !value.Present() || value.Kind() == tape.False {
			continue
		}
		if list == nil {
			list = chat.AppendUnquoted(nil, v.Get("description").Literal())
			if len(list) > 0 {
				list = append(list, '\n')
			}
		} else {
			list = append(list, "; "...)
		}
		list = append(append(append(list, key.Unescaped()...), ": "...), value.Raw()...)
	}
	if list != nil {
		e.lost(chat.Loss{Path: "response_format.json_schema.schema", Reason: chat.Approximated})
	}
	return list
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
