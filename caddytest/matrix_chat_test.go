package caddytest

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// chatSpeaker speaks OpenAI Chat Completions.
type chatSpeaker struct{}

func (chatSpeaker) path(talk) string { return "/v1/chat/completions" }

func (chatSpeaker) say(t talk) string {
	o := object{"model": t.model}
	var messages []any
	if t.system != "" {
		content := any(t.system)
		if t.marked {
			content = []any{markedPart("text", t.system)}
		}
		messages = append(messages, object{"role": "system", "content": content})
	}
	for i, turn := range t.turns {
		switch {
		case turn.raw != "":
			messages = append(messages, elementsOf(turn.raw)...)
		case t.marked && i == len(t.turns)-1:
			messages = append(messages, object{"role": "user", "content": []any{markedPart("text", turn.parts[0].text)}})
		default:
			messages = append(messages, chatMessages(turn)...)
		}
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
	for _, name := range t.custom {
		tools = append(tools, object{"type": "custom", "custom": object{"name": name, "description": "Takes a " + name + "."}})
	}
	if tools != nil {
		o["tools"] = tools
	}
	if t.search {
		o["web_search_options"] = object{}
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

// markedPart is a text part of OpenAI's formats, up to which the provider is to
// cache.
func markedPart(kind, text string) object {
	return object{"type": kind, "text": text, "prompt_cache_breakpoint": object{"mode": "explicit"}}
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
		case partAudio:
			content = append(content, object{"type": "input_audio", "input_audio": object{"data": p.data, "format": strings.TrimPrefix(p.mime, "audio/")}})
		case partCall:
			calls = append(calls, object{"id": p.id, "type": "function", "function": object{"name": p.name, "arguments": p.arguments}})
		case partResult:
			results = append(results, object{"role": "tool", "tool_call_id": p.id, "content": p.text})
		}
	}
	if t.system {
		return []any{object{"role": "system", "content": t.parts[0].text}}
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
	for _, tool := range doc.Get("tools.#.custom.name").Array() {
		t.custom = append(t.custom, tool.String())
	}
	t.search = doc.Get("web_search_options").Exists()
	for _, message := range doc.Get("messages").Array() {
		switch role := message.Get("role").String(); role {
		case "system", "developer":
			if len(t.turns) > 0 {
				t.turns = append(t.turns, turn{system: true, parts: []part{{kind: partText, text: chatText(message.Get("content"))}}})
				continue
			}
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
		case "input_audio":
			out = append(out, part{kind: partAudio, mime: "audio/" + p.Get("input_audio.format").String(), data: p.Get("input_audio.data").String()})
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
		if custom := c.Get("custom"); custom.Exists() {
			out = append(out, part{kind: partCall, custom: true, id: c.Get("id").String(), name: custom.Get("name").String(), arguments: custom.Get("input").String()})
			continue
		}
		out = append(out, part{
			kind: partCall, id: c.Get("id").String(), name: c.Get("function.name").String(),
			arguments: c.Get("function.arguments").String(), signature: unbase64(c.Get("extra_content.google.thought_signature").String()),
		})
	}
	return out
}
