package schema

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// layer is one of the schemas that a value has to satisfy at the same time: one
// that is written in place, that a reference leads to, or that stands in allOf.
type layer struct {
	v tape.Value
	// bare leaves out the alternatives of the schema.
	bare bool
}

// property is a property of an object, with all schemas it has to satisfy.
type property struct {
	name   []byte
	key    tape.Value
	layers []layer
}

// gathered is what the layers of one value say together. The first one to say
// something counts.
type gathered struct {
	types      []string // in upper case, without NULL
	nullable   bool
	properties []property
	index      map[string]int // of properties, by name
	required   []tape.Value
	enum       []tape.Value
	items      []layer
	anyOf      tape.Value
	// plain are the keywords that are copied, in the order of copied.
	plain [len(copied)]tape.Value
	// format is written if Gemini knows it.
	format tape.Value
}

// copied are the keywords that Gemini knows as they are.
var copied = [...]string{
	"title", "description", "default", "pattern",
	"minimum", "maximum", "minLength", "maxLength",
	"minItems", "maxItems", "minProperties", "maxProperties",
}

// types are the types of JSON Schema and of Gemini.
var types = map[string]string{
	"string": "STRING", "number": "NUMBER", "integer": "INTEGER", "boolean": "BOOLEAN",
	"array": "ARRAY", "object": "OBJECT", "null": null,
}

const null = "NULL"

// gather reads one layer, and those it refers to.
func (c *converter) gather(g *gathered, l layer) {
	if c.visits += 1 + l.v.Len(); c.visits > maxVisits || len(c.open) > maxDepth*4 {
		c.tooLarge = true
	}
	if c.tooLarge || l.v.Kind() != tape.Object {
		return
	}
	for key, value := range l.v.Members {
		if word := string(key.Unescaped()); word != "$ref" && word != "allOf" {
			c.keyword(g, l, word, value)
		}
	}
	// What a schema says itself counts more than what it refers to.
	c.refer(g, l, l.v.Get("$ref"))
	for element := range l.v.Get("allOf").Elements {
		c.gather(g, layer{v: element, bare: l.bare})
	}
}

// keyword reads a keyword of a layer.
func (c *converter) keyword(g *gathered, l layer, word string, v tape.Value) {
	c.visits += v.Len()
	switch word {
	case "type":
		g.addTypes(v)
	case "nullable":
		g.nullable = g.nullable || v.Bool()
	case "enum":
		if g.enum == nil {
			for element := range v.Elements {
				g.enum = append(g.enum, element)
			}
		}
	case "const":
		g.enum = []tape.Value{v}
	case "format":
		if !g.format.Exists() {
			g.format = v
		}
	case "properties":
		for key, value := range v.Members {
			g.addProperty(key, layer{v: value})
		}
	case "required":
		for element := range v.Elements {
			g.required = append(g.required, element)
		}
	case "items":
		if v.Kind() == tape.Array {
			c.lost.add("items", chat.Approximated)
			for element := range v.Elements {
				g.items = append(g.items, layer{v: element})
				break
			}
			return
		}
		g.items = append(g.items, layer{v: v})
	case "prefixItems":
		c.lost.add(word, chat.Approximated)
		if len(g.items) == 0 {
			for element := range v.Elements {
				g.items = append(g.items, layer{v: element})
				break
			}
		}
	case "anyOf", "oneOf":
		switch {
		case l.bare || v.Kind() != tape.Array:
		case g.anyOf.Exists():
			c.lost.add(word, chat.Unsupported)
		default:
			g.anyOf = v
		}
	case "$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "propertyOrdering":
	default:
		if i := slices.Index(copied[:], word); i >= 0 {
			if !g.plain[i].Exists() && fits(word, v) {
				g.plain[i] = v
			}
			return
		}
		if _, known := unsupported[word]; known {
			c.lost.add(word, chat.Unsupported)
			return
		}
		c.lost.add("(unknown keyword)", chat.Unsupported)
	}
}

// unsupported are the keywords that are reported by name.
var unsupported = map[string]struct{}{
	"additionalProperties": {}, "patternProperties": {}, "propertyNames": {}, "unevaluatedProperties": {},
	"exclusiveMinimum": {}, "exclusiveMaximum": {}, "multipleOf": {}, "uniqueItems": {}, "contains": {},
	"not": {}, "if": {}, "then": {}, "else": {}, "dependentRequired": {}, "dependentSchemas": {},
	"examples": {}, "example": {}, "readOnly": {}, "writeOnly": {}, "deprecated": {},
	"contentEncoding": {}, "contentMediaType": {}, "$dynamicRef": {}, "discriminator": {},
}

// fits says that a keyword has a value of the kind that Gemini wants.
func fits(word string, v tape.Value) bool {
	switch word {
	case "title", "description", "pattern":
		return v.Kind() == tape.String
	case "default":
		return v.Exists()
	default:
		return v.Kind() == tape.Number
	}
}

// addTypes takes a type or several. Layers that name types differently are
// taken at the first one's word.
func (g *gathered) addTypes(v tape.Value) {
	fresh := len(g.types) == 0
	add := func(word string) {
		switch t := types[strings.ToLower(word)]; {
		case t == null:
			g.nullable = g.nullable || fresh
		case t != "" && fresh && !slices.Contains(g.types, t):
			g.types = append(g.types, t)
		}
	}
	if v.Kind() == tape.String {
		add(v.Text())
		return
	}
	for element := range v.Elements {
		add(element.Text())
	}
}

// addProperty takes one more schema of a property.
func (g *gathered) addProperty(key tape.Value, l layer) {
	n := key.Unescaped()
	if g.index == nil {
		g.index = make(map[string]int)
	}
	if i, known := g.index[string(n)]; known {
		g.properties[i].layers = append(g.properties[i].layers, l)
		return
	}
	g.index[string(n)] = len(g.properties)
	g.properties = append(g.properties, property{name: n, key: key, layers: []layer{l}})
}

// refer follows a reference inside the document. One that leads back to a
// schema that is being converted becomes an object that says nothing.
func (c *converter) refer(g *gathered, l layer, v tape.Value) {
	if v.Kind() != tape.String {
		return
	}
	target := c.resolve(v.Text())
	switch {
	case !target.Exists():
		c.lost.add("$ref", chat.Unsupported)
		return
	case slices.Contains(c.open, target.Start()):
		c.lost.add("$ref", chat.Approximated)
		if len(g.types) == 0 {
			g.types = append(g.types, "OBJECT")
		}
		return
	}
	c.open = append(c.open, target.Start())
	c.gather(g, layer{v: target, bare: l.bare})
}

// resolve finds what a JSON pointer names; Absent if it is not in the document.
func (c *converter) resolve(ref string) tape.Value {
	at := c.root
	if ref == "#" {
		return at
	}
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return tape.Value{}
	}
	for step := range strings.SplitSeq(rest, "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(unpercent(step), "~1", "/"), "~0", "~")
		if at.Kind() == tape.Array {
			at = element(at, step)
		} else {
			at = at.Get(step)
		}
		if !at.Exists() {
			return tape.Value{}
		}
	}
	return at
}

// element is the element of an array that a step of a pointer names.
func element(v tape.Value, step string) tape.Value {
	n, err := strconv.Atoi(step)
	if err != nil {
		return tape.Value{}
	}
	i := 0
	for e := range v.Elements {
		if i == n {
			return e
		}
		i++
	}
	return tape.Value{}
}

// unpercent undoes the percent encoding of a pointer in a fragment.
func unpercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
