package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// cacheMark is the mark behind a part up to which the provider is to cache. How
// long it keeps that is left to it.
const cacheMark = `,"prompt_cache_breakpoint":{"mode":"explicit"}`

// maxCacheMarks is how many marks the provider writes to its cache beside the one
// that it makes itself.
const maxCacheMarks = 3

// planParts finds out which cache marks are sent: parts of instructions, of user
// messages and of results have a place for one. The provider takes a few, of
// which the last ones save most.
func (e *requestEncoder) planParts() {
	if e.marking = e.to.CacheMarks && e.to.Can.CacheMarks; !e.marking {
		return
	}
	total := 0
	for i := range e.r.System {
		total += marksIn(&e.r.System[i])
	}
	for t := range e.r.Turns {
		turn := &e.r.Turns[t]
		for i := range turn.Blocks {
			if turn.Role != chat.Assistant {
				total += marksIn(&turn.Blocks[i])
			}
		}
	}
	e.tooEarly = max(total-maxCacheMarks, 0)
}

// anyMark says that one of the blocks has a cache mark.
func anyMark(blocks []chat.Block) bool {
	for i := range blocks {
		if blocks[i].Cache != nil {
			return true
		}
	}
	return false
}

// noCache reports that a cache mark was left out.
func (e *requestEncoder) noCache(b *chat.Block) {
	if b.Cache != nil {
		e.drop("cache_control")
	}
}

// mark writes the cache marks of a part behind its other members: one for all of
// them, if one is to be sent.
func (e *requestEncoder) mark(total int) {
	switch {
	case total == 0:
		return
	case !e.marking || e.tooEarly >= total:
		e.tooEarly = max(e.tooEarly-total, 0)
		e.drop("cache_control")
	default:
		e.tooEarly = 0
		e.b.Str(cacheMark)
	}
}

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

// ownMarks is how many cache marks a part has: one or none.
func ownMarks(b *chat.Block) int {
	if b.Cache == nil {
		return 0
	}
	return 1
}
