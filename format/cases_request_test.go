package format_test

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// What is known of three kinds of Claude models.
var (
	manualClaude   = capability.Model{Thinking: capability.ThinkingManual, ForcedTool: capability.ForcedNotThinking}
	adaptiveClaude = capability.Model{Thinking: capability.ThinkingAdaptive, Sampling: capability.SamplingNone}
	stubbornClaude = capability.Model{Thinking: capability.ThinkingAdaptive, ForcedTool: capability.ForcedRefused}
)

// chatAsk is a request of OpenAI chat with more members.
func chatAsk(members string) string {
	return `{"model":"m","messages":[{"role":"user","content":"Hi."}],` + members + `}`
}

// weatherTool are the members of a request that offer a tool.
const weatherTool = `"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]`

// TestCase22ForcedToolAndEffort: a forced tool wins over manual thinking; a model
// that refuses to be forced is asked in words.
func TestCase22ForcedToolAndEffort(t *testing.T) {
	body := chatAsk(`"max_tokens":8000,"reasoning_effort":"high",` + weatherTool + `,"tool_choice":"required"`)
	got, report := translateRequest(t, chatFormat, messagesFormat, body, chat.Target{Can: manualClaude})
	want(t, got, "tool_choice", `{"type":"any"}`)
	want(t, got, "thinking", "")
	if !reported(report, "reasoning") {
		t.Errorf("the report says nothing of the reasoning: %v", report)
	}

	body = chatAsk(`"max_tokens":8000,` + weatherTool + `,"tool_choice":"required"`)
	got, report = translateRequest(t, chatFormat, messagesFormat, body, chat.Target{Can: stubbornClaude})
	want(t, got, "tool_choice.type", `"auto"`)
	if !strings.Contains(got.Get("system").Raw, "tool") {
		t.Errorf("the instruction is missing: %s", got.Raw)
	}
	meaning := false
	for _, loss := range report {
		meaning = meaning || loss.Meaning && strings.HasPrefix(loss.Path, "tool_choice")
	}
	if !meaning {
		t.Errorf("the report does not say that the choice has lost its meaning: %v", report)
	}
}

// TestCase23EffortWithFewTokens: there is no room for thinking, and the limit
// stays what the client asked for.
func TestCase23EffortWithFewTokens(t *testing.T) {
	got, report := translateRequest(t, chatFormat, messagesFormat, chatAsk(`"max_tokens":500,"reasoning_effort":"high"`), chat.Target{Can: manualClaude})
	want(t, got, "max_tokens", "500")
	want(t, got, "thinking", "")
	if !reported(report, "reasoning") {
		t.Errorf("the report says nothing of the reasoning: %v", report)
	}
}

// TestCase24EffortOnAdaptiveClaude: an effort, no budget, no sampling.
func TestCase24EffortOnAdaptiveClaude(t *testing.T) {
	got, _ := translateRequest(t, chatFormat, messagesFormat, chatAsk(`"max_tokens":8000,"reasoning_effort":"high","temperature":0.5`), chat.Target{Can: adaptiveClaude})
	want(t, got, "thinking.type", `"adaptive"`)
	want(t, got, "thinking.budget_tokens", "")
	want(t, got, "output_config.effort", `"high"`)
	want(t, got, "temperature", "")
}

// TestCase25ToolLoopOnManualClaude: without its own signed thinking in the
// history a model with manual thinking is not asked to think.
func TestCase25ToolLoopOnManualClaude(t *testing.T) {
	body := strings.Replace(chatTurns(`"{}"`, `,{"role":"tool","tool_call_id":"t1","content":"one"},{"role":"tool","tool_call_id":"t2","content":"two"}`),
		`"max_tokens":100`, `"max_tokens":8000,"reasoning_effort":"high"`, 1)
	got, _ := translateRequest(t, chatFormat, messagesFormat, body, chat.Target{Can: manualClaude})
	want(t, got, "thinking", "")
	want(t, got, "messages.1.content.#.type", `["tool_use","tool_use"]`)
}

// TestCase26Sampling: too hot is clamped, top_p gives way to temperature, and the
// version 2026-10-21 takes neither.
func TestCase26Sampling(t *testing.T) {
	got, report := translateRequest(t, chatFormat, messagesFormat, chatAsk(`"max_tokens":100,"temperature":1.7`), chat.Target{})
	want(t, got, "temperature", "1")
	if !reported(report, "temperature") {
		t.Errorf("the report says nothing of the temperature: %v", report)
	}
	both := chatAsk(`"max_tokens":100,"temperature":0.5,"top_p":0.9`)
	got, report = translateRequest(t, chatFormat, messagesFormat, both, chat.Target{})
	want(t, got, "temperature", "0.5")
	want(t, got, "top_p", "")
	if !reported(report, "top_p") {
		t.Errorf("the report says nothing of top_p: %v", report)
	}
	got, report = translateRequest(t, chatFormat, messagesFormat, both, chat.Target{AnthropicVersion: "2026-10-21"})
	want(t, got, "temperature", "")
	want(t, got, "top_p", "")
	if !reported(report, "temperature") || !reported(report, "top_p") {
		t.Errorf("the report is %v", report)
	}
}

// TestCase39SchemaToGemini: a schema goes as it is where JSON Schema is taken,
// and is converted where it is not.
func TestCase39SchemaToGemini(t *testing.T) {
	const schema = `{"type":"object","additionalProperties":false,"$defs":{"City":{"type":"string","minLength":1}},"properties":{"city":{"$ref":"#/$defs/City"},"unit":{"const":"C"},"note":{"type":["string","null"]}},"required":["city","gone"]}`
	body := chatAsk(`"tools":[{"type":"function","function":{"name":"weather","parameters":` + schema + `}}]`)
	const function = "tools.0.functionDeclarations.0."
	got, _ := translateRequest(t, chatFormat, geminiFormat, body, chat.Target{})
	want(t, got, function+"parametersJsonSchema", schema)
	want(t, got, function+"parameters", "")

	got, _ = translateRequest(t, chatFormat, geminiFormat, body, chat.Target{OwnSchemas: true})
	want(t, got, function+"parametersJsonSchema", "")
	converted := got.Get(function + "parameters")
	for _, word := range []string{"$ref", "$defs", "additionalProperties", "const", "gone"} {
		if strings.Contains(converted.Raw, word) {
			t.Errorf("the converted schema holds %s: %s", word, converted.Raw)
		}
	}
	if kind := converted.Get("properties.city.type").String(); !strings.EqualFold(kind, "string") {
		t.Errorf("the reference became %s", converted.Get("properties.city").Raw)
	}
	want(t, converted, "properties.unit.enum", `["C"]`)
	want(t, converted, "properties.note.nullable", "true")
	want(t, converted, "required", `["city"]`)
}
