package anthropic

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// request is a request with members beside its messages.
func request(messages, rest string) string {
	return `{"model":"m","max_tokens":10,"messages":[` + messages + `]` + rest + `}`
}

// hi is a message.
const hi = `{"role":"user","content":"hi"}`

func TestDecodeRefuses(t *testing.T) {
	user := func(blocks string) string { return request(`{"role":"user","content":[`+blocks+`]}`, "") }
	answer := func(blocks string) string { return request(hi+`,{"role":"assistant","content":[`+blocks+`]}`, "") }
	for _, tc := range []struct{ name, doc, param, says string }{
		{"no object", `[]`, "", "JSON object"},
		{"no messages", `{"max_tokens":1}`, "messages", "at least one message"},
		{"null messages", `{"max_tokens":1,"messages":null}`, "messages", "at least one message"},
		{"empty messages", `{"max_tokens":1,"messages":[]}`, "messages", "at least one message"},
		{"messages is a string", `{"max_tokens":1,"messages":"hi"}`, "messages", "an array"},
		{"too many messages", request(strings.Repeat(hi+",", 4096)+hi, ""), "messages", "at most 4096 messages"},
		{"too many blocks", user(strings.Repeat(`{"type":"text","text":""},`, maxBlocks) + `{"type":"text","text":""}`), "messages", "at most 65536 blocks"},
		{"too many stop sequences", request(hi, `,"stop_sequences":[`+strings.Repeat(`"a",`, maxStop)+`"a"]`), "stop_sequences", "at most 8191"},
		{"too many unknown fields", request(hi, strings.Repeat(`,"x":1`, maxExtra+1)), "x", "at most 256 unknown fields"},
		{"messages twice", request(hi, `,"messages":[`+hi+`]`), "messages", "twice"},
		{"model twice", request(hi, `,"model":"x"`), "model", "twice"},
		{"escaped model twice", request(hi, `,"mod\u0065l":"x"`), "model", "twice"},
		{"model is a number", `{"model":1,"max_tokens":1,"messages":[` + hi + `]}`, "model", "a string"},
		{"no max_tokens", `{"messages":[` + hi + `]}`, "max_tokens", "it is missing"},
		{"null max_tokens", `{"messages":[` + hi + `],"max_tokens":null}`, "max_tokens", "it is missing"},
		{"max_tokens 0", `{"messages":[` + hi + `],"max_tokens":0}`, "max_tokens", "at least 1"},
		{"max_tokens negative", `{"messages":[` + hi + `],"max_tokens":-1}`, "max_tokens", "at least 1"},
		{"max_tokens a fraction", `{"messages":[` + hi + `],"max_tokens":1.5}`, "max_tokens", "whole number"},
		{"max_tokens a string", `{"messages":[` + hi + `],"max_tokens":"1"}`, "max_tokens", "whole number"},
		{"message is a string", request(`"hi"`, ""), "messages[0]", "an object"},
		{"no role", request(hi+`,{"content":"x"}`, ""), "messages[1].role", "user, assistant or system"},
		{"unknown role", request(`{"role":"tool","content":"x"}`, ""), "messages[0].role", `not "tool"`},
		{"role twice", request(`{"role":"user","role":"user","content":"x"}`, ""), "messages[0].role", "twice"},
		{"no content", request(`{"role":"user"}`, ""), "messages[0].content", "a string or an array"},
		{"null content", request(`{"role":"user","content":null}`, ""), "messages[0].content", "a string or an array"},
		{"block is a string", user(`"x"`), "messages[0].content[0]", "an object with a type"},
		{"block without a type", user(`{"text":"x"}`), "messages[0].content[0].type", "the type of the block"},
		{"unknown block", user(`{"type":"text","text":"x"},{"type":"hologram"}`), "messages[0].content[1].type", `"hologram"`},
		{"search result", user(`{"type":"search_result"}`), "messages[0].content[0].type", `"search_result"`},
		{"call by the user", user(`{"type":"tool_use","id":"a","name":"f","input":{}}`), "messages[0].content[0].type", `"tool_use"`},
		{"text without text", user(`{"type":"text"}`), "messages[0].content[0].text", "a string"},
		{"text twice", user(`{"type":"text","text":"a","text":"b"}`), "messages[0].content[0].text", "twice"},
		{"image without source", user(`{"type":"image"}`), "messages[0].content[0].source", "an object"},
		{"image of unknown source", user(`{"type":"image","source":{"type":"text","data":"x"}}`), "messages[0].content[0].source.type", "base64, url or file"},
		{"image that is not base64", user(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"\u0007"}}`), "messages[0].content[0].source.data", "base64"},
		{"image without data", user(`{"type":"image","source":{"type":"base64","media_type":"image/png"}}`), "messages[0].content[0].source.data", "base64"},
		{"image without url", user(`{"type":"image","source":{"type":"url"}}`), "messages[0].content[0].source.url", "URL"},
		{"source twice", user(`{"type":"image","source":{"type":"url","type":"url","url":"x"}}`), "messages[0].content[0].source.type", "twice"},
		{"document of unknown source", user(`{"type":"document","source":{"type":"x"}}`), "messages[0].content[0].source.type", "content or file"},
		{"document of images", user(`{"type":"document","source":{"type":"content","content":[{"type":"image"}]}}`), "messages[0].content[0].source.content", "text blocks"},
		{"result without an id", user(`{"type":"tool_result"}`), "messages[0].content[0].tool_use_id", "the id of the tool call"},
		{"result of a number", user(`{"type":"tool_result","tool_use_id":"a","content":1}`), "messages[0].content[0].content", "a string or an array"},
		{"result with an unknown block", user(`{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"a"},{"type":"x"}]}`), "messages[0].content[0].content[1].type", `"x"`},
		{"result in a result", user(`{"type":"tool_result","tool_use_id":"a","content":[{"type":"tool_result","tool_use_id":"b"}]}`), "messages[0].content[0].content[0].type", `"tool_result"`},
		{"is_error is a string", user(`{"type":"tool_result","tool_use_id":"a","is_error":"no"}`), "messages[0].content[0].is_error", "true or false"},
		{"call without an id", answer(`{"type":"tool_use","name":"f","input":{}}`), "messages[1].content[0].id", "tool_use_id"},
		{"call without a name", answer(`{"type":"tool_use","id":"a","input":{}}`), "messages[1].content[0].name", "tool's name"},
		{"input is a string", answer(`{"type":"tool_use","id":"a","name":"f","input":"{}"}`), "messages[1].content[0].input", "an object"},
		{"system is a number", request(hi, `,"system":1`), "system", "a string or an array"},
		{"system with an image", request(hi, `,"system":[{"type":"image"}]`), "system[0].type", "nothing else"},
		{"image in a system turn", request(hi+`,{"role":"system","content":[{"type":"image"}]}`, ""), "messages[1].content[0].type", "nothing else"},
		{"temperature is a string", request(hi, `,"temperature":"1"`), "temperature", "a number"},
		{"stop_sequences is a string", request(hi, `,"stop_sequences":"x"`), "stop_sequences", "an array of strings"},
		{"stop sequence is a number", request(hi, `,"stop_sequences":[1]`), "stop_sequences", "an array of strings"},
		{"stream is a string", request(hi, `,"stream":"true"`), "stream", "true or false"},
		{"metadata is a string", request(hi, `,"metadata":"x"`), "metadata", "an object"},
		{"user_id is a number", request(hi, `,"metadata":{"user_id":1}`), "metadata.user_id", "a string"},
		{"user_id twice", request(hi, `,"metadata":{"user_id":"a","user_id":"b"}`), "metadata.user_id", "twice"},
		{"thinking without a type", request(hi, `,"thinking":{}`), "thinking.type", "enabled, adaptive"},
		{"thinking without a budget", request(hi, `,"thinking":{"type":"enabled"}`), "thinking.budget_tokens", "at least 1024"},
		{"unknown display", request(hi, `,"thinking":{"type":"adaptive","display":"x"}`), "thinking.display", "summarized, updates or omitted"},
		{"unknown effort", request(hi, `,"output_config":{"effort":"x"}`), "output_config.effort", "one of low"},
		{"unknown output", request(hi, `,"output_config":{"format":{"type":"xml"}}`), "output_config.format.type", "json_schema"},
		{"output without a schema", request(hi, `,"output_format":{"type":"json_schema"}`), "output_format.schema", "an object"},
		{"tools is an object", request(hi, `,"tools":{}`), "tools", "an array"},
		{"too many tools", request(hi, `,"tools":[`+strings.Repeat(`{"name":"f","input_schema":{}},`, 1024)+`{"name":"f","input_schema":{}}]`), "tools", "at most 1024 tools"},
		{"tool is a string", request(hi, `,"tools":["f"]`), "tools[0]", "an object"},
		{"tool without a name", request(hi, `,"tools":[{"input_schema":{}}]`), "tools[0].name", "tool's name"},
		{"tool without a schema", request(hi, `,"tools":[{"name":"f"}]`), "tools[0].input_schema", "an object"},
		{"unknown tool_choice", request(hi, `,"tool_choice":{"type":"x"}`), "tool_choice.type", "auto, any, tool or none"},
		{"tool_choice is a string", request(hi, `,"tool_choice":"auto"`), "tool_choice", "an object"},
		{"tool_choice without a name", request(hi, `,"tool_choice":{"type":"tool"}`), "tool_choice.name", "tool's name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Messages{}.DecodeRequest(formattest.Parse(t, tc.doc))
			e, ok := errors.AsType[*chat.Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if e.Kind != chat.ErrInvalidRequest || e.Param != tc.param || !strings.Contains(e.Message, tc.says) {
				t.Errorf("got kind %d, param %q: %s", e.Kind, e.Param, e.Message)
			}
		})
	}
}

func TestDecodeRefusesThreads(t *testing.T) {
	for _, thread := range []string{`{"type":"create"}`, `{"type":"continue","previous_message_id":"msg_1"}`} {
		_, err := Messages{}.DecodeRequest(formattest.Parse(t, `{"messages":[],"thread":`+thread+`}`))
		e, ok := errors.AsType[*chat.Error](err)
		if !ok {
			t.Fatal(err)
		}
		status, body := Messages{}.EncodeError(nil, e)
		doc := formattest.Parse(t, string(body))
		want := `{"error_code":"thread_unsupported_request","unsupported":["thread"]}`
		if got := doc.Get("error").Get("details").Raw(); status != 400 || string(got) != want || !doc.Get("error").Get("type").Is("invalid_request_error") {
			t.Errorf("got %d %s", status, body)
		}
	}
	if _, err := (Messages{}).DecodeRequest(formattest.Parse(t, request(hi, `,"thread":null`))); err != nil {
		t.Errorf("null: %v", err)
	}
}

func TestDecodeFields(t *testing.T) {
	tool := `,"tools":[{"name":"f","input_schema":{}}]`
	for _, tc := range []struct {
		name, rest string
		got        func(r *chat.Request) any
		want       string
	}{
		{
			"nulls", `,"system":null,"tools":null,"tool_choice":null,"temperature":null,"stream":null,"metadata":null,"thinking":null,"output_config":null,"x":null`,
			func(r *chat.Request) any {
				return fmt.Sprint(r.System, r.Tools, r.ToolChoice, r.Temperature, r.Stream, r.User, r.Reasoning.State, r.Extra)
			}, "[] [] {0 [] false} [] false  0 []",
		},
		{"system string", `,"system":"a"`, func(r *chat.Request) any { return r.System[0].Text }, "a"},
		{
			"system blocks", `,"system":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]`,
			func(r *chat.Request) any { return fmt.Sprint(r.System[1].Text, " ", string(r.System[1].Cache)) }, `b {"type":"ephemeral"}`,
		},
		{"sampling", `,"temperature":0.70,"top_p":1,"top_k":5`, func(r *chat.Request) any {
			return fmt.Sprintf("%s %s %s", r.Temperature, r.TopP, r.TopK)
		}, "0.70 1 5"},
		{"user", `,"metadata":{"user_id":"u","x":1}`, func(r *chat.Request) any { return fmt.Sprint(r.User, " ", r.Extra[0].Name) }, "u metadata.x"},
		{"manual thinking", `,"thinking":{"type":"enabled","budget_tokens":2000}`, func(r *chat.Request) any {
			return fmt.Sprint(r.Reasoning.State, " ", string(r.Reasoning.Budget), r.Reasoning.Adaptive)
		}, "2 2000false"},
		{"adaptive thinking", `,"output_config":{"effort":"max"},"thinking":{"type":"adaptive","display":"summarized"}`, func(r *chat.Request) any {
			return fmt.Sprint(r.Reasoning.State, r.Reasoning.Effort, r.Reasoning.Adaptive, r.Reasoning.Summary)
		}, "2maxtruesummarized"},
		{"thinking between tools", `,"thinking":{"type":"between_tools"}`, func(r *chat.Request) any { return fmt.Sprint(r.Reasoning.State, r.Reasoning.Adaptive) }, "2 true"},
		{"no thinking", `,"thinking":{"type":"disabled"},"output_config":{"effort":"high"}`, func(r *chat.Request) any {
			return fmt.Sprint(r.Reasoning.State, r.Reasoning.Effort, " ", r.Extra[0].Name)
		}, "1 output_config.effort"},
		{"effort alone", `,"output_config":{"effort":"low","task_budget":{}}`, func(r *chat.Request) any {
			return fmt.Sprint(r.Reasoning.State, r.Reasoning.Effort, " ", r.Extra[0].Name)
		}, "0low output_config.task_budget"},
		{
			"output_config.format", `,"output_config":{"format":{"type":"json_schema","schema":{"a":1}}},"output_format":{"type":"json_schema","schema":{}}`,
			func(r *chat.Request) any { return fmt.Sprint(r.Output.Kind, string(r.Output.Schema)) }, `2{"a":1}`,
		},
		{
			"output_format", `,"output_format":{"type":"json_schema","schema":{"a":1}}`,
			func(r *chat.Request) any { return fmt.Sprint(r.Output.Kind, string(r.Output.Schema)) }, `2{"a":1}`,
		},
		{"tool", `,"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true,"defer_loading":true,"input_examples":[1]}]`, func(r *chat.Request) any {
			return fmt.Sprint(r.Tools[0].Name, r.Tools[0].Description, string(r.Tools[0].Schema), r.Tools[0].Strict, r.Extra[0].Name, r.Extra[1].Name)
		}, `f d{"type":"object"}2tools[].defer_loadingtools[].input_examples`},
		{"custom tool", `,"tools":[{"type":"custom","name":"f","input_schema":{}}]`, func(r *chat.Request) any { return r.Tools[0].Type + string(r.Tools[0].Schema) }, "{}"},
		{"server tool", `,"tools":[{"type":"bash_20250124","name":"bash"}]`, func(r *chat.Request) any { return r.Tools[0].Type + string(r.Tools[0].Raw) }, `bash_20250124{"type":"bash_20250124","name":"bash"}`},
		{"auto", tool + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, func(r *chat.Request) any { return fmt.Sprint(r.ToolChoice.Mode, r.ParallelTools) }, "1 1"},
		{"any", tool + `,"tool_choice":{"type":"any","disable_parallel_tool_use":false}`, func(r *chat.Request) any { return fmt.Sprint(r.ToolChoice.Mode, r.ParallelTools) }, "2 2"},
		{"none", tool + `,"tool_choice":{"type":"none"}`, func(r *chat.Request) any { return fmt.Sprint(r.ToolChoice.Mode, r.ParallelTools) }, "3 0"},
		{"tool choice", tool + `,"tool_choice":{"type":"tool","name":"f"}`, func(r *chat.Request) any { return fmt.Sprint(r.ToolChoice.Mode, r.ToolChoice.Names[0]) }, "4 f"},
		{"unknown fields", `,"container":"c","cache_control":{"type":"ephemeral"},"mcp_servers":[]`, func(r *chat.Request) any {
			return fmt.Sprint(r.Extra[0].Name, string(r.Extra[0].Value), r.Extra[1].Name, r.Extra[2].Name)
		}, `container"c"cache_controlmcp_servers`},
		{"format", "", func(r *chat.Request) any { return fmt.Sprint(r.Format, r.IncludeUsage) }, "anthropic_messagestrue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fmt.Sprint(tc.got(decode(t, request(hi, tc.rest)))); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDecodeTurns(t *testing.T) {
	r := decode(t, request(
		`{"role":"system","content":"leading"},`+
			`{"role":"user","content":"a"},`+
			`{"role":"system","content":[{"type":"text","text":"middle"},{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"g","input_schema":{}}}},`+
			`{"type":"tool_addition","tool":{"type":"tool_reference","name":"f"}},{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"f","input_schema":{}}}},{"type":"tool_removal","tool":{"type":"tool_reference","name":"f"}}]},`+
			`{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"},`+
			`{"type":"server_tool_use","id":"x","name":"web_search","input":{}},{"type":"tool_use","id":"a","name":"f","input":{"b":1}},{"type":"tool_use","id":"b","name":"f"}]},`+
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"r"},{"type":"tool_reference","tool_name":"t\"x"}],"is_error":true,"cache_control":{}},{"type":"text","text":"z","citations":[{}]}],"stop":1}`,
		`,"tools":[{"name":"f","input_schema":{}}],"system":[{"type":"text","text":"first"}]`))

	if len(r.System) != 2 || !r.System[0].Text.Is("first") || !r.System[1].Text.Is("leading") {
		t.Errorf("system %v", r.System)
	}
	if len(r.Turns) != 4 || r.Turns[0].Role != chat.User || r.Turns[1].Role != chat.System || r.Turns[2].Role != chat.Assistant {
		t.Fatalf("turns %v", r.Turns)
	}
	if len(r.Tools) != 2 || !r.Tools[1].Name.Is("g") {
		t.Errorf("tools %v", r.Tools)
	}
	middle, answer, results := r.Turns[1].Blocks, r.Turns[2].Blocks, r.Turns[3].Blocks
	if len(middle) != 5 || !middle[0].Text.Is("middle") || middle[1].Kind != chat.Opaque || middle[1].Type != "tool_addition" {
		t.Errorf("system turn %v", middle)
	}
	if len(answer) != 5 ||
		answer[0].Kind != chat.Thinking || !answer[0].Text.Is("t") || !answer[0].Signature.Is("s") || answer[0].Origin != origin ||
		answer[1].Kind != chat.RedactedThinking || !answer[1].Text.Is("d") || answer[1].Origin != origin ||
		answer[2].Kind != chat.Opaque || answer[2].Type != "server_tool_use" || string(answer[2].Raw) != `{"type":"server_tool_use","id":"x","name":"web_search","input":{}}` ||
		answer[3].Kind != chat.ToolUse || !answer[3].ID.Is("a") || !answer[3].Name.Is("f") || string(answer[3].Arguments.Object) != `{"b":1}` ||
		!answer[4].Arguments.Empty() {
		t.Errorf("answer %+v", answer)
	}
	if len(results) != 2 || results[0].Kind != chat.ToolResult || !results[0].ID.Is("a") || !results[0].IsError || string(results[0].Cache) != "{}" ||
		len(results[0].Content) != 2 || !results[0].Content[0].Text.Is("r") || !results[0].Content[1].Text.Is(`Tool: t"x`) || !results[1].Text.Is("z") {
		t.Errorf("results %+v", results)
	}
	if len(r.Extra) != 2 || r.Extra[0].Name != "messages[].citations" && r.Extra[1].Name != "messages[].citations" {
		t.Errorf("extra %v", r.Extra)
	}
}

// PHP escapes the slashes of base64 text.
func TestDecodeEscapedBase64(t *testing.T) {
	r := decode(t, request(`{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"\/9j\/AAA\n="}}]}`, ""))
	if s := r.Turns[0].Blocks[0].Source; string(s.Data) != "/9j/AAA=" || s.MediaType != "image/jpeg" {
		t.Errorf("got %s %s", s.MediaType, s.Data)
	}
}
