package caddytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// chatSpeaker speaks OpenAI Chat Completions.
type chatSpeaker struct{}

func (chatSpeaker) path(talk) string { return "/v1/chat/completions" }

func (chatSpeaker) say(t talk) string {
	o := object{"model": t.model}
	var messages []any
	if t.system != "" {
		messages = append(messages, object{"role": "system", "content": t.system})
	}
	for _, turn := range t.turns {
		if turn.raw != "" {
			messages = append(messages, elementsOf(turn.raw)...)
			continue
		}
		messages = append(messages, chatMessages(turn)...)
	}
	o["messages"] = messages
	if t.stream {
		o["stream"] = true
		o["stream_options"] = object{"include_usage": true}
	}
	var tools []any
	for _, name := range t.tools {
		tools = append(tools, object{"type": "function", "function": object{"name": name, "description": "Knows " + name + ".", "parameters": citySchema}})
	}
	if tools != nil {
		o["tools"] = tools
	}
	if t.force != "" {
		o["tool_choice"] = object{"type": "function", "function": object{"name": t.force}}
	}
	if t.schema != "" {
		o["response_format"] = object{"type": "json_schema", "json_schema": object{"name": "answer", "strict": true, "schema": json.RawMessage(t.schema)}}
	}
	if t.limit > 0 {
		o["max_completion_tokens"] = t.limit
	}
	if t.effort != "" {
		o["reasoning_effort"] = t.effort
	}
	return written(o, t)
}

// chatMessages are the messages of a turn: one, or one for each result.
func chatMessages(t turn) []any {
	var results, content, calls []any
	for _, p := range t.parts {
		switch p.kind {
		case partText:
			content = append(content, object{"type": "text", "text": p.text})
		case partImage:
			content = append(content, object{"type": "image_url", "image_url": object{"url": dataURL(p)}})
		case partDocument:
			content = append(content, object{"type": "file", "file": object{"file_data": dataURL(p), "filename": "report.pdf"}})
		case partCall:
			calls = append(calls, object{"id": p.id, "type": "function", "function": object{"name": p.name, "arguments": p.arguments}})
		case partResult:
			results = append(results, object{"role": "tool", "tool_call_id": p.id, "content": p.text})
		}
	}
	if t.assistant {
		message := object{"role": "assistant", "content": nil}
		if len(content) > 0 {
			message["content"] = t.parts[0].text
		}
		if len(calls) > 0 {
			message["tool_calls"] = calls
		}
		return []any{message}
	}
	if len(content) > 0 {
		results = append(results, object{"role": "user", "content": content})
	}
	return results
}

// dataURL is the address of an image or a document; its data as a URL if it has
// none.
func dataURL(p part) string {
	if p.url != "" {
		return p.url
	}
	return "data:" + p.mime + ";base64," + p.data
}

// fromDataURL is the reverse of dataURL.
func fromDataURL(kind partKind, url string) part {
	mime, data, _ := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,")
	return part{kind: kind, mime: mime, data: data}
}

func (chatSpeaker) understand(body []byte) talk {
	doc := gjson.ParseBytes(body)
	t := talk{
		model:  doc.Get("model").String(),
		stream: doc.Get("stream").Bool(),
		schema: doc.Get("response_format.json_schema.schema").Raw,
		limit:  int(doc.Get("max_completion_tokens").Int() + doc.Get("max_tokens").Int()),
		effort: doc.Get("reasoning_effort").String(),
		force:  doc.Get("tool_choice.function.name").String(),
	}
	for _, tool := range doc.Get("tools.#.function.name").Array() {
		t.tools = append(t.tools, tool.String())
	}
	for _, message := range doc.Get("messages").Array() {
		switch role := message.Get("role").String(); role {
		case "system", "developer":
			t.system += chatText(message.Get("content"))
		default:
			t.turns = append(t.turns, turn{assistant: role == "assistant", parts: chatParts(message)})
		}
	}
	return t
}

// chatText is a content as one text.
func chatText(content gjson.Result) string {
	if content.Type == gjson.String {
		return content.Str
	}
	var out []string
	for _, text := range content.Get("#.text").Array() {
		out = append(out, text.String())
	}
	return strings.Join(out, "\n")
}

// chatParts are the parts of a message.
func chatParts(message gjson.Result) []part {
	if message.Get("role").String() == "tool" {
		text, failed := strings.CutPrefix(chatText(message.Get("content")), "Error: ")
		return []part{{kind: partResult, id: message.Get("tool_call_id").String(), text: text, failed: failed}}
	}
	var out []part
	for _, detail := range message.Get("reasoning_details").Array() {
		out = append(out, part{kind: partThinking, text: detail.Get("text").String(), signature: detail.Get("signature").String() + detail.Get("data").String()})
	}
	content := message.Get("content")
	if content.Type == gjson.String && content.Str != "" {
		out = append(out, part{kind: partText, text: content.Str})
	}
	for _, p := range content.Array() {
		switch p.Get("type").String() {
		case "text":
			out = append(out, part{kind: partText, text: p.Get("text").String()})
		case "image_url":
			out = append(out, fromDataURL(partImage, p.Get("image_url.url").String()))
		case "file":
			out = append(out, fromDataURL(partDocument, p.Get("file.file_data").String()))
		}
	}
	return append(out, chatCalls(message.Get("tool_calls"))...)
}

// chatCalls are the calls of a message.
func chatCalls(calls gjson.Result) []part {
	var out []part
	for _, c := range calls.Array() {
		out = append(out, part{
			kind: partCall, id: c.Get("id").String(), name: c.Get("function.name").String(),
			arguments: c.Get("function.arguments").String(), signature: unbase64(c.Get("extra_content.google.thought_signature").String()),
		})
	}
	return out
}

func (chatSpeaker) answer(body string) (reply, error) {
	doc := gjson.Parse(body)
	message := doc.Get("choices.0.message")
	if !message.Exists() || doc.Get("object").String() != "chat.completion" {
		return reply{}, fmt.Errorf("no chat completion: %s", body)
	}
	return reply{
		text:     message.Get("content").String(),
		thinking: message.Get("reasoning_content").String(),
		refusal:  message.Get("refusal").String(),
		calls:    chatCalls(message.Get("tool_calls")),
		stop:     chatStop(doc.Get("choices.0.finish_reason").String()),
		usage:    chatUsage(doc.Get("usage")),
		counted:  doc.Get("usage").IsObject(),
		history:  turn{assistant: true, raw: message.Raw},
	}, nil
}

// chatStop is what a finish_reason means.
func chatStop(reason string) stopWord {
	return map[string]stopWord{"stop": stopEnd, "tool_calls": stopCalls, "length": stopLimit, "content_filter": stopFiltered}[reason]
}

// chatUsage reads a usage object.
func chatUsage(u gjson.Result) provider.Usage {
	return provider.Usage{
		Prompt:     int(u.Get("prompt_tokens").Int()),
		CacheRead:  int(u.Get("prompt_tokens_details.cached_tokens").Int()),
		CacheWrite: int(u.Get("prompt_tokens_details.cache_write_tokens").Int()),
		Output:     int(u.Get("completion_tokens").Int()),
		Reasoning:  int(u.Get("completion_tokens_details.reasoning_tokens").Int()),
	}
}

func (chatSpeaker) listen(body string) (reply, error) {
	events, err := splitEvents(body)
	if err != nil {
		return reply{}, err
	}
	var out reply
	id := ""
	for i, ev := range events {
		doc := gjson.Parse(ev.data)
		switch {
		case ev.name != "":
			return out, fmt.Errorf("an event of Chat has the name %q", ev.name)
		case out.ended || out.failure != "":
			return out, fmt.Errorf("the stream goes on behind its end: %s", ev.data)
		case ev.data == "[DONE]":
			out.ended = out.stop != ""
			continue
		case doc.Get("error").Exists():
			out.failure = doc.Get("error.message").String()
			continue
		case id != "" && doc.Get("id").String() != id:
			return out, fmt.Errorf("chunk %d has another id: %s", i, ev.data)
		}
		id = doc.Get("id").String()
		if err := out.takeChunk(doc); err != nil {
			return out, err
		}
	}
	return out, nil
}

// takeChunk takes a chunk of OpenAI chat.
func (r *reply) takeChunk(doc gjson.Result) error {
	if u := doc.Get("usage"); u.IsObject() {
		r.usage, r.counted = chatUsage(u), true
	}
	delta := doc.Get("choices.0.delta")
	r.text += delta.Get("content").String()
	r.thinking += delta.Get("reasoning_content").String()
	r.refusal += delta.Get("refusal").String()
	for _, c := range delta.Get("tool_calls").Array() {
		at := int(c.Get("index").Int())
		switch {
		case at == len(r.calls):
			r.calls = append(r.calls, chatCalls(gjson.Parse("["+c.Raw+"]"))...)
			continue
		case at > len(r.calls):
			return fmt.Errorf("call %d comes behind %d others", at, len(r.calls))
		case c.Get("id").Exists():
			return fmt.Errorf("call %d has an id twice", at)
		}
		r.calls[at].arguments += c.Get("function.arguments").String()
	}
	if reason := doc.Get("choices.0.finish_reason").String(); reason != "" {
		if r.stop != "" {
			return errors.New("there are two finish_reasons")
		}
		r.stop = chatStop(reason)
	}
	return nil
}

func (chatSpeaker) refused(body string) (refusal, error) { return openAIRefusal(body) }

// openAIRefusal reads an error of OpenAI's formats.
func openAIRefusal(body string) (refusal, error) {
	e := gjson.Get(body, "error")
	for _, member := range []string{"message", "type", "param", "code"} {
		if !e.Get(member).Exists() {
			return refusal{}, fmt.Errorf("the error has no %s: %s", member, body)
		}
	}
	return refusal{kind: e.Get("type").String(), message: e.Get("message").String()}, nil
}
