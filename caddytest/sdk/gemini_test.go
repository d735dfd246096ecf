package sdk

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"google.golang.org/genai"
)

func TestGemini(t *testing.T) {
	client := geminiClient(t, gateway.url, gateway.client)
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		config := &genai.GenerateContentConfig{SystemInstruction: genai.NewContentFromText("Be brief.", genai.RoleUser)}
		got, err := client.Models.GenerateContent(ctx, "echo-"+upstream, genai.Text("Hello, \"wörld\"\n!"), config)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Candidates) != 1 || got.ResponseID == "" || got.ModelVersion == "" {
			t.Fatalf("got %+v", got)
		}
		if got.Candidates[0].FinishReason != genai.FinishReasonStop || got.Text() != "Hello, \"wörld\"\n!" {
			t.Errorf("got candidate %+v", got.Candidates[0])
		}
		if usage := got.UsageMetadata; usage == nil || usage.PromptTokenCount != 5 || usage.CandidatesTokenCount != 3 || usage.TotalTokenCount != 8 {
			t.Errorf("got usage %+v", usage)
		}
		checkHeaders(t, &http.Response{Header: got.SDKHTTPResponse.Headers}, upstream, "echo")
	})
}

func TestGeminiStream(t *testing.T) {
	client := geminiClient(t, gateway.url, gateway.client)
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		text, pieces, finish := "", 0, genai.FinishReason("")
		var usage *genai.GenerateContentResponseUsageMetadata
		for piece, err := range client.Models.GenerateContentStream(ctx, "story-"+upstream, genai.Text("Tell me a story."), nil) {
			if err != nil {
				t.Fatal(err)
			}
			pieces++
			text += piece.Text()
			if piece.UsageMetadata != nil {
				usage = piece.UsageMetadata
			}
			for _, candidate := range piece.Candidates {
				finish += candidate.FinishReason
			}
		}
		wholeStory(t, text)
		if finish != genai.FinishReasonStop {
			t.Errorf("got finish reason %q", finish)
		}
		if pieces < 100 || usage == nil || usage.CandidatesTokenCount < 100 || usage.PromptTokenCount != 4 {
			t.Errorf("got %d pieces and usage %+v", pieces, usage)
		}
	})
}

func TestGeminiTools(t *testing.T) {
	for _, way := range []string{"plain", "stream"} {
		for question, want := range map[string][]string{
			"How is the weather?":   {"weather"},
			"Ask both in parallel.": {"weather", "clock"},
		} {
			t.Run(way+"/"+want[len(want)-1], func(t *testing.T) {
				eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
					geminiToolLoop(ctx, t, way == "stream", "tools-"+upstream, question, want)
				})
			})
		}
	}
}

// geminiTools are two tools, one with a schema of each kind.
var geminiTools = []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{
	{Name: "weather", Description: "Tells the weather of a city.", ParametersJsonSchema: argumentSchema("city")},
	{Name: "clock", Parameters: &genai.Schema{Type: genai.TypeObject, Properties: map[string]*genai.Schema{}}},
}}}

// geminiToolLoop asks, checks that the tools named in want are called, answers
// them and checks that the model has heard the answers.
func geminiToolLoop(ctx context.Context, t *testing.T, stream bool, model, question string, want []string) {
	t.Helper()
	contents := genai.Text(question)
	first, err := geminiAsk(ctx, t, stream, model, contents)
	if err != nil {
		t.Fatal(err)
	}
	calls, results := new(genai.Content), new(genai.Content)
	calls.Role, results.Role = genai.RoleModel, genai.RoleUser
	answer := "The tool answered: "
	for i, c := range first.calls {
		arguments, _ := c.arguments.(map[string]any)
		if i >= len(want) || c.name != want[i] || c.name == "weather" && arguments["city"] != "demo" {
			t.Fatalf("got calls %+v, want %v", first.calls, want)
		}
		if i > 0 {
			answer += "; "
		}
		answer += "result of " + want[i]
		calls.Parts = append(calls.Parts, &genai.Part{FunctionCall: &genai.FunctionCall{ID: c.id, Name: c.name, Args: arguments}})
		results.Parts = append(results.Parts, &genai.Part{FunctionResponse: &genai.FunctionResponse{
			ID: c.id, Name: c.name, Response: map[string]any{"output": "result of " + want[i]},
		}})
	}
	if len(first.calls) != len(want) {
		t.Fatalf("got calls %+v, want %v", first.calls, want)
	}
	second, err := geminiAsk(ctx, t, stream, model, append(contents, calls, results))
	if err != nil {
		t.Fatal(err)
	}
	if second.text != answer {
		t.Errorf("got %+v, want %q", second, answer)
	}
}

// geminiAsk asks with the tools, without a stream or with one.
func geminiAsk(ctx context.Context, t *testing.T, stream bool, model string, contents []*genai.Content) (said, error) {
	t.Helper()
	client := geminiClient(t, gateway.url, gateway.client)
	config := &genai.GenerateContentConfig{Tools: geminiTools}
	if stream {
		got, finish, err := foldGemini(ctx, t, client, model, contents, config)
		if err == nil && finish != "STOP" {
			t.Errorf("got finish reason %q", finish)
		}
		return got, err
	}
	answer, err := client.Models.GenerateContent(ctx, model, contents, config)
	if err != nil {
		return said{}, err
	}
	got, finish := geminiSaid(t, answer)
	if finish != "STOP" {
		t.Errorf("got finish reason %q", finish)
	}
	return got, nil
}

func TestGeminiModels(t *testing.T) {
	client := geminiClient(t, gateway.url, gateway.client)
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	seen := map[string]bool{}
	for model, err := range client.Models.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		seen[model.Name] = true
	}
	if len(seen) != countModels() || !seen["models/echo-chat"] || !seen["models/echo-gemini"] {
		t.Errorf("got models %v", seen)
	}
	if got, err := client.Models.Get(ctx, "echo-chat", nil); err != nil || got.Name != "models/echo-chat" {
		t.Errorf("got model %+v, %v", got, err)
	}
	_, err := client.Models.Get(ctx, "nonsense", nil)
	checkGeminiError(t, err, http.StatusNotFound, "NOT_FOUND")
}

func TestGeminiErrors(t *testing.T) {
	for _, tc := range []struct {
		name, model string
		contents    []*genai.Content
		code        int
		status      string
	}{
		{"unknown model", "nonsense", genai.Text("Hello"), http.StatusNotFound, "NOT_FOUND"},
		{"no contents", "echo-chat", []*genai.Content{{Role: "nobody", Parts: []*genai.Part{{Text: "Hello"}}}}, http.StatusBadRequest, "INVALID_ARGUMENT"},
		{"rate limit", "error-429-gemini", genai.Text("Hello"), http.StatusTooManyRequests, "RESOURCE_EXHAUSTED"},
		{"rate limit of another format", "error-429-chat", genai.Text("Hello"), http.StatusTooManyRequests, "RESOURCE_EXHAUSTED"},
	} {
		for _, way := range []string{"plain", "stream"} {
			t.Run(tc.name+"/"+way, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), testLimit)
				defer cancel()
				_, err := geminiAsk(ctx, t, way == "stream", tc.model, tc.contents)
				checkGeminiError(t, err, tc.code, tc.status)
			})
		}
	}
}

// checkGeminiError checks that err is the SDK's own error with that code and
// status.
func checkGeminiError(t *testing.T, err error, code int, status string) {
	t.Helper()
	var e genai.APIError
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want an error of the SDK", err, err)
	}
	if e.Code != code || e.Status != status || e.Message == "" {
		t.Errorf("got %+v, want %d %s", e, code, status)
	}
}

// TestGeminiCut checks that an answer that breaks off never looks complete.
func TestGeminiCut(t *testing.T) {
	client := geminiClient(t, gateway.url, gateway.client)
	eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
		model := "error-cut-" + upstream
		got, finish, err := foldGemini(ctx, t, client, model, genai.Text("Tell me a story."), nil)
		if err == nil || got.text == "" || finish != "" {
			t.Errorf("got %+v, finish reason %q, %v; want a beginning and an error", got, finish, err)
		}
		_, err = client.Models.GenerateContent(ctx, model, genai.Text("Tell me a story."), nil)
		checkGeminiError(t, err, http.StatusBadGateway, "UNAVAILABLE")
	})
}
