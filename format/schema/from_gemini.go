package schema

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// AppendJSON appends the JSON Schema of a Gemini schema: types in lower case,
// nullable as a type of its own. A schema that is JSON Schema already stays what
// it is. The only error is [ErrTooLarge]; dst is returned as it was then.
func AppendJSON(dst []byte, root tape.Value) ([]byte, error) {
	r := reverter{from: len(dst), dst: dst}
	r.schema(root, 0)
	if r.tooLarge {
		return dst, ErrTooLarge
	}
	return r.dst, nil
}

// reverter converts one schema.
type reverter struct {
	dst      []byte
	from     int
	tooLarge bool
}

// renamed are the keywords in snake case that protobuf's JSON also takes.
var renamed = map[string]string{
	"any_of": "anyOf", "min_items": "minItems", "max_items": "maxItems",
	"min_length": "minLength", "max_length": "maxLength",
	"min_properties": "minProperties", "max_properties": "maxProperties",
	"property_ordering": "propertyOrdering", "additional_properties": "additionalProperties",
}

// member begins a member of an object.
func (r *reverter) member(first *bool, word string) {
	if *first {
		r.dst = append(r.dst, '{')
	} else {
		r.dst = append(r.dst, ',')
	}
	*first = false
	r.dst = chat.AppendQuoted(r.dst, word)
	r.dst = append(r.dst, ':')
}

// schema appends one schema.
func (r *reverter) schema(v tape.Value, depth int) {
	if depth > maxDepth || len(r.dst)-r.from > maxSize {
		r.tooLarge = true
		return
	}
	if v.Kind() != tape.Object {
		r.dst = chat.AppendLine(r.dst, v.Raw())
		return
	}
	nullable := v.Get("nullable").Bool()
	first := true
	for key, value := range v.Members {
		word := string(key.Unescaped())
		if to, ok := renamed[word]; ok {
			word = to
		}
		r.keyword(&first, word, value, nullable, depth)
		if r.tooLarge {
			return
		}
	}
	if first {
		r.dst = append(r.dst, '{')
	}
	r.dst = append(r.dst, '}')
}

// keyword appends a keyword.
func (r *reverter) keyword(first *bool, word string, v tape.Value, nullable bool, depth int) {
	switch word {
	case "nullable", "propertyOrdering":
	case "type":
		r.typed(first, v, nullable)
	case "format":
		if !v.Is("enum") {
			r.copy(first, word, v)
		}
	case "example":
		r.member(first, "examples")
		r.dst = append(r.dst, '[')
		r.dst = chat.AppendLine(r.dst, v.Raw())
		r.dst = append(r.dst, ']')
	case "enum":
		r.list(first, word, v, nullable, "null", depth+1)
	case "anyOf":
		r.list(first, word, v, nullable, `{"type":"null"}`, depth+1)
	case "oneOf", "allOf", "prefixItems":
		r.list(first, word, v, false, "", depth+1)
	case "items", "additionalProperties":
		r.member(first, word)
		r.schema(v, depth+1)
	case "properties", "$defs", "definitions", "patternProperties":
		r.member(first, word)
		r.named(v, depth+1)
	case "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties", "minimum", "maximum":
		r.number(first, word, v)
	default:
		r.copy(first, word, v)
	}
}

// copy appends a keyword as it is.
func (r *reverter) copy(first *bool, word string, v tape.Value) {
	r.member(first, word)
	r.dst = chat.AppendLine(r.dst, v.Raw())
}

// typed appends a type, or the types of a value that may be null.
func (r *reverter) typed(first *bool, v tape.Value, nullable bool) {
	if v.Kind() != tape.String {
		r.copy(first, "type", v)
		return
	}
	kind := strings.ToLower(v.Text())
	if _, known := types[kind]; !known {
		return // TYPE_UNSPECIFIED
	}
	r.member(first, "type")
	if nullable && kind != "null" {
		r.dst = append(r.dst, `["`+kind+`","null"]`...)
		return
	}
	r.dst = append(r.dst, `"`+kind+`"`...)
}

// number appends a number, which protobuf's JSON may write as a string.
func (r *reverter) number(first *bool, word string, v tape.Value) {
	text := v.Raw()
	if v.Kind() == tape.String {
		text = v.Unescaped()
	}
	if _, err := chat.Number(text).Float(); !err || !isNumber(text) {
		return
	}
	r.member(first, word)
	r.dst = append(r.dst, text...)
}

// isNumber says that text is a JSON number.
func isNumber(text []byte) bool {
	var t tape.Tape
	return t.Parse(text) == nil && t.Root().Kind() == tape.Number
}

// list appends a list of schemas or values, and what stands for null if that is
// not among them.
func (r *reverter) list(first *bool, word string, v tape.Value, nullable bool, nothing string, depth int) {
	if v.Kind() != tape.Array {
		return
	}
	r.member(first, word)
	r.dst = append(r.dst, '[')
	i := 0
	for element := range v.Elements {
		if i > 0 {
			r.dst = append(r.dst, ',')
		}
		i++
		r.schema(element, depth)
		nullable = nullable && element.Kind() != tape.Null && !isNull(element)
		if r.tooLarge {
			return
		}
	}
	if nullable {
		if i > 0 {
			r.dst = append(r.dst, ',')
		}
		r.dst = append(r.dst, nothing...)
	}
	r.dst = append(r.dst, ']')
}

// named appends an object of schemas by their names.
func (r *reverter) named(v tape.Value, depth int) {
	if v.Kind() != tape.Object {
		r.dst = append(r.dst, "{}"...)
		return
	}
	r.dst = append(r.dst, '{')
	i := 0
	for key, value := range v.Members {
		if i > 0 {
			r.dst = append(r.dst, ',')
		}
		i++
		r.dst = append(r.dst, key.Raw()...)
		r.dst = append(r.dst, ':')
		r.schema(value, depth)
		if r.tooLarge {
			return
		}
	}
	r.dst = append(r.dst, '}')
}
