package caddytest

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

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
			for _, a := range p.Get("annotations").Array() {
				out.sources = append(out.sources, a.Get("url").String()+" "+a.Get("title").String())
			}
			out.weights = append(out.weights, openAIWeights(p.Get("logprobs"))...)
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
			deltas["weights"] += strings.Join(openAIWeights(doc.Get("logprobs")), "")
		case "response.output_text.annotation.added":
			deltas["sources"] += doc.Get("annotation.url").String() + " " + doc.Get("annotation.title").String()
		case "response.reasoning_summary_text.delta":
			deltas["thinking"] += doc.Get("delta").String()
		case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
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
	final := map[string]string{
		"text": r.text, "thinking": r.thinking, "refusal": r.refusal, "arguments": arguments,
		"weights": strings.Join(r.weights, ""), "sources": strings.Join(r.sources, ""),
	}
	for name, text := range final {
		if deltas[name] != text {
			return fmt.Errorf("the deltas brought the %s %q, the response %q", name, deltas[name], text)
		}
	}
	return nil
}

func (responsesSpeaker) refused(body string) (refusal, error) { return openAIRefusal(body) }
