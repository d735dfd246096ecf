package format_test

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
)

// said is a request whose one turn has the blocks.
func said(blocks ...chat.Block) *chat.Request {
	return &chat.Request{Turns: []chat.Turn{{Blocks: blocks}}}
}

func TestEstimateTokens(t *testing.T) {
	text := func(s string) chat.Block { return chat.Block{Kind: chat.Text, Text: chat.Literal(s)} }
	for _, tc := range []struct {
		name string
		r    *chat.Request
		want int64
	}{
		{"nothing", &chat.Request{}, 1},
		{"a turn", said(text(`"12345678"`)), 4 + 2},
		{"part of a token", said(text(`"123456789"`)), 4 + 3},
		{"escapes count as what they stand for", said(text(`"\"\n\\\t1234"`)), 4 + 2},
		{"a character beyond ASCII", said(text(`"\u4e2d\u4e2d\u4e2d\u4e2d"`)), 4 + 3},
		{"the same unescaped", said(text(`"中中中中"`)), 4 + 3},
		{"instructions", &chat.Request{System: []chat.Block{text(`"12345678"`)}}, 2},
		{"an image", said(chat.Block{Kind: chat.Image}), 4 + 1000},
		{"an image in low detail", said(chat.Block{Kind: chat.Image, Detail: chat.Literal(`"low"`)}), 4 + 85},
		{"a document", said(chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceBase64, Data: make([]byte, 1<<20)}}), 4 + 3000},
		{"a document of text", said(chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceText, Data: []byte("12345678")}}), 4 + 2},
		{"sound and moving pictures", said(chat.Block{Kind: chat.Audio}, chat.Block{Kind: chat.Video}), 4 + 1000 + 5000},
		{"a call", said(chat.Block{Kind: chat.ToolUse, Name: chat.Literal(`"abcd"`), Arguments: chat.Arguments{Object: chat.Raw(`{"a":1 }`)}}), 4 + 3},
		{"its result", said(chat.Block{Kind: chat.ToolResult, Content: []chat.Block{text(`"1234"`), {Kind: chat.Image}}}), 4 + 1 + 1000},
		{"a tool", &chat.Request{Tools: []chat.Tool{{Name: chat.Literal(`"abcd"`), Description: chat.Literal(`"1234"`), Schema: chat.Raw(`{"a":12}`)}}}, 8 + 4},
		{"sealed thoughts", said(chat.Block{Kind: chat.RedactedThinking, Text: chat.Literal(`"12345678"`)}), 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := format.EstimateTokens(tc.r); got != tc.want {
				t.Errorf("estimated %d tokens, want %d", got, tc.want)
			}
		})
	}
}

func TestCounterOf(t *testing.T) {
	for id, want := range map[format.ID]bool{
		format.OpenAIResponses: true, format.OpenAIChat: false, format.OpenAICompletions: false, "unknown": false,
	} {
		if id == format.OpenAIResponses {
			if _, registered := format.ChatOf(id); !registered {
				continue
			}
		}
		if _, ok := format.CounterOf(id); ok != want {
			t.Errorf("CounterOf(%s) = %t", id, ok)
		}
	}
}
