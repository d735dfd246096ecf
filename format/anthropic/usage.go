package anthropic

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// counts are the numbers of tokens as the format tells them. A stream tells them
// at its start and again at its end: a later number replaces an earlier one, what
// the end leaves out stays, and nothing is ever added up (envoyproxy/ai-gateway
// issue 2239).
type counts struct {
	known            bool
	input, output    int64
	cacheRead        int64
	cacheWrite       int64 // the sum of the two below, if they are told
	write5m, write1h int64
	reasoning        int64
}

// take takes the numbers that v has. It tells whether there were any.
func (c *counts) take(v tape.Value) bool {
	any := false
	for key, value := range v.Members {
		switch string(key.Unescaped()) {
		case "input_tokens":
			c.known = count(&c.input, value) || c.known
		case "output_tokens":
			c.known = count(&c.output, value) || c.known
		case "cache_read_input_tokens":
			count(&c.cacheRead, value)
		case "cache_creation_input_tokens":
			count(&c.cacheWrite, value)
		case "cache_creation":
			if value.Kind() != tape.Object {
				continue
			}
			count(&c.write5m, value.Get("ephemeral_5m_input_tokens"))
			count(&c.write1h, value.Get("ephemeral_1h_input_tokens"))
		case "output_tokens_details":
			count(&c.reasoning, value.Get("thinking_tokens"))
		default:
			continue
		}
		any = true
	}
	return any
}

// count takes a number of tokens if v is one.
func count(at *int64, v tape.Value) bool {
	n, ok := v.Int()
	if ok {
		*at = max(n, 0)
	}
	return ok
}

// usage returns the counts in neutral form. Writes to the cache whose time to
// live was not told count as short.
func (c *counts) usage() chat.Usage {
	written := max(c.cacheWrite, c.write5m+c.write1h)
	long := min(c.write1h, written)
	return chat.Usage{
		Known:         c.known,
		InputUncached: c.input,
		CacheRead:     c.cacheRead,
		CacheWrite5m:  written - long,
		CacheWrite1h:  long,
		Output:        c.output,
		Reasoning:     c.reasoning,
	}
}

// appendUsage appends a usage object. Counts that are not known are zeros.
func appendUsage(dst []byte, u *chat.Usage) []byte {
	dst = appendCount(dst, `{"input_tokens":`, u.InputUncached)
	dst = appendCount(dst, `,"cache_creation_input_tokens":`, u.CacheWrite())
	dst = appendCount(dst, `,"cache_read_input_tokens":`, u.CacheRead)
	if u.CacheWrite1h > 0 {
		dst = appendCount(dst, `,"cache_creation":{"ephemeral_5m_input_tokens":`, u.CacheWrite5m)
		dst = appendCount(dst, `,"ephemeral_1h_input_tokens":`, u.CacheWrite1h)
		dst = append(dst, '}')
	}
	dst = appendCount(dst, `,"output_tokens":`, u.Output)
	if u.Reasoning > 0 {
		dst = appendCount(dst, `,"output_tokens_details":{"thinking_tokens":`, u.Reasoning)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendCount appends a number, which is never negative, behind its key.
func appendCount(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(dst, key...), max(n, 0), 10)
}
