package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// marked is a text with a cache mark of Anthropic's.
func marked(s string) chat.Block {
	b := textBlock(s)
	b.Cache = chat.Raw(`{"type":"ephemeral","ttl":"1h"}`)
	return b
}

func TestCacheMarks(t *testing.T) {
	const mark = `,"prompt_cache_breakpoint":{"mode":"explicit"}}`
	markedResult := result("a", texts("1", "2")...)
	markedResult.Cache = chat.Raw(`{}`)
	image := picture("QQ==")
	image.Cache = chat.Raw(`{}`)
	const calls = `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	for _, tc := range []struct {
		name   string
		system []chat.Block
		turns  []chat.Turn
		want   string
		lost   string
	}{
		{
			name: "system as parts", system: []chat.Block{marked("s"), textBlock(""), textBlock("t")}, turns: []chat.Turn{user(texts("x")...)},
			want: `{"role":"developer","content":[{"type":"text","text":"s"` + mark + `,{"type":"text","text":"t"}]},{"role":"user","content":"x"}`,
		},
		{
			name: "the one text of a message", turns: []chat.Turn{user(marked("x"))},
			want: `{"role":"user","content":[{"type":"text","text":"x"` + mark + `]}`,
		},
		{
			name: "an image", turns: []chat.Turn{user(textBlock("x"), image)},
			want: `{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}` + mark + `]}`,
		},
		{
			name: "a result", turns: []chat.Turn{said(call("a", "f", "")), user(markedResult)},
			want: calls + `,{"role":"tool","content":[{"type":"text","text":"1\n\n2"` + mark + `],"tool_call_id":"a"}`,
		},
		{
			name: "a text of a result", turns: []chat.Turn{said(call("a", "f", "")), user(result("a", textBlock("1"), marked("2")))},
			want: calls + `,{"role":"tool","content":[{"type":"text","text":"1\n\n2"` + mark + `],"tool_call_id":"a"}`,
		},
		{
			name: "an answer has no place for one", turns: []chat.Turn{said(marked("a")), user(texts("x")...)},
			want: `{"role":"assistant","content":"a"},{"role":"user","content":"x"}`, lost: "cache_control unsupported",
		},
		{
			name: "the last ones are kept", system: []chat.Block{marked("s")}, turns: []chat.Turn{user(marked("1")), user(marked("2")), user(marked("3"))},
			want: `{"role":"developer","content":[{"type":"text","text":"s"}]},{"role":"user","content":[{"type":"text","text":"1"` + mark + `]},` +
				`{"role":"user","content":[{"type":"text","text":"2"` + mark + `]},{"role":"user","content":[{"type":"text","text":"3"` + mark + `]}`,
			lost: "cache_control unsupported",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &chat.Request{Format: foreign, System: tc.system, Turns: tc.turns}
			doc, report := encode(t, r, chat.Target{Model: "m", CacheMarks: true, Can: capability.Of("gpt-5.6")})
			got := strings.TrimSuffix(strings.TrimPrefix(doc, `{"model":"m","messages":[`), "]}")
			if got != tc.want || paths(report) != tc.lost {
				t.Errorf("\ngot  %s\nwant %s\nlost %s", got, tc.want, paths(report))
			}
		})
	}
}

// TestCacheMarksAreLeftOut shows that a model or an upstream that does not know
// marks gets none.
func TestCacheMarksAreLeftOut(t *testing.T) {
	for _, to := range []chat.Target{
		{Model: "m", CacheMarks: true, Can: capability.Of("gpt-5.5")},
		{Model: "m", Can: capability.Of("gpt-5.6")},
	} {
		r := &chat.Request{Format: foreign, Turns: []chat.Turn{user(marked("x"))}}
		if doc, report := encode(t, r, to); doc != `{"model":"m","messages":[{"role":"user","content":"x"}]}` || paths(report) != "cache_control unsupported" {
			t.Errorf("got %s, lost %s", doc, paths(report))
		}
	}
}

// TestCacheMarksOfClients shows that the mark of a Chat client is read.
func TestCacheMarksOfClients(t *testing.T) {
	r := decode(t, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}}]}]}`)
	if got := r.Turns[0].Blocks[0].Cache; string(got) != `{"mode":"explicit","ttl":"12h"}` {
		t.Errorf("got %s", got)
	}
	doc, _ := encode(t, r, chat.Target{Model: "m", CacheMarks: true, Can: capability.Of("gpt-6-sol")})
	if !strings.Contains(doc, `"text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}`) {
		t.Errorf("got %s", doc)
	}
}
