package schema

import (
	"bytes"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// AppendGemini appends the Gemini schema of a JSON Schema, on one line.
// References inside of it are inlined, allOf is merged, and what Gemini does not
// know is left out and reported. The only error is [ErrTooLarge], also when the
// budget is used up; dst is returned as it was then.
func AppendGemini(dst []byte, root tape.Value, budget *Budget) ([]byte, chat.Report, error) {
	if !budget.spend(0, 0) {
		return dst, nil, ErrTooLarge
	}
	c := converter{root: root, dst: dst, from: len(dst)}
	c.schema([]layer{{v: root}}, true)
	if !budget.spend(c.visits, len(c.dst)-c.from) || c.tooLarge {
		return dst, c.lost.report, ErrTooLarge
	}
	return c.dst, c.lost.report, nil
}

// converter converts one schema.
type converter struct {
	root tape.Value
	dst  []byte
	from int // where the result begins in dst
	lost losses
	// open are the places of the references that are being followed.
	open     []int
	depth    int
	visits   int
	tooLarge bool
}

func (c *converter) str(s string) { c.dst = append(c.dst, s...) }

// raw appends a value on one line.
func (c *converter) raw(v []byte) { c.dst = chat.AppendLine(c.dst, v) }

// schema appends the schema of a value that has to satisfy all layers.
func (c *converter) schema(layers []layer, root bool) {
	if c.depth++; c.depth > maxDepth || len(c.dst)-c.from > maxSize {
		c.tooLarge = true
	}
	defer func(open int) {
		c.depth--
		c.open = c.open[:open]
	}(len(c.open))
	var g gathered
	for _, l := range layers {
		c.gather(&g, l)
	}
	if c.tooLarge {
		return
	}
	if g.anyOf.Exists() && c.alternatives(&g, layers, root) {
		return
	}
	c.typed(&g, root)
}

// alternatives appends the schemas of anyOf. Beside it Gemini takes nothing, so
// that each alternative says what the schema says outside of it. It tells
// whether there are any.
func (c *converter) alternatives(g *gathered, layers []layer, root bool) bool {
	var choices []tape.Value
	for v := range g.anyOf.Elements {
		switch {
		case isNull(v):
			g.nullable = true
		case v.Kind() == tape.Object:
			choices = append(choices, v)
		}
	}
	if len(choices) == 0 {
		return false
	}
	outside := make([]layer, 0, len(layers))
	for _, l := range layers {
		outside = append(outside, layer{v: l.v, bare: true})
	}
	open := len(c.open)
	if len(choices) > 1 {
		c.str(`{"anyOf":[`)
	}
	for i, v := range choices {
		if i > 0 {
			c.str(",")
		}
		var alternative gathered
		c.gather(&alternative, layer{v: v})
		if alternative.anyOf.Exists() {
			c.open = c.open[:open]
			c.lost.add("anyOf", chat.Approximated)
			c.schema([]layer{{v: v}}, false)
			continue
		}
		// The references that led here are open already.
		c.outside(&alternative, outside)
		alternative.nullable = alternative.nullable || g.nullable
		c.typed(&alternative, root && len(choices) == 1)
		c.open = c.open[:open]
		if c.tooLarge {
			return true
		}
	}
	if len(choices) > 1 {
		c.str("]}")
	}
	return true
}

// outside adds what stands beside the alternatives to one of them.
func (c *converter) outside(g *gathered, layers []layer) {
	open := c.open
	// What is open was opened by these very layers: they may do it again.
	c.open = nil
	for _, l := range layers {
		c.gather(g, l)
	}
	c.open = append(open, c.open...)
}

// isNull says that a schema is that of null.
func isNull(v tape.Value) bool {
	if v.Get("const").Kind() == tape.Null {
		return true
	}
	t := v.Get("type")
	if t.Kind() == tape.Array && t.Len() == 1 {
		for element := range t.Elements {
			t = element
		}
	}
	return t.Is("null") || t.Is(null)
}

// typed appends a schema without alternatives, or with one for each of several
// types.
func (c *converter) typed(g *gathered, root bool) {
	if c.depth > maxDepth || len(c.dst)-c.from > maxSize {
		c.tooLarge = true
		return
	}
	enum := c.enum(g)
	if len(g.types) > 1 && enum == nil {
		c.lost.add("type", chat.Approximated)
		c.str(`{"anyOf":[`)
		for i, t := range g.types {
			if i > 0 {
				c.str(",")
			}
			c.object(g, t, nil)
		}
		c.str("]}")
		return
	}
	c.object(g, c.typeOf(g, enum, root), enum)
}

// typeOf returns the one type of a schema, which Gemini demands.
func (c *converter) typeOf(g *gathered, enum [][]byte, root bool) string {
	switch {
	case enum != nil:
		return "STRING"
	case len(g.types) == 1:
		return g.types[0]
	case len(g.properties) > 0 || root:
		return "OBJECT"
	case len(g.items) > 0:
		return "ARRAY"
	case g.nullable:
		return null
	default:
		c.lost.add("type", chat.Approximated)
		return "OBJECT"
	}
}

// enum returns the values of an enumeration as literals: Gemini takes strings
// only. nil if there is none.
func (c *converter) enum(g *gathered) (out [][]byte) {
	for _, v := range g.enum {
		switch v.Kind() {
		case tape.Null:
			g.nullable = true
			continue
		case tape.String:
			if v.Is("") { // Gemini refuses it.
				c.lost.add("enum", chat.Unsupported)
				continue
			}
			out = append(out, v.Raw())
		default:
			c.lost.add("enum", chat.Approximated)
			out = append(out, chat.Quote(string(chat.AppendLine(nil, v.Raw()))))
		}
	}
	return out
}

// numeric and textual are the formats that Gemini knows.
var (
	numeric = []string{"int32", "int64", "float", "double"}
	textual = []string{"date-time", "enum"}
)

// object appends a schema of one type.
func (c *converter) object(g *gathered, kind string, enum [][]byte) {
	c.str(`{"type":"` + kind + `"`)
	if g.nullable && kind != null {
		c.str(`,"nullable":true`)
	}
	for i, v := range g.plain {
		if v.Exists() && belongs(copied[i], kind) {
			c.str(`,"` + copied[i] + `":`)
			c.raw(v.Raw())
		}
	}
	for i, v := range enum {
		if i == 0 {
			c.str(`,"enum":[`)
		} else {
			c.str(",")
		}
		c.dst = append(c.dst, v...)
	}
	if len(enum) > 0 {
		c.str("]")
	}
	if g.format.Exists() {
		c.formatOf(g.format.Text(), kind)
	}
	switch kind {
	case "ARRAY":
		c.str(`,"items":`)
		if len(g.items) == 0 {
			c.str(`{"type":"STRING"}`)
			c.lost.add("items", chat.Approximated)
		} else {
			c.schema(g.items, false)
		}
	case "OBJECT":
		c.properties(g)
	}
	c.str("}")
}

// formatOf appends a format if it is one that Gemini knows.
func (c *converter) formatOf(format, kind string) {
	known := textual
	if kind == "INTEGER" || kind == "NUMBER" {
		known = numeric
	}
	if !slices.Contains(known, format) {
		c.lost.add("format", chat.Unsupported)
		return
	}
	c.str(`,"format":"` + format + `"`)
}

// belongs says that a keyword means something for a type.
func belongs(word, kind string) bool {
	switch word {
	case "minimum", "maximum":
		return kind == "NUMBER" || kind == "INTEGER"
	case "minLength", "maxLength", "pattern":
		return kind == "STRING"
	case "minItems", "maxItems":
		return kind == "ARRAY"
	case "minProperties", "maxProperties":
		return kind == "OBJECT"
	default:
		return true
	}
}

// properties appends the properties of an object, and which of them must be
// there.
func (c *converter) properties(g *gathered) {
	for i := range g.properties {
		p := &g.properties[i]
		if i == 0 {
			c.str(`,"properties":{`)
		} else {
			c.str(",")
		}
		c.raw(p.key.Raw())
		c.str(":")
		c.schema(p.layers, false)
		if c.tooLarge {
			return
		}
	}
	if len(g.properties) > 0 {
		c.str("}")
	}
	var written [][]byte
	seen := map[string]bool{}
	for _, v := range g.required {
		if v.Kind() != tape.String {
			continue
		}
		n := v.Unescaped()
		_, known := g.index[string(n)]
		switch {
		case !known:
			c.lost.add("required", chat.Unsupported)
		case !seen[string(n)]:
			seen[string(n)] = true
			written = append(written, v.Raw())
		}
	}
	if len(written) > 0 {
		c.str(`,"required":[`)
		c.dst = append(c.dst, bytes.Join(written, []byte(","))...)
		c.str("]")
	}
}
