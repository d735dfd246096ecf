package provider

import (
	"encoding/base64"
	"fmt"
)

// geminiDocument is a whole answer of Gemini.
func geminiDocument(a asked, s Step) string {
	var parts []string
	logprobs := ""
	for _, p := range geminiParts(s) {
		parts = append(parts, p.raw(p.text))
		logprobs += p.geminiLogprobs(p.text)
	}
	return geminiChunk(a, s, geminiCandidate{parts: parts, stop: geminiStop(s), logprobs: logprobs, grounding: geminiGrounding(s)})
}

// geminiStop is the finishReason of Gemini.
func geminiStop(s Step) string {
	if s.has(blockRefusal) {
		return "SAFETY"
	}
	return s.stopWord("STOP", "STOP", "MAX_TOKENS", "SAFETY")
}

// geminiCandidate is what an answer, or an event of a stream, holds; only the last
// event has a reason to stop and sources.
type geminiCandidate struct {
	parts                     []string
	stop, logprobs, grounding string
}

// geminiChunk is an answer, or an event of a stream.
func geminiChunk(a asked, s Step, c geminiCandidate) string {
	content := object("parts", list(c.parts), "role", `"model"`)
	return object("candidates", array(object("content", content, "finishReason", optional(c.stop), "index", "0",
		"logprobsResult", c.logprobs, "groundingMetadata", c.grounding)),
		"usageMetadata", geminiUsage(s.usage()), "modelVersion", quote(a.Model), "responseId", a.id("gemini"))
}

// geminiUsage is a usageMetadata object. The format counts thoughts beside the
// candidates and knows no writes to a cache.
func geminiUsage(u Usage) string {
	return object("promptTokenCount", fmt.Sprint(u.Prompt), "candidatesTokenCount", fmt.Sprint(u.Output-u.Reasoning),
		"totalTokenCount", fmt.Sprint(u.Prompt+u.Output), "cachedContentTokenCount", number(u.CacheRead), "thoughtsTokenCount", number(u.Reasoning))
}

// geminiPart is a part of an answer: a block, with the signature of the thought
// before it.
type geminiPart struct{ block }

// geminiParts are the parts of a content. The signature of a thought stands on
// the part behind it, as Gemini has it, or on the thought if none follows.
func geminiParts(s Step) []geminiPart {
	var out []geminiPart
	carried := ""
	for i, b := range s.content {
		if b.kind == blockRedacted {
			continue
		}
		b = b.asFunction()
		if b.kind == blockThinking && i+1 < len(s.content) {
			carried, b.signature = b.signature, ""
		} else if b.kind != blockThinking {
			b.signature, carried = carried, ""
		}
		out = append(out, geminiPart{b})
	}
	return out
}

// raw is the part with a text, which may be a piece of its own.
func (p geminiPart) raw(text string) string {
	signature := ""
	if p.signature != "" {
		signature = quote(base64.StdEncoding.EncodeToString([]byte(p.signature)))
	}
	switch p.kind {
	case blockCall:
		return object("functionCall", object("id", optional(p.id), "name", quote(p.name), "args", p.arguments), "thoughtSignature", signature)
	case blockThinking:
		return object("text", quote(text), "thought", "true", "thoughtSignature", signature)
	default:
		return object("text", quote(text), "thoughtSignature", signature)
	}
}

// geminiEvents are the events of Gemini.
func geminiEvents(a asked, s Step) []event {
	var out []event
	send := func(content bool, c geminiCandidate, part string) {
		c.parts = []string{part}
		out = append(out, event{content: content, raw: "data: " + geminiChunk(a, s, c) + "\n\n"})
	}
	for _, p := range geminiParts(s) {
		if p.kind == blockCall {
			send(true, geminiCandidate{}, p.raw(""))
			continue
		}
		all := words(p.text)
		for i, word := range all {
			piece := p
			if i < len(all)-1 {
				piece.signature = ""
			}
			send(true, geminiCandidate{logprobs: p.geminiLogprobs(word)}, piece.raw(word))
		}
	}
	send(false, geminiCandidate{stop: geminiStop(s), grounding: geminiGrounding(s)}, object("text", `""`))
	return out
}
