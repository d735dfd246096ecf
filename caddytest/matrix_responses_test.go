package caddytest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
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
	for _, turn := range t.turns {
		if turn.raw != "" {
			items = append(items, elementsOf(turn.raw)...)
			continue
		}
		items = append(items, responsesItems(turn)...)
	}
	o["input"] = items
	if t.stream {
		o["stream"] = true
	}
	var tools []any
	for _, name := range t.tools {
		tools = append(tools, object{"type": "function", "name": name, "description": "Knows " + name + ".", "parameters": citySchema, "strict": false})
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
	if t.assistant {
		role, text = "assistant", "output_text"
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
			results = append(results, object{"type": "function_call_output", "call_id": p.id, "output": output})
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
	for _, tool := range doc.Get("tools.#.name").Array() {
		t.tools = append(t.tools, tool.String())
	}
	if text := doc.Get("input"); text.Type == gjson.String {
		t.turns = append(t.turns, says(text.Str))
	}
	for _, item := range doc.Get("input").Array() {
		if role := item.Get("role").String(); role == "system" || role == "developer" {
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
	case "function_call":
		return turn{assistant: true, parts: responsesCalls(item)}
	case "reasoning":
		return turn{assistant: true, parts: []part{{kind: partThinking, text: item.Get("summary.0.text").String(), signature: item.Get("encrypted_content").String()}}}
	case "function_call_output":
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
		if item.Get("type").String() == "function_call" {
			out = append(out, part{kind: partCall, id: item.Get("call_id").String(), name: item.Get("name").String(), arguments: item.Get("arguments").String()})
		}
	}
	return out
}

func (responsesSpeaker) answer(body string) (reply, error) {
	return responsesReply(gjson.Parse(body))
}

// responsesReply reads a response object.
func responsesReply(doc gjson.Result) (reply, error) {
	if doc.Get("object").String() != "response" || !doc.Get("output").IsArray() {
		return reply{}, fmt.Errorf("no response: %s", doc.Raw)
	}
	out := reply{
		usage: responsesUsage(doc.Get("usage")), counted: doc.Get("usage").IsObject(), stop: stopEnd,
		calls:   responsesCalls(doc.Get("output").Array()...),
		history: turn{assistant: true, raw: doc.Get("output").Raw},
	}
	for _, item := range doc.Get("output").Array() {
		for _, p := range item.Get("content").Array() {
			out.text += p.Get("text").String()
			out.refusal += p.Get("refusal").String()
		}
		for _, s := range item.Get("summary").Array() {
			out.thinking += s.Get("text").String()
		}
	}
	switch reason := doc.Get("incomplete_details.reason").String(); {
	case reason == "max_output_tokens":
		out.stop = stopLimit
	case reason == "content_filter":
		out.stop = stopFiltered
	case len(out.calls) > 0:
		out.stop = stopCalls
	}
	return out, nil
}

// responsesUsage reads a usage object.
func responsesUsage(u gjson.Result) provider.Usage {
	return provider.Usage{
		Prompt:     int(u.Get("input_tokens").Int()),
		CacheRead:  int(u.Get("input_tokens_details.cached_tokens").Int()),
		CacheWrite: int(u.Get("input_tokens_details.cache_write_tokens").Int()),
		Output:     int(u.Get("output_tokens").Int()),
		Reasoning:  int(u.Get("output_tokens_details.reasoning_tokens").Int()),
	}
}

func (responsesSpeaker) listen(body string) (reply, error) {
	events, err := splitEvents(body)
	if err != nil {
		return reply{}, err
	}
	var out reply
	deltas := map[string]string{}
	for i, ev := range events {
		doc := gjson.Parse(ev.data)
		kind := doc.Get("type").String()
		switch {
		case ev.name != kind:
			return out, fmt.Errorf("an event of the type %s has the name %q", kind, ev.name)
		case out.ended || out.failure != "":
			return out, fmt.Errorf("the stream goes on behind its end: %s", ev.data)
		case int(doc.Get("sequence_number").Int()) != i && out.failure == "" && kind != "response.failed":
			return out, fmt.Errorf("event %d has another number: %s", i, ev.data)
		}
		switch kind {
		case "response.completed", "response.incomplete":
			if out, err = responsesReply(doc.Get("response")); err != nil {
				return out, err
			}
			out.ended = true
		case "response.failed":
			out.failure = doc.Get("response.error.message").String()
		case "error":
			out.failure = doc.Get("message").String()
		case "response.output_text.delta":
			deltas["text"] += doc.Get("delta").String()
		case "response.reasoning_summary_text.delta":
			deltas["thinking"] += doc.Get("delta").String()
		case "response.function_call_arguments.delta":
			deltas["arguments"] += doc.Get("delta").String()
		case "response.refusal.delta":
			deltas["refusal"] += doc.Get("delta").String()
		}
	}
	return out, out.sameAs(deltas)
}

// sameAs compares the final response with what the deltas have brought. An
// answer that broke off has no final response: the deltas are all there is.
func (r *reply) sameAs(deltas map[string]string) error {
	if !r.ended {
		r.text, r.thinking = deltas["text"], deltas["thinking"]
		return nil
	}
	arguments := ""
	for _, c := range r.calls {
		arguments += c.arguments
	}
	final := map[string]string{"text": r.text, "thinking": r.thinking, "refusal": r.refusal, "arguments": arguments}
	for name, text := range final {
		if deltas[name] != text {
			return fmt.Errorf("the deltas brought the %s %q, the response %q", name, deltas[name], text)
		}
	}
	return nil
}

func (responsesSpeaker) refused(body string) (refusal, error) { return openAIRefusal(body) }
