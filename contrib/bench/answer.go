package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// What the mock provider answers. The text is the same in every format, so
// a client can tell whether a translated answer is right.
var (
	plainText  = words(10, 120)
	streamText = strings.Join(streamPieces(), "")

	openAIPlain = encode(object{
		"id": "chatcmpl-bench", "object": "chat.completion", "created": 1767225600, "model": upstreamModel,
		"choices": []object{{
			"index": 0, "finish_reason": "stop", "logprobs": nil,
			"message": object{"role": "assistant", "content": plainText, "refusal": nil},
		}},
		"usage": object{"prompt_tokens": 120, "completion_tokens": 140, "total_tokens": 260},
	})
	anthropicPlain = encode(object{
		"id": "msg_bench", "type": "message", "role": "assistant", "model": upstreamModel,
		"content":     []object{{"type": "text", "text": plainText}},
		"stop_reason": "end_turn", "stop_sequence": nil,
		"usage": object{"input_tokens": 120, "output_tokens": 140},
	})

	openAIStream    = openAIEvents()
	anthropicStream = anthropicEvents()

	openAIStreamBody = bytes.Join(openAIStream, nil)
)

func streamPieces() []string {
	pieces := make([]string, streamChunks)
	for i := range pieces {
		pieces[i] = words(uint64(1000+i), 1) + " "
	}
	return pieces
}

// openAIEvents returns the stream event by event; the pieces of text stand
// between the first event and the last three.
func openAIEvents() [][]byte {
	chunk := func(choices []object, usage any) []byte {
		return fmt.Appendf(nil, "data: %s\n\n", encode(object{
			"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1767225600,
			"model": upstreamModel, "choices": choices, "usage": usage,
		}))
	}
	choice := func(delta object, finish any) []object {
		return []object{{"index": 0, "delta": delta, "finish_reason": finish}}
	}
	events := [][]byte{chunk(choice(object{"role": "assistant", "content": ""}, nil), nil)}
	for _, piece := range streamPieces() {
		events = append(events, chunk(choice(object{"content": piece}, nil), nil))
	}
	return append(
		events,
		chunk(choice(object{}, "stop"), nil),
		chunk([]object{}, object{"prompt_tokens": 120, "completion_tokens": streamChunks, "total_tokens": 120 + streamChunks}),
		[]byte("data: [DONE]\n\n"),
	)
}

func anthropicEvents() [][]byte {
	event := func(name string, data object) []byte {
		data["type"] = name
		return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, encode(data))
	}
	events := [][]byte{
		event("message_start", object{"message": object{
			"id": "msg_bench", "type": "message", "role": "assistant", "model": upstreamModel,
			"content": []object{}, "stop_reason": nil, "stop_sequence": nil,
			"usage": object{"input_tokens": 120, "output_tokens": 1},
		}}),
		event("content_block_start", object{"index": 0, "content_block": object{"type": "text", "text": ""}}),
	}
	for _, piece := range streamPieces() {
		events = append(events, event("content_block_delta", object{
			"index": 0, "delta": object{"type": "text_delta", "text": piece},
		}))
	}
	return append(
		events,
		event("content_block_stop", object{"index": 0}),
		event("message_delta", object{
			"delta": object{"stop_reason": "end_turn", "stop_sequence": nil},
			"usage": object{"output_tokens": streamChunks},
		}),
		event("message_stop", object{}),
	)
}

// checkAnswer tells what is wrong with an answer in the OpenAI chat format.
// In the same format it must be the provider's bytes, except that a gateway
// may write the client's name of the model; a translated answer must say the
// same thing.
func checkAnswer(body []byte, stream, translated bool) error {
	want := openAIPlain
	if stream {
		want = openAIStreamBody
	}
	if bytes.Equal(body, want) {
		return nil
	}
	if !translated {
		renamed := bytes.ReplaceAll(want, []byte(`"`+upstreamModel+`"`), []byte(`"`+clientModel+`"`))
		if !bytes.Equal(body, renamed) {
			return fmt.Errorf("%d bytes differ from the %d that the provider sent: %.300q", len(body), len(want), body)
		}
		return nil
	}
	if stream {
		return checkStream(body)
	}
	var answer struct {
		Object  string
		Choices []struct {
			FinishReason string `json:"finish_reason"`
			Message      struct{ Content string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%w: %.300q", err, body)
	}
	if answer.Object != "chat.completion" || len(answer.Choices) != 1 ||
		answer.Choices[0].FinishReason != "stop" || answer.Choices[0].Message.Content != plainText {
		return fmt.Errorf("not the provider's answer: %.300q", body)
	}
	return nil
}

func checkStream(body []byte) error {
	var text strings.Builder
	var finish string
	var done bool
	for line := range bytes.Lines(body) {
		data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data: "))
		if !ok {
			continue
		}
		if done = string(data) == "[DONE]"; done {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta        struct{ Content string }
				FinishReason string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal(data, &chunk); err != nil {
			return fmt.Errorf("%w: %.300q", err, data)
		}
		for _, c := range chunk.Choices {
			text.WriteString(c.Delta.Content)
			finish += c.FinishReason
		}
	}
	if !done || finish != "stop" || text.String() != streamText {
		return fmt.Errorf("not the provider's stream (text of %d bytes, want %d; finish %q, done %v)",
			text.Len(), len(streamText), finish, done)
	}
	return nil
}
