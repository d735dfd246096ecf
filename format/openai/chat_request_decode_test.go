package openai

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// decode decodes a request that must be valid.
func decode(t testing.TB, doc string) *chat.Request {
	t.Helper()
	r, err := Chat{}.DecodeRequest(formattest.Parse(t, doc))
	if err != nil {
		t.Fatalf("decoding %s: %v", doc, err)
	}
	return r
}

// withMessages is a request with messages.
func withMessages(messages ...string) string {
	return `{"model":"m","messages":[` + strings.Join(messages, ",") + `]}`
}

// withField is a request with one more field.
func withField(field string) string {
	return `{"model":"m","messages":[{"role":"user","content":"x"}],` + field + `}`
}

func TestDecodeRequestRefuses(t *testing.T) {
	user := `{"role":"user","content":"x"}`
	for _, tc := range []struct{ name, doc, param string }{
		{"no object", `[]`, ""},
		{"no messages", `{"model":"m"}`, "messages"},
		{"null messages", `{"model":"m","messages":null}`, "messages"},
		{"empty messages", `{"model":"m","messages":[]}`, "messages"},
		{"messages is a string", `{"model":"m","messages":"hi"}`, "messages"},
		{"too many messages", withMessages(strings.TrimSuffix(strings.Repeat(user+",", 4097), ",")), "messages"},
		{"message is a string", withMessages(`"hi"`), "messages[0]"},
		{"no role", withMessages(`{"content":"x"}`), "messages[0].role"},
		{"unknown role", withMessages(user, `{"role":"robot","content":"x"}`), "messages[1].role"},
		{"role twice", withMessages(`{"role":"user","role":"system","content":"x"}`), "messages[0].role"},
		{"user without content", withMessages(`{"role":"user"}`), "messages[0].content"},
		{"content is a number", withMessages(`{"role":"user","content":1}`), "messages[0].content"},
		{"part without type", withMessages(`{"role":"user","content":[{"text":"x"}]}`), "messages[0].content[0].type"},
		{"unknown part", withMessages(`{"role":"user","content":[{"type":"text","text":"x"},{"type":"hologram"}]}`), "messages[0].content[1].type"},
		{"text part without text", withMessages(`{"role":"user","content":[{"type":"text"}]}`), "messages[0].content[0].text"},
		{"image in instructions", withMessages(`{"role":"system","content":[{"type":"image_url","image_url":{"url":"x"}}]}`), "messages[0].content[0].type"},
		{"image without address", withMessages(`{"role":"user","content":[{"type":"image_url","image_url":{}}]}`), "messages[0].content[0].image_url.url"},
		{"data URI without comma", withMessages(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64"}}]}`), "messages[0].content[0].image_url.url"},
		{"image that is not base64", withMessages(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,abc"}}]}`), "messages[0].content[0].image_url.url"},
		{"escaped nonsense as base64", withMessages(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,\u0022x"}}]}`), "messages[0].content[0].image_url.url"},
		{"audio without format", withMessages(`{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"QQ=="}}]}`), "messages[0].content[0].input_audio.format"},
		{"empty file", withMessages(`{"role":"user","content":[{"type":"file","file":{}}]}`), "messages[0].content[0].file"},
		{"tool message without id", withMessages(user, `{"role":"tool","content":"x"}`), "messages[1].tool_call_id"},
		{"call without id", withMessages(`{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f"}}]}`), "messages[0].tool_calls[0].id"},
		{"call without name", withMessages(`{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{}}]}`), "messages[0].tool_calls[0].function.name"},
		{"arguments are an array", withMessages(`{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":[]}}]}`), "messages[0].tool_calls[0].function.arguments"},
		{"function result without name", withMessages(`{"role":"function","content":"x"}`), "messages[0].name"},
		{"model is a number", `{"model":1,"messages":[` + user + `]}`, "model"},
		{"model twice", `{"model":"a","messages":[` + user + `],"model":"b"}`, "model"},
		{"model twice, escaped", `{"model":"a","messages":[` + user + `],"mod\u0065l":"b"}`, "model"},
		{"tools twice", withField(`"tools":[],"tools":[]`), "tools"},
		{"stream is a string", withField(`"stream":"yes"`), "stream"},
		{"include_usage is a number", withField(`"stream_options":{"include_usage":1}`), "stream_options.include_usage"},
		{"max_tokens is 0", withField(`"max_tokens":0`), "max_tokens"},
		{"max_completion_tokens is negative", withField(`"max_completion_tokens":-1`), "max_completion_tokens"},
		{"max_tokens has a fraction", withField(`"max_tokens":1.5`), "max_tokens"},
		{"temperature is a string", withField(`"temperature":"0"`), "temperature"},
		{"n is 0", withField(`"n":0`), "n"},
		{"stop is a number", withField(`"stop":1`), "stop"},
		{"stop holds a number", withField(`"stop":["a",1]`), "stop"},
		{"unknown effort", withField(`"reasoning_effort":"heroic"`), "reasoning_effort"},
		{"response_format without type", withField(`"response_format":{}`), "response_format.type"},
		{"json_schema missing", withField(`"response_format":{"type":"json_schema"}`), "response_format.json_schema"},
		{"tools is an object", withField(`"tools":{}`), "tools"},
		{"tool without name", withField(`"tools":[{"type":"function","function":{}}]`), "tools[0].function.name"},
		{"tool without type", withField(`"tools":[{}]`), "tools[0].type"},
		{"parameters is a string", withField(`"tools":[{"type":"function","function":{"name":"f","parameters":"{}"}}]`), "tools[0].function.parameters"},
		{"too many tools", withField(`"tools":[` + strings.TrimSuffix(strings.Repeat(`{"type":"x"},`, 1025), ",") + `]`), "tools"},
		{"unknown tool_choice", withField(`"tool_choice":"maybe"`), "tool_choice"},
		{"tool_choice without name", withField(`"tool_choice":{"type":"function"}`), "tool_choice.function.name"},
		{"no allowed tools", withField(`"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}`), "tool_choice.allowed_tools.tools"},
		{"functions is an object", withField(`"functions":{}`), "functions"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Chat{}.DecodeRequest(formattest.Parse(t, tc.doc))
			var e *chat.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a *chat.Error", err)
			}
			if e.Kind != chat.ErrInvalidRequest || e.Param != tc.param || e.Message == "" {
				t.Errorf("got kind %d, param %q, message %q; want param %q", e.Kind, e.Param, e.Message, tc.param)
			}
		})
	}
}

func TestDecodeRequestNamesTheUnknownPart(t *testing.T) {
	_, err := Chat{}.DecodeRequest(formattest.Parse(t, withMessages(`{"role":"user","content":[{"type":"hologram"}]}`)))
	if err == nil || !strings.Contains(err.Error(), `"hologram"`) {
		t.Errorf("got %v", err)
	}
}

func TestDecodeRequestTreatsNullAsAbsent(t *testing.T) {
	fields := make([]string, 0, len(requestFields))
	for name := range requestFields {
		if name != "model" && name != "messages" {
			fields = append(fields, `"`+name+`":null`)
		}
	}
	r := decode(t, withField(strings.Join(fields, ",")+`,"unheard_of":null`))
	want := decode(t, withMessages(`{"role":"user","content":"x"}`))
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got  %+v\nwant %+v", *r, *want)
	}
	r = decode(t, withMessages(`{"role":"assistant","content":null,"tool_calls":null,"function_call":null,"refusal":null,"name":null,"audio":null}`))
	if len(r.Turns[0].Blocks) != 0 || len(r.Extra) != 0 {
		t.Errorf("got %+v", r)
	}
}

// outline writes turns in short: a letter for the role, then its blocks.
func outline(turns []chat.Turn) string {
	var out strings.Builder
	for _, turn := range turns {
		out.WriteString(string("uas"[turn.Role]))
		out.WriteString("(")
		for i, b := range turn.Blocks {
			if i > 0 {
				out.WriteString(" ")
			}
			out.WriteString(b.Kind.String())
			if b.Kind == chat.ToolResult || b.Kind == chat.ToolUse {
				out.WriteString(":" + b.ID.String())
			}
			for _, c := range b.Content {
				out.WriteString("/" + c.Kind.String())
			}
		}
		out.WriteString(")")
	}
	return out.String()
}

func TestDecodeRequestMessages(t *testing.T) {
	call := `{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":""}}]}`
	for _, tc := range []struct {
		name, doc string
		system    int
		want      string
	}{
		{"leading instructions", withMessages(`{"role":"system","content":"a"}`, `{"role":"developer","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}`, `{"role":"user","content":"x"}`), 3, "u(text)"},
		{"instructions in the middle keep their place", withMessages(`{"role":"user","content":"x"}`, `{"role":"developer","content":"b"}`, `{"role":"user","content":"y"}`), 0, "u(text)s(text)u(text)"},
		{"instructions alone", withMessages(`{"role":"system","content":"a"}`), 1, ""},
		{"results are one turn", withMessages(call, `{"role":"tool","tool_call_id":"b","content":"1"}`, `{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"2"},{"type":"image_url","image_url":"https://x/y.png"}]}`, `{"role":"user","content":"x"}`), 0, "a(tool_use:a tool_use:b)u(tool_result:b/text tool_result:a/text/image)u(text)"},
		{"results without content", withMessages(call, `{"role":"tool","tool_call_id":"a"}`, `{"role":"tool","tool_call_id":"b","content":null}`), 0, "a(tool_use:a tool_use:b)u(tool_result:a tool_result:b)"},
		{"results of two rounds", withMessages(call, `{"role":"tool","tool_call_id":"a","content":"1"}`, call, `{"role":"tool","tool_call_id":"a","content":"2"}`), 0, "a(tool_use:a tool_use:b)u(tool_result:a/text)a(tool_use:a tool_use:b)u(tool_result:a/text)"},
		{"reasoning and refusal", withMessages(`{"role":"assistant","reasoning_content":"hm","content":"x","refusal":"no"}`, `{"role":"assistant","reasoning":"hm","content":[{"type":"refusal","refusal":"no"}]}`), 0, "a(thinking text refusal)a(thinking refusal)"},
		{"unknown parts of answers are opaque", withMessages(`{"role":"assistant","content":[{"type":"hologram"},{"type":"text","text":"x"}]}`), 0, "a(unknown text)"},
		{"functions", withMessages(`{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}`, `{"role":"function","name":"f","content":"1"}`, `{"role":"function","name":"g","content":"2"}`), 0, "a(tool_use:call_0)u(tool_result:call_0/text tool_result:call_2/text)"},
		{"custom call", withMessages(`{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{"name":"run","input":"ls"}}]}`), 0, "a(tool_use:c)"},
		{"escaped names of members", withMessages(`{"r\u006fle":"user","c\u006fntent":"x"}`), 0, "u(text)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := decode(t, tc.doc)
			if got := outline(r.Turns); got != tc.want || len(r.System) != tc.system {
				t.Errorf("got %s with %d system blocks, want %s with %d", got, len(r.System), tc.want, tc.system)
			}
		})
	}
}

func TestDecodeRequestKeepsTurnsApartWhenMemoryGrows(t *testing.T) {
	var messages []string
	for i := range 100 {
		messages = append(messages, fmt.Sprintf(`{"role":"user","content":[{"type":"text","text":"%d a"},{"type":"text","text":"%d b"},{"type":"text","text":"%d c"}]}`, i, i, i))
	}
	r := decode(t, withMessages(messages...))
	for i, turn := range r.Turns {
		if len(turn.Blocks) != 3 || turn.Blocks[2].Text.String() != fmt.Sprintf("%d c", i) {
			t.Fatalf("turn %d holds %v", i, turn.Blocks)
		}
	}
}

func TestDecodeRequestFields(t *testing.T) {
	for _, tc := range []struct {
		name, field string
		check       func(r *chat.Request) bool
	}{
		{"max_completion_tokens wins", `"max_completion_tokens":7,"max_tokens":5`, func(r *chat.Request) bool { return string(r.MaxTokens) == "7" }},
		{"max_completion_tokens wins in any order", `"max_tokens":5,"max_completion_tokens":7`, func(r *chat.Request) bool { return string(r.MaxTokens) == "7" }},
		{"max_tokens alone", `"max_tokens":5`, func(r *chat.Request) bool { return string(r.MaxTokens) == "5" }},
		{"safety_identifier wins", `"user":"u","safety_identifier":"s"`, func(r *chat.Request) bool { return r.User.Is("s") }},
		{"user alone", `"user":"u"`, func(r *chat.Request) bool { return r.User.Is("u") }},
		{"one stop", `"stop":"x"`, func(r *chat.Request) bool { return len(r.Stop) == 1 && r.Stop[0].Is("x") }},
		{"digits are kept", `"seed":9007199254740993,"temperature":0.10`, func(r *chat.Request) bool {
			return string(r.Seed) == "9007199254740993" && string(r.Temperature) == "0.10"
		}},
		{"include_usage", `"stream":true,"stream_options":{"include_usage":true}`, func(r *chat.Request) bool { return r.Stream && r.IncludeUsage }},
		{"effort", `"reasoning_effort":"xhigh"`, func(r *chat.Request) bool {
			return r.Reasoning.State == chat.ReasoningOn && r.Reasoning.Effort == "xhigh"
		}},
		{"effort none", `"reasoning_effort":"none"`, func(r *chat.Request) bool { return r.Reasoning.State == chat.ReasoningOff }},
		{"OpenRouter's reasoning", `"reasoning":{"effort":"low","exclude":true}`, func(r *chat.Request) bool {
			return r.Reasoning.Effort == "low" && r.Reasoning.Summary == "omitted"
		}},
		{"a budget of reasoning", `"reasoning":{"max_tokens":2000}`, func(r *chat.Request) bool {
			return r.Reasoning.State == chat.ReasoningOn && string(r.Reasoning.Budget) == "2000"
		}},
		{"DeepSeek's thinking", `"thinking":{"type":"disabled"}`, func(r *chat.Request) bool { return r.Reasoning.State == chat.ReasoningOff }},
		{"Qwen's thinking", `"enable_thinking":true,"thinking_budget":99`, func(r *chat.Request) bool {
			return r.Reasoning.State == chat.ReasoningOn && string(r.Reasoning.Budget) == "99"
		}},
		{"tool_choice required", `"tool_choice":"required"`, func(r *chat.Request) bool { return r.ToolChoice.Mode == chat.ToolAny }},
		{"tool_choice named", `"tool_choice":{"type":"function","function":{"name":"f"}}`, func(r *chat.Request) bool {
			return r.ToolChoice.Mode == chat.ToolNamed && r.ToolChoice.Names[0].Is("f")
		}},
		{"tool_choice allowed", `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]}}`, func(r *chat.Request) bool {
			return r.ToolChoice.Mode == chat.ToolAllowed && r.ToolChoice.Required && len(r.ToolChoice.Names) == 2
		}},
		{"tools win over functions", `"functions":[{"name":"old"}],"tools":[{"type":"function","function":{"name":"new"}}]`, func(r *chat.Request) bool {
			return len(r.Tools) == 1 && r.Tools[0].Name.Is("new") && !r.LegacyFunctions
		}},
		{"functions", `"functions":[{"name":"old"}],"function_call":"none"`, func(r *chat.Request) bool {
			return r.LegacyFunctions && r.Tools[0].Name.Is("old") && r.ToolChoice.Mode == chat.ToolNone
		}},
		{"custom tool", `"tools":[{"type":"custom","custom":{"name":"run"}}]`, func(r *chat.Request) bool {
			tool := r.Tools[0]
			return tool.Type == "" && tool.Name.Is("run") && string(tool.Custom) == `{"type":"text"}` && tool.Schema != nil && len(r.Extra) == 0
		}},
		{"custom tool with a grammar", `"tools":[{"type":"custom","custom":{"name":"run","format":{"type":"grammar","grammar":{"definition":"x","syntax":"lark"}}}}]`, func(r *chat.Request) bool {
			return string(r.Tools[0].Custom) == `{"type":"grammar","definition":"x","syntax":"lark"}` && len(r.Extra) == 1 && r.Extra[0].Name == "tools[].format"
		}},
		{"web search beside tools", `"web_search_options":{"search_context_size":"low"},"tools":[{"type":"function","function":{"name":"f"}}]`, func(r *chat.Request) bool {
			search := r.Tools[0]
			return len(r.Tools) == 2 && search.Server == chat.ServerWebSearch && string(search.Raw) == `{"search_context_size":"low"}` && r.Tools[1].Name.Is("f")
		}},
		{"web search beside functions", `"web_search_options":{},"functions":[{"name":"f"}]`, func(r *chat.Request) bool {
			return len(r.Tools) == 2 && r.LegacyFunctions && r.Tools[1].Name.Is("f")
		}},
		{"a limit with a fraction of zero", `"max_tokens":100.0`, func(r *chat.Request) bool {
			n, ok := r.MaxTokens.Int()
			return ok && n == 100
		}},
		{"text is the default", `"modalities":["text"]`, func(r *chat.Request) bool { return len(r.Extra) == 0 }},
		{"what is left", `"modalities":["text","audio"],"prompt_cache_key":"k","stream_options":{"include_obfuscation":false}`, func(r *chat.Request) bool {
			return len(r.Extra) == 3 && r.Extra[0].Name == "modalities" && string(r.Extra[1].Value) == `"k"` && r.Extra[2].Name == "stream_options.include_obfuscation"
		}},
		{"the format", `"n":1`, func(r *chat.Request) bool { return r.Format == "openai_chat" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if r := decode(t, withField(tc.field)); !tc.check(r) {
				t.Errorf("got %+v", *r)
			}
		})
	}
}

func TestDecodeRequestBoundsUnknownFields(t *testing.T) {
	var fields []string
	for i := range 1000 {
		fields = append(fields, fmt.Sprintf(`"x%d":1`, i))
	}
	fields[0] = `"` + strings.Repeat("y", 1000) + `":1`
	r := decode(t, withField(strings.Join(fields, ",")))
	if n := len(r.Extra); n != maxExtra+1 || r.Extra[n-1].Name != moreFields || len(r.Extra[0].Name) > maxExtraName {
		t.Errorf("%d fields, the first named %s", n, r.Extra[0].Name)
	}
}

func TestDecodeRequestTellsOfNames(t *testing.T) {
	r := decode(t, withMessages(`{"role":"user","content":"x","name":"Ann"}`, `{"role":"user","content":"x","name":"Bob"}`, `{"role":"assistant","content":"x","annotations":[]}`))
	if len(r.Extra) != 1 || r.Extra[0].Name != "messages[].name" {
		t.Errorf("got %v", r.Extra)
	}
}

func TestSourceOf(t *testing.T) {
	for _, tc := range []struct {
		name, address string
		want          chat.Source
	}{
		{"address", `https://x/a?b=1\u00262`, chat.Source{Kind: chat.SourceURL, Data: []byte("https://x/a?b=1&2")}},
		{"upper case and parameters", `DATA:Image/PNG;charset=utf-8;BASE64,iVBORw0KGgo=`, chat.Source{Kind: chat.SourceBase64, MediaType: "image/png", Data: []byte("iVBORw0KGgo=")}},
		{"wrong media type", `data:image/png;base64,/9j/4AAQ`, chat.Source{Kind: chat.SourceBase64, MediaType: "image/jpeg", Data: []byte("/9j/4AAQ")}},
		{"escaped slashes", `data:image\/jpeg;base64,\/9j\/4AAQ\n`, chat.Source{Kind: chat.SourceBase64, MediaType: "image/jpeg", Data: []byte("/9j/4AAQ")}},
		{"text", `data:text/plain,hello%20%22you%22`, chat.Source{Kind: chat.SourceText, MediaType: "text/plain", Data: []byte(`hello "you"`)}},
		{"no media type", `data:,a`, chat.Source{Kind: chat.SourceText, MediaType: "text/plain", Data: []byte("a")}},
		{"several commas", `data:text/plain;base64,QQ==,`, chat.Source{Kind: chat.SourceBase64, MediaType: "text/plain", Data: []byte("QQ==,")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, problem := sourceOf(chat.Literal(`"` + tc.address + `"`))
			if problem != "" || got.Kind != tc.want.Kind || got.MediaType != tc.want.MediaType || string(got.Data) != string(tc.want.Data) {
				t.Errorf("got %d %s %s (%s)", got.Kind, got.MediaType, got.Data, problem)
			}
		})
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add(withMessages(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}}]}`))
	f.Add(withMessages(`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`, `{"role":"tool","tool_call_id":"a","content":"x"}`))
	f.Add(withField(`"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":"auto","stop":["a"],"response_format":{"type":"json_object"}`))
	f.Fuzz(func(t *testing.T, doc string) { fuzzRequest(t, doc) })
}
