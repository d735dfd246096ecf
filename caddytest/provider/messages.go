package provider

import "fmt"

// messagesDocument is a whole answer of Anthropic messages.
func messagesDocument(a asked, s Step) string {
	var blocks []string
	for _, b := range s.content {
		switch b = b.asFunction(); b.kind {
		case blockCall:
			blocks = append(blocks, object("type", `"tool_use"`, "id", quote(b.id), "name", quote(b.name), "input", b.arguments))
		case blockThinking:
			blocks = append(blocks, object("type", `"thinking"`, "thinking", quote(b.text), "signature", quote(b.signature)))
		case blockRedacted:
			blocks = append(blocks, object("type", `"redacted_thinking"`, "data", quote(b.signature)))
		default:
			citations := ""
			if c := b.messagesCitation(); c != "" {
				citations = array(c)
			}
			blocks = append(blocks, object("type", `"text"`, "text", quote(b.text), "citations", citations))
		}
	}
	return object("id", a.id("msg"), "type", `"message"`, "role", `"assistant"`, "model", quote(a.Model),
		"content", array(blocks...), "stop_reason", quote(messagesStop(s)), "stop_sequence", "null", "usage", messagesUsage(s.usage(), s.usage().Output))
}

// messagesStop is the stop reason of Anthropic messages.
func messagesStop(s Step) string {
	if s.has(blockRefusal) {
		return "refusal"
	}
	return s.stopWord("end_turn", "tool_use", "max_tokens", "refusal")
}

// messagesUsage is a usage object of Anthropic messages, with the output so far.
func messagesUsage(u Usage, output int) string {
	details := ""
	if u.Reasoning > 0 && output == u.Output {
		details = object("thinking_tokens", fmt.Sprint(u.Reasoning))
	}
	return object("input_tokens", fmt.Sprint(u.Prompt-u.CacheRead-u.CacheWrite),
		"cache_creation_input_tokens", number(u.CacheWrite), "cache_read_input_tokens", number(u.CacheRead),
		"output_tokens", fmt.Sprint(output), "output_tokens_details", details)
}

// messagesStream collects the events of Anthropic messages.
type messagesStream struct {
	blocks int
	events []event
}

// send adds an event.
func (m *messagesStream) send(content bool, name string, pairs ...string) {
	m.events = append(m.events, event{content: content, raw: "event: " + name + "\ndata: " +
		object(append([]string{"type", quote(name)}, pairs...)...) + "\n\n"})
}

// start adds the start of a block.
func (m *messagesStream) start(content bool, pairs ...string) {
	m.send(content, "content_block_start", "index", fmt.Sprint(m.blocks), "content_block", object(pairs...))
}

// delta adds a delta of the block that was started last.
func (m *messagesStream) delta(content bool, kind, member, value string) {
	m.send(content, "content_block_delta", "index", fmt.Sprint(m.blocks), "delta", object("type", quote(kind), member, quote(value)))
}

// block adds the events of a block.
func (m *messagesStream) block(b block) {
	switch b = b.asFunction(); b.kind {
	case blockCall:
		m.start(true, "type", `"tool_use"`, "id", quote(b.id), "name", quote(b.name), "input", "{}")
		for _, word := range words(b.arguments) {
			m.delta(true, "input_json_delta", "partial_json", word)
		}
	case blockThinking:
		m.start(false, "type", `"thinking"`, "thinking", `""`, "signature", `""`)
		for _, word := range words(b.text) {
			m.delta(true, "thinking_delta", "thinking", word)
		}
		m.delta(false, "signature_delta", "signature", b.signature)
	case blockRedacted:
		m.start(true, "type", `"redacted_thinking"`, "data", quote(b.signature))
	default:
		m.start(false, "type", `"text"`, "text", `""`)
		for _, word := range words(b.text) {
			m.delta(true, "text_delta", "text", word)
		}
		if c := b.messagesCitation(); c != "" {
			m.send(false, "content_block_delta", "index", fmt.Sprint(m.blocks), "delta", object("type", `"citations_delta"`, "citation", c))
		}
	}
	m.send(false, "content_block_stop", "index", fmt.Sprint(m.blocks))
	m.blocks++
}

// messagesEvents are the events of Anthropic messages.
func messagesEvents(a asked, s Step) []event {
	m := new(messagesStream)
	u := s.usage()
	m.send(false, "message_start", "message", object("id", a.id("msg"), "type", `"message"`, "role", `"assistant"`,
		"model", quote(a.Model), "content", "[]", "stop_reason", "null", "stop_sequence", "null", "usage", messagesUsage(u, 1)))
	m.send(false, "ping")
	for _, b := range s.content {
		m.block(b)
	}
	m.send(false, "message_delta", "delta", object("stop_reason", quote(messagesStop(s)), "stop_sequence", "null"), "usage", messagesUsage(u, u.Output))
	m.send(false, "message_stop")
	return m.events
}
