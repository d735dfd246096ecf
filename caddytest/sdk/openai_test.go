package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// openaiClient is a client as its users make it, but for retries: a test wants to
// see the first answer.
func openaiClient() openai.Client {
	return openai.NewClient(
		option.WithBaseURL(gateway.url+"/v1"),
		option.WithAPIKey(key),
		option.WithHTTPClient(gateway.client),
		option.WithMaxRetries(0),
	)
}

func TestOpenAIChat(t *testing.T) {
	client := openaiClient()
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		var response *http.Response
		got, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
			Model: "echo-" + upstream,
			Messages: []openai.ChatCompletionMessageParamUnion{
				openai.SystemMessage("Be brief."),
				openai.UserMessage("Hello, \"wörld\"\n!"),
			},
		}, option.WithResponseInto(&response))
		if err != nil {
			t.Fatal(err)
		}
		checkHeaders(t, response, upstream, "echo")
		if got.ID == "" || got.Object != "chat.completion" || got.Created == 0 || len(got.Choices) != 1 {
			t.Fatalf("got %s", got.RawJSON())
		}
		if choice := got.Choices[0]; choice.Message.Content != "Hello, \"wörld\"\n!" || choice.FinishReason != "stop" {
			t.Errorf("got choice %s", choice.RawJSON())
		}
		if got.Usage.PromptTokens != 5 || got.Usage.CompletionTokens != 3 || got.Usage.TotalTokens != 8 {
			t.Errorf("got usage %s", got.Usage.RawJSON())
		}
	})
}

func TestOpenAIStream(t *testing.T) {
	client := openaiClient()
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
			Model:         "story-" + upstream,
			Messages:      []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Tell me a story.")},
			StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
		})
		defer stream.Close()
		var got openai.ChatCompletionAccumulator
		chunks := 0
		for stream.Next() {
			chunks++
			if !got.AddChunk(stream.Current()) {
				t.Fatalf("the accumulator refuses %s", stream.Current().RawJSON())
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if len(got.Choices) != 1 || got.Choices[0].FinishReason != "stop" {
			t.Fatalf("got choices %+v", got.Choices)
		}
		wholeStory(t, got.Choices[0].Message.Content)
		if chunks < 100 || got.Usage.CompletionTokens < 100 || got.Usage.PromptTokens != 4 {
			t.Errorf("got %d chunks and usage %+v", chunks, got.Usage)
		}
	})
}

// openaiTools are two tools.
var openaiTools = []openai.ChatCompletionToolUnionParam{
	openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name:        "weather",
		Description: openai.String("Tells the weather of a city."),
		Parameters: shared.FunctionParameters{
			"type":       "object",
			"properties": map[string]any{"city": map[string]any{"type": "string"}},
			"required":   []string{"city"},
		},
	}),
	openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "clock"}),
}

func TestOpenAITools(t *testing.T) {
	client := openaiClient()
	ask := map[string]func(context.Context, openai.ChatCompletionNewParams) (*openai.ChatCompletion, error){
		"plain": func(ctx context.Context, params openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
			return client.Chat.Completions.New(ctx, params)
		},
		"stream": func(ctx context.Context, params openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
			stream := client.Chat.Completions.NewStreaming(ctx, params)
			defer stream.Close()
			var got openai.ChatCompletionAccumulator
			for stream.Next() {
				if !got.AddChunk(stream.Current()) {
					return nil, errors.New("the accumulator refuses " + stream.Current().RawJSON())
				}
			}
			return &got.ChatCompletion, stream.Err()
		},
	}
	for way, ask := range ask {
		for question, want := range map[string][]string{
			"How is the weather?":   {"weather"},
			"Ask both in parallel.": {"weather", "clock"},
		} {
			t.Run(way+"/"+want[len(want)-1], func(t *testing.T) {
				eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
					params := openai.ChatCompletionNewParams{
						Model:    "tools-" + upstream,
						Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)},
						Tools:    openaiTools,
					}
					openaiToolLoop(ctx, t, ask, params, want)
				})
			})
		}
	}
}

// openaiToolLoop asks, checks that the tools named in want are called, answers
// them and checks that the model has heard the answers.
func openaiToolLoop(ctx context.Context, t *testing.T, ask func(context.Context, openai.ChatCompletionNewParams) (*openai.ChatCompletion, error), params openai.ChatCompletionNewParams, want []string) {
	t.Helper()
	first, err := ask(ctx, params)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Choices) != 1 || first.Choices[0].FinishReason != "tool_calls" {
		t.Fatalf("got choices %+v", first.Choices)
	}
	message := first.Choices[0].Message
	if len(message.ToolCalls) != len(want) {
		t.Fatalf("got calls %+v, want %v", message.ToolCalls, want)
	}
	params.Messages = append(params.Messages, message.ToParam())
	answer := "The tool answered: "
	for i, call := range message.ToolCalls {
		var arguments map[string]string
		if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil {
			t.Errorf("got arguments %q: %v", call.Function.Arguments, err)
		}
		if call.ID == "" || call.Function.Name != want[i] || call.Function.Name == "weather" && arguments["city"] != "demo" {
			t.Errorf("got call %+v, want %s", call, want[i])
		}
		params.Messages = append(params.Messages, openai.ToolMessage("result of "+want[i], call.ID))
		if i > 0 {
			answer += "; "
		}
		answer += "result of " + want[i]
	}
	second, err := ask(ctx, params)
	if err != nil {
		t.Fatal(err)
	}
	if len(second.Choices) != 1 || second.Choices[0].Message.Content != answer || second.Choices[0].FinishReason != "stop" {
		t.Errorf("got choices %+v, want %q", second.Choices, answer)
	}
}

func TestOpenAIModels(t *testing.T) {
	client := openaiClient()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	models := client.Models.ListAutoPaging(ctx)
	seen := map[string]bool{}
	for models.Next() {
		seen[models.Current().ID] = true
	}
	if err := models.Err(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != countModels() || !seen["echo-chat"] || !seen["echo-gemini"] {
		t.Errorf("got models %v", seen)
	}
	if got, err := client.Models.Get(ctx, "echo-chat"); err != nil || got.ID != "echo-chat" {
		t.Errorf("got model %+v, %v", got, err)
	}
	_, err := client.Models.Get(ctx, "nonsense")
	checkOpenAIError(t, err, http.StatusNotFound)
}

func TestOpenAIErrors(t *testing.T) {
	client := openaiClient()
	hello := []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello")}
	for _, tc := range []struct {
		name     string
		model    string
		messages []openai.ChatCompletionMessageParamUnion
		status   int
		code     string
	}{
		{"unknown model", "nonsense", hello, http.StatusNotFound, "model_not_found"},
		{"no messages", "echo-chat", []openai.ChatCompletionMessageParamUnion{}, http.StatusBadRequest, ""},
		{"rate limit", "error-429-chat", hello, http.StatusTooManyRequests, "rate_limit_exceeded"},
		{"rate limit of another format", "error-429-gemini", hello, http.StatusTooManyRequests, "rate_limit_exceeded"},
	} {
		for _, way := range []string{"plain", "stream"} {
			t.Run(tc.name+"/"+way, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), testLimit)
				defer cancel()
				params := openai.ChatCompletionNewParams{Model: tc.model, Messages: tc.messages}
				var err error
				if way == "stream" {
					stream := client.Chat.Completions.NewStreaming(ctx, params)
					stream.Next()
					err = stream.Err()
				} else {
					_, err = client.Chat.Completions.New(ctx, params)
				}
				e := checkOpenAIError(t, err, tc.status)
				if tc.code != "" && e.Code != tc.code {
					t.Errorf("got code %q, want %q", e.Code, tc.code)
				}
				if tc.status == http.StatusTooManyRequests && e.Response.Header.Get("Retry-After") == "" {
					t.Error("got no Retry-After")
				}
			})
		}
	}
}

// checkOpenAIError checks that err is the SDK's own error with that status.
func checkOpenAIError(t *testing.T, err error, status int) *openai.Error {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want an error of the SDK", err, err)
	}
	if e.StatusCode != status || e.Message == "" || e.Type == "" {
		t.Errorf("got %d %s, want %d", e.StatusCode, e.RawJSON(), status)
	}
	return e
}

// TestOpenAICut checks that an answer that breaks off never looks complete.
func TestOpenAICut(t *testing.T) {
	client := openaiClient()
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		params := openai.ChatCompletionNewParams{
			Model:    "error-cut-" + upstream,
			Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Tell me a story.")},
		}
		stream := client.Chat.Completions.NewStreaming(ctx, params)
		defer stream.Close()
		text := ""
		for stream.Next() {
			for _, choice := range stream.Current().Choices {
				text += choice.Delta.Content
				if choice.FinishReason != "" {
					t.Errorf("got finish reason %q", choice.FinishReason)
				}
			}
		}
		if err := stream.Err(); err == nil || text == "" {
			t.Errorf("got %q, %v; want a beginning and an error", text, err)
		}
		_, err := client.Chat.Completions.New(ctx, params)
		checkOpenAIError(t, err, http.StatusBadGateway)
	})
}
