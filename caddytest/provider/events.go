package provider

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What every answer reports as its usage.
const (
	InputTokens  = 11
	OutputTokens = 7
)

// event is one event of a stream.
type event struct {
	raw     string
	content bool
}

// isMessages says that the request is of the Anthropic format.
func isMessages(r *Request) bool {
	path, _, _ := strings.Cut(r.Path, "?")
	return strings.HasSuffix(path, "/messages")
}

// quote returns a JSON string.
func quote(s string) string {
	out, _ := json.Marshal(s) // strings can always be marshalled
	return string(out)
}

// words splits a text behind each space.
func words(text string) []string { return strings.SplitAfter(text, " ") }

// document is the plain answer.
func document(r *Request, a asked, s Step) string {
	if isMessages(r) {
		return messagesDocument(a, s.content)
	}
	return chatDocument(a, s.content)
}

// events are the events of the stream.
func events(r *Request, a asked, s Step) []event {
	all := chatEvents(a, s.content)
	if isMessages(r) {
		all = messagesEvents(a, s.content)
	}
	if s.unmarked {
		return all[:len(all)-1]
	}
	return all
}

// errorBody is an error in the shape of the format.
func errorBody(r *Request, code, message string) string {
	if isMessages(r) {
		return fmt.Sprintf(`{"type":"error","error":{"type":%s,"message":%s}}`, quote(code), quote(message))
	}
	return fmt.Sprintf(`{"error":{"message":%s,"type":%s,"param":null,"code":%s}}`, quote(message), quote(code), quote(code))
}

// errorEvent is an error in a stream of the format.
func errorEvent(r *Request) string {
	if isMessages(r) {
		return "event: error\ndata: " + errorBody(r, "overloaded_error", "scripted error") + "\n\n"
	}
	return "data: " + errorBody(r, "server_error", "scripted error") + "\n\n"
}

// called says that the content has a call of a tool.
func called(content []block) bool {
	return slices.ContainsFunc(content, func(b block) bool { return b.name != "" })
}

// chatDocument is a whole answer of OpenAI chat.
func chatDocument(a asked, content []block) string {
	text, calls := "", []string{}
	for _, b := range content {
		if b.name == "" {
			text += b.text
			continue
		}
		calls = append(calls, fmt.Sprintf(`{"id":%s,"type":"function","function":{"name":%s,"arguments":%s}}`,
			quote(b.id), quote(b.name), quote(b.arguments)))
	}
	message := `"content":` + quote(text)
	finish := "stop"
	if len(calls) > 0 {
		if text == "" {
			message = `"content":null`
		}
		message += `,"tool_calls":[` + strings.Join(calls, ",") + `]`
		finish = "tool_calls"
	}
	return fmt.Sprintf(`{"id":"chatcmpl-scripted","object":"chat.completion","created":1767225600,"model":%s,`+
		`"choices":[{"index":0,"message":{"role":"assistant",%s,"refusal":null},"logprobs":null,"finish_reason":"%s"}],"usage":%s}`,
		quote(a.Model), message, finish, chatUsage())
}

// chatUsage is a usage object of OpenAI chat.
func chatUsage() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, InputTokens, OutputTokens, InputTokens+OutputTokens)
}

// chatEvents are the chunks of OpenAI chat.
func chatEvents(a asked, content []block) []event {
	var out []event
	chunk := func(choices, usage string, content bool) {
		out = append(out, event{content: content, raw: fmt.Sprintf(
			`data: {"id":"chatcmpl-scripted","object":"chat.completion.chunk","created":1767225600,"model":%s,"choices":[%s]%s}`+"\n\n",
			quote(a.Model), choices, usage)})
	}
	delta := func(delta string, content bool) {
		chunk(`{"index":0,"delta":{`+delta+`},"finish_reason":null}`, "", content)
	}
	delta(`"role":"assistant","content":""`, false)
	calls := 0
	for _, b := range content {
		if b.name == "" {
			for _, word := range words(b.text) {
				delta(`"content":`+quote(word), true)
			}
			continue
		}
		delta(fmt.Sprintf(`"tool_calls":[{"index":%d,"id":%s,"type":"function","function":{"name":%s,"arguments":""}}]`,
			calls, quote(b.id), quote(b.name)), true)
		for _, word := range words(b.arguments) {
			delta(fmt.Sprintf(`"tool_calls":[{"index":%d,"function":{"arguments":%s}}]`, calls, quote(word)), true)
		}
		calls++
	}
	finish := "stop"
	if calls > 0 {
		finish = "tool_calls"
	}
	chunk(`{"index":0,"delta":{},"finish_reason":"`+finish+`"}`, "", false)
	if a.StreamOptions.IncludeUsage {
		chunk("", `,"usage":`+chatUsage(), false)
	}
	return append(out, event{raw: "data: [DONE]\n\n"})
}

// messagesDocument is a whole answer of Anthropic messages.
func messagesDocument(a asked, content []block) string {
	var blocks []string
	for _, b := range content {
		if b.name == "" {
			blocks = append(blocks, `{"type":"text","text":`+quote(b.text)+`}`)
			continue
		}
		blocks = append(blocks, fmt.Sprintf(`{"type":"tool_use","id":%s,"name":%s,"input":%s}`, quote(b.id), quote(b.name), b.arguments))
	}
	return fmt.Sprintf(`{"id":"msg_scripted","type":"message","role":"assistant","model":%s,"content":[%s],`+
		`"stop_reason":%s,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":%d}}`,
		quote(a.Model), strings.Join(blocks, ","), quote(messagesStop(content)), InputTokens, OutputTokens)
}

// messagesStop is the stop reason of Anthropic messages.
func messagesStop(content []block) string {
	if called(content) {
		return "tool_use"
	}
	return "end_turn"
}

// messagesEvents are the events of Anthropic messages.
func messagesEvents(a asked, content []block) []event {
	var out []event
	send := func(content bool, name, members string, values ...any) {
		out = append(out, event{content: content, raw: fmt.Sprintf("event: %s\ndata: {\"type\":\"%[1]s\"%s}\n\n", name, fmt.Sprintf(members, values...))})
	}
	send(false, "message_start", `,"message":{"id":"msg_scripted","type":"message","role":"assistant","model":%s,"content":[],`+
		`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":1}}`, quote(a.Model), InputTokens)
	send(false, "ping", "")
	for i, b := range content {
		if b.name == "" {
			send(false, "content_block_start", `,"index":%d,"content_block":{"type":"text","text":""}`, i)
			for _, word := range words(b.text) {
				send(true, "content_block_delta", `,"index":%d,"delta":{"type":"text_delta","text":%s}`, i, quote(word))
			}
		} else {
			send(true, "content_block_start", `,"index":%d,"content_block":{"type":"tool_use","id":%s,"name":%s,"input":{}}`, i, quote(b.id), quote(b.name))
			for _, word := range words(b.arguments) {
				send(true, "content_block_delta", `,"index":%d,"delta":{"type":"input_json_delta","partial_json":%s}`, i, quote(word))
			}
		}
		send(false, "content_block_stop", `,"index":%d`, i)
	}
	send(false, "message_delta", `,"delta":{"stop_reason":%s,"stop_sequence":null},"usage":{"output_tokens":%d}`, quote(messagesStop(content)), OutputTokens)
	send(false, "message_stop", "")
	return out
}
