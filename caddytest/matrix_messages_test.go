package caddytest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// messagesSpeaker speaks Anthropic Messages.
type messagesSpeaker struct{}

func (messagesSpeaker) path(talk) string { return "/v1/messages" }

func (messagesSpeaker) say(t talk) string {
	o := object{"model": t.model, "max_tokens": 8000}
	if t.system != "" {
		o["system"] = t.system
	}
	if t.marked {
		o["system"] = []any{object{"type": "text", "text": t.system, "cache_control": object{"type": "ephemeral"}}}
	}
	var messages []any
	for i, turn := range t.turns {
		role := "user"
		switch {
		case turn.assistant:
			role = "assistant"
		case turn.system:
			role = "system"
		}
		blocks := messagesBlocks(turn)
		if t.marked && i == len(t.turns)-1 {
			blocks[0].(object)["cache_control"] = object{"type": "ephemeral"}
		}
		content := any(blocks)
		if turn.raw != "" {
			content = json.RawMessage(turn.raw)
		}
		messages = append(messages, object{"role": role, "content": content})
	}
	o["messages"] = messages
	if t.stream {
		o["stream"] = true
	}
	var tools []any
	for _, name := range t.tools {
		tools = append(tools, object{"name": name, "description": "Knows " + name + ".", "input_schema": citySchema})
	}
	if t.search {
		tools = append(tools, object{"type": "web_search_20250305", "name": "web_search"})
	}
	if tools != nil {
		o["tools"] = tools
	}
	if t.force != "" {
		o["tool_choice"] = object{"type": "tool", "name": t.force}
	}
	if t.limit > 0 {
		o["max_tokens"] = t.limit
	}
	output := object{}
	if t.schema != "" {
		output["format"] = object{"type": "json_schema", "schema": json.RawMessage(t.schema)}
	}
	if t.effort != "" {
		o["thinking"] = object{"type": "adaptive", "display": "summarized"}
		output["effort"] = t.effort
	}
	if len(output) > 0 {
		o["output_config"] = output
	}
	return written(o, t)
}

// messagesBlocks are the blocks of a turn.
func messagesBlocks(t turn) []any {
	var out []any
	for _, p := range t.parts {
		switch p.kind {
		case partText:
			out = append(out, object{"type": "text", "text": p.text})
		case partImage, partDocument:
			source := object{"type": "base64", "media_type": p.mime, "data": p.data}
			if p.url != "" {
				source = object{"type": "url", "url": p.url}
			}
			out = append(out, object{"type": string(p.kind), "source": source})
		case partCall:
			out = append(out, object{"type": "tool_use", "id": p.id, "name": p.name, "input": json.RawMessage(p.arguments)})
		case partResult:
			content := any(p.text)
			if p.image != "" {
				content = []any{object{"type": "text", "text": p.text}, object{"type": "image", "source": object{"type": "base64", "media_type": "image/png", "data": p.image}}}
			}
			result := object{"type": "tool_result", "tool_use_id": p.id, "content": content}
			if p.failed {
				result["is_error"] = true
			}
			out = append(out, result)
		}
	}
	return out
}

func (messagesSpeaker) understand(body []byte) talk {
	doc := gjson.ParseBytes(body)
	t := talk{
		model:  doc.Get("model").String(),
		stream: doc.Get("stream").Bool(),
		system: chatText(doc.Get("system")),
		schema: doc.Get("output_config.format.schema").Raw,
		limit:  int(doc.Get("max_tokens").Int()),
		force:  doc.Get("tool_choice.name").String(),
		effort: doc.Get("output_config.effort").String(),
	}
	if budget := doc.Get("thinking.budget_tokens"); budget.Exists() {
		t.effort = "a budget of " + budget.Raw
	}
	for _, tool := range doc.Get("tools").Array() {
		if strings.HasPrefix(tool.Get("type").String(), "web_search") {
			t.search = true
			continue
		}
		t.tools = append(t.tools, tool.Get("name").String())
	}
	for _, message := range doc.Get("messages").Array() {
		t.turns = append(t.turns, turn{assistant: message.Get("role").String() == "assistant", parts: messagesParts(message.Get("content"))})
	}
	return t
}

// messagesParts are the parts of a content.
func messagesParts(content gjson.Result) []part {
	if content.Type == gjson.String {
		return []part{{kind: partText, text: content.Str}}
	}
	var out []part
	for _, block := range content.Array() {
		p := part{kind: partKind(block.Get("type").String())}
		switch p.kind {
		case partText:
			p.text = block.Get("text").String()
		case partImage, partDocument:
			p.mime, p.data = block.Get("source.media_type").String(), block.Get("source.data").String()
		case partThinking:
			p.text, p.signature = block.Get("thinking").String(), block.Get("signature").String()
		case "tool_use":
			p.kind, p.id, p.name, p.arguments = partCall, block.Get("id").String(), block.Get("name").String(), block.Get("input").Raw
		case "tool_result":
			p.kind, p.id, p.failed = partResult, block.Get("tool_use_id").String(), block.Get("is_error").Bool()
			p.text = chatText(block.Get("content"))
			p.image = block.Get(`content.#(type=="image").source.data`).String()
		}
		out = append(out, p)
	}
	return out
}

func (messagesSpeaker) answer(body string) (reply, error) {
	doc := gjson.Parse(body)
	if doc.Get("type").String() != "message" || !doc.Get("content").IsArray() {
		return reply{}, fmt.Errorf("no message: %s", body)
	}
	out := reply{
		stop:    messagesStop(doc.Get("stop_reason").String()),
		usage:   messagesUsage(doc.Get("usage")),
		counted: doc.Get("usage").IsObject(),
		history: turn{assistant: true, raw: doc.Get("content").Raw},
	}
	for _, block := range doc.Get("content").Array() {
		out.text += block.Get("text").String()
		out.thinking += block.Get("thinking").String()
		out.sources = append(out.sources, messagesSources(block.Get("citations").Array()...)...)
		if block.Get("type").String() == "thinking" && !block.Get("signature").Exists() {
			return out, fmt.Errorf("a thinking block has no signature: %s", body)
		}
	}
	for _, p := range messagesParts(doc.Get("content")) {
		if p.kind == partCall {
			out.calls = append(out.calls, p)
		}
	}
	return out, nil
}

// messagesSources are the pages that citations name.
func messagesSources(citations ...gjson.Result) (out []string) {
	for _, citation := range citations {
		out = append(out, citation.Get("url").String()+" "+citation.Get("title").String())
	}
	return out
}

// messagesStop is what a stop_reason means.
func messagesStop(reason string) stopWord {
	return map[string]stopWord{"end_turn": stopEnd, "tool_use": stopCalls, "max_tokens": stopLimit, "refusal": stopFiltered}[reason]
}

// messagesUsage reads a usage object.
func messagesUsage(u gjson.Result) provider.Usage {
	read, write := int(u.Get("cache_read_input_tokens").Int()), int(u.Get("cache_creation_input_tokens").Int())
	return provider.Usage{
		Prompt: int(u.Get("input_tokens").Int()) + read + write, CacheRead: read, CacheWrite: write,
		Output:    int(u.Get("output_tokens").Int()),
		Reasoning: int(u.Get("output_tokens_details.thinking_tokens").Int()),
	}
}

func (messagesSpeaker) listen(body string) (reply, error) {
	events, err := splitEvents(body)
	if err != nil {
		return reply{}, err
	}
	var out reply
	usage := map[string]gjson.Result{}
	open, blocks := int64(-1), int64(0)
	for i, ev := range events {
		doc := gjson.Parse(ev.data)
		kind := doc.Get("type").String()
		switch {
		case ev.name != kind:
			return out, fmt.Errorf("an event of the type %s has the name %q", kind, ev.name)
		case out.ended || out.failure != "":
			return out, fmt.Errorf("the stream goes on behind its end: %s", ev.data)
		case (i == 0) != (kind == "message_start") && kind != "error":
			return out, fmt.Errorf("event %d is %s", i, kind)
		}
		at := doc.Get("index").Int()
		switch kind {
		case "message_start":
			mergeUsage(usage, doc.Get("message.usage"))
		case "content_block_start":
			if open >= 0 || at != blocks {
				return out, fmt.Errorf("block %d starts while %d is open", at, open)
			}
			open, blocks = at, blocks+1
			if block := doc.Get("content_block"); block.Get("type").String() == "tool_use" {
				out.calls = append(out.calls, part{kind: partCall, id: block.Get("id").String(), name: block.Get("name").String()})
			}
		case "content_block_delta":
			if at != open {
				return out, fmt.Errorf("a delta of block %d while %d is open", at, open)
			}
			out.text += doc.Get("delta.text").String()
			out.thinking += doc.Get("delta.thinking").String()
			if citation := doc.Get("delta.citation"); citation.Exists() {
				out.sources = append(out.sources, messagesSources(citation)...)
			}
			if piece := doc.Get("delta.partial_json"); piece.Exists() {
				out.calls[len(out.calls)-1].arguments += piece.String()
			}
		case "content_block_stop":
			open = -1
		case "message_delta":
			out.stop = messagesStop(doc.Get("delta.stop_reason").String())
			mergeUsage(usage, doc.Get("usage"))
		case "message_stop":
			out.ended = out.stop != "" && open < 0
		case "error":
			out.failure = doc.Get("error.message").String()
		}
	}
	out.counted = len(usage) > 0
	out.usage = messagesUsage(joined(usage))
	return out, nil
}

// mergeUsage takes counts, of which later ones replace earlier ones.
func mergeUsage(into map[string]gjson.Result, u gjson.Result) {
	u.ForEach(func(key, value gjson.Result) bool {
		into[key.String()] = value
		return true
	})
}

// joined is an object of members.
func joined(members map[string]gjson.Result) gjson.Result {
	var out []string
	for name, value := range members {
		out = append(out, fmt.Sprintf("%q:%s", name, value.Raw))
	}
	return gjson.Parse("{" + strings.Join(out, ",") + "}")
}

func (messagesSpeaker) refused(body string) (refusal, error) {
	doc := gjson.Parse(body)
	if doc.Get("type").String() != "error" || !doc.Get("error.message").Exists() {
		return refusal{}, fmt.Errorf("no error of Messages: %s", body)
	}
	return refusal{kind: doc.Get("error.type").String(), message: doc.Get("error.message").String()}, nil
}
