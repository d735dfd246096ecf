package openai

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func thinking(origin, text, signature string) chat.Block {
	return chat.Block{Kind: chat.Thinking, Text: q(text), Signature: q(signature), Origin: origin}
}

func redacted(origin, data string) chat.Block {
	return chat.Block{Kind: chat.RedactedThinking, Text: q(data), Origin: origin}
}

func callSigned(origin, signature string) chat.Block {
	b := call("call_1", "f", "{}")
	b.Signature, b.Origin = q(signature), origin
	return b
}

// carriedAnswers are answers with something that a client is to carry.
var carriedAnswers = []struct {
	name   string
	blocks []chat.Block
	shown  []string // in the message
	back   []chat.Block
}{
	{
		"thinking of Anthropic keeps its text",
		[]chat.Block{thinking(originAnthropic, "I \"see\".", "Er/sig="), textBlock("a")},
		[]string{`"reasoning_content":"I \"see\"."`, `"reasoning_details":[{"type":"reasoning.encrypted","data":"aigw1.anthropic_messages.Er/sig=","text":"I \"see\".","format":"anthropic-claude-v1","index":0}]`},
		[]chat.Block{thinking(originAnthropic, "I \"see\".", "Er/sig="), textBlock("a")},
	},
	{
		"several pieces of thinking",
		[]chat.Block{thinking(originAnthropic, "one", "s1"), redacted(originAnthropic, "sealed"), thinking(originAnthropic, "", "s2"), textBlock("a")},
		[]string{`"data":"aigw1.anthropic_messages#redacted.sealed"`, `"index":2}]`},
		[]chat.Block{thinking(originAnthropic, "one", "s1"), redacted(originAnthropic, "sealed"), thinking(originAnthropic, "", "s2"), textBlock("a")},
	},
	{
		"reasoning of Responses gets the whole text back",
		[]chat.Block{thinking(originResponses, "sum", "gAAA"), textBlock("a")},
		[]string{`"reasoning_details":[{"type":"reasoning.encrypted","data":"aigw1.openai_responses.gAAA","format":"openai-responses-v1","index":0}]`},
		[]chat.Block{thinking(originResponses, "sum", "gAAA"), textBlock("a")},
	},
	{
		"several of Responses",
		[]chat.Block{thinking(originResponses, "one", "g1"), thinking(originResponses, "two", "g2"), textBlock("a")},
		nil,
		[]chat.Block{
			{Kind: chat.Thinking, Text: q("onetwo"), Origin: origin},
			thinking(originResponses, "", "g1"), thinking(originResponses, "", "g2"), textBlock("a"),
		},
	},
	{
		"calls of Gemini",
		[]chat.Block{textBlock("a"), callSigned(originGemini, "Cs+/=")},
		[]string{`"extra_content":{"google":{"thought_signature":"Cs+/="}}`},
		[]chat.Block{textBlock("a"), callSigned(originGemini, "Cs+/=")},
	},
	{
		"calls of another maker",
		[]chat.Block{callSigned("some_format", "x")},
		[]string{`"thought_signature":"aigw1.some_format.x"`},
		[]chat.Block{callSigned("some_format", "x")},
	},
	{
		"reasoning of an upstream of this format",
		[]chat.Block{thinking(origin, "hm", `{"type":"reasoning.summary","data":"d","index":4}`), textBlock("a")},
		[]string{`"reasoning_details":[{"summary":"hm","type":"reasoning.summary","data":"d","index":4}]`},
		[]chat.Block{thinking(origin, "hm", `{"type":"reasoning.summary","data":"d","index":4}`), textBlock("a")},
	},
}

// TestClientsCarrySignatures shows that what a client is given with an answer, and
// sends back, is what was there.
func TestClientsCarrySignatures(t *testing.T) {
	for _, tc := range carriedAnswers {
		t.Run(tc.name, func(t *testing.T) {
			choice, report := encodeAnswer(t, exchange(), chat.StopEnd, tc.blocks...)
			if len(report) > 0 {
				t.Errorf("lost %v", report)
			}
			message := formattest.Parse(t, choice).Get("message")
			for _, part := range tc.shown {
				if !strings.Contains(string(message.Raw()), part) {
					t.Errorf("%s is not in %s", part, message.Raw())
				}
			}
			checkReturned(t, string(message.Raw()), tc.back)
		})
	}
}

// checkReturned checks how an answer is read that a client sends back.
func checkReturned(t *testing.T, message string, want []chat.Block) {
	t.Helper()
	r := decode(t, `{"model":"m","messages":[{"role":"user","content":"x"},`+message+`,{"role":"tool","tool_call_id":"call_1","content":"y"}]}`)
	got := append([]chat.Block(nil), r.Turns[1].Blocks...)
	for i := range got {
		// Arguments are the same in another form.
		if got[i].Kind == chat.ToolUse {
			got[i].Arguments = chat.Arguments{Object: chat.Raw(got[i].Arguments.Text.String())}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("comes back as\n%+v\nwant\n%+v", got, want)
	}
	if len(r.Extra) > 0 {
		t.Errorf("not understood: %v", r.Extra)
	}
}

// TestClientsCarrySignaturesOfStreams is the same for streams, as clients put them
// together.
func TestClientsCarrySignaturesOfStreams(t *testing.T) {
	for _, tc := range carriedAnswers {
		t.Run(tc.name, func(t *testing.T) {
			r := chat.Response{ID: q("x"), Blocks: tc.blocks, Stop: chat.Stop{Reason: chat.StopEnd}}
			encoder := Chat{}.NewStreamEncoder(exchange())
			var stream []byte
			for ev := range r.Replay {
				stream = encoder.Encode(stream, ev)
			}
			checkReturned(t, assemble(t, stream), tc.back)
		})
	}
}

// assemble puts the chunks of a stream together as a simple client does: texts are
// joined, of other members the last one counts.
func assemble(t *testing.T, stream []byte) string {
	t.Helper()
	var content, reasoning, arguments, members, callMembers string
	for _, raw := range formattest.Raws(t, stream) {
		data := strings.TrimSpace(strings.TrimPrefix(string(raw), "data: "))
		if data == "[DONE]" {
			break
		}
		for choice := range formattest.Parse(t, data).Get("choices").Elements {
			for key, value := range choice.Get("delta").Members {
				switch {
				case key.Is("content"):
					content += value.Text()
				case key.Is("reasoning_content"):
					reasoning += value.Text()
				case key.Is("tool_calls"):
					for c := range value.Elements {
						arguments += c.Get("function").Get("arguments").Text()
						if c.Get("extra_content").Exists() {
							callMembers = `,"extra_content":` + string(c.Get("extra_content").Raw())
						}
					}
				case !key.Is("role"):
					members += "," + string(key.Raw()) + ":" + string(value.Raw())
				}
			}
		}
	}
	if arguments != "" {
		members += `,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":` + string(q(arguments)) + `}` + callMembers + `}]`
	}
	return `{"role":"assistant","content":` + string(q(content)) + `,"reasoning_content":` + string(q(reasoning)) + members + `}`
}

// TestCarriedSignaturesOfClients shows that strange elements neither break a
// request nor become something else.
func TestCarriedSignaturesOfClients(t *testing.T) {
	for _, tc := range []struct {
		details string
		want    []chat.Block
	}{
		{`[]`, nil},
		{`"x"`, nil},
		{`[1,null,{},{"type":"reasoning.encrypted"},{"data":5}]`, nil},
		{`[{"type":"reasoning.text","text":"hm"}]`, []chat.Block{{Kind: chat.Thinking, Text: q("hm"), Origin: origin}}},
		{`[{"type":"reasoning.encrypted","data":"mine"}]`, []chat.Block{thinking(origin, "", `{"type":"reasoning.encrypted","data":"mine"}`)}},
		{`[{"data":"aigw1.gemini.Cs"}]`, []chat.Block{thinking(originGemini, "", "Cs")}},
	} {
		r := decode(t, `{"model":"m","messages":[{"role":"assistant","reasoning_details":`+tc.details+`}]}`)
		if got := r.Turns[0].Blocks; len(got) != len(tc.want) || len(got) > 0 && !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s is read as %+v, want %+v", tc.details, got, tc.want)
		}
	}
}

// TestDetailsGoBack shows to which upstreams reasoning goes back, and in which
// form.
func TestDetailsGoBack(t *testing.T) {
	own := thinking(origin, "hm", `{"type":"reasoning.text","signature":"s","index":0}`)
	for _, tc := range []struct {
		name   string
		blocks []chat.Block
		to     chat.Target
		want   string
		lost   string
	}{
		{"to its kind", []chat.Block{own, textBlock("a")}, chat.Target{ReasoningDetails: true}, `"content":"a","reasoning_details":[{"text":"hm","type":"reasoning.text","signature":"s","index":0}]`, ""},
		{"to others", []chat.Block{own, textBlock("a")}, chat.Target{}, `"content":"a"`, "thinking unsupported"},
		{"a signature that is none", []chat.Block{thinking(origin, "hm", "junk"), textBlock("a")}, chat.Target{ReasoningDetails: true}, `"content":"a","reasoning_details":[{"type":"reasoning.text","text":"hm"}]`, ""},
		{"of another maker", []chat.Block{thinking(originAnthropic, "hm", "s"), textBlock("a")}, chat.Target{ReasoningDetails: true}, `"content":"a"`, "thinking unsupported"},
		{"Gemini's calls to Gemini", []chat.Block{callSigned(originGemini, "Cs")}, chat.Target{Can: capability.Model{CallSignatures: true}}, `"content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"Cs"}}}]`, ""},
		{"Gemini's calls to others", []chat.Block{callSigned(originGemini, "Cs")}, chat.Target{}, `"content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.to.Model = "m"
			r := &chat.Request{Format: foreign, Turns: []chat.Turn{said(tc.blocks...), user(result("call_1", texts("y")...), textBlock("x"))}}
			if tc.blocks[0].Kind != chat.ToolUse {
				r.Turns[1].Blocks = texts("x")
			}
			doc, report := encode(t, r, tc.to)
			if !strings.Contains(doc, `{"role":"assistant",`+tc.want+`},{`) || paths(report) != tc.lost {
				t.Errorf("got %s, lost %s", doc, paths(report))
			}
		})
	}
}

// TestHiddenReasoning shows that a client that does not want to see the reasoning
// can still carry it.
func TestHiddenReasoning(t *testing.T) {
	x := exchange()
	x.Request = &chat.Request{Reasoning: chat.Reasoning{Summary: "omitted"}}
	blocks := []chat.Block{thinking(originResponses, "secret", "g"), textBlock("a")}
	choice, _ := encodeAnswer(t, x, chat.StopEnd, blocks...)
	encoder := Chat{}.NewStreamEncoder(x)
	var stream []byte
	for ev := range (&chat.Response{ID: q("x"), Blocks: blocks}).Replay {
		stream = encoder.Encode(stream, ev)
	}
	for _, got := range []string{choice, string(stream)} {
		if strings.Contains(got, "secret") || !strings.Contains(got, "aigw1.openai_responses.g") {
			t.Errorf("got %s", got)
		}
	}
}
