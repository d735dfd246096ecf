package caddytest

import (
	"errors"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

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
		sources:  chatSources(message.Get("annotations")),
		weights:  openAIWeights(doc.Get("choices.0.logprobs.content")),
	}, nil
}

// chatSources are the pages that annotations name.
func chatSources(annotations gjson.Result) (out []string) {
	for _, a := range annotations.Array() {
		out = append(out, a.Get("url_citation.url").String()+" "+a.Get("url_citation.title").String())
	}
	return out
}

// openAIWeights are tokens with their probabilities.
func openAIWeights(logprobs gjson.Result) (out []string) {
	for _, token := range logprobs.Array() {
		out = append(out, token.Get("token").String()+token.Get("logprob").Raw)
	}
	return out
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
	r.sources = append(r.sources, chatSources(delta.Get("annotations"))...)
	r.weights = append(r.weights, openAIWeights(doc.Get("choices.0.logprobs.content"))...)
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
		r.calls[at].arguments += c.Get("function.arguments").String() + c.Get("custom.input").String()
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
