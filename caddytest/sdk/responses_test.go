package sdk

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

// responseParams is a request with one text.
func responseParams(model, text string) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: model,
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(text)},
	}
}

// responseAsk asks without a stream, or folds one.
func responseAsk(ctx context.Context, t *testing.T, stream bool, params responses.ResponseNewParams) (*responses.Response, error) {
	t.Helper()
	client := openaiClient()
	if stream {
		return foldResponse(ctx, t, &client, params)
	}
	return client.Responses.New(ctx, params)
}

func TestResponses(t *testing.T) {
	client := openaiClient()
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		params := responseParams("echo-"+upstream, "Hello, \"wörld\"\n!")
		params.Instructions = openai.String("Be brief.")
		var response *http.Response
		got, err := client.Responses.New(ctx, params, option.WithResponseInto(&response))
		if err != nil {
			t.Fatal(err)
		}
		checkHeaders(t, response, upstream, "echo")
		if got.ID == "" || got.Object != "response" || got.CreatedAt == 0 || got.Status != "completed" || len(got.Output) != 1 {
			t.Fatalf("got %s", got.RawJSON())
		}
		if got.OutputText() != "Hello, \"wörld\"\n!" {
			t.Errorf("got text %q", got.OutputText())
		}
		if got.Usage.InputTokens != 5 || got.Usage.OutputTokens != 3 || got.Usage.TotalTokens != 8 {
			t.Errorf("got usage %s", got.Usage.RawJSON())
		}
	})
}

func TestResponsesStream(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		client := openaiClient()
		stream := client.Responses.NewStreaming(ctx, responseParams("story-"+upstream, "Tell me a story."))
		defer stream.Close()
		text, events := "", 0
		var last responses.ResponseStreamEventUnion
		for stream.Next() {
			last = stream.Current()
			events++
			if last.Type == "response.output_text.delta" {
				text += last.Delta
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		wholeStory(t, text)
		if last.Type != "response.completed" || last.Response.OutputText() != text {
			t.Errorf("got last event %s", last.RawJSON())
		}
		if usage := last.Response.Usage; events < 100 || usage.OutputTokens < 100 || usage.InputTokens != 4 {
			t.Errorf("got %d events and usage %s", events, usage.RawJSON())
		}
	})
}

func TestResponsesTools(t *testing.T) {
	for _, way := range []string{"plain", "stream"} {
		for question, want := range map[string][]string{
			"How is the weather?":   {"weather"},
			"Ask both in parallel.": {"weather", "clock"},
		} {
			t.Run(way+"/"+want[len(want)-1], func(t *testing.T) {
				eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
					params := responses.ResponseNewParams{
						Model: "tools-" + upstream,
						Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
							responses.ResponseInputItemParamOfMessage(question, responses.EasyInputMessageRoleUser),
						}},
						Tools: []responses.ToolUnionParam{
							responses.ToolParamOfFunction("weather", argumentSchema("city"), false),
							responses.ToolParamOfFunction("clock", map[string]any{"type": "object", "properties": map[string]any{}}, false),
						},
					}
					responseToolLoop(ctx, t, way == "stream", params, want)
				})
			})
		}
	}
}

// responseToolLoop asks, checks that the tools named in want are called, answers
// them and checks that the model has heard the answers.
func responseToolLoop(ctx context.Context, t *testing.T, stream bool, params responses.ResponseNewParams, want []string) {
	t.Helper()
	first, err := responseAsk(ctx, t, stream, params)
	if err != nil {
		t.Fatal(err)
	}
	if first.Status != "completed" || len(first.Output) != len(want) {
		t.Fatalf("got %s, want calls of %v", first.RawJSON(), want)
	}
	input := &params.Input.OfInputItemList
	answer := "The tool answered: "
	for i, item := range first.Output {
		c := item.AsFunctionCall()
		var arguments map[string]string
		if err := json.Unmarshal([]byte(c.Arguments), &arguments); err != nil {
			t.Errorf("got arguments %q: %v", c.Arguments, err)
		}
		if c.CallID == "" || c.Name != want[i] || c.Name == "weather" && arguments["city"] != "demo" {
			t.Errorf("got call %s, want %s", c.RawJSON(), want[i])
		}
		echoed := c.ToParam()
		*input = append(*input, responses.ResponseInputItemUnionParam{OfFunctionCall: &echoed})
		if i > 0 {
			answer += "; "
		}
		answer += "result of " + want[i]
	}
	for i, item := range first.Output {
		result := responses.ResponseInputItemFunctionCallOutputOutputUnionParam{OfString: openai.String("result of " + want[i])}
		*input = append(*input, responses.ResponseInputItemUnionParam{OfFunctionCallOutput: &responses.ResponseInputItemFunctionCallOutputParam{
			CallID: openai.String(item.AsFunctionCall().CallID), Output: result,
		}})
	}
	second, err := responseAsk(ctx, t, stream, params)
	if err != nil {
		t.Fatal(err)
	}
	if second.OutputText() != answer || second.Status != "completed" {
		t.Errorf("got %s, want %q", second.RawJSON(), answer)
	}
}

func TestResponsesErrors(t *testing.T) {
	bad := responseParams("echo-chat", "Hello")
	bad.Tools = []responses.ToolUnionParam{responses.ToolParamOfFunction("", map[string]any{}, false)}
	for _, tc := range []struct {
		name   string
		params responses.ResponseNewParams
		status int
		code   string
	}{
		{"unknown model", responseParams("nonsense", "Hello"), http.StatusNotFound, "model_not_found"},
		{"bad request", bad, http.StatusBadRequest, ""},
		{"rate limit", responseParams("error-429-responses", "Hello"), http.StatusTooManyRequests, "rate_limit_exceeded"},
		{"rate limit of another format", responseParams("error-429-messages", "Hello"), http.StatusTooManyRequests, "rate_limit_exceeded"},
	} {
		for _, way := range []string{"plain", "stream"} {
			t.Run(tc.name+"/"+way, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), testLimit)
				defer cancel()
				_, err := responseAsk(ctx, t, way == "stream", tc.params)
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

// TestResponsesCut checks that an answer that breaks off never looks complete.
func TestResponsesCut(t *testing.T) {
	client := openaiClient()
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		params := responseParams("error-cut-"+upstream, "Tell me a story.")
		stream := client.Responses.NewStreaming(ctx, params)
		defer stream.Close()
		text, failed := "", false
		for stream.Next() {
			switch event := stream.Current(); event.Type {
			case "response.output_text.delta":
				text += event.Delta
			case "response.completed", "response.incomplete":
				t.Errorf("got %s", event.RawJSON())
			case "response.failed":
				failed = event.Response.Error.Message != ""
			}
		}
		if text == "" || !failed && stream.Err() == nil {
			t.Errorf("got %q, failed: %t, %v; want a beginning and an error", text, failed, stream.Err())
		}
		_, err := client.Responses.New(ctx, params)
		checkOpenAIError(t, err, http.StatusBadGateway)
	})
}
