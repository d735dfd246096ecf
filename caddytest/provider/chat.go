package provider

import (
	"fmt"
	"strings"
)

// chatDocument is a whole answer of OpenAI chat.
func chatDocument(a asked, s Step) string {
	var text, thinking, refusal string
	var calls, details, annotations []string
	logprobs := "null"
	for _, b := range s.content {
		switch b.kind {
		case blockText:
			text += b.text
			logprobs = b.chatLogprobs(b.text)
			annotations = append(annotations, b.chatAnnotations()...)
		case blockCustom:
			calls = append(calls, object("id", quote(b.id), "type", `"custom"`, "custom", object("name", quote(b.name), "input", quote(b.text))))
		case blockCall:
			calls = append(calls, object("id", quote(b.id), "type", `"function"`,
				"function", object("name", quote(b.name), "arguments", quote(b.arguments))))
		case blockThinking:
			thinking += b.text
			details = append(details, chatSignature(len(details), b)...)
		case blockRedacted:
			details = append(details, chatSignature(len(details), b)...)
		case blockRefusal:
			refusal += b.text
		}
	}
	content := quote(text)
	if text == "" && (len(calls) > 0 || refusal != "") {
		content = "null"
	}
	message := object("role", `"assistant"`, "content", content, "reasoning_content", optional(thinking),
		"reasoning_details", list(details), "tool_calls", list(calls), "refusal", quoteOrNull(refusal), "annotations", list(annotations))
	choice := object("index", "0", "message", message, "logprobs", logprobs, "finish_reason", quote(chatStop(s)))
	return object("id", a.id("chatcmpl"), "object", `"chat.completion"`, "created", "1767225600",
		"model", quote(a.Model), "choices", array(choice), "usage", chatUsage(s.usage()))
}

// chatSignature is the entry of reasoning_details that carries a signature, as
// OpenRouter has it; none without a signature.
func chatSignature(index int, b block) []string {
	switch {
	case b.kind == blockRedacted:
		return []string{object("type", `"reasoning.encrypted"`, "data", quote(b.signature), "index", fmt.Sprint(index))}
	case b.signature != "":
		return []string{object("type", `"reasoning.text"`, "text", quote(b.text), "signature", quote(b.signature), "index", fmt.Sprint(index))}
	default:
		return nil
	}
}

// chatStop is the finish_reason of OpenAI chat.
func chatStop(s Step) string { return s.stopWord("stop", "tool_calls", "length", "content_filter") }

// chatUsage is a usage object of OpenAI chat.
func chatUsage(u Usage) string {
	var prompt, completion string
	if u.CacheRead+u.CacheWrite > 0 {
		prompt = object("cached_tokens", fmt.Sprint(u.CacheRead), "cache_write_tokens", number(u.CacheWrite))
	}
	if u.Reasoning > 0 {
		completion = object("reasoning_tokens", fmt.Sprint(u.Reasoning))
	}
	return object("prompt_tokens", fmt.Sprint(u.Prompt), "completion_tokens", fmt.Sprint(u.Output),
		"total_tokens", fmt.Sprint(u.Prompt+u.Output), "prompt_tokens_details", prompt, "completion_tokens_details", completion)
}

// list is an array, or nothing if it is empty.
func list(elements []string) string {
	if len(elements) == 0 {
		return ""
	}
	return array(elements...)
}

// optional is a string, or nothing if it is empty.
func optional(s string) string {
	if s == "" {
		return ""
	}
	return quote(s)
}

// quoteOrNull is a string, or null if it is empty.
func quoteOrNull(s string) string {
	if s == "" {
		return "null"
	}
	return quote(s)
}

// chatStream collects the chunks of OpenAI chat.
type chatStream struct {
	id, model string // the first is JSON
	calls     int
	events    []event
}

// chunk adds a chunk.
func (c *chatStream) chunk(choices, usage string, content bool) {
	c.events = append(c.events, event{content: content, raw: "data: " + object("id", c.id,
		"object", `"chat.completion.chunk"`, "created", "1767225600", "model", quote(c.model),
		"choices", array(choices), "usage", usage) + "\n\n"})
}

// delta adds a chunk with a delta.
func (c *chatStream) delta(content bool, pairs ...string) {
	c.chunk(object("index", "0", "delta", object(pairs...), "finish_reason", "null"), "", content)
}

// text adds the chunks of a text.
func (c *chatStream) text(b block) {
	for _, word := range words(b.text) {
		c.chunk(object("index", "0", "delta", object("content", quote(word)), "logprobs", b.chatLogprobs(word), "finish_reason", "null"), "", true)
	}
	if annotations := b.chatAnnotations(); annotations != nil {
		c.delta(false, "annotations", array(annotations...))
	}
}

// block adds the chunks of a block.
func (c *chatStream) block(b block) {
	member := map[blockKind]string{blockThinking: "reasoning_content", blockRefusal: "refusal"}[b.kind]
	switch b.kind {
	case blockText:
		c.text(b)
		return
	case blockCall:
		c.call(b, "function", "arguments", b.arguments)
		return
	case blockCustom:
		c.call(b, "custom", "input", b.text)
		return
	}
	if member != "" {
		for _, word := range words(b.text) {
			c.delta(true, member, quote(word))
		}
	}
	if details := chatSignature(0, b); len(details) > 0 {
		if b.kind == blockThinking { // the text has been said
			details[0] = strings.Replace(details[0], `"text":`+quote(b.text)+",", "", 1)
		}
		c.delta(false, "reasoning_details", array(details...))
	}
}

// call adds the chunks of a call: of a kind, whose member brings its input.
func (c *chatStream) call(b block, kind, member, input string) {
	index := fmt.Sprint(c.calls)
	c.calls++
	c.delta(true, "tool_calls", array(object("index", index, "id", quote(b.id), "type", quote(kind),
		kind, object("name", quote(b.name), member, `""`))))
	for _, word := range words(input) {
		c.delta(true, "tool_calls", array(object("index", index, kind, object(member, quote(word)))))
	}
}

// chatEvents are the chunks of OpenAI chat.
func chatEvents(a asked, s Step) []event {
	c := &chatStream{id: a.id("chatcmpl"), model: a.Model}
	c.delta(false, "role", `"assistant"`, "content", `""`)
	for _, b := range s.content {
		c.block(b)
	}
	c.chunk(object("index", "0", "delta", "{}", "finish_reason", quote(chatStop(s))), "", false)
	if a.StreamOptions.IncludeUsage {
		c.chunk("", chatUsage(s.usage()), false)
	}
	return append(c.events, event{raw: "data: [DONE]\n\n"})
}
