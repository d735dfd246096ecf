package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// schema writes the schema of a tool's arguments. OpenAI wants an object with
// properties at its root, and says so with a 400 if there is none.
func (e *requestEncoder) schema(schema chat.Raw) {
	if bytes.HasPrefix(schema, []byte(`{"type":"object"`)) && bytes.Contains(schema, []byte(`"properties"`)) {
		e.b.Raw(schema)
		return
	}
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(schema); err != nil || t.Root().Kind() != tape.Object {
		e.b.Str(`{"type":"object","properties":{}}`)
		return
	}
	root := t.Root()
	inner := bytes.TrimSpace(schema)[1:]
	e.b.Byte('{')
	separator := ""
	if !root.Get("type").Exists() {
		e.b.Str(`"type":"object"`)
		separator = ","
	}
	if bare(root) {
		e.b.Str(separator)
		e.b.Str(`"properties":{}`)
		separator = ","
	}
	if root.Len() > 0 {
		e.b.Str(separator)
	}
	e.b.Raw(inner)
}

// bare says that nothing in a schema's root tells the properties.
func bare(root tape.Value) bool {
	for _, key := range []string{"properties", "$ref", "anyOf", "oneOf", "allOf"} {
		if root.Get(key).Exists() {
			return false
		}
	}
	return true
}
