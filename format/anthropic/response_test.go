package anthropic

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestAnswersThatAreNone(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		kind      chat.ErrorKind
		says      string
	}{
		{"array", `[]`, chat.ErrBadUpstream, "no message"},
		{"empty object", `{}`, chat.ErrBadUpstream, "no message"},
		{"content is null", `{"type":"message","content":null}`, chat.ErrBadUpstream, "no content"},
		{"content is a string", `{"content":"hi"}`, chat.ErrBadUpstream, "no content"},
		{"Chat answer", `{"choices":[]}`, chat.ErrBadUpstream, "no content"},
		{"error", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, chat.ErrOverloaded, "Overloaded"},
		{"error beside content", `{"content":[],"error":{"message":"boom"}}`, chat.ErrServer, "boom"},
		{"error as a string", `{"error":"boom"}`, chat.ErrServer, "boom"},
		{"error without words", `{"type":"error"}`, chat.ErrServer, "did not say which"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, decoded := Messages{}.DecodeResponse(formattest.Parse(t, tc.doc))
			_, inspected := Messages{}.InspectResponse(formattest.Parse(t, tc.doc))
			for _, err := range []error{decoded, inspected} {
				e, ok := errors.AsType[*chat.Error](err)
				if !ok || e.Kind != tc.kind || !strings.Contains(e.Message, tc.says) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	for _, doc := range []string{`{"content":[` + strings.Repeat(`{"type":"x"},`, maxAnswerBlocks) + `{"type":"x"}]}`, `{"content":[{}]}`, `{"content":["x"]}`, `{"content":[{"type":"tool_use","id":"a","input":{}}]}`} {
		if _, err := (Messages{}).DecodeResponse(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s is decoded", doc)
		}
	}
}

func TestStopReasons(t *testing.T) {
	const text, tool = `{"type":"text","text":"x"}`, `{"type":"tool_use","id":"a","name":"f","input":{}}`
	for _, tc := range []struct {
		name, reason, content string
		want                  chat.StopReason
		native, again         string
	}{
		{"end", `"end_turn"`, text, chat.StopEnd, "", "end_turn"},
		{"none", `null`, text, chat.StopEnd, "", "end_turn"},
		{"none with a call", `null`, tool, chat.StopToolUse, "", "tool_use"},
		{"end with a call", `"end_turn"`, tool, chat.StopToolUse, "", "tool_use"},
		{"call", `"tool_use"`, tool, chat.StopToolUse, "", "tool_use"},
		{"call of none", `"tool_use"`, text, chat.StopEnd, "", "end_turn"},
		{"limit", `"max_tokens"`, tool, chat.StopMaxTokens, "", "max_tokens"},
		{"sequence", `"stop_sequence"`, text, chat.StopSequence, "", "stop_sequence"},
		{"refusal", `"refusal"`, text, chat.StopRefusal, "", "refusal"},
		{"pause", `"pause_turn"`, text, chat.StopPause, "", "pause_turn"},
		{"compaction", `"compaction"`, text, chat.StopPause, "", "pause_turn"},
		{"window", `"model_context_window_exceeded"`, text, chat.StopContextWindow, "", "model_context_window_exceeded"},
		{"unknown", `"tired"`, text, chat.StopOther, "tired", "end_turn"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Messages{}.DecodeResponse(formattest.Parse(t, `{"content":[`+tc.content+`],"stop_reason":`+tc.reason+`,"stop_sequence":"S"}`))
			if err != nil {
				t.Fatal(err)
			}
			if r.Stop.Reason != tc.want || r.Stop.Native != tc.native || r.Stop.Sequence.Is("S") != (tc.want == chat.StopSequence) {
				t.Errorf("got %+v", r.Stop)
			}
			got, _ := Messages{}.EncodeResponse(nil, r, exchange())
			if again := formattest.Parse(t, string(got)).Get("stop_reason"); !again.Is(tc.again) {
				t.Errorf("told as %s", again.Raw())
			}
		})
	}
}

func TestEncodeForeignAnswers(t *testing.T) {
	tool := chat.Block{Kind: chat.ToolUse, ID: q("functions.f:0"), Name: q("f"), Arguments: chat.Arguments{Text: q(`{"a":1}`)}}
	broken := tool
	broken.Arguments.Text = q(`{"a"`)
	for _, tc := range []struct {
		name   string
		r      chat.Response
		want   string // id, content and stop_reason
		report string
	}{
		{"id of Chat", chat.Response{ID: q("chatcmpl-1"), Blocks: []chat.Block{textOf("a")}}, `"msg_chatcmpl-1_req-1" [{"type":"text","text":"a"}] "end_turn"`, ""},
		{"no id", chat.Response{Blocks: []chat.Block{textOf("")}}, `"msg_req-1" [] "end_turn"`, ""},
		{"call", chat.Response{Blocks: []chat.Block{textOf(""), tool}, Stop: chat.Stop{Reason: chat.StopToolUse}}, `"msg_req-1" [{"type":"tool_use","id":"functions_f_0_` + format.Digest(8, []byte("functions.f:0")) + `","name":"f","input":{"a":1}}] "tool_use"`, ""},
		{"broken call", chat.Response{Blocks: []chat.Block{broken}}, `"msg_req-1" [{"type":"tool_use","id":"functions_f_0_` + format.Digest(8, []byte("functions.f:0")) + `","name":"f","input":{"_raw":"{\"a\""}}] "tool_use"`, "tool_calls[].arguments approximated"},
		{"thinking", chat.Response{Blocks: []chat.Block{thought(foreign, ""), textOf("a")}}, `"msg_req-1" [{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"a"}] "end_turn"`, ""},
		{"thinking with a foreign signature", chat.Response{Blocks: []chat.Block{thought(foreign, "s")}}, `"msg_req-1" [{"type":"thinking","thinking":"hm","signature":"aigw1.openai_chat.s"}] "end_turn"`, ""},
		{"thinking with the signature of no maker", chat.Response{Blocks: []chat.Block{thought("", "s")}}, `"msg_req-1" [{"type":"thinking","thinking":"hm","signature":""}] "end_turn"`, ""},
		{
			"signature of a call",
			chat.Response{Blocks: []chat.Block{{Kind: chat.ToolUse, ID: q("x"), Name: q("f"), Signature: q("s"), Origin: "gemini"}, call("y", "f")}},
			`"msg_req-1" [{"type":"thinking","thinking":"","signature":"aigw1.gemini.s"},{"type":"tool_use","id":"x","name":"f","input":{}},{"type":"tool_use","id":"y","name":"f","input":{}}] "tool_use"`, "",
		},
		{"signature of a call by another maker", chat.Response{Blocks: []chat.Block{{Kind: chat.ToolUse, ID: q("x"), Name: q("f"), Signature: q("s"), Origin: foreign}}}, `"msg_req-1" [{"type":"tool_use","id":"x","name":"f","input":{}}] "tool_use"`, ""},
		{
			"citations",
			chat.Response{Blocks: []chat.Block{{Kind: chat.Text, Text: q("a"), Citations: []chat.Citation{
				{URL: q("https://a"), Title: q("A"), Quote: q("q"), Start: 1, End: 2, Origin: foreign, Raw: chat.Raw("{}")},
				{URL: q("https://b")},
				{Origin: origin, Raw: chat.Raw(`{"type":"char_location"}`)},
				{Title: q("a file"), Origin: foreign, Raw: chat.Raw("{}")},
			}}}},
			`"msg_req-1" [{"type":"text","text":"a","citations":[{"type":"web_search_result_location","cited_text":"q","encrypted_index":"","title":"A","url":"https://a"},` +
				`{"type":"web_search_result_location","cited_text":"","encrypted_index":"","title":null,"url":"https://b"},{"type":"char_location"}]}] "end_turn"`, "content.citations unsupported",
		},
		{"foreign sealed thinking", chat.Response{Blocks: []chat.Block{{Kind: chat.RedactedThinking, Text: q("d"), Origin: "gemini"}, textOf("a")}}, `"msg_req-1" [{"type":"redacted_thinking","data":"aigw1.gemini.d"},{"type":"text","text":"a"}] "end_turn"`, ""},
		{"sealed thinking of no maker", chat.Response{Blocks: []chat.Block{{Kind: chat.RedactedThinking, Text: q("d")}, textOf("a")}}, `"msg_req-1" [{"type":"text","text":"a"}] "end_turn"`, "content.redacted_thinking unsupported"},
		{"refusal", chat.Response{Blocks: []chat.Block{{Kind: chat.Refusal, Text: q("no")}}, Stop: chat.Stop{Reason: chat.StopEnd}}, `"msg_req-1" [{"type":"text","text":"no"}] "refusal"`, ""},
		{"filter", chat.Response{Stop: chat.Stop{Reason: chat.StopContentFilter}}, `"msg_req-1" [] "refusal"`, ""},
		{"opaque", chat.Response{Blocks: []chat.Block{textOf("a"), {Kind: chat.Opaque, Type: "x"}}}, `"msg_req-1" [{"type":"text","text":"a"}] "end_turn"`, "content.x unsupported"},
		{"audio", chat.Response{Blocks: []chat.Block{{Kind: chat.Audio}, textOf("a")}}, `"msg_req-1" [{"type":"text","text":"a"}] "end_turn"`, "content.audio unsupported!"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, report := Messages{}.EncodeResponse(nil, &tc.r, exchange())
			doc := formattest.Parse(t, string(body))
			got := string(doc.Get("id").Raw()) + " " + string(doc.Get("content").Raw()) + " " + string(doc.Get("stop_reason").Raw())
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if got := strings.TrimSpace(formattest.Losses(report)); got != tc.report {
				t.Errorf("got report %q, want %q", got, tc.report)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		want      chat.Usage
		again     string
	}{
		{"none", `null`, chat.Usage{}, `{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`},
		{"plain", `{"input_tokens":3,"output_tokens":4}`, chat.Usage{Known: true, InputUncached: 3, Output: 4}, `{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":4}`},
		{"nulls", `{"input_tokens":3,"cache_read_input_tokens":null,"cache_creation":null,"output_tokens_details":null,"output_tokens":4}`, chat.Usage{Known: true, InputUncached: 3, Output: 4}, ""},
		{"cache", `{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":4}`, chat.Usage{Known: true, InputUncached: 3, CacheRead: 5, CacheWrite5m: 7, Output: 4}, `{"input_tokens":3,"cache_creation_input_tokens":7,"cache_read_input_tokens":5,"output_tokens":4}`},
		{"times to live", `{"input_tokens":3,"cache_creation_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":5},"output_tokens":4}`, chat.Usage{Known: true, InputUncached: 3, CacheWrite5m: 2, CacheWrite1h: 5, Output: 4}, ""},
		{"times to live without a sum", `{"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":5},"output_tokens":4}`, chat.Usage{Known: true, CacheWrite5m: 2, CacheWrite1h: 5, Output: 4}, ""},
		{"negative", `{"input_tokens":-3,"output_tokens":-4}`, chat.Usage{Known: true}, ""},
		{"not numbers", `{"input_tokens":"3","output_tokens":1.5}`, chat.Usage{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Messages{}.InspectResponse(formattest.Parse(t, `{"content":[],"usage":`+tc.doc+`}`))
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
			if again := string(appendUsage(nil, &got)); tc.again != "" && again != tc.again {
				t.Errorf("told as %s, want %s", again, tc.again)
			}
		})
	}
	if got := string(appendUsage(nil, &chat.Usage{InputUncached: -1, Output: -1})); strings.Contains(got, "-") {
		t.Errorf("negative counts are told: %s", got)
	}
}
