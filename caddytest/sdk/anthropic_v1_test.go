package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

// anthropicV1Client is a client as its users make it, but for retries: a test
// wants to see the first answer. It sends its key as x-api-key.
func anthropicV1Client() anthropic.Client {
	return anthropic.NewClient(
		option.WithoutEnvironmentDefaults(),
		option.WithBaseURL(gateway.url),
		option.WithAPIKey(key),
		option.WithHTTPClient(gateway.client),
		option.WithMaxRetries(0),
	)
}

// anthropicV1Params is a request with one text.
func anthropicV1Params(model, text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model:     anthropic.Model(model),
		MaxTokens: 1024,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))},
	}
}

// anthropicV1Ask asks without a stream, or folds one, and counts its events.
func anthropicV1Ask(ctx context.Context, stream bool, params anthropic.MessageNewParams, opts ...option.RequestOption) (*anthropic.Message, int, error) {
	client := anthropicV1Client()
	if !stream {
		got, err := client.Messages.New(ctx, params, opts...)
		return got, 0, err
	}
	events := client.Messages.NewStreaming(ctx, params, opts...)
	defer events.Close()
	var got anthropic.Message
	n := 0
	for ; events.Next(); n++ {
		if err := got.Accumulate(events.Current()); err != nil {
			return nil, n, err
		}
	}
	return &got, n, events.Err()
}

func TestAnthropicV1Chat(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		params := anthropicV1Params("echo-"+upstream, "Hello, \"wörld\"\n!")
		params.System = []anthropic.TextBlockParam{{Text: "Be brief."}}
		var response *http.Response
		got, _, err := anthropicV1Ask(ctx, false, params, option.WithResponseInto(&response))
		if err != nil {
			t.Fatal(err)
		}
		checkHeaders(t, response, upstream, "echo")
		if response.Request.Header.Get("X-Api-Key") != key {
			t.Errorf("the client sent %v", response.Request.Header)
		}
		if got.ID == "" || got.Type != "message" || got.Role != "assistant" || got.StopReason != "end_turn" || len(got.Content) != 1 {
			t.Fatalf("got %s", got.RawJSON())
		}
		if got.Content[0].Type != "text" || got.Content[0].Text != "Hello, \"wörld\"\n!" {
			t.Errorf("got content %s", got.Content[0].RawJSON())
		}
		if got.Usage.InputTokens != 5 || got.Usage.OutputTokens != 3 {
			t.Errorf("got usage %s", got.Usage.RawJSON())
		}
	})
}

func TestAnthropicV1Stream(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		got, events, err := anthropicV1Ask(ctx, true, anthropicV1Params("story-"+upstream, "Tell me a story."))
		if err != nil {
			t.Fatal(err)
		}
		if got.StopReason != "end_turn" || len(got.Content) != 1 {
			t.Fatalf("got %+v", got)
		}
		wholeStory(t, got.Content[0].Text)
		if events < 100 || got.Usage.OutputTokens < 100 || got.Usage.InputTokens != 4 {
			t.Errorf("got %d events and usage %+v", events, got.Usage)
		}
	})
}

func TestAnthropicV1Tools(t *testing.T) {
	for _, way := range []string{"plain", "stream"} {
		for question, want := range map[string][]string{
			"How is the weather?":   {"weather"},
			"Ask both in parallel.": {"weather", "clock"},
		} {
			t.Run(way+"/"+want[len(want)-1], func(t *testing.T) {
				eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
					params := anthropicV1Params("tools-"+upstream, question)
					params.Tools = []anthropic.ToolUnionParam{
						anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{
							Properties: map[string]any{"city": map[string]any{"type": "string"}},
							Required:   []string{"city"},
						}, "weather"),
						anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: map[string]any{}}, "clock"),
					}
					anthropicV1ToolLoop(ctx, t, way == "stream", params, want)
				})
			})
		}
	}
}

// anthropicV1ToolLoop asks, checks that the tools named in want are called,
// answers them and checks that the model has heard the answers.
func anthropicV1ToolLoop(ctx context.Context, t *testing.T, stream bool, params anthropic.MessageNewParams, want []string) {
	t.Helper()
	first, _, err := anthropicV1Ask(ctx, stream, params)
	if err != nil {
		t.Fatal(err)
	}
	if first.StopReason != "tool_use" || len(first.Content) != len(want) {
		t.Fatalf("got stop %q and content %+v, want %v", first.StopReason, first.Content, want)
	}
	var results []anthropic.ContentBlockParamUnion
	answer := "The tool answered: "
	for i, block := range first.Content {
		call := block.AsToolUse()
		var input map[string]string
		if err := json.Unmarshal(call.Input, &input); err != nil {
			t.Errorf("got input %q: %v", call.Input, err)
		}
		if call.ID == "" || call.Name != want[i] || call.Name == "weather" && input["city"] != "demo" {
			t.Errorf("got call %s, want %s", block.RawJSON(), want[i])
		}
		results = append(results, anthropic.NewToolResultBlock(call.ID, "result of "+want[i], false))
		if i > 0 {
			answer += "; "
		}
		answer += "result of " + want[i]
	}
	params.Messages = append(params.Messages, first.ToParam(), anthropic.NewUserMessage(results...))
	second, _, err := anthropicV1Ask(ctx, stream, params)
	if err != nil {
		t.Fatal(err)
	}
	if len(second.Content) != 1 || second.Content[0].Text != answer || second.StopReason != "end_turn" {
		t.Errorf("got stop %q and content %+v, want %q", second.StopReason, second.Content, answer)
	}
}

func TestAnthropicV1Models(t *testing.T) {
	client := anthropicV1Client()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	models := client.Models.ListAutoPaging(ctx, anthropic.ModelListParams{})
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
	if got, err := client.Models.Get(ctx, "echo-chat", anthropic.ModelGetParams{}); err != nil || got.ID != "echo-chat" {
		t.Errorf("got model %+v, %v", got, err)
	}
	_, err := client.Models.Get(ctx, "nonsense", anthropic.ModelGetParams{})
	checkAnthropicV1Error(t, err, http.StatusNotFound, "not_found_error")
}

func TestAnthropicV1Errors(t *testing.T) {
	empty := anthropicV1Params("echo-chat", "")
	empty.Messages = []anthropic.MessageParam{}
	for _, tc := range []struct {
		name   string
		params anthropic.MessageNewParams
		status int
		kind   string
	}{
		{"unknown model", anthropicV1Params("nonsense", "Hello"), http.StatusNotFound, "not_found_error"},
		{"no messages", empty, http.StatusBadRequest, "invalid_request_error"},
		{"rate limit", anthropicV1Params("error-429-messages", "Hello"), http.StatusTooManyRequests, "rate_limit_error"},
		{"rate limit of the other format", anthropicV1Params("error-429-chat", "Hello"), http.StatusTooManyRequests, "rate_limit_error"},
	} {
		for _, way := range []string{"plain", "stream"} {
			t.Run(tc.name+"/"+way, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), testLimit)
				defer cancel()
				_, _, err := anthropicV1Ask(ctx, way == "stream", tc.params)
				e := checkAnthropicV1Error(t, err, tc.status, tc.kind)
				if tc.status == http.StatusTooManyRequests && e.Response.Header.Get("Retry-After") == "" {
					t.Error("got no Retry-After")
				}
			})
		}
	}
}

// checkAnthropicV1Error checks that err is the SDK's own error with that status
// and type.
func checkAnthropicV1Error(t *testing.T, err error, status int, kind string) *anthropic.Error {
	t.Helper()
	var e *anthropic.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want an error of the SDK", err, err)
	}
	if e.StatusCode != status || string(e.Type()) != kind {
		t.Errorf("got %d %s, want %d %s", e.StatusCode, e.RawJSON(), status, kind)
	}
	return e
}

// TestAnthropicV1Cut checks that an answer that breaks off never looks complete.
func TestAnthropicV1Cut(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		params := anthropicV1Params("error-cut-"+upstream, "Tell me a story.")
		got, _, err := anthropicV1Ask(ctx, true, params)
		if err == nil || len(got.Content) == 0 || got.Content[0].Text == "" || got.StopReason != "" {
			t.Errorf("got %+v, %v; want a beginning and an error", got, err)
		}
		_, _, err = anthropicV1Ask(ctx, false, params)
		checkAnthropicV1Error(t, err, http.StatusBadGateway, "api_error")
	})
}
