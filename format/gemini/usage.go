package gemini

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// counts are the numbers of tokens as the format tells them. A stream repeats
// them with every chunk: a later number replaces an earlier one, what a chunk
// leaves out stays, and nothing is ever added up.
type counts struct {
	known             bool
	hasCandidates     bool
	prompt, cached    int64
	candidates        int64 // without thoughts
	thoughts          int64
	toolPrompt, total int64
	audioIn, audioOut int64
}

// take takes the numbers that v has. It tells whether there were any.
func (c *counts) take(v tape.Value) bool {
	any := false
	for key, value := range v.Members {
		switch string(canonical(key)) {
		case "promptTokenCount":
			any = count(&c.prompt, value) || any
		case "cachedContentTokenCount":
			any = count(&c.cached, value) || any
		case "candidatesTokenCount":
			got := count(&c.candidates, value)
			c.hasCandidates = c.hasCandidates || got
			any = got || any
		case "thoughtsTokenCount":
			any = count(&c.thoughts, value) || any
		case "toolUsePromptTokenCount":
			any = count(&c.toolPrompt, value) || any
		case "totalTokenCount":
			any = count(&c.total, value) || any
		case "promptTokensDetails":
			audio(&c.audioIn, value)
		case "candidatesTokensDetails":
			audio(&c.audioOut, value)
		}
	}
	c.known = c.known || any
	return any
}

// count takes a number of tokens if v is one.
func count(at *int64, v tape.Value) bool {
	n, ok := v.Int()
	if ok {
		*at = min(max(n, 0), 1<<50)
	}
	return ok
}

// audio takes the number of tokens of sound among those of several kinds.
func audio(at *int64, v tape.Value) {
	for element := range v.Elements {
		if element.Get("modality").Is("AUDIO") {
			count(at, element.Get("tokenCount"))
		}
	}
}

// usage returns the counts in neutral form. Answers that were cut off before
// their first token, and some servers, leave candidatesTokenCount out: then it
// follows from the total.
func (c *counts) usage() chat.Usage {
	output := c.candidates + c.thoughts
	if !c.hasCandidates {
		output = max(c.total-c.prompt-c.toolPrompt, c.thoughts)
	}
	cached := min(c.cached, c.prompt)
	return chat.Usage{
		Known:         c.known,
		InputUncached: c.prompt - cached + c.toolPrompt,
		CacheRead:     cached,
		Output:        output,
		Reasoning:     c.thoughts,
		AudioIn:       c.audioIn,
		AudioOut:      c.audioOut,
	}
}

// appendUsage appends a usageMetadata object. Counts that are not known are
// zeros.
func appendUsage(dst []byte, u *chat.Usage) []byte {
	reasoning := min(max(u.Reasoning, 0), max(u.Output, 0))
	dst = appendCount(dst, `{"promptTokenCount":`, u.Prompt())
	dst = appendCount(dst, `,"candidatesTokenCount":`, u.Output-reasoning)
	dst = appendCount(dst, `,"totalTokenCount":`, u.Prompt()+u.Output)
	if u.CacheRead > 0 {
		dst = appendCount(dst, `,"cachedContentTokenCount":`, u.CacheRead)
	}
	if reasoning > 0 {
		dst = appendCount(dst, `,"thoughtsTokenCount":`, reasoning)
	}
	return append(dst, '}')
}

// appendCount appends a number, which is never negative, behind its key.
func appendCount(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(dst, key...), max(n, 0), 10)
}
