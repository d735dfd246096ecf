package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"

// fitsStrict says that a schema satisfies the rules of strict functions: objects
// list all their properties as required and take no others. OpenAI then makes a
// function strict unless it is told not to.
func fitsStrict(schema tape.Value) bool {
	if !schema.Present() || schema.Kind() != tape.Object {
		return false
	}
	properties, kind := schema.Member("properties"), schema.Member("type")
	if properties.Exists() || kind.Is("object") {
		if schema.Member("additionalProperties").Kind() != tape.False {
			return false
		}
		required := schema.Member("required")
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
		for _, inner := range schema.Member(group).Members {
			if !fitsStrict(inner) {
				return false
			}
		}
	}
	for inner := range schema.Member("anyOf").Elements {
		if !fitsStrict(inner) {
			return false
		}
	}
	for _, refused := range []string{"allOf", "oneOf", "not", "if", "patternProperties"} {
		if schema.Get(refused).Exists() {
			return false
		}
	}
	items := schema.Member("items")
	return !items.Exists() || fitsStrict(items)
}
