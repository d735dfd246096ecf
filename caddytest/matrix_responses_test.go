package caddytest

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// responsesSpeaker speaks OpenAI Responses.
type responsesSpeaker struct{}

func (responsesSpeaker) path(talk) string { return "/v1/responses" }

func (responsesSpeaker) say(t talk) string {
	o := object{"model": t.model, "store": false, "include": []string{"reasoning.encrypted_content"}}
	if t.system != "" {
		o["instructions"] = t.system
	}
	var items []any
	for i, turn := range t.turns {
		switch {
		case turn.raw != "":
			items = append(items, elementsOf(turn.raw)...)
		case t.marked && i == len(t.turns)-1:
			items = append(items, object{"type": "message", "role": "user", "content": []any{markedPart("input_text", turn.parts[0].text)}})
		default:
			items = append(items, responsesItems(turn)...)
		}
	}
	o["input"] = items
	if t.stream {
		o["stream"] = true
	}
	var tools []any
	for _, name := range t.tools {
		tools = append(tools, object{"type": "function", "name": name, "description": "Knows " + name + ".", "parameters": citySchema, "strict": false})
	}
	for _, name := range t.custom {
		tools = append(tools, object{"type": "custom", "name": name, "description": "Takes a " + name + "."})
	}
	for _, name := range t.spaced {
		function := object{"type": "function", "name": name, "description": "Knows " + name + ".", "parameters": citySchema, "strict": false}
		tools = append(tools, object{"type": "namespace", "name": "notes", "description": "Notes.", "tools": []any{function}})
	}
	if t.search {
		tools = append(tools, object{"type": "web_search"})
	}
	if tools != nil {
		o["tools"] = tools
	}
	if t.force != "" {
		o["tool_choice"] = object{"type": "function", "name": t.force}
	}
	if t.schema != "" {
		o["text"] = object{"format": object{"type": "json_schema", "name": "answer", "strict": true, "schema": json.RawMessage(t.schema)}}
	}
	if t.limit > 0 {
		o["max_output_tokens"] = t.limit
	}
	if t.effort != "" {
		o["reasoning"] = object{"effort": t.effort, "summary": "auto"}
	}
	return written(o, t)
}

// responsesItems are the items of a turn: its results, a message, its calls.
func responsesItems(t turn) []any {
	role, text := "user", "input_text"
	switch {
	case t.assistant:
		role, text = "assistant", "output_text"
	case t.system:
		role = "system"
	}
	var results, content, calls []any
	for _, p := range t.parts {
		switch p.kind {
		case partText:
			content = append(content, object{"type": text, "text": p.text})
		case partImage:
			content = append(content, object{"type": "input_image", "image_url": dataURL(p), "detail": "auto"})
		case partDocument:
			content = append(content, object{"type": "input_file", "file_data": dataURL(p), "filename": "report.pdf"})
		case partCall:
			calls = append(calls, object{"type": "function_call", "call_id": p.id, "name": p.name, "arguments": p.arguments})
		case partResult:
			var output any = p.text
			if p.image != "" {
				output = []any{object{"type": "input_text", "text": p.text}, object{"type": "input_image", "image_url": "data:image/png;base64," + p.image, "detail": "auto"}}
			}
			kind := "function_call_output"
			if p.custom {
				kind = "custom_tool_call_output"
			}
			results = append(results, object{"type": kind, "call_id": p.id, "output": output})
		}
	}
	if len(content) > 0 {
		results = append(results, object{"type": "message", "role": role, "content": content})
	}
	return append(results, calls...)
}

func (responsesSpeaker) understand(body []byte) talk {
	doc := gjson.ParseBytes(body)
	t := talk{
		model:  doc.Get("model").String(),
		stream: doc.Get("stream").Bool(),
		system: doc.Get("instructions").String(),
		schema: doc.Get("text.format.schema").Raw,
		limit:  int(doc.Get("max_output_tokens").Int()),
		effort: doc.Get("reasoning.effort").String(),
	}
	if doc.Get("tool_choice.type").String() == "function" {
		t.force = doc.Get("tool_choice.name").String()
	}
	for _, tool := range doc.Get("tools").Array() {
		switch name := tool.Get("name").String(); tool.Get("type").String() {
		case "custom":
			t.custom = append(t.custom, name)
		case "web_search":
			t.search = true
		case "namespace":
			for _, inner := range tool.Get("tools.#.name").Array() {
				t.spaced = append(t.spaced, inner.String())
			}
		default:
			t.tools = append(t.tools, name)
		}
	}
	if text := doc.Get("input"); text.Type == gjson.String {
		t.turns = append(t.turns, says(text.Str))
	}
	for _, item := range doc.Get("input").Array() {
		if role := item.Get("role").String(); role == "system" || role == "developer" {
			if len(t.turns) > 0 {
				t.turns = append(t.turns, turn{system: true, parts: []part{{kind: partText, text: chatText(item.Get("content"))}}})
				continue
			}
			t.system += chatText(item.Get("content"))
			continue
		}
		if item.IsObject() {
			t.turns = append(t.turns, responsesTurn(item))
		}
	}
	return t
}

// responsesTurn is an item of the input as a turn.
func responsesTurn(item gjson.Result) turn {
	switch item.Get("type").String() {
	case "function_call", "custom_tool_call":
		return turn{assistant: true, parts: responsesCalls(item)}
	case "reasoning":
		return turn{assistant: true, parts: []part{{kind: partThinking, text: item.Get("summary.0.text").String(), signature: item.Get("encrypted_content").String()}}}
	case "function_call_output", "custom_tool_call_output":
		text, failed := strings.CutPrefix(chatText(item.Get("output")), "Error: ")
		return turn{parts: []part{{
			kind: partResult, id: item.Get("call_id").String(), text: text, failed: failed,
			image: fromDataURL(partImage, item.Get(`output.#(type=="input_image").image_url`).String()).data,
		}}}
	}
	out := turn{assistant: item.Get("role").String() == "assistant"}
	if text := item.Get("content"); text.Type == gjson.String {
		out.parts = append(out.parts, part{kind: partText, text: text.Str})
	}
	for _, p := range item.Get("content").Array() {
		switch p.Get("type").String() {
		case "input_text", "output_text":
			out.parts = append(out.parts, part{kind: partText, text: p.Get("text").String()})
		case "input_image":
			out.parts = append(out.parts, fromDataURL(partImage, p.Get("image_url").String()))
		case "input_file":
			out.parts = append(out.parts, fromDataURL(partDocument, p.Get("file_data").String()))
		}
	}
	return out
}

// responsesCalls are the calls among items.
func responsesCalls(items ...gjson.Result) []part {
	var out []part
	for _, item := range items {
		p := part{kind: partCall, id: item.Get("call_id").String(), name: item.Get("name").String(), namespace: item.Get("namespace").String()}
		switch item.Get("type").String() {
		case "function_call":
			p.arguments = item.Get("arguments").String()
		case "custom_tool_call":
			p.custom, p.arguments = true, item.Get("input").String()
		default:
			continue
		}
		out = append(out, p)
	}
	return out
}
