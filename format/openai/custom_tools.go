package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// grammarField reports that a tool takes a text with a grammar, which other
// formats cannot be told.
const grammarField = "tools[].format"

// textFormat is the text that a tool takes in the words of the Responses format,
// which the neutral form has. Chat puts a grammar into an object of its own.
func textFormat(v tape.Value) chat.Raw {
	grammar := v.Member("grammar")
	if grammar.Kind() != tape.Object || !v.Member("type").Is("grammar") {
		return v.Raw()
	}
	flat := append([]byte(nil), `{"type":"grammar"`...)
	for key, value := range grammar.Members {
		if !key.Is("type") {
			flat = append(append(append(append(flat, ','), key.Raw()...), ':'), value.Raw()...)
		}
	}
	return append(flat, '}')
}

// appendTextFormat appends the text that a tool takes in the words of Chat.
func appendTextFormat(dst []byte, custom chat.Raw) []byte {
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(custom); err != nil || t.Root().Kind() != tape.Object {
		return append(dst, plainText...)
	}
	if root := t.Root(); !root.Get("type").Is("grammar") || root.Get("grammar").Exists() {
		return append(dst, bytes.TrimSpace(custom)...)
	}
	dst = append(dst, `{"type":"grammar","grammar":`...)
	separator := byte('{')
	for key, value := range t.Root().Members {
		if key.Is("type") {
			continue
		}
		dst = append(dst, separator)
		dst = append(append(append(dst, key.Raw()...), ':'), value.Raw()...)
		separator = ','
	}
	if separator == '{' {
		dst = append(dst, '{')
	}
	return append(dst, "}}"...)
}
