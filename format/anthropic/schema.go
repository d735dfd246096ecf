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
	t := tape.Take()
	defer t.Release()
	root := tape.Value{}
	if t.Parse(schema) == nil {
		root = t.Root()
	}
	switch {
	case root.Kind() != tape.Object || root.Len() == 0:
		e.b.Str(`{"type":"object","properties":{}}`)
	case root.Get("type").Present():
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
