package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

// replayedOpenAI is a client whose every answer is a stream.
func replayedOpenAI(stream []byte) openai.Client {
	return openai.NewClient(
		option.WithBaseURL("http://replayed/v1"),
		option.WithAPIKey(key),
		option.WithHTTPClient(replay(stream)),
		option.WithMaxRetries(0),
	)
}

func TestGoldenChat(t *testing.T) {
	goldens(t, func(t *testing.T, stream []byte, want said, failed bool) {
		client := replayedOpenAI(stream)
		got, finish, err := foldChat(t.Context(), t, &client, openai.ChatCompletionNewParams{Model: "writer"})
		if failed {
			checkFailed(t, err, finish != "")
			return
		}
		if err != nil || finish == "" {
			t.Fatalf("got finish reason %q, %v", finish, err)
		}
		want.check(t, got)
	}, "openai/testdata/stream_*/client_stream.golden.sse", "openai/testdata/*/chat_client.golden.sse")
}

// foldChat asks for a stream and folds it with the SDK's accumulator. The
// reasoning is read from the chunks, as the accumulator does not know it.
func foldChat(ctx context.Context, t *testing.T, client *openai.Client, params openai.ChatCompletionNewParams) (got said, finish string, err error) {
	t.Helper()
	stream := client.Chat.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	var folded openai.ChatCompletionAccumulator
	for stream.Next() {
		chunk := stream.Current()
		if !folded.AddChunk(chunk) {
			return got, "", errors.New("the accumulator refuses " + chunk.RawJSON())
		}
		for _, choice := range chunk.Choices {
			got.thinking += reasoning(t, choice.Delta.JSON.ExtraFields["reasoning_content"].Raw())
		}
	}
	if len(folded.Choices) == 1 {
		message := folded.Choices[0].Message
		got.text, finish = message.Content+message.Refusal, folded.Choices[0].FinishReason
		got.calls = chatCalls(message)
	}
	return got, finish, stream.Err()
}

// chatCalls are the calls of a message of Chat.
func chatCalls(message openai.ChatCompletionMessage) (out []toolCall) {
	for _, c := range message.ToolCalls {
		out = append(out, call(c.ID, c.Function.Name, c.Function.Arguments))
	}
	return out
}

// reasoning reads a member that the SDK does not know; it may be absent or null.
func reasoning(t *testing.T, raw string) (out string) {
	t.Helper()
	if raw == "" {
		return ""
	}
	if err := json.Unmarshal([]byte(raw), &out); err != nil {
		t.Errorf("got reasoning %s: %v", raw, err)
	}
	return out
}

func TestGoldenCompletions(t *testing.T) {
	goldens(t, func(t *testing.T, stream []byte, want said, failed bool) {
		client := replayedOpenAI(stream)
		chunks := client.Completions.NewStreaming(t.Context(), openai.CompletionNewParams{Model: "writer"})
		defer chunks.Close()
		var got said
		finish := ""
		for chunks.Next() {
			for _, choice := range chunks.Current().Choices {
				got.text += choice.Text
				finish += string(choice.FinishReason)
			}
		}
		if failed {
			checkFailed(t, chunks.Err(), finish != "")
			return
		}
		if err := chunks.Err(); err != nil || finish == "" {
			t.Fatalf("got finish reason %q, %v", finish, err)
		}
		want.check(t, got)
	}, "openai/testdata/completions_*/client_stream.golden.sse")
}

func TestGoldenResponses(t *testing.T) {
	goldens(t, func(t *testing.T, stream []byte, want said, failed bool) {
		client := replayedOpenAI(stream)
		got, err := foldResponse(t.Context(), t, &client, responses.ResponseNewParams{Model: "writer"})
		if failed {
			checkFailed(t, err, got != nil)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		want.check(t, responseSaid(t, got))
	}, "openai/testdata/*/responses_client.golden.sse")
}

// foldResponse asks for a stream, folds it with the SDK's accumulator and returns
// the response that it ends with. What the events before the end add up to must be
// the same.
func foldResponse(ctx context.Context, t *testing.T, client *openai.Client, params responses.ResponseNewParams) (*responses.Response, error) {
	t.Helper()
	stream := client.Responses.NewStreaming(ctx, params)
	defer stream.Close()
	var folded responses.ResponseAccumulator
	var pieces responses.ResponseAccumulatorSnapshot
	sequence := int64(-1)
	for stream.Next() {
		event := stream.Current()
		if event.SequenceNumber != sequence+1 {
			t.Errorf("sequence number %d follows %d", event.SequenceNumber, sequence)
		}
		sequence = event.SequenceNumber
		pieces = folded.Snapshot()
		if err := addResponseEvent(&folded, event); err != nil {
			return nil, err
		}
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	response, err := folded.ReconstructedResponse()
	if err != nil {
		return nil, err
	}
	if response.Status == responses.ResponseStatusFailed {
		return nil, errors.New(response.Error.Message)
	}
	if whole := folded.Snapshot(); !reflect.DeepEqual(pieces.Output, whole.Output) {
		t.Errorf("the events add up to %+v\nthe response is %+v", pieces.Output, whole.Output)
	}
	return response, nil
}

// addResponseEvent adds an event to the SDK's accumulator, which was made for the
// same events on another transport and has a type of its own for them.
func addResponseEvent(folded *responses.ResponseAccumulator, event responses.ResponseStreamEventUnion) error {
	var same responses.ResponsesServerEventUnion
	if err := json.Unmarshal([]byte(event.RawJSON()), &same); err != nil {
		return err
	}
	return folded.AddEvent(same)
}

// responseSaid is what a response holds.
func responseSaid(t *testing.T, response *responses.Response) (got said) {
	t.Helper()
	for _, item := range response.Output {
		switch item := item.AsAny().(type) {
		case responses.ResponseReasoningItem:
			for i, part := range item.Summary {
				if i > 0 {
					got.thinking += "\n\n" // paragraphs are what other formats have
				}
				got.thinking += part.Text
			}
		case responses.ResponseOutputMessage:
			for _, part := range item.Content {
				got.text += part.Text + part.Refusal
			}
		case responses.ResponseFunctionToolCall:
			got.calls = append(got.calls, call(item.CallID, item.Name, item.Arguments))
		case responses.ResponseCustomToolCall: // elsewhere a tool with one argument
			got.calls = append(got.calls, toolCall{item.CallID, item.Name, map[string]any{"input": item.Input}})
		default:
			t.Errorf("got an item of type %T", item)
		}
	}
	return got
}
