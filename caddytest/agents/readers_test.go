//go:build unix

package agents

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// readChat reads a request of OpenAI chat.
func readChat(t *transcript, r *provider.Request) error {
	var in struct {
		Model string
		Tools []struct {
			Type     string
			Function struct {
				Name       string
				Parameters json.RawMessage
			}
		}
		Messages []struct {
			Role       string
			Content    json.RawMessage
			ToolCallID string `json:"tool_call_id"`
			ToolCalls  []struct {
				ID       string
				Function struct{ Name string }
			} `json:"tool_calls"`
		}
		ResponseFormat struct{ Type string } `json:"response_format"`
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	t.model, t.schema = in.Model, in.ResponseFormat.Type == "json_schema"
	for _, tool := range in.Tools {
		if tool.Type != "function" {
			return fmt.Errorf("a tool has the type %q", tool.Type)
		}
		if err := t.offer(tool.Function.Name, tool.Function.Parameters); err != nil {
			return err
		}
	}
	for _, message := range in.Messages {
		for _, call := range message.ToolCalls {
			t.call(call.ID, call.Function.Name)
		}
		if message.Role != "tool" {
			continue
		}
		result, err := text(message.Content)
		if err != nil {
			return err
		}
		if err := t.hear(message.ToolCallID, "", result); err != nil {
			return err
		}
	}
	return nil
}

// readResponses reads a request of OpenAI Responses.
func readResponses(t *transcript, r *provider.Request) error {
	var in struct {
		Model string
		Tools []struct {
			Type, Name string
			Parameters json.RawMessage
		}
		Input []struct {
			Type, Name string
			CallID     string `json:"call_id"`
			Output     json.RawMessage
		}
		Text struct{ Format struct{ Type string } }
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	t.model, t.schema = in.Model, in.Text.Format.Type == "json_schema"
	for _, tool := range in.Tools {
		if tool.Type != "function" {
			return fmt.Errorf("a tool has the type %q", tool.Type)
		}
		if err := t.offer(tool.Name, tool.Parameters); err != nil {
			return err
		}
	}
	for _, item := range in.Input {
		switch item.Type {
		case "function_call":
			t.call(item.CallID, item.Name)
		case "function_call_output":
			result, err := text(item.Output)
			if err != nil {
				return err
			}
			if err := t.hear(item.CallID, "", result); err != nil {
				return err
			}
		}
	}
	return nil
}

// readMessages reads a request of Anthropic messages.
func readMessages(t *transcript, r *provider.Request) error {
	var in struct {
		Model string
		Tools []struct {
			Name        string
			InputSchema json.RawMessage `json:"input_schema"`
		}
		Messages     []struct{ Content json.RawMessage }
		OutputConfig struct {
			Format struct{ Type string }
		} `json:"output_config"`
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	t.model, t.schema = in.Model, in.OutputConfig.Format.Type == "json_schema"
	for _, tool := range in.Tools {
		if err := t.offer(tool.Name, tool.InputSchema); err != nil {
			return err
		}
	}
	for _, message := range in.Messages {
		if !strings.HasPrefix(string(message.Content), "[") {
			continue
		}
		if err := readBlocks(t, message.Content); err != nil {
			return err
		}
	}
	return nil
}

// readBlocks reads the content of a message of Anthropic messages.
func readBlocks(t *transcript, content json.RawMessage) error {
	var blocks []struct {
		Type, ID, Name string
		ToolUseID      string `json:"tool_use_id"`
		Content        json.RawMessage
	}
	if err := json.Unmarshal(content, &blocks); err != nil {
		return err
	}
	for _, block := range blocks {
		switch block.Type {
		case "tool_use":
			t.call(block.ID, block.Name)
		case "tool_result":
			result, err := text(block.Content)
			if err != nil {
				return err
			}
			if err := t.hear(block.ToolUseID, "", result); err != nil {
				return err
			}
		}
	}
	return nil
}

// readGemini reads a request of Gemini, which has its model in the path.
func readGemini(t *transcript, r *provider.Request) error {
	var in struct {
		Tools []struct {
			FunctionDeclarations []struct {
				Name                             string
				Parameters, ParametersJSONSchema json.RawMessage
			}
		}
		Contents []struct {
			Parts []struct {
				FunctionCall     *struct{ ID, Name string }
				FunctionResponse *struct {
					ID, Name string
					Response json.RawMessage
				}
			}
		}
		GenerationConfig struct{ ResponseSchema, ResponseJSONSchema json.RawMessage }
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return err
	}
	_, path, _ := strings.Cut(r.Path, "/models/")
	t.model, _, _ = strings.Cut(path, ":")
	t.schema = in.GenerationConfig.ResponseSchema != nil || in.GenerationConfig.ResponseJSONSchema != nil
	for _, tool := range in.Tools {
		for _, f := range tool.FunctionDeclarations {
			schema := f.ParametersJSONSchema
			if schema == nil {
				schema = f.Parameters
			}
			if err := t.offer(f.Name, schema); err != nil {
				return err
			}
		}
	}
	for _, content := range in.Contents {
		for _, part := range content.Parts {
			if call := part.FunctionCall; call != nil {
				t.call(call.ID, call.Name)
			}
			if result := part.FunctionResponse; result != nil {
				if err := t.hear(result.ID, result.Name, string(result.Response)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
