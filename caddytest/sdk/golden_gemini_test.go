package sdk

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"google.golang.org/genai"
)

// geminiClient is a client of an origin.
func geminiClient(t *testing.T, origin string, client *http.Client) *genai.Client {
	t.Helper()
	out, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		Backend:     genai.BackendGeminiAPI,
		APIKey:      key,
		HTTPClient:  client,
		HTTPOptions: genai.HTTPOptions{BaseURL: origin},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGoldenGemini(t *testing.T) {
	goldens(t, func(t *testing.T, stream []byte, want said, failed bool) {
		client := geminiClient(t, "http://replayed", replay(stream))
		got, finish, err := foldGemini(t.Context(), t, client, "writer", genai.Text("Hello"), nil)
		if failed {
			checkFailed(t, err, finish != "")
			var e genai.APIError
			if !errors.As(err, &e) || e.Code == 0 || e.Status == "" || e.Message == "" {
				t.Errorf("got %T %v, want an error of the API", err, err)
			}
			return
		}
		if err != nil || finish == "" {
			t.Fatalf("got finish reason %q, %v", finish, err)
		}
		for i := range want.calls {
			if broken, ok := want.calls[i].arguments.(string); ok { // Gemini has objects only
				want.calls[i].arguments = map[string]any{"_raw": broken}
			}
		}
		want.check(t, got)
	}, "gemini/testdata/*/client_stream.golden.sse")
}

// foldGemini asks for a stream and adds up its pieces. The finish reason is that
// of the candidate, or the reason why the prompt was blocked.
func foldGemini(ctx context.Context, t *testing.T, client *genai.Client, model string, contents []*genai.Content, config *genai.GenerateContentConfig) (got said, finish string, err error) {
	t.Helper()
	for piece, err := range client.Models.GenerateContentStream(ctx, model, contents, config) {
		if err != nil {
			return got, finish, err
		}
		more, end := geminiSaid(t, piece)
		got.text += more.text
		got.thinking += more.thinking
		got.calls = append(got.calls, more.calls...)
		if end != "" && finish != "" {
			t.Errorf("got finish reason %q behind %q", end, finish)
		}
		finish += end
	}
	return got, finish, nil
}

// geminiSaid is what an answer of Gemini, or a piece of a stream, holds.
func geminiSaid(t *testing.T, answer *genai.GenerateContentResponse) (got said, finish string) {
	t.Helper()
	if answer.PromptFeedback != nil {
		finish = string(answer.PromptFeedback.BlockReason)
	}
	for _, candidate := range answer.Candidates {
		finish += string(candidate.FinishReason)
		if candidate.Content == nil {
			continue
		}
		for _, part := range candidate.Content.Parts {
			switch {
			case part.FunctionCall != nil:
				c := toolCall{id: part.FunctionCall.ID, name: part.FunctionCall.Name, arguments: part.FunctionCall.Args}
				if part.FunctionCall.Args == nil {
					c.arguments = map[string]any{}
				}
				got.calls = append(got.calls, c)
			case part.Thought:
				got.thinking += part.Text
			default:
				got.text += part.Text
			}
		}
	}
	return got, finish
}
