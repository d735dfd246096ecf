package gemini

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
)

func TestDecodeRequestRefuses(t *testing.T) {
	const hi = `"contents":[{"parts":[{"text":"x"}]}]`
	for _, tc := range []struct{ name, doc, param string }{
		{"no object", `[]`, ""},
		{"no contents", `{}`, "contents"},
		{"empty contents", `{"contents":[]}`, "contents"},
		{"contents twice", `{` + hi + `,` + hi + `}`, "contents"},
		{"both spellings", `{` + hi + `,"systemInstruction":{},"system_instruction":{}}`, "systemInstruction"},
		{"unknown role", `{"contents":[{"role":"assistant","parts":[]}]}`, "contents[0].role"},
		{"parts of a string", `{"contents":[{"parts":"x"}]}`, "contents[0].parts"},
		{"text of a number", `{"contents":[{"parts":[{"text":"a"},{"text":1}]}]}`, "contents[0].parts[1].text"},
		{"call without a name", `{"contents":[{"role":"model","parts":[{"functionCall":{}}]}]}`, "contents[0].parts[0].functionCall.name"},
		{"arguments of a string", `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"a","args":"x"}}]}]}`, "contents[0].parts[0].functionCall.args"},
		{"no data", `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png"}}]}]}`, "contents[0].parts[0].inlineData.data"},
		{"no media type", `{"contents":[{"parts":[{"inlineData":{"data":"AAAA"}}]}]}`, "contents[0].parts[0].inlineData.mimeType"},
		{"no URI", `{"contents":[{"parts":[{"fileData":{}}]}]}`, "contents[0].parts[0].fileData.fileUri"},
		{"temperature of a string", `{` + hi + `,"generationConfig":{"temperature":"1"}}`, "generationConfig.temperature"},
		{"negative limit", `{` + hi + `,"generationConfig":{"maxOutputTokens":-1}}`, "generationConfig.maxOutputTokens"},
		{"unknown level", `{` + hi + `,"generationConfig":{"thinkingConfig":{"thinkingLevel":"HUGE"}}}`, "generationConfig.thinkingConfig.thinkingLevel"},
		{"function without a name", `{` + hi + `,"tools":[{"functionDeclarations":[{}]}]}`, "tools[].functionDeclarations[0].name"},
		{"unknown mode", `{` + hi + `,"toolConfig":{"functionCallingConfig":{"mode":"MAYBE"}}}`, "toolConfig.functionCallingConfig.mode"},
		{"instructions with an image", `{` + hi + `,"systemInstruction":{"parts":[{"inlineData":{}}]}}`, "systemInstruction.parts"},
		{"deep schema", `{` + hi + `,"tools":[{"functionDeclarations":[{"name":"f","parameters":` + strings.Repeat(`{"items":`, 90) + `{}` + strings.Repeat(`}`, 90) + `}]}]}`, "tools[].functionDeclarations[0].parameters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := GenerateContent{}.DecodeRequest(formattest.Parse(t, tc.doc))
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrInvalidRequest || e.Param != tc.param || e.Message == "" {
				t.Errorf("got %+v, want an error about %q", e, tc.param)
			}
		})
	}
}

func TestDecodeReasoning(t *testing.T) {
	for _, tc := range []struct{ name, config, want string }{
		{"none", `{}`, "0   omitted"},
		{"thoughts only", `{"includeThoughts":true}`, "0   summarized"},
		{"off", `{"thinkingBudget":0}`, "1   omitted"},
		{"dynamic", `{"thinkingBudget":-1}`, "2  -1 omitted"},
		{"budget", `{"thinking_budget":512,"include_thoughts":true}`, "2  512 summarized"},
		{"level", `{"thinkingLevel":"low"}`, "2 low  omitted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := decode(t, `{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"thinkingConfig":`+tc.config+`}}`).Reasoning
			got := strings.Join([]string{string(rune('0' + r.State)), r.Effort, string(r.Budget), r.Summary}, " ")
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestEncodeThinking(t *testing.T) {
	for _, tc := range []struct {
		name, model string
		r           chat.Reasoning
		want        string
	}{
		{"unset", "gemini-3-flash", chat.Reasoning{}, ``},
		{"effort", "gemini-3-flash", chat.Reasoning{State: chat.ReasoningOn, Effort: "medium"}, `{"thinkingLevel":"MEDIUM","includeThoughts":true}`},
		{"medium at 3 Pro", "gemini-3-pro-preview", chat.Reasoning{State: chat.ReasoningOn, Effort: "medium"}, `{"thinkingLevel":"HIGH","includeThoughts":true}`},
		{"medium at 3.1 Pro", "gemini-3.1-pro", chat.Reasoning{State: chat.ReasoningOn, Effort: "medium"}, `{"thinkingLevel":"MEDIUM","includeThoughts":true}`},
		{"off", "gemini-3-flash", chat.Reasoning{State: chat.ReasoningOff}, `{"thinkingLevel":"MINIMAL"}`},
		{"off at Pro", "models/gemini-3-pro", chat.Reasoning{State: chat.ReasoningOff}, `{"thinkingLevel":"LOW"}`},
		{"max", "gemini-flash-latest", chat.Reasoning{State: chat.ReasoningOn, Effort: "max"}, `{"thinkingLevel":"HIGH","includeThoughts":true}`},
		{"budget", "gemini-3-flash", chat.Reasoning{State: chat.ReasoningOn, Budget: chat.Number("1000")}, `{"thinkingLevel":"LOW","includeThoughts":true}`},
		{"dynamic", "gemini-3-flash", chat.Reasoning{State: chat.ReasoningOn, Budget: chat.Number("-1"), Summary: "omitted"}, `{}`},
		{"2.5 effort", "gemini-2.5-flash", chat.Reasoning{State: chat.ReasoningOn, Effort: "low", Summary: "omitted"}, `{"thinkingBudget":1024}`},
		{"2.5 minimal", "gemini-2.5-flash-lite", chat.Reasoning{State: chat.ReasoningOn, Effort: "minimal", Summary: "omitted"}, `{"thinkingBudget":512}`},
		{"2.5 adaptive", "gemini-2.5-flash", chat.Reasoning{State: chat.ReasoningOn, Adaptive: true, Summary: "omitted"}, `{"thinkingBudget":-1}`},
		{"2.5 off", "gemini-2.5-flash", chat.Reasoning{State: chat.ReasoningOff}, `{"thinkingBudget":0}`},
		{"2.5 Pro off", "gemini-2.5-pro", chat.Reasoning{State: chat.ReasoningOff}, `{"thinkingBudget":128}`},
		{"2.5 Flash clamps", "gemini-2.5-flash", chat.Reasoning{State: chat.ReasoningOn, Budget: chat.Number("99999"), Summary: "omitted"}, `{"thinkingBudget":24576}`},
		{"2.5 Pro none", "gemini-2.5-pro", chat.Reasoning{State: chat.ReasoningOn, Effort: "none"}, `{"thinkingBudget":128}`},
		{"2.5 Flash-Lite raises", "gemini-2.5-flash-lite", chat.Reasoning{State: chat.ReasoningOn, Budget: chat.Number("5"), Summary: "omitted"}, `{"thinkingBudget":512}`},
		{"minimal at 3.1 Pro", "gemini-3.1-pro", chat.Reasoning{State: chat.ReasoningOn, Effort: "minimal", Summary: "omitted"}, `{"thinkingLevel":"LOW"}`},
		{"xhigh at 3 Pro", "gemini-3-pro", chat.Reasoning{State: chat.ReasoningOn, Effort: "xhigh", Summary: "omitted"}, `{"thinkingLevel":"HIGH"}`},
		{"unknown model", "m", chat.Reasoning{State: chat.ReasoningOn, Effort: "high"}, `{"thinkingBudget":24576,"includeThoughts":true}`},
		{"2.0", "gemini-2.0-flash", chat.Reasoning{State: chat.ReasoningOn, Effort: "low"}, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, _ := encode(t, &chat.Request{Turns: said(chat.User, "x"), Reasoning: tc.r}, target(tc.model))
			got := formattest.Parse(t, string(doc)).Get("generationConfig").Get("thinkingConfig").Raw()
			if string(got) != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// said is a conversation of one text.
func said(role chat.Role, text string) []chat.Turn {
	return []chat.Turn{{Role: role, Blocks: []chat.Block{{Text: chat.Quote(text)}}}}
}

func TestEncodeRequestRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		block chat.Block
		says  string
	}{
		{"image by https", chat.Block{Kind: chat.Image, Source: chat.Source{Kind: chat.SourceURL, Data: []byte("https://example.com/a.png")}}, "base64"},
		{"file of another provider", chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceFile, Data: []byte("file-1"), Origin: "openai_chat"}}, "another provider"},
		{"unknown block", chat.Block{Kind: chat.Opaque, Type: "odd", Raw: chat.Raw(`{}`)}, "odd"},
		{"unknown block in a result", chat.Block{Kind: chat.ToolResult, ID: chat.Literal(`"x"`), Content: []chat.Block{{Kind: chat.Opaque, Type: "odd"}}}, "odd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b format.Body
			_, err := GenerateContent{}.EncodeRequest(&b, &chat.Request{Format: "openai_chat", Turns: []chat.Turn{{Blocks: []chat.Block{tc.block}}}}, target("m"))
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrInvalidRequest || !strings.Contains(e.Message, tc.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEncodeRequestReports(t *testing.T) {
	q := chat.Quote
	for _, tc := range []struct {
		name, model string
		r           chat.Request
		want        string // in the body
		lost        string
	}{
		{"six stop sequences", "m", chat.Request{Stop: []chat.Literal{q("1"), q("2"), q("3"), q("4"), q("5"), q("6")}}, `"stopSequences":["1","2","3","4","5"]`, "stop unsupported!"},
		{"several answers", "m", chat.Request{N: chat.Number("2")}, ``, "n unsupported!"},
		{"newer models take no sampling", "gemini-3.6-flash", chat.Request{Temperature: chat.Number("1"), FrequencyPenalty: chat.Number("1")}, `]}]}`, "temperature unsupported\nfrequency_penalty unsupported"},
		{"cached content elsewhere", "m", chat.Request{Extra: []chat.Field{{Name: "web_search_options", Value: chat.Raw(`{}`)}, {Name: "x", Value: chat.Raw(`1`)}}}, ``, "web_search_options unsupported!\nx unsupported"},
		{"allowed tools", "m", chat.Request{Tools: []chat.Tool{{Name: q("a")}, {Name: q("b")}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolAllowed, Names: []chat.Literal{q("b")}}}, `{"mode":"VALIDATED","allowedFunctionNames":["b"]}`, ""},
		{"allowed and required", "m", chat.Request{Tools: []chat.Tool{{Name: q("a")}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolAllowed, Required: true, Names: []chat.Literal{q("a"), q("gone")}}}, `{"mode":"ANY","allowedFunctionNames":["a"]}`, "tool_choice unsupported!"},
		{"no tools", "m", chat.Request{Tools: []chat.Tool{{Name: q("a")}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolNone}}, `{"mode":"NONE"}`, ""},
		{"longer than the model can", "gemini-2.0-flash", chat.Request{MaxTokens: chat.Number("32000")}, `"maxOutputTokens":8192`, "max_tokens clamped"},
		{"as long as it likes", "m", chat.Request{MaxTokens: chat.Number("320000")}, `"maxOutputTokens":320000`, ""},
		{"sampling", "gemini-3-pro", chat.Request{Temperature: chat.Number("1.7"), TopP: chat.Number("0.5"), PresencePenalty: chat.Number("1")}, `{"temperature":1.7,"topP":0.5,"presencePenalty":1}`, ""},
		{"a seed of 33 bits", "m", chat.Request{Seed: chat.Number("4294967296")}, ``, "seed unsupported"},
		{"probabilities", "m", chat.Request{Logprobs: chat.True, TopLogprobs: chat.Number("3")}, `{"responseLogprobs":true,"logprobs":3}`, ""},
		{"tier", "m", chat.Request{ServiceTier: q("ultrafast")}, `"serviceTier":"priority"`, "service_tier approximated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.r.Format, tc.r.Turns = "openai_chat", said(chat.User, "x")
			doc, report := encode(t, &tc.r, target(tc.model))
			if !bytes.Contains(doc, []byte(tc.want)) {
				t.Errorf("%s\nwant in it %s", doc, tc.want)
			}
			if got := strings.TrimSpace(formattest.Losses(report)); got != tc.lost {
				t.Errorf("lost %q, want %q", got, tc.lost)
			}
		})
	}
}

// A conversation that ends with an answer gets a user's turn where it must.
func TestEncodePrefill(t *testing.T) {
	for model, want := range map[string]int{"gemini-3.6-pro": 3, "gemini-3.5-flash-lite": 3, "gemini-3.5-flash": 2, "gemini-2.5-pro": 2, "m": 2} {
		r := chat.Request{Turns: append(said(chat.User, "x"), said(chat.Assistant, "y")...)}
		doc, _ := encode(t, &r, target(model))
		if got := formattest.Parse(t, string(doc)).Get("contents").Len(); got != want {
			t.Errorf("%s: %d contents, want %d", model, got, want)
		}
	}
}

func TestToolNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.b:c-d_1": "a.b:c-d_1", "1a": "_1a_", "ä": "_", "": "__", strings.Repeat("x", 65): strings.Repeat("x", 54) + "_",
	} {
		got := toolName(chat.Quote(name)).String()
		if !toolNames.Allow([]byte(got)) || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// A Gemini client's conversation can be sent to upstreams of other formats: ids
// that were made up tie results to their calls.
func TestForeignUpstreams(t *testing.T) {
	content, err := os.ReadFile("testdata/request_agent/request.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []format.RequestCodec{openai.Chat{}, anthropic.Messages{}} {
		var b format.Body
		report, err := to.EncodeRequest(&b, decode(t, string(content)), target("m"))
		if err != nil {
			t.Fatal(err)
		}
		formattest.Parse(t, string(b.Bytes()))
		for _, l := range report {
			if l.Meaning || strings.Contains(l.Path, "without a result") {
				t.Errorf("%T lost %v", to, l)
			}
		}
	}
}

// Server tools cross formats only if the operator has enabled them, and not
// beside functions, which Gemini refuses.
func TestEncodeServerTools(t *testing.T) {
	all := chat.ServerToolSet(0)
	for _, tool := range []chat.ServerTool{chat.ServerWebSearch, chat.ServerCodeExecution, chat.ServerURLFetch} {
		all.Add(tool)
	}
	search := chat.Tool{Type: "web_search_20250305", Raw: chat.Raw(`{}`), Server: chat.ServerWebSearch}
	for _, tc := range []struct {
		name    string
		enabled chat.ServerToolSet
		tools   []chat.Tool
		want    string
		lost    string
	}{
		{"not enabled", 0, []chat.Tool{search}, ``, "tools.web_search_20250305 unsupported!"},
		{"enabled, twice", all, []chat.Tool{search, search}, `[{"googleSearch":{}}]`, "tools.web_search_20250305 approximated"},
		{"others", all, []chat.Tool{{Type: "code_interpreter", Server: chat.ServerCodeExecution}, {Type: "web_fetch_20250910", Server: chat.ServerURLFetch}}, `[{"codeExecution":{}},{"urlContext":{}}]`, "tools.code_interpreter approximated\ntools.web_fetch_20250910 approximated"},
		{"of one format only", all, []chat.Tool{{Type: "computer"}}, ``, "tools.computer unsupported!"},
		{"beside a function", all, []chat.Tool{search, {Name: chat.Quote("f")}}, `[{"functionDeclarations":[{"name":"f"}]}]`, "tools.web_search_20250305 unsupported!"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := chat.Request{Format: "anthropic_messages", Turns: said(chat.User, "x"), Tools: tc.tools}
			to := target("gemini-3-flash")
			to.ServerTools = tc.enabled
			doc, report := encode(t, &r, to)
			if got := string(formattest.Parse(t, string(doc)).Get("tools").Raw()); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := strings.TrimSpace(formattest.Losses(report)); got != tc.lost {
				t.Errorf("lost %q, want %q", got, tc.lost)
			}
		})
	}
}

func TestDecodeServerTools(t *testing.T) {
	r := decode(t, `{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"google_search":{}},{"codeExecution":{},"urlContext":{}},{"googleMaps":{}}]}`)
	want := []chat.ServerTool{chat.ServerWebSearch, chat.ServerCodeExecution, chat.ServerURLFetch, chat.ServerOther}
	for i, tool := range r.Tools {
		if tool.Server != want[i] || tool.Type == "" {
			t.Errorf("tool %d is %+v", i, tool)
		}
	}
	if len(r.Tools) != len(want) {
		t.Errorf("%d tools", len(r.Tools))
	}
}

// The shapes in which clients write results.
func TestDecodeResults(t *testing.T) {
	for response, want := range map[string]string{
		`{"output":"done"}`: "done", `{"output":""}`: "", `{"name":"f","content":"done"}`: "done",
		`{"error":"no"}`: `{"error":"no"}`, `{"name":"f","content":[1]}`: `{"name":"f","content":[1]}`, `{"name":1,"content":"x"}`: `{"name":1,"content":"x"}`,
		`{"output":{"a":1}}`: `{"output":{"a":1}}`, `{"a":"b","output":"x"}`: `{"a":"b","output":"x"}`, `"text"`: "text", `[1]`: "[1]", `{}`: "{}",
	} {
		r := decode(t, `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}}]},{"parts":[{"functionResponse":{"name":"f","response":`+response+`}}]}]}`)
		got := ""
		for _, b := range r.Turns[1].Blocks[0].Content {
			got += b.Text.String()
		}
		if got != want {
			t.Errorf("%s is %q, want %q", response, got, want)
		}
	}
}
