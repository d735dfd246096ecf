package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// cacheMark is the mark behind a part up to which the provider is to cache. How
// long it keeps that is left to it.
const cacheMark = `,"prompt_cache_breakpoint":{"mode":"explicit"}`

// maxCacheMarks is how many marks the provider writes to its cache beside the one
// that it makes itself.
const maxCacheMarks = 3

// marksIn is how many cache marks a block has: its own, and those of a result's
// content.
func marksIn(b *chat.Block) (n int) {
	if b.Cache != nil {
		n++
	}
	for i := range b.Content {
		if b.Content[i].Cache != nil {
			n++
		}
	}
	return n
}
