package sdk

import (
	"context"
	"encoding/json"
	"testing"

	v1 "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
	"google.golang.org/genai"
)

// client asks a question of the recorded upstream with an SDK: with the tools, or
// for an answer of the schema.
type client struct {
	name string
	ask  func(ctx context.Context, t *testing.T, model string, stream, structured bool) (said, error)
}

// clients are all SDKs for Go, and both formats of OpenAI's.
var clients = []client{
	{"openai chat", askChat},
	{"openai responses", askResponses},
	{"anthropic v1", askMessagesV1},
	{"anthropic v2", askMessagesV2},
	{"genai", askGemini},
}

const question = "How is the weather, and what time is it?"

// answerSchema is the schema of a structured answer.
var answerSchema = map[string]any{
	"type":                 "object",
	"properties":           map[string]any{"answer": map[string]any{"type": "integer"}},
	"required":             []string{"answer"},
	"additionalProperties": false,
}

// toolSchemas are the arguments of the tools.
var toolSchemas = []struct {
	name, argument string
}{
	{"weather", "city"},
	{"clock", "zone"},
}

// argumentSchema is the schema of a tool with one argument.
func argumentSchema(argument string) map[string]any {
	return map[string]any{
		"type":       "object",
		"properties": map[string]any{argument: map[string]any{"type": "string"}},
		"required":   []string{argument},
	}
}

func askChat(ctx context.Context, t *testing.T, model string, stream, structured bool) (said, error) {
	client := openaiClient()
	params := openai.ChatCompletionNewParams{
		Model:           model,
		Messages:        []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)},
		ReasoningEffort: shared.ReasoningEffortLow,
	}
	if structured {
		params.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "answer", Strict: openai.Bool(true), Schema: answerSchema},
		}
	} else {
		for _, tool := range toolSchemas {
			params.Tools = append(params.Tools, openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
				Name: tool.name, Parameters: argumentSchema(tool.argument),
			}))
		}
	}
	if stream {
		got, _, err := foldChat(ctx, t, &client, params)
		return got, err
	}
	answer, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		return said{}, err
	}
	message := answer.Choices[0].Message
	return said{
		text:     message.Content + message.Refusal,
		thinking: reasoning(t, message.JSON.ExtraFields["reasoning_content"].Raw()),
		calls:    chatCalls(message),
	}, nil
}

func askResponses(ctx context.Context, t *testing.T, model string, stream, structured bool) (said, error) {
	client := openaiClient()
	params := responses.ResponseNewParams{
		Model:     model,
		Input:     responses.ResponseNewParamsInputUnion{OfString: openai.String(question)},
		Reasoning: shared.ReasoningParam{Effort: shared.ReasoningEffortLow, Summary: shared.ReasoningSummaryAuto},
	}
	if structured {
		params.Text.Format.OfJSONSchema = &responses.ResponseFormatTextJSONSchemaConfigParam{
			Name: "answer", Strict: openai.Bool(true), Schema: answerSchema,
		}
	} else {
		for _, tool := range toolSchemas {
			params.Tools = append(params.Tools, responses.ToolParamOfFunction(tool.name, argumentSchema(tool.argument), false))
		}
	}
	if stream {
		answer, err := foldResponse(ctx, t, &client, params)
		if err != nil {
			return said{}, err
		}
		return responseSaid(t, answer), nil
	}
	answer, err := client.Responses.New(ctx, params)
	if err != nil {
		return said{}, err
	}
	return responseSaid(t, answer), nil
}

func askMessagesV1(ctx context.Context, t *testing.T, model string, stream, structured bool) (said, error) {
	params := anthropicV1Params(model, question)
	params.MaxTokens = 4096
	params.Thinking = v1.ThinkingConfigParamOfEnabled(1024)
	if structured {
		params.OutputConfig.Format = v1.JSONOutputFormatParam{Schema: answerSchema}
	} else {
		for _, tool := range toolSchemas {
			schema := argumentSchema(tool.argument)
			params.Tools = append(params.Tools, v1.ToolUnionParamOfTool(v1.ToolInputSchemaParam{
				Properties: schema["properties"], Required: schema["required"].([]string),
			}, tool.name))
		}
	}
	answer, _, err := anthropicV1Ask(ctx, stream, params)
	if err != nil {
		return said{}, err
	}
	return messageV1Said(answer), nil
}

func askMessagesV2(ctx context.Context, t *testing.T, model string, stream, structured bool) (said, error) {
	params := anthropicV2Params(model, question)
	params.Thinking = anthropic.ThinkingConfigParamUnion{OfAdaptive: &anthropic.ThinkingConfigAdaptiveParam{}}
	if structured {
		params.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: answerSchema}
	} else {
		for _, tool := range toolSchemas {
			schema := argumentSchema(tool.argument)
			params.Tools = append(params.Tools, anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{
				Properties: schema["properties"], Required: schema["required"].([]string),
			}, tool.name))
		}
	}
	answer, _, err := anthropicV2Ask(ctx, stream, params)
	if err != nil {
		return said{}, err
	}
	return messageSaid(t, answer), nil
}

func askGemini(ctx context.Context, t *testing.T, model string, stream, structured bool) (said, error) {
	client := geminiClient(t, gateway.url, gateway.client)
	config := &genai.GenerateContentConfig{ThinkingConfig: &genai.ThinkingConfig{IncludeThoughts: true}}
	if structured {
		config.ResponseMIMEType, config.ResponseJsonSchema = "application/json", answerSchema
	} else {
		tool := new(genai.Tool)
		for _, f := range toolSchemas {
			tool.FunctionDeclarations = append(tool.FunctionDeclarations, &genai.FunctionDeclaration{
				Name: f.name, ParametersJsonSchema: argumentSchema(f.argument),
			})
		}
		config.Tools = []*genai.Tool{tool}
	}
	if stream {
		got, _, err := foldGemini(ctx, t, client, model, genai.Text(question), config)
		return got, err
	}
	answer, err := client.Models.GenerateContent(ctx, model, genai.Text(question), config)
	if err != nil {
		return said{}, err
	}
	got, _ := geminiSaid(t, answer)
	return got, nil
}

// eachClient runs a test with each SDK, against each recorded upstream, plain and
// streamed.
func eachClient(t *testing.T, model string, structured bool, test func(t *testing.T, upstream string, got said)) {
	t.Helper()
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			eachUpstream(t, func(ctx context.Context, t *testing.T, upstream string) {
				for _, way := range []string{"plain", "stream"} {
					t.Run(way, func(t *testing.T) {
						got, err := client.ask(ctx, t, model+"-"+upstream, way == "stream", structured)
						if err != nil {
							t.Fatal(err)
						}
						test(t, upstream, got)
					})
				}
			})
		})
	}
}

// TestReasoningAndCalls checks that reasoning, text and parallel calls arrive, and
// that a stream adds up to the same as the plain answer.
func TestReasoningAndCalls(t *testing.T) {
	eachClient(t, "reasoning", false, func(t *testing.T, _ string, got said) {
		said{
			thinking: "The user wants two answers.",
			text:     "I look at both.",
			calls: []toolCall{
				{"call_1", "weather", map[string]any{"city": "Rome"}},
				{"call_2", "clock", map[string]any{"zone": "CET"}},
			},
		}.check(t, got)
	})
}

// schemaAt is where each format has the schema of a structured answer.
var schemaAt = map[string][]string{
	"chat":      {"response_format", "json_schema", "schema"},
	"responses": {"text", "format", "schema"},
	"messages":  {"output_config", "format", "schema"},
	"gemini":    {"generationConfig", "responseJsonSchema"},
}

// TestStructuredOutput checks that an upstream is asked for an answer of the
// schema in its own words, and that the answer arrives as it is.
func TestStructuredOutput(t *testing.T) {
	eachClient(t, "structured", true, func(t *testing.T, upstream string, got said) {
		said{text: `{"answer":42}`}.check(t, got)
		var asked any
		if err := json.Unmarshal(recorded.last("structured", upstream), &asked); err != nil {
			t.Fatal(err)
		}
		for _, name := range schemaAt[upstream] {
			object, _ := asked.(map[string]any)
			asked = object[name]
		}
		schema, _ := asked.(map[string]any)
		properties, _ := schema["properties"].(map[string]any)
		answer, _ := properties["answer"].(map[string]any)
		if schema["type"] != "object" || answer["type"] != "integer" {
			t.Errorf("the upstream was asked for %v: %s", asked, recorded.last("structured", upstream))
		}
	})
}
