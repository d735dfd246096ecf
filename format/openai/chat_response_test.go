package openai

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		name, usage string
		want        chat.Usage
	}{
		{"absent", `null`, chat.Usage{}},
		{"plain", `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}`, chat.Usage{Known: true, InputUncached: 10, Output: 5}},
		{
			"cached and written are parts of the prompt", `{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30,"audio_tokens":2},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":1}}`,
			chat.Usage{Known: true, InputUncached: 10, CacheRead: 60, CacheWrite5m: 30, Output: 5, Reasoning: 3, AudioIn: 2, AudioOut: 1},
		},
		{
			"never negative", `{"prompt_tokens":10,"completion_tokens":-5,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}}`,
			chat.Usage{Known: true, CacheRead: 10},
		},
		{"DeepSeek", `{"prompt_tokens":20,"completion_tokens":1,"prompt_cache_hit_tokens":16,"prompt_cache_miss_tokens":4}`, chat.Usage{Known: true, InputUncached: 4, CacheRead: 16, Output: 1}},
		{"Moonshot", `{"prompt_tokens":20,"completion_tokens":1,"cached_tokens":8}`, chat.Usage{Known: true, InputUncached: 12, CacheRead: 8, Output: 1}},
		{"the standard field wins", `{"prompt_cache_hit_tokens":16,"prompt_tokens":20,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}`, chat.Usage{Known: true, InputUncached: 16, CacheRead: 4, Output: 1}},
		{"nulls", `{"prompt_tokens":20,"completion_tokens":1,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}`, chat.Usage{Known: true, InputUncached: 20, Output: 1}},
		{"xAI counts reasoning apart", `{"prompt_tokens":20,"completion_tokens":1,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":9}}`, chat.Usage{Known: true, InputUncached: 20, Output: 10, Reasoning: 9}},
		{"completion from the total", `{"prompt_tokens":20,"total_tokens":30}`, chat.Usage{Known: true, InputUncached: 20, Output: 10}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c counts
			c.read(formattest.Parse(t, tc.usage))
			if got := c.usage(); got != tc.want {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestUsageOfStreamsIsReplaced(t *testing.T) {
	var c counts
	c.read(formattest.Parse(t, `{"prompt_tokens":20,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}`))
	c.read(formattest.Parse(t, `{"prompt_tokens":20,"completion_tokens":7,"prompt_tokens_details":null}`))
	want := chat.Usage{Known: true, InputUncached: 16, CacheRead: 4, Output: 7}
	if got := c.usage(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEncodeUsageTellsTheWholePrompt(t *testing.T) {
	got := string(appendUsage(nil, &chat.Usage{Known: true, InputUncached: 3, CacheRead: 20, CacheWrite5m: 12304, CacheWrite1h: 6, Output: 550, Reasoning: 50}))
	want := `{"prompt_tokens":12333,"completion_tokens":550,"total_tokens":12883,"prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":12310},"completion_tokens_details":{"reasoning_tokens":50}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStopReasons(t *testing.T) {
	tools, refused := content{tools: true}, content{refusal: true}
	for _, tc := range []struct {
		word string
		has  content
		want chat.StopReason
		back string
	}{
		{"stop", content{}, chat.StopEnd, "stop"},
		{"stop", tools, chat.StopToolUse, "tool_calls"},
		{"stop", refused, chat.StopRefusal, "stop"},
		{"length", content{}, chat.StopMaxTokens, "length"},
		{"length", tools, chat.StopMaxTokens, "length"},
		{"tool_calls", tools, chat.StopToolUse, "tool_calls"},
		{"tool_calls", content{}, chat.StopEnd, "stop"},
		{"function_call", tools, chat.StopToolUse, "tool_calls"},
		{"content_filter", content{}, chat.StopContentFilter, "content_filter"},
		{"", content{}, chat.StopEnd, "stop"},
		{"never_heard_of", content{}, chat.StopOther, "stop"},
	} {
		t.Run(tc.word, func(t *testing.T) {
			s := stopOf(q(tc.word), tc.has)
			if s.Reason != tc.want {
				t.Errorf("got %d, want %d", s.Reason, tc.want)
			}
			if back := finishReason(s.Reason, tc.has, false); back != tc.back {
				t.Errorf("got back %s, want %s", back, tc.back)
			}
		})
	}
	for reason, want := range map[chat.StopReason]string{
		chat.StopSequence: "stop", chat.StopPause: "stop", chat.StopContextWindow: "length", chat.StopRefusal: "content_filter",
	} {
		if got := finishReason(reason, content{}, false); got != want {
			t.Errorf("stop %d is %s, want %s", reason, got, want)
		}
	}
	if got := finishReason(chat.StopToolUse, tools, true); got != "function_call" {
		t.Errorf("a function's stop is %s", got)
	}
}

func TestDecodeResponseRefuses(t *testing.T) {
	const fine = `"message":{"role":"assistant","content":"x"}`
	for _, tc := range []struct {
		name, doc string
		kind      chat.ErrorKind
		inspected bool // InspectResponse refuses it too
	}{
		{"no choices", `{"id":"x"}`, chat.ErrBadUpstream, true},
		{"null choices", `{"choices":null}`, chat.ErrBadUpstream, true},
		{"an array", `[]`, chat.ErrBadUpstream, true},
		{"a string", `"hello"`, chat.ErrBadUpstream, true},
		{"no choice", `{"choices":[]}`, chat.ErrBadUpstream, false},
		{"no message", `{"choices":[{"index":0}]}`, chat.ErrBadUpstream, false},
		{"call without a name", `{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}`, chat.ErrBadUpstream, false},
		{"error object", `{"error":{"message":"no","code":"insufficient_quota"}}`, chat.ErrQuota, true},
		{"error string", `{"error":"overloaded"}`, chat.ErrServer, true},
		{"error beside choices", `{"choices":[{` + fine + `}],"error":{"message":"slow down","code":429}}`, chat.ErrRateLimit, true},
		{"error as finish_reason", `{"choices":[{` + fine + `,"finish_reason":"error","error":{"message":"x","code":503}}]}`, chat.ErrUnavailable, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := formattest.Parse(t, tc.doc)
			_, err := Chat{}.DecodeResponse(doc)
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != tc.kind || e.Message == "" {
				t.Errorf("got %v, want kind %d", err, tc.kind)
			}
			if _, err := (Chat{}).InspectResponse(doc); (err != nil) != tc.inspected {
				t.Errorf("inspected: %v", err)
			}
		})
	}
	if _, err := (Chat{}).DecodeResponse(formattest.Parse(t, `{"choices":[{`+fine+`}],"error":null}`)); err != nil {
		t.Errorf("a null error is none: %v", err)
	}
}

func TestDecodeResponseTakesTheFirstChoice(t *testing.T) {
	r, err := Chat{}.DecodeResponse(formattest.Parse(t, `{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`))
	if err != nil || !r.Blocks[0].Text.Is("a") {
		t.Errorf("got %+v, %v", r, err)
	}
}

// encodeAnswer encodes an answer made of blocks.
func encodeAnswer(t *testing.T, x *chat.Exchange, stop chat.StopReason, blocks ...chat.Block) (string, chat.Report) {
	t.Helper()
	body, report := Chat{}.EncodeResponse(nil, &chat.Response{ID: q("msg_1"), Blocks: blocks, Stop: chat.Stop{Reason: stop}}, x)
	formattest.Parse(t, string(body))
	_, choice, _ := strings.Cut(string(body), `"choices":[`)
	choice, _, _ = strings.Cut(choice, `],"usage"`)
	return choice, report
}

func TestEncodeResponse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		stop   chat.StopReason
		blocks []chat.Block
		want   string
		lost   string
	}{
		{"empty", chat.StopEnd, nil, `{"index":0,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"stop"}`, ""},
		{"texts are joined", chat.StopEnd, texts("a", "b"), `{"index":0,"message":{"role":"assistant","content":"ab","refusal":null},"logprobs":null,"finish_reason":"stop"}`, ""},
		{
			"sealed thinking is invisible", chat.StopEnd,
			[]chat.Block{{Kind: chat.RedactedThinking, Text: q("zz")}, {Kind: chat.Thinking, Signature: q("s")}, textBlock("a")},
			`{"index":0,"message":{"role":"assistant","content":"a","refusal":null},"logprobs":null,"finish_reason":"stop"}`, "",
		},
		{
			"thinking", chat.StopEnd,
			[]chat.Block{{Kind: chat.Thinking, Text: q("hm"), Signature: q("s")}, textBlock("a")},
			`{"index":0,"message":{"role":"assistant","content":"a","reasoning_content":"hm","refusal":null},"logprobs":null,"finish_reason":"stop"}`, "",
		},
		{
			"tool", chat.StopToolUse,
			[]chat.Block{call("toolu_1", "f", `{"a":"<\"é"}`)},
			`{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"a\":\"<\\\"é\"}"}}]},"logprobs":null,"finish_reason":"tool_calls"}`, "",
		},
		{"refusal without text", chat.StopRefusal, texts("I"), `{"index":0,"message":{"role":"assistant","content":"I","refusal":null},"logprobs":null,"finish_reason":"content_filter"}`, ""},
		{"refusal", chat.StopRefusal, []chat.Block{{Kind: chat.Refusal, Text: q("no")}}, `{"index":0,"message":{"role":"assistant","content":null,"refusal":"no"},"logprobs":null,"finish_reason":"stop"}`, ""},
		{"opaque", chat.StopPause, []chat.Block{{Kind: chat.Opaque, Type: "server_tool_use"}}, `{"index":0,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"stop"}`, "content.server_tool_use unsupported"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, report := encodeAnswer(t, exchange(), tc.stop, tc.blocks...)
			if got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			if lost := paths(report); lost != tc.lost {
				t.Errorf("lost %q, want %q", lost, tc.lost)
			}
		})
	}
}

func TestEncodeResponseForFunctions(t *testing.T) {
	x := exchange()
	x.LegacyFunctions = true
	got, report := encodeAnswer(t, x, chat.StopToolUse, call("a", "f", "{}"), call("b", "g", "{}"))
	want := `{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"function_call":{"name":"f","arguments":"{}"}},"logprobs":null,"finish_reason":"function_call"}`
	if got != want || paths(report) != "tool_calls unsupported!" {
		t.Errorf("\ngot  %s\nwant %s\nlost %s", got, want, paths(report))
	}
}

func TestEncodeResponseGivesNamesBack(t *testing.T) {
	x := exchange()
	x.Names = &chat.Names{}
	x.Names.Add("short", q("the long name"))
	if got, _ := encodeAnswer(t, x, chat.StopToolUse, call("a", "short", "{}")); !strings.Contains(got, `"name":"the long name"`) {
		t.Errorf("got %s", got)
	}
}

func TestAnswerIDs(t *testing.T) {
	for _, tc := range []struct{ id, want string }{
		{"", `"chatcmpl-req-1"`}, {"chatcmpl-9", `"chatcmpl-9"`}, {"msg_1", `"chatcmpl-msg_1"`},
	} {
		if got := string(appendID(nil, q(tc.id), exchange())); got != tc.want {
			t.Errorf("%q becomes %s, want %s", tc.id, got, tc.want)
		}
	}
}
