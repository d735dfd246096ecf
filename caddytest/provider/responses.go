package provider

import (
	"fmt"
	"slices"
	"strings"
)

// responsesDocument is a whole answer of OpenAI Responses.
func responsesDocument(a asked, s Step) string {
	var items []string
	for _, item := range responsesItems(s) {
		items = append(items, item.whole())
	}
	return responsesObject(a, responsesStatus(s), s, items)
}

// responsesStatus is the status of a complete answer.
func responsesStatus(s Step) string {
	if s.stop != StopAsSaid {
		return "incomplete"
	}
	return "completed"
}

// responsesObject is a response with its output so far.
func responsesObject(a asked, status string, s Step, output []string) string {
	details, failure, usage := "null", "null", "null"
	switch status {
	case "incomplete":
		details = object("reason", quote(s.stopWord("", "", "max_output_tokens", "content_filter")))
		usage = responsesUsage(s.usage())
	case "completed":
		usage = responsesUsage(s.usage())
	}
	return object("id", a.id("resp"), "object", `"response"`, "created_at", "1767225600", "status", quote(status),
		"background", "false", "error", failure, "incomplete_details", details, "instructions", "null",
		"max_output_tokens", "null", "model", quote(a.Model), "output", array(output...), "parallel_tool_calls", "true",
		"previous_response_id", "null", "reasoning", object("effort", "null", "summary", "null"), "store", "false",
		"temperature", "1.0", "text", `{"format":{"type":"text"},"verbosity":"medium"}`, "tool_choice", `"auto"`,
		"tools", "[]", "top_p", "1.0", "truncation", `"disabled"`, "usage", usage, "user", "null", "metadata", "{}")
}

// responsesUsage is a usage object of OpenAI Responses.
func responsesUsage(u Usage) string {
	return object("input_tokens", fmt.Sprint(u.Prompt),
		"input_tokens_details", object("cached_tokens", fmt.Sprint(u.CacheRead), "cache_write_tokens", fmt.Sprint(u.CacheWrite)),
		"output_tokens", fmt.Sprint(u.Output), "output_tokens_details", object("reasoning_tokens", fmt.Sprint(u.Reasoning)),
		"total_tokens", fmt.Sprint(u.Prompt+u.Output))
}

// responsesItem is an item of the output of OpenAI Responses.
type responsesItem struct {
	block
	id string
}

// responsesItems are the items of a content: one for each block.
func responsesItems(s Step) []responsesItem {
	var out []responsesItem
	for i, b := range s.content {
		prefix := map[blockKind]string{blockCall: "fc", blockCustom: "ctc", blockThinking: "rs", blockRedacted: "rs"}[b.kind]
		if prefix == "" {
			prefix = "msg"
		}
		out = append(out, responsesItem{b, fmt.Sprintf("%s_scripted%d", prefix, i)})
	}
	return out
}

// part is the content part, or the part of a summary, with a text.
func (i responsesItem) part(text string) string {
	switch i.kind {
	case blockThinking:
		return object("type", `"summary_text"`, "text", quote(text))
	case blockRefusal:
		return object("type", `"refusal"`, "refusal", quote(text))
	default:
		annotations := "[]"
		if text != "" {
			annotations = array(i.responsesAnnotations()...)
		}
		return object("type", `"output_text"`, "annotations", annotations, "logprobs", i.tokens(text), "text", quote(text))
	}
}

// whole is the finished item.
func (i responsesItem) whole() string {
	switch i.kind {
	case blockCall:
		return i.call("completed", i.arguments)
	case blockCustom:
		return i.custom("completed", i.text)
	case blockThinking, blockRedacted:
		return i.reasoning(true)
	default:
		return i.message("completed", i.part(i.text))
	}
}

// opened is the item as it is before its content comes.
func (i responsesItem) opened() string {
	switch i.kind {
	case blockCall:
		return i.call("in_progress", "")
	case blockCustom:
		return i.custom("in_progress", "")
	case blockThinking, blockRedacted:
		return i.reasoning(false)
	default:
		return i.message("in_progress", "")
	}
}

// call is the item of a call.
func (i responsesItem) call(status, arguments string) string {
	return object("id", quote(i.id), "type", `"function_call"`, "status", quote(status), "arguments", quote(arguments),
		"call_id", quote(i.block.id), "name", quote(i.name))
}

// custom is the item of a call of a custom tool.
func (i responsesItem) custom(status, input string) string {
	return object("id", quote(i.id), "type", `"custom_tool_call"`, "status", quote(status), "call_id", quote(i.block.id),
		"name", quote(i.name), "input", quote(input))
}

// reasoning is the item of reasoning.
func (i responsesItem) reasoning(whole bool) string {
	var summary []string
	if whole && i.kind == blockThinking {
		summary = append(summary, i.part(i.text))
	}
	return object("id", quote(i.id), "type", `"reasoning"`, "summary", array(summary...), "encrypted_content", optional(i.signature))
}

// message is the item of a text or a refusal.
func (i responsesItem) message(status, content string) string {
	return object("id", quote(i.id), "type", `"message"`, "status", quote(status), "content", array(content), "role", `"assistant"`)
}

// responsesStream collects the events of OpenAI Responses.
type responsesStream struct{ events []event }

// send adds an event with the next sequence number.
func (r *responsesStream) send(content bool, name string, pairs ...string) {
	all := slices.Concat([]string{"type", quote(name), "sequence_number", fmt.Sprint(len(r.events))}, pairs)
	r.events = append(r.events, event{content: content, raw: "event: " + name + "\ndata: " + object(all...) + "\n\n"})
}

// item adds the events of an item.
func (r *responsesStream) item(index int, i responsesItem) {
	at := []string{"item_id", quote(i.id), "output_index", fmt.Sprint(index)}
	send := func(content bool, name string, pairs ...string) { r.send(content, name, slices.Concat(at, pairs)...) }
	r.send(i.kind == blockCall || i.kind == blockCustom, "response.output_item.added", "output_index", fmt.Sprint(index), "item", i.opened())
	switch i.kind {
	case blockCall:
		for _, word := range words(i.arguments) {
			send(true, "response.function_call_arguments.delta", "delta", quote(word))
		}
		send(false, "response.function_call_arguments.done", "name", quote(i.name), "arguments", quote(i.arguments))
	case blockCustom:
		for _, word := range words(i.text) {
			send(true, "response.custom_tool_call_input.delta", "delta", quote(word))
		}
		send(false, "response.custom_tool_call_input.done", "input", quote(i.text))
	case blockThinking:
		place := []string{"summary_index", "0"}
		send(false, "response.reasoning_summary_part.added", slices.Concat(place, []string{"part", i.part("")})...)
		for _, word := range words(i.text) {
			send(true, "response.reasoning_summary_text.delta", slices.Concat(place, []string{"delta", quote(word)})...)
		}
		send(false, "response.reasoning_summary_text.done", slices.Concat(place, []string{"text", quote(i.text)})...)
		send(false, "response.reasoning_summary_part.done", slices.Concat(place, []string{"part", i.part(i.text)})...)
	case blockRedacted:
	default:
		r.message(i, send)
	}
	r.send(false, "response.output_item.done", "output_index", fmt.Sprint(index), "item", i.whole())
}

// message adds the events of a text or a refusal.
func (r *responsesStream) message(i responsesItem, send func(bool, string, ...string)) {
	place, name, member := []string{"content_index", "0"}, "response.output_text.", "text"
	logprobs := func(text string) []string { return []string{"logprobs", i.tokens(text)} }
	if i.kind == blockRefusal {
		name, member = "response.refusal.", "refusal"
		logprobs = func(string) []string { return nil }
	}
	send(false, "response.content_part.added", slices.Concat(place, []string{"part", i.part("")})...)
	for _, word := range words(i.text) {
		send(true, name+"delta", slices.Concat(place, []string{"delta", quote(word)}, logprobs(word))...)
	}
	for n, annotation := range i.responsesAnnotations() {
		send(false, "response.output_text.annotation.added", slices.Concat(place, []string{"annotation_index", fmt.Sprint(n), "annotation", annotation})...)
	}
	send(false, name+"done", slices.Concat(place, []string{member, quote(i.text)}, logprobs(i.text))...)
	send(false, "response.content_part.done", slices.Concat(place, []string{"part", i.part(i.text)})...)
}

// responsesEvents are the events of OpenAI Responses.
func responsesEvents(a asked, s Step) []event {
	r := new(responsesStream)
	for _, name := range []string{"response.created", "response.in_progress"} {
		r.send(false, name, "response", responsesObject(a, "in_progress", s, nil))
	}
	var output []string
	for index, item := range responsesItems(s) {
		r.item(index, item)
		output = append(output, item.whole())
	}
	status := responsesStatus(s)
	r.send(false, "response."+status, "response", responsesObject(a, status, s, output))
	return r.events
}

// responsesError is the event of an error: before the response has begun, or
// after.
func responsesError(begun bool, message string) string {
	if !begun {
		return "event: error\ndata: " + object("type", `"error"`, "sequence_number", "0", "code", `"server_error"`,
			"message", quote(message), "param", "null") + "\n\n"
	}
	failed := responsesObject(asked{Model: "scripted"}, "failed", Step{}, nil)
	failed = strings.Replace(failed, `"error":null`, `"error":`+object("code", `"server_error"`, "message", quote(message)), 1)
	return "event: response.failed\ndata: " + object("type", `"response.failed"`, "sequence_number", "99", "response", failed) + "\n\n"
}
