package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// responseFormat reads the form of the answer's text.
func (d *requestDecoder) responseFormat(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	switch kind := v.Get("type"); {
	case kind.Is("text"):
		return nil
	case kind.Is("json_object"):
		d.r.Output.Kind = chat.OutputJSONObject
		return nil
	case !kind.Is("json_schema"):
		return chat.MustBe("response_format.type", "text, json_object or json_schema")
	}
	schema := v.Member("json_schema")
	if schema.Kind() != tape.Object {
		return chat.MustBe("response_format.json_schema", "an object")
	}
	return d.jsonSchema("response_format.json_schema", schema)
}

// jsonSchema reads the schema that the answer's text must have.
func (d *requestDecoder) jsonSchema(path string, v tape.Value) error {
	out := &d.r.Output
	out.Kind = chat.OutputJSONSchema
	for key, value := range v.Members {
		if !value.Present() {
			continue
		}
		switch string(key.Unescaped()) {
		case "name":
			out.Name = value.Literal()
		case "description":
			out.Description = value.Literal()
		case "schema":
			if value.Kind() != tape.Object {
				return chat.MustBe(path+".schema", "an object")
			}
			out.Schema = value.Raw()
		case "strict":
			out.Strict = chat.BoolOf(value.Bool())
		}
	}
	return nil
}
