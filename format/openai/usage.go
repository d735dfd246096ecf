package openai

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// counts are the numbers of tokens as Chat answers tell them. Streams send them
// any number of times, each time the whole; what a later one leaves out stays.
type counts struct {
	known                        bool
	prompt, completion, total    int64
	cached, written              int64
	reasoning, audioIn, audioOut int64
}

// read takes the numbers that v has. It tells whether there were any.
func (c *counts) read(v tape.Value) bool {
	before := *c
	var hit, cachedElsewhere int64
	standard := false
	for key, value := range v.Members {
		switch string(key.Unescaped()) {
		case "prompt_tokens":
			c.known = count(&c.prompt, value) || c.known
		case "completion_tokens":
			c.known = count(&c.completion, value) || c.known
		case "total_tokens":
			count(&c.total, value)
		case "prompt_tokens_details":
			standard = count(&c.cached, value.Get("cached_tokens"))
			count(&c.written, value.Get("cache_write_tokens"))
			count(&c.audioIn, value.Get("audio_tokens"))
		case "completion_tokens_details":
			count(&c.reasoning, value.Get("reasoning_tokens"))
			count(&c.audioOut, value.Get("audio_tokens"))
		case "prompt_cache_hit_tokens": // DeepSeek
			count(&hit, value)
		case "cached_tokens": // Moonshot
			count(&cachedElsewhere, value)
		}
	}
	if elsewhere := max(hit, cachedElsewhere); !standard && elsewhere > 0 {
		c.cached = elsewhere
	}
	return *c != before
}

// count takes a number of tokens if v is one.
func count(at *int64, v tape.Value) bool {
	n, ok := v.Int()
	if ok {
		*at = max(n, 0)
	}
	return ok
}

// usage returns the counts in neutral form: disjoint parts, none negative.
func (c *counts) usage() chat.Usage {
	u := chat.Usage{
		Known:     c.known,
		Output:    c.completion,
		Reasoning: c.reasoning,
		AudioIn:   c.audioIn,
		AudioOut:  c.audioOut,
	}
	switch {
	case c.reasoning > 0 && c.total == c.prompt+c.completion+c.reasoning:
		// xAI does not count the reasoning among the completion.
		u.Output += c.reasoning
	case c.completion == 0 && c.total > c.prompt:
		u.Output = c.total - c.prompt
	}
	u.CacheRead = min(c.cached, c.prompt)
	u.CacheWrite5m = min(c.written, c.prompt-u.CacheRead)
	u.InputUncached = c.prompt - u.CacheRead - u.CacheWrite5m
	return u
}

// appendUsage appends a usage object. Counts that are not known are zeros.
func appendUsage(dst []byte, u *chat.Usage) []byte {
	prompt := u.Prompt()
	dst = appendCount(dst, `{"prompt_tokens":`, prompt)
	dst = appendCount(dst, `,"completion_tokens":`, u.Output)
	dst = appendCount(dst, `,"total_tokens":`, prompt+u.Output)
	dst = appendCount(dst, `,"prompt_tokens_details":{"cached_tokens":`, u.CacheRead)
	dst = appendCount(dst, `,"cache_write_tokens":`, u.CacheWrite())
	if u.AudioIn > 0 {
		dst = appendCount(dst, `,"audio_tokens":`, u.AudioIn)
	}
	dst = appendCount(dst, `},"completion_tokens_details":{"reasoning_tokens":`, u.Reasoning)
	if u.AudioOut > 0 {
		dst = appendCount(dst, `,"audio_tokens":`, u.AudioOut)
	}
	return append(dst, "}}"...)
}

// appendCount appends a number behind its key.
func appendCount(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(dst, key...), n, 10)
}
