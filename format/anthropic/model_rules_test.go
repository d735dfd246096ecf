package anthropic

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// on is reasoning with an effort.
func on(effort string) chat.Reasoning {
	return chat.Reasoning{State: chat.ReasoningOn, Effort: effort}
}

// budget is reasoning with a number of tokens.
func budget(n string) chat.Reasoning {
	return chat.Reasoning{State: chat.ReasoningOn, Budget: chat.Number(n)}
}

var (
	offed  = chat.Reasoning{State: chat.ReasoningOff, Effort: "none"}
	forced = chat.ToolChoice{Mode: chat.ToolAny}
)

// schemaOf asks for an answer by a schema.
func schemaOf(schema string) chat.Output {
	return chat.Output{Kind: chat.OutputJSONSchema, Name: q("person"), Schema: chat.Raw(schema)}
}

// What a model takes decides about the request.
func TestEncodeForModels(t *testing.T) {
	n := func(s string) chat.Number { return chat.Number(s) }
	shown := `"thinking":{"type":"adaptive","display":"summarized"}`
	toolF := `"tools":[{"name":"f","input_schema":{"type":"object"}}]`
	loop := []chat.Turn{user(textOf("a")), said(call("x", "f")), user(resultOf("x"))}
	object := `{"type":"object","properties":{"name":{"type":"string"}}}`
	for _, tc := range []struct {
		name   string
		model  string
		r      chat.Request
		want   string
		report string
	}{
		// max_tokens
		{"limit of the model", "claude-opus-4-1", chat.Request{}, `"max_tokens":32000`, ""},
		{"limit of the client", "claude-opus-4-1", chat.Request{MaxTokens: n("7")}, `"max_tokens":7`, ""},
		{"limit of the client above the model's", "claude-3-5-haiku-latest", chat.Request{MaxTokens: n("32000")}, `"max_tokens":8192`, "max_tokens clamped"},
		{"limit with a fraction of zero", "claude-opus-4-1", chat.Request{MaxTokens: n("100.0")}, `"max_tokens":100`, ""},

		// Sampling
		{"no sampling from 4.7 on", "claude-opus-4-7", chat.Request{Temperature: n("1"), TopP: n("1"), TopK: n("5")}, `"max_tokens":128000`, "temperature unsupported, top_p unsupported, top_k unsupported"},
		{"no both from 4.1 on", "claude-sonnet-4-5", chat.Request{Temperature: n("0.5"), TopP: n("0.5")}, `"max_tokens":64000,"temperature":0.5`, "top_p unsupported"},

		// Manual thinking
		{"effort on a manual model", "claude-sonnet-4-5", chat.Request{Reasoning: on("high"), MaxTokens: n("30000")}, `"max_tokens":30000,"thinking":{"type":"enabled","budget_tokens":24576}`, "reasoning approximated"},
		{"budget and no limit", "claude-sonnet-4-5", chat.Request{Reasoning: budget("9000")}, `"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":9000}`, ""},
		{"budget above the model's limit", "claude-opus-4-1", chat.Request{Reasoning: budget("90000")}, `"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":31999}`, "reasoning clamped"},
		{"budget with a fraction of zero", "claude-sonnet-4-5", chat.Request{Reasoning: budget("2000.0"), MaxTokens: n("4000")}, `"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000}`, ""},
		{"effort with max_tokens 500", "claude-sonnet-4-5", chat.Request{Reasoning: on("low"), MaxTokens: n("500")}, `"max_tokens":500`, "reasoning unsupported"},
		{"adaptive wanted of a manual model", "claude-sonnet-4-5", chat.Request{Reasoning: chat.Reasoning{State: chat.ReasoningOn, Adaptive: true, Effort: "low"}, MaxTokens: n("4000")}, `"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1024}`, "reasoning approximated"},
		{"forced tool on a manual model", "claude-sonnet-4-5", chat.Request{Reasoning: on("low"), Tools: tools("f"), ToolChoice: forced}, `"max_tokens":64000,` + toolF + `,"tool_choice":{"type":"any"}`, "reasoning unsupported"},
		{"tool loop without signed thinking on a manual model", "claude-sonnet-4-5", chat.Request{Reasoning: on("low"), Tools: tools("f"), Turns: loop}, `"max_tokens":64000,` + toolF, "reasoning unsupported"},
		{"off on a manual model", "claude-sonnet-4-5", chat.Request{Reasoning: offed}, `"max_tokens":64000`, ""},
		{"effort on a model that does not think", "claude-3-5-sonnet-latest", chat.Request{Reasoning: on("high")}, `"max_tokens":8192`, "reasoning unsupported"},
		{"off on a model that does not think", "claude-3-5-sonnet-latest", chat.Request{Reasoning: offed}, `"max_tokens":8192`, ""},
		{"effort without thinking on a manual model", "claude-sonnet-4-5", chat.Request{Reasoning: chat.Reasoning{Effort: "high"}}, `"max_tokens":64000`, "reasoning unsupported"},
		{"effort without thinking on Opus 4.5", "claude-opus-4-5", chat.Request{Reasoning: chat.Reasoning{Effort: "max"}}, `"max_tokens":64000,"output_config":{"effort":"high"}`, "reasoning clamped"},

		// Both forms
		{"effort on 4.6", "claude-opus-4-6", chat.Request{Reasoning: on("max")}, `"max_tokens":128000,"thinking":{"type":"adaptive"},"output_config":{"effort":"max"}`, ""},
		{"xhigh on 4.6", "claude-opus-4-6", chat.Request{Reasoning: on("xhigh")}, `"max_tokens":128000,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}`, "reasoning clamped"},
		{"budget on 4.6", "claude-opus-4-6", chat.Request{Reasoning: budget("3000"), MaxTokens: n("9000")}, `"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":3000}`, ""},
		{"budget of the model's own on 4.6", "claude-opus-4-6", chat.Request{Reasoning: budget("-1")}, `"max_tokens":128000,"thinking":{"type":"adaptive"}`, ""},
		{"budget on 4.6 in a tool loop", "claude-opus-4-6", chat.Request{Reasoning: budget("3000"), Tools: tools("f"), Turns: loop}, `"max_tokens":128000,` + toolF + `,"thinking":{"type":"adaptive"},"output_config":{"effort":"medium"}`, "reasoning approximated"},
		{"forced tool on 4.6", "claude-opus-4-6", chat.Request{Reasoning: on("low"), Tools: tools("f"), ToolChoice: forced}, `"max_tokens":128000,` + toolF + `,"tool_choice":{"type":"any"}`, "reasoning unsupported"},

		// Adaptive thinking
		{"effort on an adaptive model", "claude-opus-4-8", chat.Request{Reasoning: on("minimal"), Temperature: n("0.5")}, `"max_tokens":128000,` + shown + `,"output_config":{"effort":"low"}`, "temperature unsupported"},
		{"budget on an adaptive model", "claude-opus-4-8", chat.Request{Reasoning: budget("1024")}, `"max_tokens":128000,` + shown + `,"output_config":{"effort":"low"}`, "reasoning approximated"},
		{"large budget on an adaptive model", "claude-opus-4-8", chat.Request{Reasoning: budget("30000")}, `"max_tokens":128000,` + shown + `,"output_config":{"effort":"xhigh"}`, "reasoning approximated"},
		{"tool loop on an adaptive model", "claude-opus-4-8", chat.Request{Reasoning: on("high"), Tools: tools("f"), Turns: loop}, `"max_tokens":128000,` + toolF + `,` + shown + `,"output_config":{"effort":"high"}`, ""},
		{"forced tool on an adaptive model", "claude-opus-4-8", chat.Request{Reasoning: on("high"), Tools: tools("f"), ToolChoice: forced}, `"max_tokens":128000,` + toolF + `,"tool_choice":{"type":"any"},` + shown + `,"output_config":{"effort":"high"}`, ""},
		{"excluded thinking", "claude-opus-4-8", chat.Request{Reasoning: chat.Reasoning{State: chat.ReasoningOn, Effort: "low", Summary: "omitted"}}, `"max_tokens":128000,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"low"}`, ""},
		{"nothing said to 4.8", "claude-opus-4-8", chat.Request{}, `"max_tokens":128000`, ""},
		{"nothing said to a model that thinks anyway", "claude-opus-5-5", chat.Request{}, `"max_tokens":128000,` + shown, ""},
		{"nothing said, thinking excluded", "claude-sonnet-5", chat.Request{Reasoning: chat.Reasoning{Summary: "omitted"}}, `"max_tokens":128000,"thinking":{"type":"adaptive","display":"omitted"}`, ""},

		// Switched off
		{"off on 4.8", "claude-opus-4-8", chat.Request{Reasoning: offed}, `"max_tokens":128000`, ""},
		{"off on Sonnet 5", "claude-sonnet-5", chat.Request{Reasoning: offed}, `"max_tokens":128000,"thinking":{"type":"disabled"}`, ""},
		{"off on Opus 5", "claude-opus-5", chat.Request{Reasoning: on("none")}, `"max_tokens":128000,"thinking":{"type":"disabled"}`, ""},
		{"budget 0 on Opus 5", "claude-opus-5", chat.Request{Reasoning: budget("0")}, `"max_tokens":128000,"thinking":{"type":"disabled"}`, ""},
		{"off on Haiku 5.5", "claude-haiku-5-5", chat.Request{Reasoning: offed}, `"max_tokens":128000,"thinking":{"type":"disabled"}`, ""},
		{"off on Opus 5.5", "claude-opus-5-5", chat.Request{Reasoning: offed}, `"max_tokens":128000,"output_config":{"effort":"low"}`, "reasoning approximated"},
		{"off on Fable 5.1", "claude-fable-5-1", chat.Request{Reasoning: offed}, `"max_tokens":128000,"output_config":{"effort":"low"}`, "reasoning approximated"},
		{"off on Sonnet 5.5", "claude-sonnet-5-5", chat.Request{Reasoning: offed}, `"max_tokens":128000,"thinking":{"type":"between_tools"}`, "reasoning approximated"},

		// Forced tools
		{
			"any tool where that is refused", "claude-opus-5-5",
			chat.Request{Tools: tools("f", "g"), ToolChoice: forced, System: []chat.Block{textOf("s")}},
			`"max_tokens":128000,"system":[{"type":"text","text":"s"},{"type":"text","text":"In your next answer you must call at least one of the tools."}],` +
				`"tools":[{"name":"f","input_schema":{"type":"object"}},{"name":"g","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"},` + shown,
			"tool_choice approximated!",
		},
		{
			"named tool where that is refused", "claude-fable-5-1",
			chat.Request{Tools: tools("f", "g"), ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q("f")}}, ParallelTools: chat.False},
			`"max_tokens":128000,"system":[{"type":"text","text":"In your next answer you must call the tool f."}],` + toolF +
				`,"tool_choice":{"type":"auto","disable_parallel_tool_use":true},` + shown,
			"tool_choice approximated!",
		},
		{"forced tool on Bedrock's Sonnet 5", "us.anthropic.claude-sonnet-5-v1:0", chat.Request{Tools: tools("f"), ToolChoice: forced}, `"max_tokens":128000,` + toolF + `,"tool_choice":{"type":"any"},"thinking":{"type":"disabled"}`, ""},
		{"forced tool and effort on Bedrock's Sonnet 5", "us.anthropic.claude-sonnet-5-v1:0", chat.Request{Reasoning: on("high"), Tools: tools("f"), ToolChoice: forced}, `"max_tokens":128000,` + toolF + `,"tool_choice":{"type":"any"},"thinking":{"type":"disabled"}`, "reasoning unsupported"},

		// Structured output
		{"schema", "claude-opus-4-5", chat.Request{Output: schemaOf(object)}, `"max_tokens":64000,"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"name":{"type":"string"}},"additionalProperties":false}}}`, ""},
		{
			"schema on a model without", "claude-sonnet-4-0",
			chat.Request{Output: schemaOf(object), ParallelTools: chat.False},
			`"max_tokens":64000,"tools":[{"name":"person","description":"Gives the answer. Its input is the whole answer.","input_schema":` + object + `}],"tool_choice":{"type":"tool","name":"person"}`,
			"response_format approximated, parallel_tool_calls unsupported",
		},
		{
			"schema on a model without, beside tools", "claude-sonnet-4-0",
			chat.Request{Output: schemaOf(object), Tools: tools("f")},
			`"max_tokens":64000,"system":[{"type":"text","text":` + string(q(schemaSentence+object)) + `}],` + toolF, "response_format approximated",
		},
		{
			"schema on a model without, beside thinking", "claude-sonnet-4-0",
			chat.Request{Output: schemaOf(object), Reasoning: on("low"), MaxTokens: n("2000")},
			`"max_tokens":2000,"system":[{"type":"text","text":` + string(q(schemaSentence+object)) + `}],"thinking":{"type":"enabled","budget_tokens":1024}`, "reasoning approximated, response_format approximated",
		},
		{
			"schema of no object on a model without", "claude-sonnet-4-0",
			chat.Request{Output: schemaOf(`{"type":"array"}`)},
			`"max_tokens":64000,"system":[{"type":"text","text":` + string(q(schemaSentence+`{"type":"array"}`)) + `}]`, "response_format approximated",
		},
		{
			"strict tool on a model without", "claude-sonnet-4-0",
			chat.Request{Tools: []chat.Tool{{Name: q("f"), Schema: chat.Raw(`{"type":"object"}`), Strict: chat.True}}},
			`"max_tokens":64000,` + toolF, "tools[].strict unsupported",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := chat.Target{Model: tc.model, Can: capability.Of(tc.model), Names: new(chat.Names)}
			checkFields(t, tc.r, to, tc.want, tc.report)
		})
	}
}

// The newer version of the API refuses the three of them whatever the model.
func TestEncodeForVersions(t *testing.T) {
	r := chat.Request{Temperature: chat.Number("0.5"), TopP: chat.Number("1"), TopK: chat.Number("5"), Stop: []chat.Literal{q("x")}}
	checkFields(t, r, chat.Target{Model: "m", AnthropicVersion: "2026-10-21"},
		`"max_tokens":8192,"stop_sequences":["x"]`, "temperature unsupported, top_p unsupported, top_k unsupported")
	checkFields(t, r, chat.Target{Model: "m", AnthropicVersion: "2023-06-01"},
		`"max_tokens":8192,"temperature":0.5,"top_k":5,"stop_sequences":["x"]`, "top_p unsupported")
}

// Without a place to remember it, the tool could not be turned back into text.
func TestSchemaWithoutNames(t *testing.T) {
	can := capability.Of("claude-sonnet-4-0")
	checkFields(t, chat.Request{Output: schemaOf(`{"type":"object"}`)}, chat.Target{Model: "m", Can: can},
		`"max_tokens":64000,"system":[{"type":"text","text":`+string(q(schemaSentence+`{"type":"object"}`))+`}]`, "response_format approximated")
}

func TestTurnRulesOfModels(t *testing.T) {
	for _, tc := range []struct {
		name   string
		model  string
		turns  []chat.Turn
		want   string
		report string
	}{
		{"system behind a user's turn", "claude-opus-5", []chat.Turn{user(textOf("a")), system(textOf("s")), said(textOf("b")), user(textOf("c"))}, "u: a | s: s | a: b | u: c", ""},
		{"system before a user's turn moves behind it", "claude-opus-5", []chat.Turn{user(textOf("a")), said(textOf("b")), system(textOf("s")), user(textOf("c"))}, "u: a | a: b | u: c | s: s", ""},
		{"system between user turns", "claude-opus-5", []chat.Turn{user(textOf("a")), system(textOf("s")), user(textOf("b")), said(textOf("c")), user(textOf("d"))}, "u: a b | s: s | a: c | u: d", ""},
		{"neighbouring systems are joined", "claude-opus-5", []chat.Turn{user(textOf("a")), system(textOf("s")), user(textOf("b")), system(textOf("t"))}, "u: a b | s: s t", ""},
		{"system behind results", "claude-opus-5", []chat.Turn{user(textOf("a")), said(call("x", "f")), system(textOf("s")), user(resultOf("x", textOf("r")))}, `u: a | a: call(x) | u: result(x "r") | s: s`, ""},
		{"system between answers is folded", "claude-opus-5", []chat.Turn{user(textOf("a")), said(textOf("b")), system(textOf("s")), said(textOf("c")), user(textOf("d"))}, "u: a | a: b | u: <system>s</system> | a: c | u: d", ""},
		{"system behind calls without results", "claude-opus-5", []chat.Turn{user(textOf("a")), said(call("x", "f")), system(textOf("s"))}, `u: a | a: call(x) | u: result(x "(no result)")! | s: s`, "tool_use (without a result) approximated"},
		{"system is never first", "claude-opus-5", []chat.Turn{system(textOf("s")), said(textOf("a")), user(textOf("b"))}, "u: <system>s</system> | a: a | u: b", ""},
		{"system on a model without", "claude-sonnet-5", []chat.Turn{user(textOf("a")), said(textOf("b")), system(textOf("s")), user(textOf("c"))}, "u: a | a: b | u: <system>s</system> c", ""},

		{"prefill where it is taken", "claude-sonnet-4-5", []chat.Turn{user(textOf("a")), said(textOf("b \n"))}, "u: a | a: b", ""},
		{"prefill where it is refused", "claude-sonnet-4-6", []chat.Turn{user(textOf("a")), said(textOf("b "))}, "u: a | a: b  | u: Continue.", "messages (prefill) approximated!"},
		{"no prefill behind a call", "claude-sonnet-4-6", []chat.Turn{user(textOf("a")), said(call("x", "f"))}, `u: a | a: call(x) | u: result(x "(no result)")!`, "tool_use (without a result) approximated"},
		{"foreign thinking alone at the end is no prefill", "claude-sonnet-4-6", []chat.Turn{user(textOf("a")), said(thought(foreign, "s"))}, "u: a", "thinking unsupported"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, report := encode(t, &chat.Request{Format: foreign, Turns: tc.turns, Tools: tools("f")}, chat.Target{Model: tc.model, Can: capability.Of(tc.model)})
			root := formattest.Parse(t, string(doc))
			if got := outline(root); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if got := told(report); got != tc.report {
				t.Errorf("got report %q, want %q", got, tc.report)
			}
			checkTurns(t, root)
		})
	}
}

// The turn that asks for more begins a step, so that manual thinking is possible.
func TestThinkingBehindARefusedPrefill(t *testing.T) {
	can := capability.Of("claude-opus-4-6")
	r := chat.Request{Reasoning: budget("2000"), MaxTokens: chat.Number("4000"), Turns: []chat.Turn{user(textOf("a")), said(textOf("b"))}}
	checkFields(t, r, chat.Target{Model: "m", Can: can},
		`"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000}`, "messages (prefill) approximated!")
}

func TestCacheMarks(t *testing.T) {
	marked := func(b chat.Block) chat.Block {
		b.Cache = chat.Raw(`{"mode":"explicit"}`)
		return b
	}
	tool := tools("f")
	tool[0].Cache = chat.Raw(`{"mode":"explicit"}`)
	r := &chat.Request{
		Format: foreign, Tools: tool,
		System: []chat.Block{marked(textOf("s")), textOf("t")},
		Turns: []chat.Turn{
			user(marked(textOf("a"))),
			said(textOf("b"), marked(call("x", "f"))),
			user(marked(resultOf("x", marked(textOf("r"))))),
		},
	}
	doc, report := encode(t, r, chat.Target{Model: "m"})
	// Six marks: those of the tool and of the system prompt are the first.
	if n := strings.Count(string(doc), `"cache_control":{"type":"ephemeral"}`); n != 4 {
		t.Errorf("%d marks: %s", n, doc)
	}
	root := formattest.Parse(t, string(doc))
	if at(root.Get("tools"), 0).Get("cache_control").Exists() || strings.Contains(string(root.Get("system").Raw()), "cache_control") {
		t.Errorf("the first marks are there: %s", doc)
	}
	if got := told(report); got != "cache_control (more than 4) unsupported" {
		t.Errorf("report %q", got)
	}
	// Marks of blocks that are not sent do not count.
	r.Turns = []chat.Turn{user(marked(textOf(" ")), marked(textOf("a"))), said(marked(thought(foreign, "s")), marked(textOf("b"))), user(textOf("c"))}
	doc, report = encode(t, r, chat.Target{Model: "m"})
	if n := strings.Count(string(doc), `"cache_control"`); n != 4 || told(report) != "thinking unsupported" {
		t.Errorf("%d marks, report %q: %s", n, told(report), doc)
	}
}

func TestOwnCacheMarksStay(t *testing.T) {
	r := decode(t, request(`{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}`, ""))
	doc, report := encode(t, r, chat.Target{Model: "m"})
	if !strings.Contains(string(doc), `"cache_control":{"type":"ephemeral","ttl":"1h"}`) || len(report) > 0 {
		t.Errorf("%s, lost %v", doc, report)
	}
}

func TestOutputSchemas(t *testing.T) {
	for _, tc := range []struct{ name, schema, want, report string }{
		{"every object is closed", `{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"$defs":{"d":{"properties":{}}}}`, `{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","additionalProperties":false}}},"$defs":{"d":{"properties":{},"additionalProperties":false}},"additionalProperties":false}`, ""},
		{"constraints become words", `{"type":"integer","description":"An age.","minimum":-9007199254740991,"maximum":9007199254740991}`, `{"description":"An age.\nminimum: -9007199254740991; maximum: 9007199254740991","type":"integer"}`, "response_format.json_schema.schema approximated"},
		{"constraints without a description", `{"pattern":"^\\d+$","type":"string"}`, `{"description":"pattern: \"^\\\\d+$\"","type":"string"}`, "response_format.json_schema.schema approximated"},
		{"what says nothing goes", `{"type":"array","uniqueItems":false}`, `{"type":"array"}`, ""},
		{"a property may be called like a constraint", `{"type":"object","properties":{"minimum":{"type":"number"}}}`, `{"type":"object","properties":{"minimum":{"type":"number"}},"additionalProperties":false}`, ""},
		{"known formats stay", `{"type":"string","format":"email"}`, `{"type":"string","format":"email"}`, ""},
		{"unknown formats become words", `{"type":"string","format":"phone"}`, `{"description":"format: \"phone\"","type":"string"}`, "response_format.json_schema.schema approximated"},
		{"oneOf is anyOf", `{"oneOf":[{"type":"object"}]}`, `{"anyOf":[{"type":"object","additionalProperties":false}]}`, ""},
		{"open objects are closed", `{"type":"object","additionalProperties":{"type":"string"}}`, `{"type":"object","additionalProperties":false}`, "response_format.json_schema.schema approximated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkFields(t, chat.Request{Output: schemaOf(tc.schema)}, chat.Target{Model: "m"},
				`"max_tokens":8192,"output_config":{"format":{"type":"json_schema","schema":`+tc.want+`}}`, tc.report)
		})
	}
}
