package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"

// fitsStrict says that a schema satisfies the rules of strict functions: objects
// list all their properties as required and take no others. OpenAI then makes a
// function strict unless it is told not to.
func fitsStrict(schema tape.Value) bool {
	if !present(schema) || schema.Kind() != tape.Object {
		return false
	}
	properties, kind := member(schema, "properties"), member(schema, "type")
	if properties.Exists() || kind.Is("object") {
		if member(schema, "additionalProperties").Kind() != tape.False {
			return false
		}
		required := member(schema, "required")
		if required.Len() != properties.Len() {
			return false
		}
		for element := range required.Elements {
			if !properties.Get(element.Text()).Exists() {
				return false
			}
		}
	}
	for _, group := range []string{"properties", "$defs", "definitions"} {
		for _, inner := range member(schema, group).Members {
			if !fitsStrict(inner) {
				return false
			}
		}
	}
	for inner := range member(schema, "anyOf").Elements {
		if !fitsStrict(inner) {
			return false
		}
	}
	for _, refused := range []string{"allOf", "oneOf", "not", "if", "patternProperties"} {
		if schema.Get(refused).Exists() {
			return false
		}
	}
	items := member(schema, "items")
	return !items.Exists() || fitsStrict(items)
}
